"""Tables of results beside the paper's: pure functions of scores and of mtkd/analysis/paper.csv."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtkd.analysis.markup import NOTHING
from mtkd.analysis.paper import paper_dev, paper_scores, stilts_dev
from mtkd.analysis.statistics import (
    FEW,
    Estimate,
    estimate,
    mean_score,
    paired,
    recovered,
    score_matrix,
    t_interval,
    task_order,
)
from mtkd.analysis.system_names import (
    MAJORITY,
    REFERENCE,
    is_student,
    majority,
    system_order,
    system_title,
    task_title,
)

PAPER = "paper, BERT-large on GLUE"  # another encoder and another benchmark: never "the same row"
RELEASED = "released models, BERT-large on GLUE"  # of STILTs, which the paper has with GPT only
OURS = "this run"
VALUES = ["system", "source", "task", "value", "low", "high", "n", "points"]


# ---------------------------------------------------------------------------- numbers


def glue_dev_values(scores: pd.DataFrame) -> pd.DataFrame:
    """Dev scores as numbers, one row per system, source and task (and the task "mean").

    value, low and high in points; `low` and `high` are the 95 % bootstrap interval over `n`
    seeds, `points` the single seeds. `source` is "this run" or the paper's. The mean is given
    where a system has every task of the table, and the paper's is over the same tasks. "glue" is
    the mean over nine tasks, with WNLI answered by its majority class.
    """
    tasks, paper = task_order(scores), paper_scores()
    wnli, rows = wnli_score(scores, "dev"), []
    for system in (*majority(scores), *system_order(scores)):
        matrix = score_matrix(scores, system)
        rows += [row_of(system, OURS, task, estimate(matrix[task])) for task in matrix.columns]
        mean = mean_score(matrix, tasks)
        rows.append(row_of(system, OURS, "mean", estimate(mean)))
        if wnli is not None and len(tasks) == 8:
            rows.append(row_of(system, OURS, "glue", estimate((8 * mean + wnli) / 9)))
        if system in paper:
            rows += paper_rows(system, paper[system], tasks)
        if system == "stilts":
            released = paper_rows(system, stilts_dev(), tasks)
            rows += [row | {"source": RELEASED} for row in released]
    return frame_of(rows)


def wnli_score(scores: pd.DataFrame, split: str) -> float | None:
    """Score of WNLI's majority class; None where the data has no WNLI with labels."""
    of_majority = (scores["system"] == MAJORITY) & (scores["task"] == "wnli")
    wanted = of_majority & (scores["split"] == split)
    return float(scores.loc[wanted, "value"].iloc[0]) if wanted.any() else None


def ablation_values(scores: pd.DataFrame) -> pd.DataFrame:
    """Differences from MT-DNN as numbers, paired by seed; columns as in `glue_dev_values`.

    The task "recovered" is the share of the ensemble's mean gain that a student keeps, in percent.
    The paper's rows are differences of its Table 3 cells. Empty without MT-DNN.
    """
    tasks, paper = task_order(scores), paper_scores()
    systems = system_order(scores)
    if REFERENCE not in systems:
        return frame_of([])
    base = score_matrix(scores, REFERENCE)
    means = {name: mean_score(score_matrix(scores, name), tasks) for name in systems}
    rows = []
    for system in systems:
        matrix = score_matrix(scores, system)
        if system == REFERENCE or matrix.index.intersection(base.index).empty:
            continue  # itself, or no seed to compare by
        for task in (task for task in matrix.columns if task in base.columns):
            rows.append(row_of(system, OURS, task, estimate(paired(matrix[task], base[task]))))
        gain = estimate(paired(means[system], means[REFERENCE]))
        rows.append(row_of(system, OURS, "mean", gain))
        if is_student(system) and "ensemble" in systems:
            share = recovered(means[system], means[REFERENCE], means["ensemble"])
            rows.append(row_of(system, OURS, "recovered", share))
        if system in paper:
            found = paper_rows(system, paper[system] - paper[REFERENCE], tasks)
            rows += found
            if is_student(system) and found:
                whole = (paper["ensemble"] - paper[REFERENCE]).reindex(tasks).mean()
                share_paper = 100 * found[-1]["value"] / whole if whole > 0 else np.nan
                rows.append(_paper_row(system, "recovered", share_paper))
    return frame_of(rows)


