"""Results side by side: which cells are the same, and whether the others differ clearly.

A cell is one system on one task: its dev score, the mean over metrics and over MNLI's two sets.
It is the same only if every row of scores.csv behind it is: each seed, metric and set. Against the
paper, whose levels are another benchmark's, the directions of gains over MT-DNN are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtkd.analysis.markup import NOTHING
from mtkd.analysis.paper import PAPER as TABLE_3
from mtkd.analysis.statistics import (
    estimate,
    paired,
    probability_of_improvement,
    score_matrix,
    split_rows,
    task_order,
    welch,
)
from mtkd.analysis.systems import system_order, system_title, task_title
from mtkd.analysis.tables import (
    AGAINST_PAPER,
    OURS,
    UNCLEAR,
    decimal,
    direction,
    gain_values,
    mean_title,
    verdict,
)
from mtkd.common import paths
from mtkd.common.errors import MtkdError, first_line
from mtkd.common.sums import check_sum
from mtkd.experiments.records import COLUMNS, SCHEMA

COMMITTED, PAPER = "committed", "paper"  # words in place of a folder
KEY = ["system", "task", "split", "metric", "seed"]
SAME, WITHIN, BEYOND, DIFFERS = "same", "within", "beyond", "differ without an interval"
FAR = (BEYOND, DIFFERS, AGAINST_PAPER)  # no noise of seeds excuses these
DIGITS = 2  # finer than the tables: for the same code on another machine
LISTED = 5  # cells that the verdict names before it says how many more


@dataclass(frozen=True)
class Side:
    """Tidy scores (the columns of `records.collect`) and their name; the paper has no scores."""

    label: str
    scores: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """`second` less `first`.

    `cells` has a row per system and task of both, and per system the task "mean" over the tasks of
    both: system, task, first, second (values in points; against the paper gains over MT-DNN),
    difference, low, high (95 % interval; against the paper of our gain), seeds, outcome; a mean has
    `improvement` as well, P(second > first) over the tasks.
    """

    first: Side
    second: Side
    cells: pd.DataFrame
    identical: bool  # every row of both is in the other with the same value

    @property
    def paper(self) -> bool:
        return self.second.label == PAPER


# ---------------------------------------------------------------------------- sides


def open_sides(names: Sequence[str]) -> list[Side]:
    """Scores by folder, by recipe, or by the words "committed" and "paper", which comes last.

    "committed" is the folder in results/reference of the same name as the other side; a single
    name is compared with it. Raises MtkdError for a folder that is not there, or whose scores
    are of another schema, doubled or not numbers.
    """
    names = [COMMITTED, *names] if len(names) == 1 else names
    folders = [name for name in names if name not in (COMMITTED, PAPER)]
    if not folders:
        raise MtkdError(f"{' and '.join(names)}: name a recipe or a folder to compare with")
    sides = []
    for name in (name for name in names if name != PAPER):
        folder = reference(folders[0]) if name == COMMITTED else find_folder(name)
        sides.append(Side(name, read_scores(folder / "scores.csv")))
    return [*sides, Side(PAPER, pd.DataFrame())] if PAPER in names else sides


def reference(name: str) -> Path:
    """The committed results of the recipe whose results `name` are."""
    folder = paths.REFERENCE / find_folder(name).resolve().name
    if not folder.is_dir():
        there = ", ".join(sorted(path.name for path in paths.REFERENCE.glob("*/")))
        raise MtkdError(f"{folder}: no such committed results (there are: {there or 'none'})")
    return folder


def find_folder(name: str) -> Path:
    """The results of a recipe by name, else a folder by path."""
    for folder in (paths.results() / name, Path(name)):
        if folder.is_dir():
            return folder
    raise MtkdError(
        f"{name}: no such folder, and no results of that recipe in {paths.results()}; "
        f"expected a folder with scores.csv, a recipe, {COMMITTED!r} or {PAPER!r}"
    )


def read_scores(path: Path) -> pd.DataFrame:
    """Tidy scores from scores.csv. Raises MtkdError if they are not what this version writes."""
    todo = "`mtkd report` writes it again"
    try:
        check_sum(path, todo)
        # As text first: what is no number is told by row.
        scores = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise MtkdError(f"{path}: not there; `mtkd reproduce` writes it at its end") from None
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected a table; {todo}") from None
    except ValueError as error:  # pandas's own, and bytes that are not UTF-8
        raise MtkdError(f"{path}: not a table ({first_line(error)}); {todo}") from None
    if list(scores.columns) != COLUMNS:
        raise MtkdError(
            f"{path}: columns {', '.join(map(str, scores))}; expected those of schema {SCHEMA}: "
            f"{', '.join(COLUMNS)}; reproduce with this version of mtkd"
        )
    finite = np.isfinite(pd.to_numeric(scores["value"], errors="coerce"))
    counted = [scores[name].str.fullmatch(r"\d{1,18}") for name in ("seed", "n_examples")]
    for mask, what in (
        (~finite, "the score is not a number"),
        (~(counted[0] & counted[1]), "seed and n_examples are not whole numbers"),
        (scores.duplicated(KEY), "that score is there twice"),
    ):
        if mask.any():
            line, row = np.flatnonzero(mask)[0] + 2, " ".join(scores.loc[mask, KEY].iloc[0])
            raise MtkdError(f"{path}:{line}: {row}: {what}; {todo}")
    return scores.astype({"value": "float64", "seed": "int64", "n_examples": "int64"})


# ---------------------------------------------------------------------------- comparing


def compare(sides: Sequence[Side]) -> tuple[Comparison, ...]:
    """Every other side against the first. Raises MtkdError where two have no cell in common."""
    first, *others = sides
    return tuple(compare_two(first, second) for second in others)


def compare_two(first: Side, second: Side) -> Comparison:
    """All cells that both have."""
    a, b, identical = first.scores, second.scores, False
    if second.label == PAPER:
        cells = paper_cells(a)
    else:
        rows = a.merge(b, how="outer", on=KEY, indicator=True)
        rows["same"] = rows["value_x"] == rows["value_y"]
        identical = bool(rows["same"].all())
        cells = score_cells(a, b, rows[rows["_merge"] == "both"])
    if cells.empty:
        raise MtkdError(f"{first.label} and {second.label} have no system and task in common")
    return Comparison(first, second, cells, identical)


def score_cells(a: pd.DataFrame, b: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Dev scores by system and task; `rows` are those that both have, `same` or not."""
    same = split_rows(rows).groupby(["system", "task"])["same"].all()
    tasks = [task for task in task_order(a) if task in task_order(b)]
    found = []
    for system in (name for name in system_order(a) if name in system_order(b)):
        pair = [score_matrix(scores, system).reindex(columns=tasks) for scores in (a, b)]
        alike = [bool(same.get((system, task), False)) for task in tasks]
        found += [
            cell(system, task, pair[0][task], pair[1][task], equal)
            for task, equal in zip(tasks, alike, strict=True)
        ]
        a_whole, b_whole = (matrix.dropna() for matrix in pair)
        mean = cell(system, "mean", a_whole.mean(axis=1), b_whole.mean(axis=1), all(alike))
        if len(a_whole) and len(b_whole):
            better = probability_of_improvement(b_whole.to_numpy(), a_whole.to_numpy())
            mean["improvement"] = better
        found.append(mean)
    return pd.DataFrame([row for row in found if pd.notna(row["difference"])])


