"""The papers' own numbers, from `mtkd/analysis/paper.csv`."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd


def read_paper() -> pd.DataFrame:
    """Every cell of the papers' tables: system, task, split, metric, value, table, source, note."""
    with (files("mtkd.analysis") / "paper.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def paper_dev() -> pd.DataFrame:
    """The cells of the KD paper's Table 3 (dev sets; one single model each, or the ensemble)."""
    paper = read_paper()
    return paper[paper["table"] == "kd-3"]


def paper_test() -> pd.DataFrame:
    """The cells of the KD paper's Table 2, GLUE's test sets."""
    paper = read_paper()
    return paper[(paper["table"] == "kd-2") & paper["split"].str.startswith("test")]


def stilts_dev() -> pd.Series:
    """Dev scores in points by task of the models that the authors of STILTs released."""
    paper = read_paper()
    rows = paper[(paper["table"] == "stilts") & (paper["split"] == "dev")]
    return rows.set_index("task")["value"]


def paper_scores() -> pd.DataFrame:
    """Table 3 as task scores in points: one row per task, one column per system."""
    return paper_dev().pivot_table(index="task", columns="system", values="value", aggfunc="mean")
