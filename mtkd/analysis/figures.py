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

from mtkd.analysis import plotting
from mtkd.analysis.colours import BLUE, GREEN, GREY, VERMILLION
from mtkd.analysis.inspection import entropy
from mtkd.analysis.paper import PAPER
from mtkd.analysis.systems import (
    MAJORITY,
    REFERENCE,
    STUDENT,
    find_system,
    system_title,
    task_title,
)
from mtkd.analysis.tables import OURS, tasks_of
from mtkd.experiments.records import Record

Knowledge = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]]
Place = Callable[[Mapping[Any, Any]], float | None]  # a row's height in the plot, None to leave out


def draw_values(
    values: pd.DataFrame,
    place: Place,
    filled: Axes,
    hollow: Axes,
    sources: tuple[str, str] = (OURS, PAPER),
) -> None:
    """A mark for every row with a place: the first source's with seeds and interval, the other's
    hollow."""
    for row in values[values["source"].isin(sources)].to_dict("records"):
        y, hue = place(row), plotting.colour(row["system"])
        if y is not None and row["source"] == sources[0]:
            plotting.draw_estimate(filled, row, y, hue)
        elif y is not None:
            plotting.draw_hollow(hollow, row["value"], y, hue)


def task_rows(
    values: pd.DataFrame, row_height: float, panels: int = 2, **grid: Any
) -> tuple[plotting.Plot, list[Axes], dict[str, int]]:
    """Panels with the tasks and their mean as rows, and the rows' places."""
    tasks = tasks_of(values)
    figure = plotting.Plot(figsize=(8, 1.65 + row_height * (len(tasks) + 1)), layout="constrained")
    axes = list(figure.subplots(1, panels, sharey=True, squeeze=False, **grid).flat)
    plotting.name_rows(axes[0], [*map(task_title, tasks), f"mean of {len(tasks)}"])
    for other in axes[1:]:
        plotting.rule_rows(other, len(tasks) + 1)
    axes[0].set_title(f"this run, {plotting.seed_count(values)}")
    axes[-1].set_title(PAPER)
    return figure, axes, {task: row for row, task in enumerate([*tasks, "mean"])}


@plotting.styled
def dev_scores(values: pd.DataFrame, overlaid: tuple[str, str] | None = None) -> plotting.Plot:
    """Dev score per task and mean, with intervals and seeds; `values` of `score_values`.

    The paper's are in a panel of their own; two sources `overlaid` share one.
    """
    named = [name for name in dict.fromkeys(values["system"]) if name != MAJORITY]
    systems = [system for system in named if find_system(system).in_plot]
    if not systems:
        return plotting.nothing_to_plot("no dev scores")
    values = values[values["system"].isin(systems)]
    height = 0.1 + 0.065 * len(systems)
    grid: dict[str, Any] = {"panels": 1} if overlaid else {"width_ratios": (3, 2)}
    figure, panels, places = task_rows(values, height, **grid)
    step, middle = 0.8 / len(systems), (len(systems) - 1) / 2

    def place(row: Mapping[Any, Any]) -> float | None:
        shift = (systems.index(row["system"]) - middle) * step
        return places[row["task"]] + shift if row["task"] in places else None

    draw_values(values, place, panels[0], panels[-1], overlaid or (OURS, PAPER))
    panels[-1].set_xlabel("dev score, points (own scale)")
    panels[0].set_xlabel("dev score, points")
    if overlaid:
        panels[0].set_title("filled: {}; hollow: {}".format(*overlaid))
    handles: list[Any] = [plotting.system_mark(system) for system in systems]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))
    return figure