def cell(system: str, task: str, a: pd.Series, b: pd.Series, same: bool) -> dict[str, Any]:
    """One cell: paired over the seeds that both have; Welch's interval if there is none."""
    a, b = a.dropna(), b.dropna()
    shared = a.index.intersection(b.index)
    if len(shared):
        a, b, found, seeds = a[shared], b[shared], estimate(paired(b, a)), f"{len(shared)} paired"
    else:
        found, seeds = welch(b, a), f"{len(a)} and {len(b)}"
    row = {"system": system, "task": task, "first": a.mean(), "second": b.mean()}
    row |= {"difference": found.value, "low": found.low, "high": found.high, "seeds": seeds}
    outcomes = {"": DIFFERS, UNCLEAR: WITHIN}
    equal = same and found.value == 0
    return row | {"outcome": SAME if equal else outcomes.get(verdict(row, DIGITS), BEYOND)}


def paper_cells(ours: pd.DataFrame) -> pd.DataFrame:
    """Our gains over MT-DNN ("first") and the paper's."""
    gains = gain_values(ours)
    paper = gains.loc[gains["source"] == TABLE_3, ["system", "task", "value"]]
    both = gains[gains["source"] == OURS].merge(paper, on=["system", "task"])
    both = both.rename(columns={"value_x": "first", "value_y": "second"})
    both["outcome"] = [direction(row, row["second"]) or UNCLEAR for row in both.to_dict("records")]
    both["difference"], both["seeds"] = both["second"] - both["first"], both["n"].astype(str)
    return both["system task first second difference low high seeds outcome".split()]


