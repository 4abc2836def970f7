"""Plots of a recipe's results, the paper's numbers beside them in a panel of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtkd.analysis.inspection import entropy
from mtkd.analysis.plotting import (
    BLUE,
    GREEN,
    GREY,
    VERMILLION,
    Plot,
    colour,
    counted,
    draw_estimate,
    draw_hollow,
    estimate_marks,
    grid_lines,
    name_rows,
    nothing_to_plot,
    rule_rows,
    save,
    seed_count,
    small_multiples,
    styled,
    system_mark,
    system_rows,
    task_count,
    whole_epochs,
)
from mtkd.analysis.statistics import task_order
from mtkd.analysis.system_names import REFERENCE, system_order, system_title, task_title
from mtkd.analysis.tables import OURS, PAPER, RELEASED, ablation_values, glue_dev_values
from mtkd.experiments.records import Record

# In the tables, but not in the plot of dev scores, which would be too full.
ASIDE = ("metal-ensemble", "mtdnn-noft", "mtdnn-kd-ft")
TEACHER_TASKS = ("mnli", "qqp", "rte", "qnli")  # KD paper, section 4.1
CURVES = ("mtdnn-noft", "untaught", "mtdnn-kd", "mtdnn-kd-soft")


# ---------------------------------------------------------------------------- results


@styled
def dev_scores(scores: pd.DataFrame) -> Plot:
    """Dev score per task and mean, with intervals and seeds; the paper's in a panel of its own."""
    values, tasks = glue_dev_values(scores), task_order(scores)
    if values.empty:
        return nothing_to_plot("no dev scores")
    systems = [system for system in system_order(scores) if system not in ASIDE]
    height = 1.6 + (0.1 + 0.065 * len(systems)) * (len(tasks) + 1)
    figure = Plot(figsize=(8, height), layout="constrained")
    ours, paper = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    step = 0.8 / max(len(systems), 1)
    places = {task: row for row, task in enumerate([*tasks, "mean"])}
    for number, system in enumerate(systems):
        shift = (number - (len(systems) - 1) / 2) * step
        for row in system_rows(values, system):
            if row["task"] not in places or row["source"] == RELEASED:
                continue  # in the table only
            y = places[row["task"]] + shift
            if row["source"] == OURS:
                draw_estimate(ours, row, y, colour(system))
            else:
                draw_hollow(paper, row["value"], y, colour(system))
    name_rows(ours, [*map(task_title, tasks), f"mean of {len(tasks)}"])
    ours.set(title=f"this run, {seed_count(values)}", xlabel="dev score, points")
    paper.set(title=PAPER, xlabel="dev score, points (own scale)")
    rule_rows(paper, len(places))
    handles: list[Any] = [system_mark(system) for system in systems]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))
    return figure


