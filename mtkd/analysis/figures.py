"""Plots of a recipe's results, the paper's numbers beside them.

`values` are frames of numbers (`mtkd.analysis.tables`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.colors
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from mtkd.analysis import plotting
from mtkd.analysis.charts import rows_figure
from mtkd.analysis.colours import BLUE, GREEN, GREY, VERMILLION
from mtkd.analysis.inspection import entropy
from mtkd.analysis.paper import PAPER
from mtkd.analysis.plotting import Plot
from mtkd.analysis.results import Knowledge
from mtkd.analysis.systems import (
    MAJORITY,
    STORY,
    STUDENT,
    find_system,
    system_title,
    task_title,
)
from mtkd.analysis.tables import OURS, tasks_of
from mtkd.experiments.records import Record


def task_names(values: pd.DataFrame) -> dict[str, str]:
    """Rows for the mean over the tasks and for each of them."""
    tasks = tasks_of(values)
    return {"mean": f"mean of {len(tasks)}"} | {task: task_title(task) for task in tasks}


def by_source(values: pd.DataFrame, words: Mapping[str, str], height: float, zero: bool) -> Plot:
    """Tasks and their mean in rows; a panel of this run, and one of the paper if it has numbers."""
    panels = {source: word for source, word in words.items() if source in set(values["source"])}
    names = task_names(values)
    figure = rows_figure(
        values, names, panels, row="task", panel="source", height=height, zero=zero
    )
    for axes, source in zip(figure.axes, panels, strict=True):
        axes.set_title(f"{OURS}, {plotting.seed_count(values)}" if source == OURS else source)
    return figure


@plotting.styled
def dev_scores(values: pd.DataFrame) -> Plot:
    """Mean dev score and those per task, the paper's in a panel of their own; of `score_values`.

    Of the systems of the paper's story, or of all where its student is missing.
    """
    named = [name for name in dict.fromkeys(values["system"]) if name != MAJORITY]
    systems = [name for name in named if name in STORY or STUDENT not in named]
    if not systems:
        return plotting.nothing_to_plot("no dev scores")
    values = values[values["system"].isin(systems)]
    places = values["system"].map(systems.index) - (len(systems) - 1) / 2
    values = values.assign(shift=0.8 / len(systems) * places)
    words = {OURS: "dev score, points", PAPER: "dev score, points (own scale)"}
    figure = by_source(values, words, 0.1 + 0.065 * len(systems), zero=False)
    handles: list[Any] = [plotting.system_mark(system) for system in systems]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))
    return figure


@plotting.styled
def gain(values: pd.DataFrame, teacher_tasks: Sequence[str]) -> Plot:
    """Gain of MT-DNN-KD over MT-DNN per task, of `gain_values`; the paper's on the same scale.

    Tasks whose ensemble taught the student (`teacher_tasks`) stand on a shaded row.
    """
    values = values[values["system"] == STUDENT]
    if not (values["source"] == OURS).any():
        return plotting.nothing_to_plot("no MT-DNN and MT-DNN-KD with the same seed")
    words = dict.fromkeys((OURS, PAPER), "gain over MT-DNN, points")
    figure = by_source(values, words, 0.33, zero=True)
    shade: dict[str, Any] = {"color": GREEN, "alpha": 0.12, "linewidth": 0}
    for y, task in enumerate(task_names(values)):
        for axes in figure.axes if task in teacher_tasks else ():
            axes.axhspan(y - 0.5, y + 0.5, **shade)
    marks = plotting.estimate_marks(plotting.colour(STUDENT), system_title(STUDENT), values)
    handles = [*marks, Patch(label="task with a teacher", **shade)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@plotting.styled
def ablation(values: pd.DataFrame) -> Plot:
    """Mean dev difference from MT-DNN per system; the paper's hollow, below. Of `gain_values`."""
    means = values[values["task"] == "mean"]
    ours = means["source"] == OURS
    if not ours.any():
        return plotting.nothing_to_plot("no system to compare with MT-DNN")
    names = {system: system_title(system) for system in means.loc[ours, "system"]}
    tasks = plotting.counted(len(tasks_of(values)), "task")
    words = {"mean": f"mean dev score of {tasks} less that of MT-DNN, points"}
    means = means.assign(shift=np.where(ours, -0.1, 0.22))
    figure = rows_figure(means, names, words, height=0.45, zero=True)
    marks = plotting.estimate_marks(GREY, f"{OURS}, {plotting.seed_count(means)}", means)
    handles = [*marks, plotting.legend_mark(GREY, PAPER, **plotting.HOLLOW)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def multi_task_curves(records: Iterable[Record]) -> dict[str, list[pd.Series]]:
    """Mean dev score by epoch of each multi-task training, by system."""
    curves: dict[str, list[pd.Series]] = {}
    for record in records:
        for system, history in record.details.get("histories", {}).items():
            points = {e["epoch"]: e["score"] for e in history["epochs"] if "score" in e}
            scored = system in {score.system for score in record.scores}  # not one task's training
            if points and scored and not find_system(system).part_of:
                curves.setdefault(system, []).append(pd.Series(points))
    return curves


@plotting.styled
def learning_curves(curves: Mapping[str, Sequence[pd.Series]]) -> Plot:
    """Of `multi_task_curves`: thin lines seeds, thick their mean."""
    figure = Plot(figsize=(8, 4.2), layout="constrained")
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
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@plotting.styled
def teacher_knowledge(knowledge: Knowledge) -> Plot:
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
    # Two fills would mix to a third colour
    looks = ((BLUE, "-", 0.25), (VERMILLION, "--", 0.0))
    figure, panels = plotting.small_multiples(len(classes))
    for axes, (task, (soft, label, clean)) in zip(panels, classes.items(), strict=True):
        choice = soft.argmax(axis=1)
        group = label != (choice if clean is None else clean)
        sure = entropy(soft).clip(0, 1)
        for part, (hue, style, fill) in zip((~group, group), looks, strict=True):
            shared: dict[str, Any] = {"bins": np.linspace(0, 1, 21), "color": hue}
            shared["weights"] = np.full(part.sum(), 100 / max(part.sum(), 1))
            axes.hist(sure[part], histtype="stepfilled", alpha=fill, **shared)
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
            facecolor=matplotlib.colors.to_rgba(hue, fill),
            edgecolor=hue,
            linestyle=style,  # type: ignore[arg-type]
            label=word,
        )
        for (hue, style, fill), word in zip(looks, words, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure
