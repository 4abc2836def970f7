"""Plots of a recipe's results, the paper's numbers beside them in a panel of their own.

`values` are frames of numbers (`mtkd.analysis.tables`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtkd.analysis.colours import BLUE, GREEN, GREY, VERMILLION
from mtkd.analysis.inspection import entropy
from mtkd.analysis.plotting import (
    HOLLOW,
    Plot,
    colour,
    counted,
    draw_estimate,
    draw_hollow,
    estimate_marks,
    grid_lines,
    legend_mark,
    name_rows,
    nothing_to_plot,
    rule_rows,
    seed_count,
    small_multiples,
    styled,
    system_mark,
    whole_epochs,
)
from mtkd.analysis.systems import (
    MAJORITY,
    REFERENCE,
    STUDENT,
    find_system,
    system_title,
    task_title,
)
from mtkd.analysis.tables import OURS, PAPER, tasks_of
from mtkd.experiments.records import Record

Knowledge = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]]
Place = Callable[[Mapping[Any, Any]], float | None]  # a row's height in the plot, None to leave out


def draw_values(values: pd.DataFrame, place: Place, ours: Axes, paper: Axes) -> None:
    """A mark for every row that has a place: ours with seeds and interval, the paper's hollow."""
    for row in values[values["source"].isin([OURS, PAPER])].to_dict("records"):
        y = place(row)
        if y is not None and row["source"] == OURS:
            draw_estimate(ours, row, y, colour(row["system"]))
        elif y is not None:
            draw_hollow(paper, row["value"], y, colour(row["system"]))


def task_panels(
    values: pd.DataFrame, row_height: float, **panels: Any
) -> tuple[Plot, Axes, Axes, dict[str, int]]:
    """Ours left, the paper right; the tasks and their mean as rows, with their places."""
    tasks = tasks_of(values)
    figure = Plot(figsize=(8, 1.65 + row_height * (len(tasks) + 1)), layout="constrained")
    ours, paper = figure.subplots(1, 2, sharey=True, **panels)
    name_rows(ours, [*map(task_title, tasks), f"mean of {len(tasks)}"])
    rule_rows(paper, len(tasks) + 1)
    ours.set_title(f"this run, {seed_count(values)}")
    paper.set_title(PAPER)
    return figure, ours, paper, {task: row for row, task in enumerate([*tasks, "mean"])}


@styled
def dev_scores(values: pd.DataFrame) -> Plot:
    """Dev score per task and mean, with intervals and seeds; `values` of `dev_values`."""
    named = [name for name in dict.fromkeys(values["system"]) if name != MAJORITY]
    systems = [system for system in named if find_system(system).in_plot]
    if not systems:
        return nothing_to_plot("no dev scores")
    values = values[values["system"].isin(systems)]
    height = 0.1 + 0.065 * len(systems)
    figure, ours, paper, places = task_panels(values, height, width_ratios=(3, 2))
    step, middle = 0.8 / len(systems), (len(systems) - 1) / 2

    def place(row: Mapping[Any, Any]) -> float | None:
        shift = (systems.index(row["system"]) - middle) * step
        return places[row["task"]] + shift if row["task"] in places else None

    draw_values(values, place, ours, paper)
    ours.set_xlabel("dev score, points")
    paper.set_xlabel("dev score, points (own scale)")
    handles: list[Any] = [system_mark(system) for system in systems]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))
    return figure