@styled
def gain(scores: pd.DataFrame, teacher_tasks: Sequence[str] = TEACHER_TASKS) -> Plot:
    """Gain of MT-DNN-KD over MT-DNN per task, paired by seed; the paper's beside on the same scale.

    Tasks whose ensemble taught the student (`teacher_tasks`) stand on a shaded row.
    """
    values, tasks = ablation_values(scores), task_order(scores)
    found = [row for row in system_rows(values, "mtdnn-kd") if row["task"] != "recovered"]
    if not any(row["source"] == OURS for row in found):
        return nothing_to_plot("no MT-DNN and MT-DNN-KD with the same seed")
    figure = Plot(figsize=(8, 1.7 + 0.33 * (len(tasks) + 1)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    places = {task: row for row, task in enumerate([*tasks, "mean"])}
    for row in found:
        y, hue = places[row["task"]], colour("mtdnn-kd")
        if row["source"] == OURS:
            draw_estimate(panels[0], row, y, hue)
        else:
            draw_hollow(panels[1], row["value"], y, hue)
    for axes in panels:
        axes.axvline(0, color=colour(REFERENCE), linewidth=1)
        for task in (task for task in tasks if task in teacher_tasks):
            axes.axhspan(
                places[task] - 0.5, places[task] + 0.5, color=GREEN, alpha=0.12, linewidth=0
            )
        axes.set_xlabel("gain over MT-DNN, points")
    name_rows(panels[0], [*map(task_title, tasks), f"mean of {len(tasks)}"])
    rule_rows(panels[1], len(places))
    panels[0].set_title(f"this run, {seed_count(values)}")
    panels[1].set_title(PAPER)
    handles = [
        *estimate_marks(colour("mtdnn-kd"), "MT-DNN-KD", values),
        Line2D([], [], color=colour(REFERENCE), linewidth=1, label="MT-DNN"),
        Patch(color=GREEN, alpha=0.12, linewidth=0, label="task with a teacher"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, columnspacing=1.2)
    return figure


@styled
def ablation(scores: pd.DataFrame) -> Plot:
    """Mean dev difference from MT-DNN per system, paired by seed; the paper's hollow, below."""
    values, tasks = ablation_values(scores), task_order(scores)
    means = values[values["task"] == "mean"]
    compared = set(means.loc[means["source"] == OURS, "system"])
    if not compared:
        return nothing_to_plot("no system to compare with MT-DNN")
    systems = [system for system in system_order(scores) if system in compared]
    figure = Plot(figsize=(8, 1.5 + 0.45 * len(systems)), layout="constrained")
    axes = figure.subplots()
    for y, system in enumerate(systems):
        for row in system_rows(means, system):
            if row["source"] == OURS:
                draw_estimate(axes, row, y - 0.1, colour(system))
            else:
                draw_hollow(axes, row["value"], y + 0.22, colour(system))
    axes.axvline(0, color=colour(REFERENCE), linewidth=1)
    name_rows(axes, [system_title(system) for system in systems])
    axes.set_xlabel(f"mean dev score of {task_count(tasks)} less that of MT-DNN, points")
    handles = [
        *estimate_marks(GREY, f"this run, {seed_count(means)}", means),
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label=PAPER),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@styled
def learning_curves(records: Iterable[Record]) -> Plot:
    """Mean dev score by epoch of the multi-task trainings: thin lines seeds, thick their mean."""
    curves: dict[str, list[pd.Series]] = {system: [] for system in CURVES}
    for record in records:
        for system in CURVES:
            history = record.details.get("histories", {}).get(system, {"epochs": []})
            points = {e["epoch"]: e["score"] for e in history["epochs"] if "score" in e}
            if points:
                curves[system].append(pd.Series(points))
    if not any(curves.values()):
        return nothing_to_plot("no multi-task training with dev scores by epoch")
    figure = Plot(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for system, lines in curves.items():
        for line in lines:
            axes.plot(line.index, line, color=colour(system), linewidth=0.8, alpha=0.35)
        if lines:
            # Epochs that not every seed has would move the mean for another reason than training.
            mean = pd.concat(lines, axis=1).dropna().mean(axis=1)
            label = f"{system_title(system)} ({counted(len(lines), 'seed')})"
            axes.plot(
                mean.index, mean, color=colour(system), linewidth=2.4, marker="o", label=label
            )
    axes.set(xlabel="epoch", ylabel="mean dev score, points")
    whole_epochs(axes)
    grid_lines(axes, "y")
    axes.legend(loc="lower right")
    return figure


# ---------------------------------------------------------------------------- one run, the teacher


@styled
def teacher_knowledge(
    knowledge: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]],
) -> Plot:
    """How sure the teacher is of training examples: entropy of its soft targets, two groups apart.

    `knowledge` maps a task to (soft (N, C), label (N,), clean (N,) or None). Groups: training label
    right or wrong, where the label before annotator noise is known; else the teacher's most
    probable label agrees with the training label or not. Each histogram adds up to 100 %.
    """
    classes = {task: item for task, item in knowledge.items() if item[0].shape[1] > 1}
    if not classes:
        return nothing_to_plot("no soft targets of a classification")
    known = any(clean is not None for _, _, clean in classes.values())
    words = ("label is right", "label is wrong") if known else ("teacher agrees", "teacher differs")
    figure, panels = small_multiples(len(classes))
    for axes, (task, (soft, label, clean)) in zip(panels, classes.items(), strict=True):
        choice = soft.argmax(axis=1)
        group = label != (choice if clean is None else clean)
        sure = entropy(soft).clip(0, 1)
        for part, hue, style in ((~group, BLUE, "-"), (group, VERMILLION, "--")):
            weights = np.full(part.sum(), 100 / max(part.sum(), 1))
            shared: dict[str, Any] = {
                "bins": np.linspace(0, 1, 21),
                "weights": weights,
                "color": hue,
            }
            axes.hist(sure[part], histtype="stepfilled", alpha=0.25, **shared)
            axes.hist(sure[part], histtype="step", linewidth=1.4, linestyle=style, **shared)
        summary = f"{words[1]}: {100 * group.mean():.0f} %"
        if clean is not None and group.any():
            summary += f", teacher right on {100 * (choice == clean)[group].mean():.0f} % of them"
        axes.set_title(f"{task_title(task)}\n{summary}", fontsize=8.5)
        axes.set_xlim(0, 1)
        grid_lines(axes, "y")
    figure.supxlabel("entropy of the soft target (0 sure, 1 no idea)", fontsize=9.5)
    figure.supylabel("training examples, % of their group", fontsize=9.5)
    handles = [
        Patch(
            facecolor=matplotlib.colors.to_rgba(hue, 0.25),
            edgecolor=hue,
            linestyle=style,  # type: ignore[arg-type]
            label=word,
        )
        for hue, style, word in zip((BLUE, VERMILLION), ("-", "--"), words, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


# ---------------------------------------------------------------------------- files


def write_figures(
    scores: pd.DataFrame,
    records: Iterable[Record],
    folder: Path,
    *,
    teacher_tasks: Sequence[str] = TEACHER_TASKS,
    knowledge: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]] | None = None,
) -> list[Path]:
    """Write figures/{dev_scores,gain,ablation,learning_curves,...}.{png,svg} in `folder`."""
    figures: dict[str, Callable[[], Plot]] = {
        "dev_scores": lambda: dev_scores(scores),
        "gain": lambda: gain(scores, teacher_tasks),
        "ablation": lambda: ablation(scores),
        "learning_curves": lambda: learning_curves(records),
    }
    if knowledge:
        figures["teacher_knowledge"] = lambda: teacher_knowledge(knowledge)
    return [
        path for name, draw in figures.items() for path in save(draw(), folder / "figures", name)
    ]
