"""A comparison as it is shown: its cells and words, and the mean differences."""

from __future__ import annotations

from mtkd.analysis.charts import rows_figure
from mtkd.analysis.compare import Comparison, table, verdict_line
from mtkd.analysis.figures import ablation
from mtkd.analysis.plotting import Plot
from mtkd.analysis.systems import system_title
from mtkd.analysis.tables import OURS, gain_values
from mtkd.analysis.views import View

CELLS = (
    "Dev scores in points. Same: every seed, metric and set behind the cell is equal. Within: the "
    "95 % interval of the difference holds 0. Beyond: it does not; chance alone puts one cell in "
    "twenty there. Below three seeds there is no interval.",
    "Student's t over the differences of the seeds that both have (paired); Welch's where they "
    "share none. P: how probable it is that a seed of one beats a seed of the other on a task, "
    "ties one half (arXiv:2108.13264).",
)
DIRECTIONS = (
    "Gains over MT-DNN in points, mean dev scores, with our 95 % interval (Student's t, paired by "
    "seed). The paper's are of Table 3 of arXiv:1904.09482, another encoder and benchmark: a gain "
    "is judged by its direction alone, where the interval leaves out 0.",
)


def comparison_view(one: Comparison, number: int = 1) -> View:
    """The cells of a comparison with their words and figure; `number` is in the files' names."""
    title, caption = f"{one.second.label} less {one.first.label}", f"{verdict_line(one)}."
    notes = DIRECTIONS if one.paper else CELLS
    return View(
        f"comparison_{number}", title, caption, notes, table(one), one.cells, differences(one)
    )


def differences(one: Comparison) -> Plot:
    """The mean differences by system; against the paper the mean gains of both."""
    if one.paper:
        return ablation(gain_values(one.first.scores))
    means = one.cells[one.cells["task"] == "mean"].rename(columns={"difference": "value"})
    means = means.assign(source=OURS, points="")
    names = {system: system_title(system) for system in means["system"]}
    words = {"mean": f"{one.second.label} less {one.first.label}, mean dev score, points"}
    return rows_figure(means, names, words, zero=True)
