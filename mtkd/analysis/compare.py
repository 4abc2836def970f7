"""Results side by side: which cells are the same, and by how much the others differ.

A cell is one system on one task: its dev score, the mean over metrics and over MNLI's two sets.
It is the same only if every row of scores.csv behind it is: each seed, metric and set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mtkd.analysis.compare_sources import Source
from mtkd.analysis.markup import NOTHING
from mtkd.analysis.statistics import (
    Estimate,
    difference,
    estimate,
    mean_score,
    paired,
    probability_of_improvement,
    score_matrix,
    split_rows,
    task_order,
)
from mtkd.analysis.system_names import system_order, task_title
from mtkd.common.errors import MtkdError

KEY = ["system", "task", "split", "metric", "seed"]
SAME, WITHIN, BEYOND = "same", "within", "beyond"
PAIRED, UNPAIRED, ONE_NUMBER = "paired", "unpaired", "one number"
LISTED = 5  # cells that the verdict names before it says "and so many more"


@dataclass(frozen=True)
class Pair:
    """One comparison, `second` less `first`.

    `cells` has one row per system and task of both, and per system the task "mean" over `tasks`:
    first, second (labels), system, task, value_first, n_first, value_second, n_second, difference,
    low, high, pairing, outcome. Values are in points, n are seeds, low and high the 95 % interval
    of the difference. `rows` are the rows of both scores.csv, joined (`joined_rows`).
    """

    first: Source
    second: Source
    tasks: tuple[str, ...]
    cells: pd.DataFrame
    improvement: dict[str, Estimate]  # by system: P(second > first), over its tasks
    rows: pd.DataFrame


def compare(sources: Sequence[Source]) -> tuple[Pair, ...]:
    """Every other source against the first. Raises MtkdError where two have no cell in common."""
    first, *others = sources
    return tuple(compare_pair(first, second) for second in others)


def compare_pair(first: Source, second: Source) -> Pair:
    """All cells that both have."""
    rows = joined_rows(first.scores, second.scores)
    cells = compare_cells(first, second, rows)
    if cells.empty:
        raise MtkdError(
            f"{first.label} and {second.label} share no cell, so there is nothing to compare: "
            f"{_contents(first)}; {_contents(second)}"
        )
    return Pair(first, second, _shared_tasks(first, second), cells, _improve(first, second), rows)


def joined_rows(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Rows of two score frames by system, task, split, metric and seed.

    `same`: both have it with the same value; `both`: both have it; `inside`: it belongs to a cell,
    and not to test sets, candidates or single teachers.
    """
    columns = [*KEY, "value"]
    rows = first[columns].merge(
        second[columns], on=KEY, how="outer", suffixes=("_first", "_second"), indicator=True
    )
    both = rows["_merge"] == "both"
    broken = rows["value_first"].isna() & rows["value_second"].isna()
    same = both & (broken | (rows["value_first"] == rows["value_second"]))
    main = split_rows(rows)
    inside = rows.index.isin(main.index[main["system"].isin(system_order(rows))])
    return rows.drop(columns="_merge").assign(both=both, same=same, inside=inside)


def compare_cells(first: Source, second: Source, rows: pd.DataFrame) -> pd.DataFrame:
    """The cells of a `Pair`; `rows` are the joined rows of the two."""
    same = rows[rows["inside"]].groupby(["system", "task"])["same"].all()
    tasks = _shared_tasks(first, second)
    found = []
    for system in _shared_systems(first, second):
        a, b = score_matrix(first.scores, system), score_matrix(second.scores, system)
        mine = [task for task in tasks if task in a and task in b]
        for task in mine:
            numbers = _compared(first, second, a[task], b[task], bool(same[system, task]))
            found.append({"system": system, "task": task, **numbers})
        means = mean_score(a, tasks), mean_score(b, tasks)
        if mine and len(means[0]) and len(means[1]):
            whole = all(same[system, task] for task in tasks)
            numbers = _compared(first, second, *means, whole)
            found.append({"system": system, "task": "mean", **numbers})
    cells = pd.DataFrame(found)
    cells.insert(0, "first", first.label)
    cells.insert(1, "second", second.label)
    return cells


def _compared(
    first: Source, second: Source, a: pd.Series, b: pd.Series, same: bool
) -> dict[str, Any]:
    a, b = a.dropna(), b.dropna()
    found, pairing = _difference(a, b, first.printed or second.printed)
    low = np.nan if found.low is None else found.low
    high = np.nan if found.high is None else found.high
    # Without an interval (one seed) nothing excuses a difference.
    outcome = SAME if same else WITHIN if low <= 0 <= high else BEYOND
    return {
        "value_first": a.mean(),
        "n_first": len(a),
        "value_second": b.mean(),
        "n_second": len(b),
        "difference": found.value,
        "low": low,
        "high": high,
        "pairing": pairing,
        "outcome": outcome,
    }


