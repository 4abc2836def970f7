"""One figure per study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.colors
import matplotlib.patches
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mtkd.ablations import TEMPERATURES, WEIGHTS
from mtkd.arms import Study
from mtkd.plotting import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    Plot,
    colour,
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
from mtkd.statistics import estimate
from mtkd.systems import system_title, task_title
from mtkd.tables import OURS, row_of


@styled
def study_figure(study: Study, values: pd.DataFrame, sizes: pd.DataFrame | None = None) -> Plot:
    """The gain of every arm over the base arm; a heat map where the arms are a grid.

    `sizes`, of `ensemble_sizes`, are drawn beside the arms.
    """
    gains = values[values["task"] == "gain"]
    if gains.empty:
        return nothing_to_plot(f"no finished arm of the study {study.name}")
    if study.name == "targets":
        return grid_figure(study, gains)
    height = 1.5 + 0.36 * gains["system"].nunique()
    if sizes is not None and len(sizes):
        figure = Plot(figsize=(8, max(height, 3.4)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_sizes(right, sizes)
    else:
        figure = Plot(figsize=(8, height), layout="constrained")
        left = figure.subplots()
    draw_arms(left, study, gains)
    marks = estimate_marks(BLUE, f"mean of {seed_count(gains)}", gains)
    if study.paper in set(gains["system"]):
        paper = Line2D([], [], color=VERMILLION, marker="o", linestyle="", label="the paper's")
        marks.insert(1, paper)
    figure.legend(handles=marks, loc="outside lower center", ncols=4)
    return figure


def draw_arms(axes: Axes, study: Study, gains: pd.DataFrame) -> None:
    """One row per arm: seeds, interval, mean; the base arm is the line at zero."""
    arms = [arm for arm in study.arms if arm.name in set(gains["system"])]
    for y, arm in enumerate(arms):
        for row in system_rows(gains, arm.name):
            draw_estimate(axes, row, y, VERMILLION if arm.name == study.paper else BLUE)
    axes.axvline(0, color=GREY, linewidth=1)
    name_rows(axes, [arm.title for arm in arms])
    axes.set_xlabel(f"mean dev score less that of: {study.compared}, points")


def draw_sizes(axes: Axes, sizes: pd.DataFrame) -> None:
    """Score of the ensemble itself by its size: thin lines are seeds, thick ones their mean."""
    for name, hue, label in (("best", GREEN, "the best"), ("any", GREY, "any")):
        table = sizes.pivot(index="size", columns="seed", values=name)
        axes.plot(table.index, table, color=hue, linewidth=0.7, alpha=0.4)
        axes.plot(table.index, table.mean(axis=1), "o-", color=hue, linewidth=2, ms=4, label=label)
    axes.set(xlabel="teachers in the ensemble", ylabel="ensemble's mean dev score, points")
    axes.legend(title="candidates", loc="lower right")
    whole_epochs(axes)
    grid_lines(axes, "y")


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
            grid.text(column, r + 0.36, word, ha="center", va="center", fontsize=7.5)
    grid.set_xticks(range(len(TEMPERATURES)), [f"{heat:g}" for heat in TEMPERATURES])
    grid.set_yticks(range(len(WEIGHTS)), [f"{weight:g}" for weight in WEIGHTS])
    grid.set(xlabel="temperature", ylabel="weight of the labels")
    grid.set_title(f"gain over no teacher, points, {seed_count(gains)}")
    grid.spines[:].set_visible(False)
    draw_arms(beside, study, pd.concat([gains[gains["system"] == study.paper], others]))
    beside.set_xlabel("gain over no teacher, points")
    return figure


@styled
def size_figure(
    study: Study, values: pd.DataFrame, costs: pd.DataFrame, ensemble: Mapping[str, Any]
) -> Plot:
    """Score by parameters and by speed, with and without teachers, and the ensemble itself.

    `costs` is of `study_costs`; `ensemble` a row of the teachers' mean score, with how many
    `members` there are: that many times the parameters, and as much slower.
    """
    means = values[values["task"] == "mean"].set_index("system")
    names = [arm.name for arm in study.arms if arm.name in means.index and arm.name in costs.index]
    if not names:
        return nothing_to_plot(f"no finished arm of the study {study.name}")
    figure = Plot(figsize=(8, 3.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    whole = costs.loc[study.base] if study.base in costs.index else costs.iloc[0]
    many = ensemble["members"]
    for axes, column, place in (
        (panels[0], "parameters", whole["parameters"] * many),
        (panels[1], "examples_per_second", whole["examples_per_second"] / many),
    ):
        for taught, hue, label in ((True, VERMILLION, "with teachers"), (False, BLUE, "without")):
            mine = [name for name in names if name.startswith("none") != taught]
            places = costs.loc[mine, column].sort_values()
            mine = list(places.index)
            axes.plot(places, means.loc[mine, "value"], "o-", color=hue, ms=4.5, label=label)
            for name in mine:
                low, high = means.loc[name, ["low", "high"]]
                axes.plot([places[name]] * 2, [low, high], color=hue, linewidth=1)
        label = f"ensemble of {many}"
        axes.plot([place], [ensemble["value"]], "D", color=GREEN, ms=6, label=label)
        axes.set_xscale("log")
        grid_lines(axes, "both")
    panels[0].set(xlabel="parameters", ylabel="mean dev score, points")
    panels[1].set_xlabel("examples a second, one thread of this machine")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@styled
def learnt_figure(noise: pd.DataFrame, habits: pd.DataFrame) -> Plot:
    """Labels that soft targets correct and contradict, agreement with the ensemble, calibration.

    `noise` is of `learnt.label_noise`, `habits` of `learnt.habits`.
    """
    systems = list(habits["system"].unique())
    if not systems:
        return nothing_to_plot("no finished system")
    tasks = list(noise["task"].unique())
    figure = Plot(figsize=(8, 1.6 + 0.33 * len(systems)), layout="constrained")
    panels = list(figure.subplots(1, 3 if tasks else 2, squeeze=False).flat)
    if tasks:
        labels = panels.pop(0)
        for y, task in enumerate(tasks):
            mine = noise[noise["task"] == task]
            for column, hue, shift in (("corrected", GREEN, -0.15), ("spoilt", VERMILLION, 0.15)):
                draw_estimate(
                    labels, row_of(task, OURS, task, estimate(mine[column])), y + shift, hue
                )
        name_rows(labels, [task_title(task) for task in tasks])
        labels.set(xlabel="% of those labels", xlim=(0, 100))
        labels.set_title(
            "wrong labels corrected (green),\nright ones contradicted (red)", fontsize=9
        )
    for axes, column, words in (
        (panels[0], "agreement", "answers as the ensemble, %"),
        (panels[1], "calibration", "calibration error, %"),
    ):
        for y, system in enumerate(systems):
            found = estimate(habits.loc[habits["system"] == system, column])
            if found.n:
                draw_estimate(axes, row_of(system, OURS, column, found), y, colour(system))
        name_rows(axes, [system_title(system) for system in systems])
        axes.set_xlabel(words)
    panels[1].set_yticklabels([])
    return figure


def signed(value: float) -> str:
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}"


def outline(x: float, y: float) -> matplotlib.patches.Rectangle:
    return matplotlib.patches.Rectangle((x, y), 1, 1, fill=False, edgecolor="black", linewidth=1.4)
