"""The papers' own numbers, from `mtkd/analysis/paper.csv`."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

PAPER = "paper, BERT-large on GLUE"  # another encoder and another benchmark: never "the same row"
RELEASED = "released models, BERT-large on GLUE"  # of STILTs, which the paper has with GPT only
LEADERBOARD = "paper"  # Table 2, GLUE's own test sets: systems of many kinds
SOURCES = {"dev": {"kd-3": PAPER, "stilts": RELEASED}, "test": {"kd-2": LEADERBOARD}}


def read_paper() -> pd.DataFrame:
    """Every cell of the papers' tables: system, task, split, metric, value, table, source, note."""
    with (files("mtkd.analysis") / "paper.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def published(split: str) -> pd.DataFrame:
    """Published dev or test scores: source, system, task, and the metrics as printed (a list)."""
    paper = read_paper()
    rows = paper[paper["split"].str.startswith(split) & paper["table"].isin(SOURCES[split])]
    rows = rows.assign(source=rows["table"].map(SOURCES[split]))
    cells = rows.groupby(["source", "system", "task"], sort=False)["value"].agg(list)
    return cells.rename("metrics").reset_index()


def paper_scores() -> pd.DataFrame:
    """Table 3 as task scores in points: one row per task, one column per system."""
    paper = read_paper()
    cells = paper[paper["table"] == "kd-3"]
    return cells.pivot_table(index="task", columns="system", values="value", aggfunc="mean")
