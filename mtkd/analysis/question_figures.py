"""Figures of the open questions: sizes, unlabelled text, few labels, what is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mtkd.analysis.colours import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION
from mtkd.analysis.paper import few_labels_scores
from mtkd.analysis.plotting import (
    Plot,
    colour,
    draw_estimate,
    grid_lines,
    name_rows,
    nothing_to_plot,
    styled,
)
from mtkd.analysis.statistics import estimate
from mtkd.analysis.systems import system_title, task_title
from mtkd.analysis.tables import OURS, row_of
from mtkd.experiments.studies.arms import Study

COST_AXES = {  # of `sizes`: words, and how many times one model's cost that of `members` is
    "parameters": ("parameters", lambda members: members),
    "examples_per_second": ("examples a second, one thread", lambda members: 1 / members),
    "latency_ms": ("one example alone, ms", lambda members: members),
}


@styled
def size_figure(
    study: Study, values: pd.DataFrame, costs: pd.DataFrame, ensemble: Mapping[str, Any]
) -> Plot:
    """Score by parameters, speed and latency, with and without teachers; and the ensemble itself.

    `costs` is of `study_costs`; `ensemble` a row of the teachers' mean score, with how many
    `members` answer for one task: that many times the cost of one model.
    """
    means = values[values["task"] == "mean"].set_index("system")
    names = [arm.name for arm in study.arms if arm.name in means.index and arm.name in costs.index]
    if not names:
        return nothing_to_plot(f"no finished arm of the study {study.name}")
    figure = Plot(figsize=(9, 3.9), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    whole = costs.loc[study.base] if study.base in costs.index else costs.iloc[0]
    for axes, (column, (words, times)) in zip(panels, COST_AXES.items(), strict=True):
        for taught, hue, label in ((True, VERMILLION, "with teachers"), (False, BLUE, "without")):
            places = costs.loc[[name for name in names if name.startswith("none") != taught]]
            # Speed does not rise with size alone: points without a line
            draw_costs(axes, places[column].sort_values(), means, hue, column == "parameters")
            axes.plot([], [], "o-", color=hue, ms=4.5, label=label)
        place = whole[column] * times(ensemble["members"])
        label = f"the {ensemble['members']} teachers of one task (each task has its own)"
        axes.plot([place], [ensemble["value"]], "D", color=GREEN, ms=6, label=label)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(thousands))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", labelsize=8.5)
        axes.set_xlabel(words)
        grid_lines(axes, "both")
    panels[0].set_ylabel("mean dev score, points")
    for name in names:
        if not name.startswith("none") and (size := size_words(name)):
            place = (costs.loc[name, "parameters"], means.loc[name, "value"])
            panels[0].annotate(size, place, (-4, 4), textcoords="offset points", ha="right", size=8)
    left, right = panels[0].get_xlim()
    panels[0].set_xlim(left / 1.7, right)  # room for the labels
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def thousands(value: float, _: int) -> str:
    """A number on an axis: 20k, 5M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def draw_costs(axes: Axes, places: pd.Series, means: pd.DataFrame, hue: str, joined: bool) -> None:
    """Scores of some arms by what their students cost, with intervals."""
    rows = means.loc[list(places.index)]
    axes.plot(places, rows["value"], "o-" if joined else "o", color=hue, ms=4.5)
    axes.vlines(places, rows["low"], rows["high"], color=hue, linewidth=1)


def size_words(arm: str) -> str:
    """An arm's size as a label: "2 x 32" layers and width of "l2-h32"; "" for the whole one."""
    layers, _, hidden = arm.partition("-")
    if not layers.startswith("l"):
        return ""
    count = layers[1:]
    return f"{count} x {hidden[1:]}" if hidden else f"{count} layer{'s' if count != '1' else ''}"


HUES = (ORANGE, GREEN, BLUE, VERMILLION)  # of the shares of the labels
TEXT_LINES = {  # of `unlabelled`: words, line, shift along x
    "": ("text", "o-", 0.012),
    "again": ("labels again", "s--", 0.0),
    "none": ("labels again, no teacher", "v:", -0.012),
}


