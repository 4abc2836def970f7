"""A comparison as it is shown: its cells, its words, and the dev scores over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mtkd.analysis.colours import BLACK, BLUE, GREEN, PURPLE, VERMILLION
from mtkd.analysis.compare import Comparison, Side, table, verdict_line
from mtkd.analysis.plotting import (
    Plot,
    draw_estimate,
    estimate_marks,
    legend_mark,
    name_rows,
    nothing_to_plot,
    seed_count,
    styled,
)
from mtkd.analysis.systems import MAJORITY, system_title, task_title
from mtkd.analysis.tables import OURS, dev_values, tasks_of
from mtkd.analysis.views import View

# A side is told by its shape as well as by its colour; the first is always the black circle.
LOOKS = ((BLACK, "o"), (VERMILLION, "s"), (BLUE, "^"), (GREEN, "D"), (PURPLE, "v"))

CELL_WORDS = (
    "Dev scores in points. Same: every seed, metric and set behind the cell is equal. Within: the "
    "95 % interval of the difference holds 0. Beyond: it does not; chance alone puts one cell in "
    "twenty there. Below three seeds there is no interval.",
    "Student's t over the differences of the seeds that both have (paired); Welch's where they "
    "share none. P: how probable it is that a seed of one beats a seed of the other on a task, "
    "ties one half (arXiv:2108.13264).",
)
PAPER_WORDS = (
    "Gains over MT-DNN in points, mean dev scores, with our 95 % interval (Student's t, paired by "
    "seed). The paper's are of Table 3 of arXiv:1904.09482, another encoder and benchmark: a gain "
    "is judged by its direction alone, where the interval leaves out 0.",
)


def comparison_view(one: Comparison, sides: Sequence[Side], number: int = 1) -> View:
    """The cells of a comparison; the figure shows all `sides` that have scores."""
    notes = PAPER_WORDS if one.paper else CELL_WORDS
    shown = {side.label: dev_values(side.scores) for side in sides if side.scores is not None}
    title, caption = f"{one.second} less {one.first}", f"{verdict_line(one)}."
    figure = overlaid_scores(shown)
    return View(f"comparison_{number}", title, caption, notes, table(one), one.cells, figure)


@styled
def overlaid_scores(sides: Mapping[str, pd.DataFrame]) -> Plot:
    """Dev score by task, a panel per system, a mark per side; `sides` are `dev_values` by label."""
    ours = {
        label: values[(values["source"] == OURS) & (values["system"] != MAJORITY)]
        for label, values in sides.items()
    }
    every = pd.concat(ours.values())
    rows, systems = [*tasks_of(every), "mean"], list(dict.fromkeys(every["system"]))
    if not systems:
        return nothing_to_plot("no dev scores")
    across = min(3, len(systems))
    down = -(-len(systems) // across)
    height = len(rows) * max(0.22, 0.13 * len(ours)) + 0.45
    figure = Plot(figsize=(8, 1.0 + down * height), layout="constrained")
    grid = list(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat)
    panels = dict(zip(systems, grid, strict=False))
    for system, axes in panels.items():
        name_rows(axes, ["mean" if row == "mean" else task_title(row) for row in rows])
        axes.set_title(system_title(system).replace(", ", ",\n"), fontsize=9.5)
    for axes in grid[len(systems) :]:
        axes.set_axis_off()
    looks = [LOOKS[number % len(LOOKS)] for number in range(len(ours))]
    for number, (values, (hue, shape)) in enumerate(zip(ours.values(), looks, strict=True)):
        shift = (number - (len(ours) - 1) / 2) * 0.8 / len(ours)
        for row in values[values["task"].isin(rows)].to_dict("records"):
            y = rows.index(row["task"]) + shift
            draw_estimate(panels[row["system"]], row, y, hue, shape)
    figure.supxlabel("dev score, points", fontsize=9.5)
    handles = [
        legend_mark(hue, f"{label}, {seed_count(values)}", marker=shape)
        for (label, values), (hue, shape) in zip(ours.items(), looks, strict=True)
    ]
    handles += estimate_marks(BLACK, "", every)[1:]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure
