"""The two forms of most plots: estimates in rows, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from mtkd.analysis.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION
from mtkd.analysis.plotting import (
    Plot,
    colour,
    draw_estimate,
    grid_lines,
    name_rows,
    nothing_to_plot,
    rule_rows,
    styled,
)
from mtkd.analysis.tables import OURS

HUES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)  # of the lines of a panel


@styled
def rows_figure(
    values: pd.DataFrame,
    names: Mapping[str, str],
    panels: Mapping[str, str],
    *,
    row: str = "system",
    panel: str = "task",
    hues: Mapping[str, str] | None = None,
    height: float = 0.27,
    zero: bool = False,
) -> Plot:
    """Numbers in rows: seeds as fine ticks, 95 % interval, mean; the paper's marks are hollow.

    Column `row` of `values` says in which of the rows `names` a mark is, column `panel` in which
    of the `panels` (with the words of their axes); a column "shift" moves marks down. `hues` are
    the systems' colours where they are not their own. Differences (`zero`) have a line at 0 and
    one scale. Numbers of one seed alone have that written across them.
    """
    values = values[values[row].isin(list(names)) & values[panel].isin(list(panels))]
    if values.empty:
        return nothing_to_plot("no finished run")
    places = {name: place for place, name in enumerate(names)}
    figure = Plot(figsize=(8, 1.3 + height * len(names)), layout="constrained")
    drawn = figure.subplots(1, len(panels), sharex=zero, sharey=True, squeeze=False)[0]
    for axes, (key, words) in zip(drawn, panels.items(), strict=True):
        for one in values[values[panel] == key].to_dict("records"):
            hue = hues[one["system"]] if hues else colour(one["system"])
            draw_estimate(axes, one, places[one[row]] + one.get("shift", 0), hue)
        if zero:
            axes.axvline(0, color=GREY, linewidth=1)
        rule_rows(axes, len(names))
        axes.set_xlabel(words)
    name_rows(drawn[0], list(names.values()))
    if values.loc[values["source"] == OURS, "points"].map(len).max() == 1:
        figure.text(0.5, 0.5, "one seed", size=44, color=GREY, alpha=0.25, ha="center", va="center")
    return figure


@styled
def lines_figure(points: pd.DataFrame, across: str, upwards: str, *, log: bool = False) -> Plot:
    """Curves with 95 % intervals: columns panel, line, x, value, low, high, source."""
    if points.empty:
        return nothing_to_plot("no finished run")
    panels, lines = (list(dict.fromkeys(points[key])) for key in ("panel", "line"))
    size = (max(6.0, 3.4 * len(panels)), 3.9)
    figure = Plot(figsize=size, layout="constrained")
    marks: dict[str, Any] = {}
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        mine = points[points["panel"] == panel]
        for (source, line), rows in mine.groupby(["source", "line"], sort=False):
            number, label = lines.index(line), line if source == OURS else f"{line}, paper"
            shift = (number - (len(lines) - 1) / 2) * 0.012
            drawn = draw_line(axes, rows, HUES[number % len(HUES)], shift, log, source == OURS)
            marks.setdefault(label, drawn)
        axes.set_xscale("log" if log else "linear")
        name_places(axes, sorted(set(points["x"])), log)
        axes.set(title=panel, xlabel=across)
        grid_lines(axes, "y")
    figure.axes[0].set_ylabel(upwards)
    figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=3)
    return figure


def name_places(axes: Axes, places: Sequence[float], log: bool) -> None:
    """Ticks at the places themselves; where those are many, at round numbers: 20k, 1M."""
    if log and len(places) > 4:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xticks(places, [f"{x:g}" for x in places])
        axes.minorticks_off()


def draw_line(
    axes: Axes, rows: pd.DataFrame, hue: str, shift: float, log: bool, ours: bool
) -> Line2D:
    """One line with its intervals, moved sideways a little so that they stand side by side."""
    rows = rows.sort_values("x")
    x = rows["x"].to_numpy(dtype=float)
    x = x * 10**shift if log else x + shift * max(np.ptp(x), 1e-9)
    fill, style = (hue, "o-") if ours else ("white", "o:")
    (line,) = axes.plot(x, rows["value"], style, color=hue, mfc=fill, ms=4.5)
    axes.vlines(x, rows["low"].astype(float), rows["high"].astype(float), color=hue, linewidth=1)
    return line
