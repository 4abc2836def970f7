"""The two figures of all studies: a forest plot of gains, and curves of scores."""

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
    draw_estimate,
    grid_lines,
    name_rows,
    nothing_to_plot,
    styled,
    system_rows,
)
from mtkd.analysis.study_tables import GAIN, MEAN, study_tasks
from mtkd.analysis.systems import task_title
from mtkd.analysis.tables import OURS
from mtkd.experiments.studies.study import Factor, Study, Variant

HUES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)  # of the lines of a panel
KINDS = {BLUE: "other variants", VERMILLION: "the paper's setting", GREY: "no teacher"}


def forest(study: Study, values: pd.DataFrame) -> Plot:
    """The gain of every variant over its reference, which is the line at zero."""
    found = values[values["task"] == GAIN]
    shown = [variant for variant in study.variants if variant.name in set(found["system"])]
    hues = {variant.name: hue_of(study, variant) for variant in shown}
    names = {variant.name: variant.title for variant in shown}
    return rows_figure(found, names, {GAIN: f"gain over {study.measured_against}, points"}, hues)


def hue_of(study: Study, variant: Variant) -> str:
    if variant.name == study.paper:
        return VERMILLION
    return GREY if variant.factors.get("teachers") is False else BLUE


@styled
def rows_figure(
    values: pd.DataFrame,
    names: Mapping[str, str],
    measures: Mapping[str, str],
    hues: Mapping[str, str],
) -> Plot:
    """One row per name ("system" of `values`) and one panel per measure ("task").

    Fine ticks are seeds, the bar is the 95 % interval, the dot the mean.
    """
    if not names:
        return nothing_to_plot("no finished run")
    figure = Plot(figsize=(8, 1.3 + 0.27 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for axes, (measure, words) in zip(panels, measures.items(), strict=True):
        for y, name in enumerate(names):
            rows = values[values["task"] == measure]
            for row in system_rows(rows, name):
                draw_estimate(axes, row, y, hues[name])
        name_rows(axes, list(names.values()) if axes is panels[0] else [""] * len(names))
        axes.set_xlabel(words)
        if measure == GAIN:
            axes.axvline(0, color=GREY, linewidth=1)
        else:
            axes.set_xlim(left=0)
    used = [hue for hue in KINDS if hue in hues.values()]
    if GAIN in measures and len(used) > 1:
        marks = [Line2D([], [], color=hue, marker="o", ls="", label=KINDS[hue]) for hue in used]
        figure.legend(handles=marks, loc="outside lower center", ncols=3)
    return figure


def curves(study: Study, values: pd.DataFrame, costs: pd.DataFrame | None = None) -> Plot:
    """The score against the factor of the study's `curve`, one line per value of another.

    Dotted lines with hollow marks are the paper's own numbers.
    """
    axis = study.curve
    assert axis is not None
    measures = study_tasks(study, values) if axis.panels == "task" else [MEAN]
    measured = {} if costs is None else costs.to_dict("index")
    rows = []
    for variant in study.variants:
        factors: dict[Any, Any] = {**variant.factors, **measured.get(variant.name, {})}
        mine = values[(values["system"] == variant.name) & values["task"].isin(measures)]
        for row in mine.to_dict("records") if {axis.factor, axis.lines} <= set(factors) else ():
            panel = words_for(axis.panels, factors.get(axis.panels, ""))
            if axis.panels == "task":
                panel = task_title(str(row["task"]))
            line = words_for(axis.lines, factors[axis.lines])
            rows.append(row | {"panel": panel, "line": line, "x": factors[axis.factor]})
    found = pd.DataFrame(rows, columns=[*values.columns, "panel", "line", "x"])
    return lines_figure(found, axis.title, "mean dev score, points", log=axis.log)


def words_for(factor: str, value: Factor) -> str:
    """A factor's value as a label: "with teachers", "fraction of labels 0.1", "text"."""
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {factor}"
    return value if isinstance(value, str) else f"{factor} {value:g}"


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