@plotting.styled
def gain(values: pd.DataFrame, teacher_tasks: Sequence[str]) -> plotting.Plot:
    """Gain of MT-DNN-KD over MT-DNN per task; the paper's beside it on the same scale.

    Tasks whose ensemble taught the student (`teacher_tasks`) stand on a shaded row. `values` of
    `gain_values`.
    """
    values = values[values["system"] == STUDENT]
    if not (values["source"] == OURS).any():
        return plotting.nothing_to_plot("no MT-DNN and MT-DNN-KD with the same seed")
    figure, panels, places = task_rows(values, 0.33, sharex=True)
    draw_values(values, lambda row: places.get(row["task"]), panels[0], panels[1])
    blue = plotting.colour(REFERENCE)
    for axes in panels:
        axes.axvline(0, color=blue, linewidth=1)
        for task in (task for task in teacher_tasks if task in places):
            y = places[task]
            axes.axhspan(y - 0.5, y + 0.5, color=GREEN, alpha=0.12, linewidth=0)
        axes.set_xlabel("gain over MT-DNN, points")
    handles = [
        *plotting.estimate_marks(plotting.colour(STUDENT), system_title(STUDENT), values),
        Line2D(
            [], [], color=plotting.colour(REFERENCE), linewidth=1, label=system_title(REFERENCE)
        ),
        Patch(color=GREEN, alpha=0.12, linewidth=0, label="task with a teacher"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, columnspacing=1.2)
    return figure


@plotting.styled
def ablation(values: pd.DataFrame) -> plotting.Plot:
    """Mean dev difference from MT-DNN per system; the paper's hollow, below. Of `gain_values`."""
    means = values[values["task"] == "mean"]
    systems = list(dict.fromkeys(means.loc[means["source"] == OURS, "system"]))
    if not systems:
        return plotting.nothing_to_plot("no system to compare with MT-DNN")
    figure = plotting.Plot(figsize=(8, 1.5 + 0.45 * len(systems)), layout="constrained")
    axes = figure.subplots()

    def place(row: Mapping[Any, Any]) -> float:
        return systems.index(row["system"]) + (-0.1 if row["source"] == OURS else 0.22)

    draw_values(means[means["system"].isin(systems)], place, axes, axes)
    axes.axvline(0, color=plotting.colour(REFERENCE), linewidth=1)
    plotting.name_rows(axes, [system_title(system) for system in systems])
    tasks = plotting.counted(len(tasks_of(values)), "task")
    axes.set_xlabel(f"mean dev score of {tasks} less that of MT-DNN, points")
    ours = plotting.estimate_marks(GREY, f"this run, {plotting.seed_count(means)}", means)
    handles = [*ours, plotting.legend_mark(GREY, PAPER, **plotting.HOLLOW)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@plotting.styled
def learning_curves(records: Iterable[Record]) -> plotting.Plot:
    """Mean dev score by epoch of the multi-task trainings: thin lines seeds, thick their mean."""
    curves: dict[str, list[pd.Series]] = {}
    for record in records:
        for system, history in record.details.get("histories", {}).items():
            points = {e["epoch"]: e["score"] for e in history["epochs"] if "score" in e}
            scored = system in {score.system for score in record.scores}  # not one task's training
            if points and scored and not find_system(system).part_of:
                curves.setdefault(system, []).append(pd.Series(points))
    if not curves:
        return plotting.nothing_to_plot("no multi-task training with dev scores by epoch")
    figure = plotting.Plot(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for system, lines in curves.items():
        hue = plotting.colour(system)
        for line in lines:
            axes.plot(line.index, line, color=hue, linewidth=0.8, alpha=0.35)
        # Epochs that not every seed has would move the mean for another reason than training.
        mean = pd.concat(lines, axis=1).dropna().mean(axis=1)
        label = f"{system_title(system)} ({plotting.counted(len(lines), 'seed')})"
        axes.plot(mean.index, mean, color=hue, linewidth=2.4, marker="o", label=label)
    axes.set(xlabel="epoch", ylabel="mean dev score, points")
    plotting.whole_epochs(axes)
    plotting.grid_lines(axes, "y")
    axes.legend(loc="lower right")
    return figure


@plotting.styled
def teacher_knowledge(knowledge: Knowledge) -> plotting.Plot:
    """How sure the teacher is of training examples: entropy of its soft targets, two groups apart.

    `knowledge` maps a task to (soft (N, C), label (N,), clean (N,) or None). Groups: training label
    right or wrong, where the label before annotator noise is known; else the teacher's most
    probable label agrees with the training label or not. Each histogram adds up to 100 %.
    """
    classes = {task: item for task, item in knowledge.items() if item[0].shape[1] > 1}
    if not classes:
        return plotting.nothing_to_plot("no soft targets of a classification")
    known = any(clean is not None for _, _, clean in classes.values())
    words = ("label is right", "label is wrong") if known else ("teacher agrees", "teacher differs")
    looks = ((BLUE, "-"), (VERMILLION, "--"))
    figure, panels = plotting.small_multiples(len(classes))
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
        plotting.grid_lines(axes, "y")
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