def row_of(system: str, source: str, task: str, found: Estimate) -> dict[str, Any]:
    """One row of a frame of numbers."""
    numbers = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    return {"system": system, "source": source, "task": task, **numbers, "points": found.points}


def _paper_row(system: str, task: str, value: float) -> dict[str, Any]:
    # One number as printed: no seeds, no interval.
    return row_of(system, PAPER, task, Estimate(value, None, None, ())) | {"n": None}


def paper_rows(system: str, cells: pd.Series, tasks: Sequence[str]) -> list[dict[str, Any]]:
    known = cells.reindex(list(tasks))
    rows = [_paper_row(system, task, known[task]) for task in tasks if pd.notna(known[task])]
    return [*rows, _paper_row(system, "mean", known.mean(skipna=False))] if rows else []


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=VALUES)
    numbers = {name: "float64" for name in ("value", "low", "high")} | {"n": "Int64"}
    return frame[frame["value"].notna()].astype(numbers).reset_index(drop=True)


def read_values(path: Path) -> pd.DataFrame:
    """A frame of numbers from its CSV file."""
    values = pd.read_csv(path, dtype={"points": str})
    texts = values["points"].fillna("")
    values["points"] = texts.map(lambda text: tuple(map(float, text.split())))
    return values


# ---------------------------------------------------------------------------- as printed


def glue_dev(scores: pd.DataFrame) -> pd.DataFrame:
    """Dev scores as printed: one row per system, the paper's row under it, all cells text.

    A cell is the mean with its interval, "81.2 [80.1, 82.3]", or below five seeds the points,
    "81.2 (80.9, 81.5)". A paper cell shows the metrics that its mean is of: "86.9 (87.1/86.7)".
    """
    values, columns = glue_dev_values(scores), columns_of(scores)
    if "glue" in set(values["task"]):
        columns["glue"] = "GLUE"
    return printed(values, columns, cells=paper_dev())


def ablation(scores: pd.DataFrame) -> pd.DataFrame:
    """Differences from MT-DNN as printed, paired by seed, with the ensemble's gain recovered."""
    columns = columns_of(scores) | {"recovered": "Ensemble's gain kept"}
    return printed(ablation_values(scores), columns, signed=True)


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """The short of it, one row per system: mean dev score, and gain over MT-DNN.

    Gains are paired by seed; the paper's stand beside them.
    """
    tasks = task_order(scores)
    dev, gains = glue_dev_values(scores), ablation_values(scores)
    compared = [task for task in ("mean", "rte") if task == "mean" or task in tasks]
    table = []
    for system in system_order(scores):
        line = {"System": system_title(system)}
        line[mean_title(tasks)] = cell(find_row(dev, system, OURS, "mean"), signed=False)
        for task in compared:
            word = "Mean" if task == "mean" else task_title(task)
            line[f"{word} gain"] = cell(find_row(gains, system, OURS, task), signed=True)
            paper = cell(find_row(gains, system, PAPER, task), signed=True)
            line[f"{word} gain, paper"] = paper
        kept = find_row(gains, system, OURS, "recovered")
        line["Ensemble's gain kept"] = cell(kept, signed=False, percent=True)
        line["Seeds"] = seed_counts(dev.loc[dev["system"] == system, "n"].dropna())
        table.append(line)
    return pd.DataFrame(table)


def find_row(
    values: pd.DataFrame, system: str, source: str, task: str
) -> dict[Hashable, Any] | None:
    wanted = (values["system"] == system) & (values["source"] == source) & (values["task"] == task)
    found = values[wanted].to_dict("records")
    return found[0] if found else None


def columns_of(scores: pd.DataFrame, split: str = "dev") -> dict[str, str]:
    """Titles of a table's columns: the tasks and their mean."""
    tasks = task_order(scores, split)
    return {task: task_title(task) for task in tasks} | {"mean": mean_title(tasks)}


