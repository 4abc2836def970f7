"""What all plots share: style, colours, marks and files. No function keeps state.

A system has the same colour everywhere. Ours are filled marks, the paper's numbers hollow ones.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.ticker
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtkd.analysis.colours import CYCLE, cycled
from mtkd.analysis.statistics import MIN_SEEDS
from mtkd.analysis.systems import find_system, system_title
from mtkd.analysis.tables import OURS
from mtkd.common.files import whole
from mtkd.data.tasks import TASKS

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that files are the same anywhere
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "mtkd",
    "svg.fonttype": "path",
}
styled = matplotlib.rc_context(STYLE)
MARK: dict[str, Any] = {"marker": "o", "markersize": 4.5}
HOLLOW: dict[str, Any] = MARK | {"markerfacecolor": "white", "mew": 1.2}


class Plot(Figure):
    """A figure that a notebook shows by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        return image(self, "png", dpi=110)


def image(figure: Figure, kind: str, dpi: int = 150) -> bytes:
    """The figure as PNG or SVG, without date or version, so that equal plots are equal files."""
    unstamped: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}}
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=unstamped[kind])
    return buffer.getvalue()


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG, each whole or not at all."""
    written = []
    for kind in ("png", "svg"):
        path = folder / f"{name}.{kind}"
        with whole(path) as part:
            part.write_bytes(image(figure, kind))
        written.append(path)
    return written


def colour(system: str) -> str:
    return find_system(system).colour


def task_colour(task: str) -> str:
    """A colour of the cycle by the task's place in the list of tasks."""
    return CYCLE[list(TASKS).index(task) % len(CYCLE)] if task in TASKS else cycled(task)


# ---------------------------------------------------------------------------- marks


def draw_estimate(axes: Axes, row: Mapping[Any, Any], y: float, hue: str) -> None:
    """Seeds as fine ticks, the interval as a bar, the mean as a mark; published ones are hollow."""
    if row["source"] != OURS:
        axes.plot([row["value"]], [y], color=hue, **HOLLOW)
        return
    points = row["points"]
    if len(points) > 1:
        axes.plot(points, [y] * len(points), "|", color=hue, alpha=0.6, markersize=6, mew=1)
    if pd.notna(row["low"]):
        ends = [row["low"], row["high"]]
        axes.plot(ends, [y, y], color=hue, linewidth=1.4, solid_capstyle="butt")
    axes.plot([row["value"]], [y], color=hue, **MARK)


def legend_mark(hue: str, label: str, **style: Any) -> Line2D:
    return Line2D([], [], color=hue, label=label, **{"linestyle": "", **MARK, **style})


def system_mark(system: str) -> Line2D:
    return legend_mark(colour(system), system_title(system), linestyle="-")


def estimate_marks(hue: str, label: str, values: pd.DataFrame) -> list[Line2D]:
    """Legend entries of `draw_estimate`, of those marks that are there."""
    most = values["n"].dropna().max()
    marks = [legend_mark(hue, label)]
    marks += [legend_mark(hue, "one seed", marker="|", alpha=0.8)] if most > 1 else []
    return marks + ([Line2D([], [], color=hue, label="95 % interval")] if most >= MIN_SEEDS else [])


# ---------------------------------------------------------------------------- axes


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row per name, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    rule_rows(axes, len(names))


def rule_rows(axes: Axes, count: int) -> None:
    """Fine lines between the rows, and a grid to read values by."""
    for y in range(1, count):
        axes.axhline(y - 0.5, color="#DDDDDD", linewidth=0.6, zorder=0)
    axes.tick_params(axis="y", length=0)
    grid_lines(axes, "x")


def grid_lines(axes: Axes, along: Any) -> None:
    axes.grid(axis=along, color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def whole_epochs(axes: Axes) -> None:
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))


def small_multiples(count: int) -> tuple[Plot, list[Axes]]:
    """Panels of one size, two to four in a row."""
    across = min(count, 2 if count <= 4 else 3 if count <= 6 else 4)
    down = -(-count // across)
    figure = Plot(figsize=(8, 1.4 + 1.75 * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels[:count]


def nothing_to_plot(reason: str) -> Plot:
    figure = Plot(figsize=(8, 1.2))
    figure.text(0.5, 0.5, f"Nothing to plot: {reason}", ha="center", va="center")
    return figure


def seed_count(values: pd.DataFrame) -> str:
    return counted(int(values["n"].dropna().max()), "seed")


def counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
