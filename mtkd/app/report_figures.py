"""Small plots of the report: narrow, so that they can be read on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib.colors
import numpy as np
import pandas as pd

from mtkd.analysis.calibration import Reliability
from mtkd.analysis.colours import BLUE, GREY, SKY
from mtkd.analysis.plotting import (
    Plot,
    colour,
    draw_estimate,
    grid_lines,
    name_rows,
    nothing_to_plot,
    styled,
    system_rows,
    whole_epochs,
)
from mtkd.analysis.systems import REFERENCE, system_title
from mtkd.analysis.tables import OURS
from mtkd.data.metrics import task_score
from mtkd.data.tasks import GLUE
from mtkd.experiments.records import Record

WIDTH = 3.7  # inches: readable at the width of a phone
MULTI_TASK = "mtdnn-noft"  # the reference before its fine-tuning


@styled
def task_scores(values: pd.DataFrame, task: str, systems: Sequence[str]) -> Plot:
    """Dev score of every system on one task: seeds, interval, mean. `values`: score_values."""
    if not systems:
        return nothing_to_plot("no system but candidates")
    figure = Plot(figsize=(WIDTH, 0.9 + 0.31 * len(systems)), layout="constrained")
    axes = figure.subplots()
    for y, system in enumerate(systems):
        for row in system_rows(values, system):
            if (row["source"], row["task"]) == (OURS, task):
                draw_estimate(axes, row, y, colour(system))
    name_rows(axes, [system_title(system).replace(", ", ",\n") for system in systems])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("dev score, points")
    return figure


@styled
def task_curve(records: Iterable[Record], task: str) -> Plot:
    """Dev score of MT-DNN on one task by epoch, multi-task and then fine-tuning on the task.

    Thin lines are seeds, the thick one their mean.
    """
    lines, ends = [], []
    for record in records:
        histories = record.details.get("histories", {})
        if MULTI_TASK in histories:
            epochs = histories[MULTI_TASK]["epochs"]
            tuned = histories.get(f"{REFERENCE}.{task}", {"epochs": []})["epochs"]
            ends.append(max((epoch["epoch"] for epoch in epochs), default=0))
            points = _points(epochs, task, 0) | _points(tuned, task, ends[-1])
            lines += [pd.Series(points, dtype=float)] if points else []
    if not lines:
        return nothing_to_plot("no dev scores by epoch")
    figure = Plot(figsize=(WIDTH, 2.5), layout="constrained")
    axes = figure.subplots()
    mean = pd.concat(lines, axis=1).dropna().mean(axis=1)
    for line in lines:
        axes.plot(line.index, line, color=colour(REFERENCE), linewidth=0.8, alpha=0.35)
    axes.plot(mean.index, mean, color=colour(REFERENCE), linewidth=2.2, marker="o", markersize=4)
    if any(line.index.max() > max(ends) for line in lines):
        axes.axvline(max(ends) + 0.5, color=GREY, linewidth=0.8, linestyle=":")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * (high - low))
        for word, side in (("all tasks ", "right"), (" this task", "left")):
            axes.text(
                max(ends) + 0.5,
                0.99,
                word,
                transform=axes.get_xaxis_transform(),
                ha=side,
                va="top",
                fontsize=8,
                color="#555555",
            )
    axes.set(xlabel="epoch", ylabel="dev score, points")
    whole_epochs(axes)
    grid_lines(axes, "y")
    return figure


def _points(epochs: Sequence[dict[str, object]], task: str, after: int) -> dict[int, float]:
    """Task score by epoch, counted on from `after`, of the epochs with an evaluation."""
    found = {}
    for epoch in epochs:
        scores = epoch.get("scores")
        if isinstance(scores, dict) and task in scores:
            found[after + int(str(epoch["epoch"]))] = task_score(GLUE[task], scores[task])
    return found


@styled
def confusion(counts: np.ndarray, labels: Sequence[str]) -> Plot:
    """Gold label (rows) against predicted label: shade and percent are of the row's examples.

    `counts` (C, C) are means over seeds.
    """
    share = 100 * counts / np.where(counts.sum(axis=1) > 0, counts.sum(axis=1), 1)[:, None]
    figure = Plot(figsize=(WIDTH, 1.1 + 0.62 * len(labels)), layout="constrained")
    axes = figure.subplots()
    shades = matplotlib.colors.LinearSegmentedColormap.from_list("shades", ["white", SKY])
    axes.pcolormesh(share, cmap=shades, vmin=0, vmax=100, edgecolors="white", linewidth=2)
    for row in range(len(labels)):
        for column in range(len(labels)):
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{share[row, column]:.0f} %\n({counts[row, column]:.0f})",
                ha="center",
                va="center",
            )
    places = np.arange(len(labels)) + 0.5
    names = [label.replace("_", "\n") for label in labels]
    axes.set_xticks(places, names, fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="gold label")
    return figure


@styled
def similarity(predicted: np.ndarray, gold: np.ndarray) -> Plot:
    """Predicted (N,) against gold (N,) similarity, a dot per example."""
    figure = Plot(figsize=(WIDTH, 2.6), layout="constrained")
    axes = figure.subplots()
    low, high = float(gold.min()), float(gold.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1)
    axes.plot(gold, predicted, "o", color=BLUE, alpha=0.3, markersize=3, mew=0)
    axes.set(xlabel="gold similarity", ylabel="predicted, mean of seeds")
    grid_lines(axes, "both")
    return figure


@styled
def reliability_curve(found: Reliability, system: str) -> Plot:
    """Accuracy by confidence, the diagonal being perfect; below, how many predictions there are."""
    figure = Plot(figsize=(3.1, 3.5), layout="constrained")
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    some = found.count > 0
    curve.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    curve.plot(
        found.confidence[some],
        found.accuracy[some],
        color=colour(system),
        marker="o",
        markersize=4,
        linewidth=1.6,
    )
    curve.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
    share = 100 * found.count / found.count.sum()
    counts.bar(
        found.edges[:-1],
        share,
        width=np.diff(found.edges),
        align="edge",
        color=colour(system),
        alpha=0.6,
        linewidth=0,
    )
    counts.set(xlabel="confidence", ylabel="% of all")
    for axes in (curve, counts):
        grid_lines(axes, "both")
    curve.set_title(system_title(system))
    return figure