def printed(
    values: pd.DataFrame,
    columns: Mapping[str, str],
    *,
    signed: bool = False,
    cells: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Numbers as text, one row per system and source; `cells` are the paper's, metric by metric."""
    table = []
    for (system, source), rows in values.groupby(["system", "source"], sort=False):
        title = system_title(str(system))
        line = {"System": title if source == OURS else f"{title} ({source})"}
        found = {str(row["task"]): row for row in rows.to_dict("records")}
        for task, column in columns.items():
            percent = task == "recovered"
            line[column] = cell(found.get(task), signed=signed and not percent, percent=percent)
            if source != OURS and cells is not None and task in found:
                line[column] += _metrics(cells, str(system), task)
        line["Seeds"] = seed_counts(rows["n"].dropna())
        table.append(line)
    return pd.DataFrame(table, columns=["System", *columns.values(), "Seeds"])


def mean_title(tasks: Sequence[str]) -> str:
    return f"Mean of {len(tasks)}"


def cell(row: Mapping[Any, Any] | None, *, signed: bool, percent: bool = False) -> str:
    if row is None:
        return NOTHING

    def show(value: float) -> str:
        return decimal(value, 0 if percent else 1, signed)

    text = show(row["value"]) + (" %" if percent else "")
    if pd.notna(row["n"]) and row["n"] >= FEW:
        ends = f" [{show(row['low'])}, {show(row['high'])}]"
        return text + (ends if pd.notna(row["low"]) else "")
    points = [show(point) if pd.notna(point) else NOTHING for point in row["points"]]
    return f"{text} ({', '.join(points)})" if len(points) > 1 else text


def decimal(value: float, digits: int, signed: bool) -> str:
    """A number as printed: half a unit goes away from zero, and there is no -0.0."""
    size = np.floor(abs(value) * 10**digits + 0.5 + 1e-9) / 10**digits
    rounded = float(np.copysign(size, value)) + 0.0
    return f"{'+' if signed and rounded > 0 else ''}{rounded:.{digits}f}"


def said(row: Mapping[Any, Any], *, signed: bool = True, unit: str = "points") -> str:
    """A number in a sentence, with interval and n: "+2.3 [+1.8, +3.0] points (n = 5)"."""
    value = decimal(row["value"], 1, signed)
    if row["n"] < FEW:
        return f"{value} {unit} (n = {row['n']:.0f}, too few for an interval)"
    low, high = decimal(row["low"], 1, signed), decimal(row["high"], 1, signed)
    return f"{value} [{low}, {high}] {unit} (n = {row['n']:.0f})"


def verdict(row: Mapping[Any, Any]) -> str:
    """A gain or a loss only where Student's t interval leaves out zero as well.

    At five seeds the bootstrap's interval, which is printed, is too narrow (`statistics.interval`).
    """
    if row["n"] < FEW:
        return "too few seeds to tell"
    low, high = t_interval(row["points"])
    if min(row["low"], low) > 0:
        return "a gain"
    return "a loss" if max(row["high"], high) < 0 else "not told apart"


def directions(gains: pd.DataFrame) -> list[str]:
    """Which mean gains over MT-DNN go the paper's way, in lines; `gains` of `ablation_values`."""
    found: dict[str, list[str]] = {}
    for system in dict.fromkeys(gains["system"]):
        ours, paper = (find_row(gains, system, source, "mean") for source in (OURS, PAPER))
        if ours and paper and paper["value"]:
            heard = verdict(ours)
            if heard in ("a gain", "a loss"):
                alike = heard == ("a gain" if paper["value"] > 0 else "a loss")
                heard = "as in the paper" if alike else "other than in the paper"
            numbers = f"paper {decimal(paper['value'], 1, True)}, here {said(ours)}"
            found.setdefault(heard, []).append(f"{system_title(system)} ({numbers})")
    return [f"Mean gain over MT-DNN {word}: {'; '.join(names)}." for word, names in found.items()]


def _metrics(cells: pd.DataFrame, system: str, task: str) -> str:
    """The paper's own cells behind a mean, in its order: " (87.1/86.7)"."""
    found = cells.loc[(cells["system"] == system) & (cells["task"] == task), "value"]
    return f" ({'/'.join(f'{value:.1f}' for value in found)})" if len(found) > 1 else ""


def seed_counts(counts: pd.Series) -> str:
    if counts.empty:
        return NOTHING
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"