# ---------------------------------------------------------------------------- the verdict


def agree(comparisons: Sequence[Comparison], exact: bool = False) -> bool:
    """Whether no cell differs clearly; `exact`: whether every row of scores.csv is the same."""
    if exact:
        return all(one.identical for one in comparisons)
    return not any(one.cells["outcome"].isin(FAR).any() for one in comparisons)


def verdict_line(one: Comparison) -> str:
    """How many cells are the same or differ, and which differ clearly, the largest first."""
    cells = one.cells[one.cells["task"] != "mean"]
    counts = [f"{count} {word}" for word, count in cells["outcome"].value_counts().items()]
    line = f"{len(cells)} {'gains over MT-DNN' if one.paper else 'cells'}: {', '.join(counts)}"
    far = cells[cells["outcome"].isin(FAR)]
    far = far.sort_values("difference", key=abs, ascending=False, kind="stable")
    names = [
        f"{row['system']} on {task_title(row['task'])} {signed(row['difference'])}"
        for row in far.head(LISTED).to_dict("records")
    ]
    names += [f"{len(far) - LISTED} more"] if len(far) > LISTED else []
    line += f" ({', '.join(names)})" if names else ""
    alike = (cells["outcome"] == SAME).all() and not one.identical
    return line + ("; other rows of scores.csv differ" if alike else "")


def table(one: Comparison, differing: bool = False) -> pd.DataFrame:
    """The cells as text; `differing` leaves out those that are the same."""
    cells = one.cells[one.cells["outcome"] != SAME] if differing else one.cells
    tasks = [*one.cells.loc[one.cells["task"] != "mean", "task"].unique()]
    titles = {"mean": mean_title(tasks)} | {task: task_title(task) for task in tasks}
    ends = zip(cells["low"].map(signed), cells["high"].map(signed), strict=True)
    columns = {
        "System": cells["system"].map(system_title),
        "Task": cells["task"].map(titles),
        one.first.label: cells["first"].map(show),
        one.second.label: cells["second"].map(show),
        "Difference": cells["difference"].map(signed),
        "95 % interval" + (" of our gain" if one.paper else ""): [
            NOTHING if low == NOTHING else f"[{low}, {high}]" for low, high in ends
        ],
        "Seeds": cells["seeds"],
    }
    if "improvement" in cells:
        columns[f"P({one.second.label} > {one.first.label})"] = cells["improvement"].map(show)
    return pd.DataFrame(columns | {"Outcome": cells["outcome"]})


def show(value: float, sign: bool = False) -> str:
    return NOTHING if pd.isna(value) else decimal(value, DIGITS, sign)


def signed(value: float) -> str:
    return show(value, True)