def _difference(a: pd.Series, b: pd.Series, one_number: bool) -> tuple[Estimate, str]:
    """b - a, and how the seeds of the two belong together."""
    if one_number:  # a number without seeds has no spread of its own to resample
        return estimate(b - a.mean() if len(a) == 1 else b.mean() - a), ONE_NUMBER
    if set(a.index) == set(b.index):
        return estimate(paired(b, a)), PAIRED
    return difference(b.to_numpy(), a.to_numpy()), UNPAIRED


def _improve(first: Source, second: Source) -> dict[str, Estimate]:
    """P(second > first) by system, over the tasks of both; nothing against single numbers."""
    found: dict[str, Estimate] = {}
    if first.printed or second.printed:
        return found
    for system in _shared_systems(first, second):
        a, b = score_matrix(first.scores, system), score_matrix(second.scores, system)
        tasks = [task for task in b if task in a]
        x, y = b[tasks].dropna().to_numpy(), a[tasks].dropna().to_numpy()
        if x.size and y.size:
            found[system] = probability_of_improvement(x, y)
    return found


def _shared_systems(first: Source, second: Source) -> list[str]:
    return [name for name in system_order(first.scores) if name in system_order(second.scores)]


def _shared_tasks(first: Source, second: Source) -> tuple[str, ...]:
    return tuple(task for task in task_order(first.scores) if task in task_order(second.scores))


def _contents(source: Source) -> str:
    systems, tasks = system_order(source.scores), task_order(source.scores)
    return f"{source.label} has {', '.join(systems) or 'no system'} on {', '.join(tasks)}"


# ---------------------------------------------------------------------------- the verdict


def all_cells(pairs: Sequence[Pair]) -> pd.DataFrame:
    """The cells of all pairs, one below the other."""
    return pd.concat([pair.cells for pair in pairs], ignore_index=True)


def agree(pairs: Sequence[Pair], exact: bool = False) -> bool:
    """Whether no cell differs beyond its interval; `exact`: whether every row is the same."""
    if exact:
        return all(bool(pair.rows["same"].all()) for pair in pairs)
    cells = all_cells(pairs)
    return not (cells.loc[cells["task"] != "mean", "outcome"] == BEYOND).any()


def verdict(pairs: Sequence[Pair]) -> str:
    """One line: equal, within the intervals, or how many cells differ and which."""
    cells = all_cells(pairs)
    cells = cells[cells["task"] != "mean"]
    differ, beyond = cells[cells["outcome"] != SAME], cells[cells["outcome"] == BEYOND]
    count = f"{len(differ)} of {len(cells)} cells differ"
    if differ.empty:
        line = f"equal: all {len(cells)} cells are the same"
    elif beyond.empty:
        line = f"within the intervals: {count}, none beyond its 95 % interval: {_names(differ)}"
    else:
        line = f"{count}: {len(beyond)} beyond the 95 % interval ({_names(beyond)})"
        line += f", {len(differ) - len(beyond)} within" if len(differ) > len(beyond) else ""
    return "; ".join([line, *(text for pair in pairs for text in _beside(pair))])


def _names(cells: pd.DataFrame) -> str:
    """The largest differences: "mtdnn on RTE +3.00, bert on CoLA -0.20 and 3 more"."""
    order = cells["difference"].abs().sort_values(ascending=False, kind="stable").index
    several = cells["second"].nunique() > 1
    names = [
        f"{row['system']} on {task_title(row['task'])} {points(row['difference'], signed=True)}"
        + (f" in {row['second']}" if several else "")
        for row in cells.loc[order].head(LISTED).to_dict("records")
    ]
    more = len(cells) - LISTED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _beside(pair: Pair) -> list[str]:
    """What differs outside of the cells; the paper's table has nothing outside of them."""
    if pair.first.printed or pair.second.printed:
        return []
    further = pair.rows[pair.rows["both"] & ~pair.rows["inside"]]
    altered, alone = int((~further["same"]).sum()), int((~pair.rows["both"]).sum())
    names = f"{pair.first.label} and {pair.second.label}"
    lines = []
    if altered:
        lines.append(
            f"of the {len(further)} further rows of {names} (test sets, candidates, single "
            f"teachers) {altered} differ"
        )
    if alone:
        lines.append(f"{alone} rows of {names} are in one alone (other systems, tasks or seeds)")
    return lines


def points(value: float, signed: bool = False) -> str:
    """Points with two digits, a smaller difference with its first digit: "+0.004"."""
    if pd.isna(value):
        return NOTHING
    sign = "+" if signed and value > 0 else ""
    return f"{sign}{value:.1g}" if 0 < abs(value) < 0.005 else f"{sign}{value + 0.0:.2f}"