@styled
def gain(values: pd.DataFrame, teacher_tasks: Sequence[str]) -> Plot:
    """Gain of MT-DNN-KD over MT-DNN per task; the paper's beside it on the same scale.

    Tasks whose ensemble taught the student (`teacher_tasks`) stand on a shaded row. `values` of
    `gain_values`.
    """
    values = values[values["system"] == STUDENT]
    if not (values["source"] == OURS).any():
        return nothing_to_plot("no MT-DNN and MT-DNN-KD with the same seed")
    figure, ours, paper, places = task_panels(values, 0.33, sharex=True)
    draw_values(values, lambda row: places.get(row["task"]), ours, paper)
    for axes in (ours, paper):
        axes.axvline(0, color=colour(REFERENCE), linewidth=1)
        for task in (task for task in teacher_tasks if task in places):
            y = places[task]
            axes.axhspan(y - 0.5, y + 0.5, color=GREEN, alpha=0.12, linewidth=0)
        axes.set_xlabel("gain over MT-DNN, points")
    handles = [
        *estimate_marks(colour(STUDENT), system_title(STUDENT), values),
        Line2D([], [], color=colour(REFERENCE), linewidth=1, label=system_title(REFERENCE)),
        Patch(color=GREEN, alpha=0.12, linewidth=0, label="task with a teacher"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, columnspacing=1.2)
    return figure


@styled
def ablation(values: pd.DataFrame) -> Plot:
    """Mean dev difference from MT-DNN per system; the paper's hollow, below. Of `gain_values`."""
    means = values[values["task"] == "mean"]
    systems = list(dict.fromkeys(means.loc[means["source"] == OURS, "system"]))
    if not systems:
        return nothing_to_plot("no system to compare with MT-DNN")
    figure = Plot(figsize=(8, 1.5 + 0.45 * len(systems)), layout="constrained")
    axes = figure.subplots()

    def place(row: Mapping[Any, Any]) -> float:
        return systems.index(row["system"]) + (-0.1 if row["source"] == OURS else 0.22)

    draw_values(means[means["system"].isin(systems)], place, axes, axes)
    axes.axvline(0, color=colour(REFERENCE), linewidth=1)
    name_rows(axes, [system_title(system) for system in systems])
    tasks = counted(len(tasks_of(values)), "task")
    axes.set_xlabel(f"mean dev score of {tasks} less that of MT-DNN, points")
    ours = estimate_marks(GREY, f"this run, {seed_count(means)}", means)
    handles = [*ours, legend_mark(GREY, PAPER, **HOLLOW)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@styled
def learning_curves(records: Iterable[Record]) -> Plot:
    """Mean dev score by epoch of the multi-task trainings: thin lines seeds, thick their mean."""
    curves: dict[str, list[pd.Series]] = {}
    for record in records:
        for system, history in record.details.get("histories", {}).items():
            points = {e["epoch"]: e["score"] for e in history["epochs"] if "score" in e}
            scored = system in {score.system for score in record.scores}  # not one task's training
            if points and scored and not find_system(system).part_of:
                curves.setdefault(system, []).append(pd.Series(points))
    if not curves:
        return nothing_to_plot("no multi-task training with dev scores by epoch")
    figure = Plot(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for system, lines in curves.items():
        for line in lines:
            axes.plot(line.index, line, color=colour(system), linewidth=0.8, alpha=0.35)
        # Epochs that not every seed has would move the mean for another reason than training.
        mean = pd.concat(lines, axis=1).dropna().mean(axis=1)
        label = f"{system_title(system)} ({counted(len(lines), 'seed')})"
        axes.plot(mean.index, mean, color=colour(system), linewidth=2.4, marker="o", label=label)
    axes.set(xlabel="epoch", ylabel="mean dev score, points")
    whole_epochs(axes)
    grid_lines(axes, "y")
    axes.legend(loc="lower right")
    return figure


@styled
def teacher_knowledge(knowledge: Knowledge) -> Plot:
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
    looks = ((BLUE, "-"), (VERMILLION, "--"))
    figure, panels = small_multiples(len(classes))
    for axes, (task, (soft, label, clean)) in zip(panels, classes.items(), strict=True):
        choice = soft.argmax(axis=1)
        group = label != (choice if clean is None else clean)
        sure = entropy(soft).clip(0, 1)
        for part, (hue, style) in zip((~group, group), looks, strict=True):
            shared: dict[str, Any] = {"bins": np.linspace(0, 1, 21), "color": hue}
            shared["weights"] = np.full(part.sum(), 100 / max(part.sum(), 1))
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
        for (hue, style), word in zip(looks, words, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure
