"""Figures of the studies: the gain of every arm, and the grid of hard and soft targets."""

from __future__ import annotations

from itertools import cycle

import matplotlib.colors
import matplotlib.patches
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mtkd.analysis.colours import BLUE, GREEN, GREY, ORANGE, VERMILLION
from mtkd.analysis.ensemble_sizes import by_seed
from mtkd.analysis.plotting import (
    Plot,
    draw_estimate,
    estimate_marks,
    grid_lines,
    name_rows,
    nothing_to_plot,
    seed_count,
    styled,
    system_rows,
    whole_epochs,
)
from mtkd.experiments.studies.ablations import TEMPERATURES, WEIGHTS
from mtkd.experiments.studies.arms import Study

HUES = (BLUE, ORANGE, GREEN, VERMILLION, GREY)  # of the seeds


@styled
def study_figure(study: Study, values: pd.DataFrame) -> Plot:
    """The gain of every arm over the base arm; a heat map where the arms are a grid."""
    gains = values[values["task"] == "gain"]
    if gains.empty:
        return nothing_to_plot(f"no finished arm of the study {study.name}")
    if study.name == "targets":
        return grid_figure(study, gains)
    figure = Plot(figsize=(8, 1.5 + 0.36 * gains["system"].nunique()), layout="constrained")
    draw_arms(figure.subplots(), study, gains)
    add_legend(figure, study, gains)
    return figure


@styled
def ensembles_figure(study: Study, values: pd.DataFrame, found: pd.DataFrame, size: int) -> Plot:
    """The gain of every arm; beside it the ensembles themselves, of `ensembles_by_size`.

    Their score by their size, and the gain of those of one `size` by how much their members differ.
    """
    gains = values[values["task"] == "gain"]
    if gains.empty:
        return nothing_to_plot(f"no finished arm of the study {study.name}")
    figure = Plot(figsize=(8, 5.2), layout="constrained")
    panels = figure.subplot_mosaic("AB;AC", width_ratios=(3, 2))
    draw_arms(panels["A"], study, gains)
    panels["A"].set_xlabel("gain over no teacher, points")
    draw_sizes(panels["B"], by_seed(found))
    draw_diversity(panels["C"], found, size)
    add_legend(figure, study, gains)
    return figure


def add_legend(figure: Plot, study: Study, gains: pd.DataFrame) -> None:
    marks = estimate_marks(BLUE, f"mean of {seed_count(gains)}", gains)
    if study.paper in set(gains["system"]):
        paper = Line2D([], [], color=VERMILLION, marker="o", linestyle="", label="the paper's")
        marks.insert(1, paper)
    figure.legend(handles=marks, loc="outside lower center", ncols=4)


def draw_arms(axes: Axes, study: Study, gains: pd.DataFrame) -> None:
    """One row per arm: seeds, interval, mean; the base arm is the line at zero."""
    arms = [arm for arm in study.arms if arm.name in set(gains["system"])]
    for y, arm in enumerate(arms):
        for row in system_rows(gains, arm.name):
            draw_estimate(axes, row, y, VERMILLION if arm.name == study.paper else BLUE)
    axes.axvline(0, color=GREY, linewidth=1)
    name_rows(axes, [arm.title for arm in arms])
    axes.set_xlabel(f"gain over {study.compared}, points")


def draw_sizes(axes: Axes, sizes: pd.DataFrame) -> None:
    """Score of the ensemble itself by its size: thin lines are seeds, thick ones their mean."""
    for name, hue, label in (("best", GREEN, "the best"), ("any", GREY, "any")):
        table = sizes.pivot(index="size", columns="seed", values=name)
        axes.plot(table.index, table, color=hue, linewidth=0.7, alpha=0.4)
        axes.plot(table.index, table.mean(axis=1), "o-", color=hue, linewidth=2, ms=4, label=label)
    axes.set(xlabel="teachers in the ensemble", ylabel="ensemble's score, points")
    axes.legend(title="candidates", loc="lower right")
    whole_epochs(axes)
    grid_lines(axes, "y")


def draw_diversity(axes: Axes, found: pd.DataFrame, size: int) -> None:
    """Gain of ensembles over their members' mean by how often two members differ; hue: seed."""
    mine = found[(found["size"] == size) & found["drawn"]]
    for (seed, rows), hue in zip(mine.groupby("seed"), cycle(HUES), strict=False):
        place = rows["disagreement"], rows["gain"]
        axes.plot(*place, "o", color=hue, ms=3.5, alpha=0.7, label=f"{seed}")
    axes.set(
        xlabel="two members differ, % of dev answers", ylabel=f"gain of {size} over one, points"
    )
    axes.legend(title="seed", fontsize=7.5, title_fontsize=7.5, ncols=2, handletextpad=0.1)
    grid_lines(axes, "both")


def grid_figure(study: Study, gains: pd.DataFrame) -> Plot:
    """Gain by label weight and temperature, and the arms beside the grid."""
    found = gains.set_index("system")["value"]
    names = [[f"w{weight:g}-t{heat:g}" for heat in TEMPERATURES] for weight in WEIGHTS]
    table = np.array([[found.get(name, np.nan) for name in row] for row in names])
    inside = {name for row in names for name in row}
    others = gains[~gains["system"].isin(inside)]
    figure = Plot(figsize=(8, 3.4), layout="constrained")
    grid, beside = figure.subplots(1, 2, width_ratios=(5, 4))
    largest = float(np.nanmax(np.abs(table))) if np.isfinite(table).any() else 1.0
    shades = matplotlib.colors.LinearSegmentedColormap.from_list("gain", [ORANGE, "white", BLUE])
    grid.imshow(table, cmap=shades, vmin=-largest, vmax=largest, aspect="auto")
    for row in range(len(WEIGHTS)):
        for column in range(len(TEMPERATURES)):
            if np.isfinite(table[row, column]):
                value = table[row, column]
                dark = abs(value) > 0.6 * largest and value > 0
                ink = "white" if dark else "black"
                grid.text(column, row, signed(value), ha="center", va="center", color=ink)
    for name, word in ((study.paper, "paper"), ("w0-t1", "review")):
        place = next(((r, row.index(name)) for r, row in enumerate(names) if name in row), None)
        if place:
            r, column = place
            grid.add_patch(outline(column - 0.5, r - 0.5))
            dark = abs(table[r, column]) > 0.6 * largest and table[r, column] > 0
            ink = "white" if dark else "black"
            grid.text(column, r + 0.36, word, ha="center", va="center", fontsize=7.5, color=ink)
    grid.set_xticks(range(len(TEMPERATURES)), [f"{heat:g}" for heat in TEMPERATURES])
    grid.set_yticks(range(len(WEIGHTS)), [f"{weight:g}" for weight in WEIGHTS])
    grid.set(xlabel="temperature", ylabel="weight of the labels")
    grid.set_title(f"gain over no teacher, points, {seed_count(gains)}")
    grid.spines[:].set_visible(False)
    draw_arms(beside, study, pd.concat([gains[gains["system"] == study.paper], others]))
    beside.set_xlabel("gain over no teacher, points")
    return figure


def signed(value: float) -> str:
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}"


def outline(x: float, y: float) -> matplotlib.patches.Rectangle:
    return matplotlib.patches.Rectangle((x, y), 1, 1, fill=False, edgecolor="black", linewidth=1.4)
