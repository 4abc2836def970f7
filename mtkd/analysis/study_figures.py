"""The figures of studies: a forest plot of gains, or curves of scores."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtkd.analysis.charts import lines_figure, rows_figure
from mtkd.analysis.colours import BLUE, GREY, VERMILLION
from mtkd.analysis.plotting import Plot, legend_mark, styled
from mtkd.analysis.study_tables import GAIN, MEAN, study_tasks
from mtkd.analysis.systems import task_title
from mtkd.experiments.studies.study import Factor, Study, Variant

KINDS = {BLUE: "other variants", VERMILLION: "the paper's setting", GREY: "no teacher"}


@styled
def forest(study: Study, values: pd.DataFrame) -> Plot:
    """The gain of every variant over its reference, which is the line at zero."""
    found = values[values["task"] == GAIN]
    shown = [variant for variant in study.variants if variant.name in set(found["system"])]
    hues = {variant.name: hue_of(study, variant) for variant in shown}
    names = {variant.name: variant.title for variant in shown}
    words = {GAIN: f"gain over {study.measured_against}, points"}
    figure = rows_figure(found, names, words, hues=hues, zero=True)
    used = [hue for hue in KINDS if hue in hues.values()]
    if len(used) > 1:
        marks = [legend_mark(hue, KINDS[hue]) for hue in used]
        figure.legend(handles=marks, loc="outside lower center", ncols=3)
    return figure


def hue_of(study: Study, variant: Variant) -> str:
    if variant.name == study.paper:
        return VERMILLION
    return GREY if variant.factors.get("teachers") is False else BLUE


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