@styled
def unlabelled_figure(study: Study, values: pd.DataFrame) -> Plot:
    """Mean dev score by amount of unlabelled text, one colour per share of the labels.

    Dashed: the labelled examples again in place of the text; dotted: and without a teacher.
    """
    means = values[values["task"] == "mean"].set_index("system")
    curves: dict[tuple[str, str], list[list[float]]] = {}
    for arm in study.arms:
        if arm.name in means.index:
            kind, share, amount = f"-{arm.name}".split("-")[-3:]
            point = [float(amount[1:]), *means.loc[arm.name, ["value", "low", "high"]]]
            starts = ("", "again") if amount == "u0" and not kind else (kind,)
            for one in starts:  # both of the teachers' curves begin without text
                curves.setdefault((share[1:], one), []).append(point)
    figure = Plot(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    shares = list(dict.fromkeys(share for share, _ in curves))
    for (share, kind), points in curves.items():
        hue = HUES[shares.index(share) % len(HUES)]
        _, style, shift = TEXT_LINES[kind]
        x, y, low, high = np.array(points, dtype=float).T
        x = x + shift * x.max()  # intervals side by side
        axes.plot(x, y, style, color=hue, ms=4.5)
        axes.vlines(x, low, high, color=hue, linewidth=1)
    axes.set_xlabel("examples beside the labelled ones, times those of the teacher tasks")
    axes.set_ylabel("mean dev score, points")
    grid_lines(axes, "y")
    marks = [
        Line2D([], [], color=HUES[at % len(HUES)], label=f"{100 * float(share):g} % of the labels")
        for at, share in enumerate(shares)
    ]
    for kind in dict.fromkeys(kind for _, kind in curves):
        words, style, _ = TEXT_LINES[kind]
        mark = Line2D([], [], color=GREY, label=words)
        mark.set(marker=style[0], linestyle=style[1:], markersize=4.5)
        marks.append(mark)
    figure.legend(handles=marks, loc="outside lower center", ncols=2)
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
            "wrong labels corrected (green),\nright ones contradicted (orange)", fontsize=9
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


STARTS = {  # of `few-labels`: words, colour, line
    "bert": ("BERT", BLACK, "-"),
    "mtdnn": ("MT-DNN", BLUE, "-"),
    "none": ("student without a teacher", ORANGE, "--"),
    "mtdnn-kd": ("MT-DNN-KD", VERMILLION, "-"),
}


@styled
def few_labels_figure(study: Study, values: pd.DataFrame, sizes: Mapping[str, int]) -> Plot:
    """Dev score by share of a new task's labels, a panel per task, the published scores dotted.

    `sizes` are the tasks' numbers of training examples.
    """
    figure = Plot(figsize=(4.0 * len(sizes), 3.9), layout="constrained")
    panels = list(figure.subplots(1, len(sizes), squeeze=False).flat)
    published = few_labels_scores()
    for axes, (task, size) in zip(panels, sizes.items(), strict=True):
        rows = values[values["task"] == task].set_index("system")
        for start, (words, hue, style) in STARTS.items():
            names = [name for name in rows.index if name.rpartition("-")[0] == start]
            if names:
                shares = [100 * float(name.rpartition("-")[2]) for name in names]
                mine = rows.loc[names]
                axes.plot(shares, mine["value"], f"o{style}", color=hue, ms=4, label=words)
                axes.vlines(shares, mine["low"], mine["high"], color=hue, linewidth=1)
        for system, hue in (("bert", GREY), ("mtdnn", BLUE)):
            row = published[(published["task"] == task) & (published["start"] == system)]
            words = f"{STARTS[system][0]}, paper (BASE)"
            axes.plot(
                row["percent"],
                row["value"],
                ":",
                color=hue,
                marker="o",
                mfc="white",
                ms=4,
                linewidth=1,
                label=words,
            )
        axes.set_xscale("log")
        ticks = sorted({100 * float(arm.name.rpartition("-")[2]) for arm in study.arms})
        counts = [max(1, round(size * tick / 100)) for tick in ticks]
        axes.set_xticks(ticks, [f"{t:g} %\n{n:,}" for t, n in zip(ticks, counts, strict=True)])
        axes.minorticks_off()
        axes.set(xlabel="labels (and our number of them)", title=task_title(task))
        grid_lines(axes, "y")
    panels[0].set_ylabel("dev accuracy, points")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
