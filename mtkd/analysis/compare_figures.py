"""Plots of a comparison: the dev scores of all sources over each other, and their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mtkd.analysis.compare import BEYOND, SAME, WITHIN, Pair, all_cells
from mtkd.analysis.compare_sources import Source
from mtkd.analysis.compare_tables import title
from mtkd.analysis.plotting import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    VERMILLION,
    Plot,
    counted,
    draw_estimate,
    name_rows,
    nothing_to_plot,
    save,
    styled,
)
from mtkd.analysis.statistics import FEW, estimate, mean_score, score_matrix, split_rows, task_order
from mtkd.analysis.system_names import system_order, system_title, task_title

# A source is told by its shape as well as by its colour; the first is always the black circle.
HUES = (BLACK, VERMILLION, BLUE, GREEN, PURPLE)
SHAPES = "os^DvP"
EQUAL: dict[str, Any] = {"color": "#555555", "marker": "$=$", "mew": 0.2, "ms": 6, "ls": ""}


@styled
def overlaid_scores(sources: Sequence[Source]) -> Plot:
    """Dev score by task, a panel per system, a mark per source; the mean is over shared tasks."""
    every = pd.concat([split_rows(source.scores) for source in sources])
    systems, tasks = system_order(every), task_order(every)
    if not systems:
        return nothing_to_plot("no dev scores")
    shared = [task for task in tasks if all(task in task_order(s.scores) for s in sources)]
    figure, panels = _panels(systems, [*tasks, "mean"], f"mean of {len(shared)}", len(sources))
    most = [0] * len(sources)
    for number, source in enumerate(sources):
        for system in system_order(source.scores):
            matrix = score_matrix(source.scores, system)
            matrix["mean"] = mean_score(matrix, shared)
            for row, task in enumerate([*tasks, "mean"]):
                found = estimate(matrix[task]) if task in matrix else None
                if found and found.n:
                    y = row + _shift(number, len(sources))
                    values = {**vars(found), "n": found.n}
                    draw_estimate(panels[system], values, y, _hue(number), _shape(number))
                    most[number] = max(most[number], found.n)
    figure.supxlabel("dev score, points", fontsize=9.5)
    handles = [
        _mark(number, source.label + ("" if source.printed else f", {counted(count, 'seed')}"))
        for number, (source, count) in enumerate(zip(sources, most, strict=True))
    ]
    if max(most) > 1:
        handles.append(Line2D([], [], color=GREY, marker="|", linestyle="", label="one seed"))
    if max(most) >= FEW:
        handles.append(Line2D([], [], color=GREY, label="95 % interval"))
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4))
    return figure


@styled
def differences(pairs: Sequence[Pair]) -> Plot:
    """Difference from the first source by task, a panel per system, with 95 % intervals.

    Hollow marks differ within the interval, filled ones beyond it; an equals sign is a
    cell that is the same.
    """
    cells = all_cells(pairs)
    systems = list(dict.fromkeys(cells["system"]))
    tasks = [*dict.fromkeys(task for pair in pairs for task in pair.tasks)]
    counts = {len(pair.tasks) for pair in pairs}
    mean = f"mean of {counts.pop()}" if len(counts) == 1 else "mean"
    figure, panels = _panels(systems, [*tasks, "mean"], mean, len(pairs))
    for number, pair in enumerate(pairs):
        for row in pair.cells.to_dict("records"):
            y = [*tasks, "mean"].index(row["task"]) + _shift(number, len(pairs))
            _draw_difference(panels[row["system"]], row, y, number + 1)
    differ = bool((cells["outcome"] != SAME).any())
    for axes in panels.values():
        axes.axvline(0, color=GREY, linewidth=1, zorder=1)
        if not differ:
            axes.set_xlim(-1, 1)
    what = title(pairs[0]) if len(pairs) == 1 else f"difference from {pairs[0].first.label}"
    figure.supxlabel(f"{what}, points" + ("" if differ else ": no cell differs"), fontsize=9.5)
    handles = [_mark(number + 1, title(pair)) for number, pair in enumerate(pairs) if differ]
    handles += _outcome_marks(set(cells["outcome"]))
    figure.legend(handles=handles, loc="outside upper center", ncols=2 if len(pairs) < 3 else 3)
    return figure


def _draw_difference(axes: Axes, row: Mapping[Any, Any], y: float, number: int) -> None:
    if row["outcome"] == SAME:
        axes.plot([0], [y], **EQUAL)
        return
    hue = _hue(number)
    if pd.notna(row["low"]):
        axes.plot([row["low"], row["high"]], [y, y], color=hue, lw=1.4, solid_capstyle="butt")
    fill = "white" if row["outcome"] == WITHIN else hue
    axes.plot([row["difference"]], [y], _shape(number), color=hue, mfc=fill, ms=4.8, mew=1.2)


def _outcome_marks(outcomes: set[str]) -> list[Line2D]:
    """Legend entries of the outcomes that are there."""
    shared: dict[str, Any] = {"color": BLACK, "linestyle": "", "marker": "o"}
    words = {
        SAME: EQUAL,
        WITHIN: {**shared, "markerfacecolor": "white"},
        BEYOND: shared,
    }
    labels = {
        SAME: "same: every value is equal",
        WITHIN: "hollow: 95 % interval (bar) holds 0",
        BEYOND: "filled: it does not hold 0",
    }
    return [
        Line2D([], [], label=labels[outcome], **style)
        for outcome, style in words.items()
        if outcome in outcomes
    ]


def _panels(
    systems: Sequence[str], rows: Sequence[str], mean: str, marks: int
) -> tuple[Plot, dict[str, Axes]]:
    """A panel per system, three in a row, one line per task; `marks` of them share a line."""
    across = min(3, len(systems))
    down = -(-len(systems) // across)
    height = len(rows) * max(0.22, 0.13 * marks) + 0.45
    figure = Plot(figsize=(8, 1.0 + down * height), layout="constrained")
    grid = list(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat)
    for axes in grid[len(systems) :]:
        axes.set_axis_off()
    panels = dict(zip(systems, grid, strict=False))
    for system, axes in panels.items():
        name_rows(axes, [mean if row == "mean" else task_title(row) for row in rows])
        axes.set_title(system_title(system), fontsize=9.5)
    return figure, panels


def _shift(number: int, count: int) -> float:
    """Where in its line the mark stands, so that marks do not cover each other."""
    return (number - (count - 1) / 2) * 0.8 / count


def _hue(number: int) -> str:
    return HUES[number % len(HUES)]


def _shape(number: int) -> str:
    return SHAPES[number % len(SHAPES)]


def _mark(number: int, label: str) -> Line2D:
    hue, shape = _hue(number), _shape(number)
    return Line2D([], [], color=hue, marker=shape, markersize=4.8, linestyle="", label=label)


def write_figures(sources: Sequence[Source], pairs: Sequence[Pair], folder: Path) -> list[Path]:
    """Write figures/{overlaid_scores,differences}.{png,svg} in `folder`; returns the files."""
    plots = {"overlaid_scores": overlaid_scores(sources), "differences": differences(pairs)}
    return [path for name, plot in plots.items() for path in save(plot, folder / "figures", name)]
