"""Results as numbers and as printed tables, the papers' numbers beside ours.

A frame of numbers has one row per system, source and task: system, source ("this run" or a
paper's), task, value, low, high, n, points. Values are in points, `low` and `high` are the 95 %
interval of Student's t over the `n` seeds, `points` are the single seeds. Printed tables and
figures are made from such frames.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mtkd.analysis.markup import NOTHING
from mtkd.analysis.paper import PAPER, paper_scores, published
from mtkd.analysis.statistics import (
    MIN_SEEDS,
    Estimate,
    estimate,
    gains_over,
    is_glue,
    mean_score,
    recovered,
    score_matrix,
    task_order,
)
from mtkd.analysis.systems import (
    ENSEMBLE,
    MAJORITY,
    PUBLISHED,
    REFERENCE,
    find_system,
    majority,
    system_order,
    system_title,
    task_title,
)
from mtkd.data.tasks import DIAGNOSTIC, TASKS

OURS = "this run"
VALUES = ["system", "source", "task", "value", "low", "high", "n", "points"]
RECOVERED = "recovered"
BESIDE = {"mean": "Mean", "glue": "Mean of 9", RECOVERED: "Ensemble's gain kept"}  # of the tasks
GAIN, LOSS, UNCLEAR = "gain", "loss", "no clear difference"
AS_PAPER, AGAINST_PAPER = "as in the paper", "other than in the paper"


# ---------------------------------------------------------------------------- numbers


def score_values(scores: pd.DataFrame, split: str = "dev") -> pd.DataFrame:
    """Dev or test scores as numbers, with the papers' of the same tasks; empty without labels.

    The task "mean" is there where a system has every task of the table. "glue" is the mean over
    nine tasks, with WNLI answered by its majority class, where the data has GLUE's tasks; "ax" is
    of the test sets. On test, systems that are published numbers only come last.
    """
    tasks, wnli = task_order(scores, split), by_seed(scores, MAJORITY, "wnli", split)
    systems, rows = system_order(scores, split), list[dict[str, Any]]()
    for system in (*majority(scores, split), *systems) if tasks else ():
        matrix = score_matrix(scores, system, split)
        mean = mean_score(matrix, tasks)
        found = {str(task): matrix[task] for task in matrix} | {"mean": mean}
        found[DIAGNOSTIC] = by_seed(scores, system, DIAGNOSTIC, split)
        if len(wnli) and is_glue(tasks):
            found["glue"] = (len(tasks) * mean + wnli.iloc[0]) / (len(tasks) + 1)
        rows += [row_of(system, OURS, task, estimate(values)) for task, values in found.items()]
    papers = published(split)
    # Of tasks of one's own alone there is nothing in print.
    for system in (*systems, *(row.name for row in PUBLISHED)) if set(tasks) & set(TASKS) else ():
        name = find_system(system).published
        for source, cells in papers[papers["system"] == name].groupby("source", sort=False):
            metrics = cells.set_index("task")["metrics"]
            shown = metrics[metrics.index.isin([*tasks, DIAGNOSTIC, "glue"])]
            rows += [single(system, source, task, *values) for task, values in shown.items()]
            means = metrics.map(np.mean).reindex(tasks)
            rows.append(single(system, source, "mean", means.mean(skipna=False)))
    return frame_of(rows)


def gain_values(scores: pd.DataFrame, taught: Collection[str] = ()) -> pd.DataFrame:
    """Differences from MT-DNN as numbers, paired by seed. Empty without MT-DNN.

    The task "recovered" is the fraction of the ensemble's mean gain that a system with teachers
    (`taught`) keeps, in percent. The paper's rows are differences of its Table 3.
    """
    tasks, systems, paper = task_order(scores), system_order(scores), paper_scores()
    ahead = paper.sub(paper[REFERENCE], axis=0)
    if REFERENCE not in systems:
        return frame_of([])
    matrices = {system: score_matrix(scores, system) for system in systems}
    means = {system: mean_score(matrix, tasks) for system, matrix in matrices.items()}
    base, rows = matrices[REFERENCE], list[dict[str, Any]]()
    for system, matrix in matrices.items():
        if system == REFERENCE or matrix.index.intersection(base.index).empty:
            continue  # itself, or no seed to compare by
        gains = gains_over(matrix, base, tasks)
        rows += [row_of(system, OURS, task, estimate(gain)) for task, gain in gains.items()]
        if system in taught and ENSEMBLE in systems:
            kept = recovered(means[system], means[REFERENCE], means[ENSEMBLE])
            rows += [row_of(system, OURS, RECOVERED, kept)] if kept.value > 0 else []
        if system in ahead:
            known = ahead[system].reindex(tasks)
            known["mean"] = known.mean(skipna=False)
            rows += [single(system, PAPER, task, value) for task, value in known.items()]
            if system in taught:
                whole = ahead[ENSEMBLE].reindex(tasks).mean(skipna=False)
                rows.append(single(system, PAPER, RECOVERED, 100 * known["mean"] / whole))
    return frame_of(rows)


def by_seed(scores: pd.DataFrame, system: str, task: str, split: str) -> pd.Series:
    """A system's scores on one task, which may be one that is not trained."""
    wanted = (scores["system"] == system) & (scores["task"] == task) & (scores["split"] == split)
    return scores[wanted].groupby("seed")["value"].mean()


def single(system: str, source: Any, task: Any, *metrics: float) -> dict[str, Any]:
    """A published score, the mean of its metrics as printed: no seeds, no interval."""
    points = metrics if len(metrics) > 1 else ()
    found = Estimate(float(np.mean(metrics)), None, None, points)
    return row_of(system, source, task, found) | {"n": None}


def row_of(system: str, source: str, task: str, found: Estimate) -> dict[str, Any]:
    """One row of a frame of numbers."""
    numbers = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    return {"system": system, "source": source, "task": task, **numbers, "points": found.points}


def frame_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A frame of numbers, system by system; rows without a value are left out."""
    frame = pd.DataFrame(rows, columns=VALUES)
    numbers = {name: "float64" for name in ("value", "low", "high")} | {"n": "Int64"}
    frame = frame[frame["value"].notna()].astype(numbers)
    order = {system: place for place, system in enumerate(dict.fromkeys(frame["system"]))}
    return frame.sort_values(
        "system", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )


def averages(found: pd.DataFrame) -> pd.DataFrame:
    """Numbers from single seeds: `found` has columns system, task and value, a row per seed."""
    groups = found.groupby(["system", "task"], sort=False)["value"]
    return frame_of(
        [row_of(str(system), OURS, str(task), estimate(one)) for (system, task), one in groups]
    )


def find_row(
    values: pd.DataFrame, system: str, source: str, task: str
) -> dict[Hashable, Any] | None:
    wanted = (values["system"] == system) & (values["source"] == source) & (values["task"] == task)
    found = values[wanted].to_dict("records")
    return found[0] if found else None


# ---------------------------------------------------------------------------- as printed


def summary(
    dev: pd.DataFrame, gains: pd.DataFrame, systems: Iterable[str], **more: Callable[[str], str]
) -> pd.DataFrame:
    """One row per system: mean dev score, gain over MT-DNN beside the paper's, and `more` cells."""
    title = mean_title(tasks_of(dev))
    beside = has_paper(gains)

    def of_the_paper(system: str) -> dict[str, str]:
        return {"Paper's gain": cell(find_row(gains, system, PAPER, "mean"), signed=True)}

    return pd.DataFrame(
        {
            "System": system_title(system),
            title: cell(find_row(dev, system, OURS, "mean"), signed=False),
            "Gain over MT-DNN": cell(find_row(gains, system, OURS, "mean"), signed=True),
            **(of_the_paper(system) if beside else {}),
            **{name: cell_of(system) for name, cell_of in more.items()},
            "Seeds": seed_counts(dev.loc[dev["system"] == system, "n"].dropna()),
        }
        for system in systems
    )


def has_paper(values: pd.DataFrame) -> bool:
    """Whether a paper has numbers of any of these tasks, which it has not of one's own."""
    return bool((values["source"] != OURS).any())


def printed(
    values: pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    *,
    names: Mapping[str, str] | None = None,
    first: str = "System",
    signed: Collection[str] = (),
) -> pd.DataFrame:
    """Numbers as text: one row per system and source, one column per task, both by their titles.

    A cell is the mean with its interval, "81.2 [80.1, 82.3]", below three seeds the points, "81.2
    (80.9, 81.5)", or a paper's score with its metrics, "86.9 (87.1/86.7)". Tasks that are `signed`
    have a plus where they are above 0.
    """
    columns = columns_of(values) if columns is None else columns
    columns = {task: title for task, title in columns.items() if task in set(values["task"])}
    table = []
    for (system, source), rows in values.groupby(["system", "source"], sort=False):
        title = names[str(system)] if names else system_title(str(system))
        found = {str(row["task"]): row for row in rows.to_dict("records")}
        line = {first: title if source == OURS else f"{title} ({source})"}
        for task, column in columns.items():
            shown = cell(found.get(task), signed=task in signed, percent=task == RECOVERED)
            line[column] = shown
        table.append(line | {"Seeds": seed_counts(rows["n"].dropna())})
    return pd.DataFrame(table, columns=[first, *columns.values(), "Seeds"])


def printed_gains(values: pd.DataFrame) -> pd.DataFrame:
    """Differences in points as text, with their signs."""
    return printed(values, signed=set(values["task"]) - {RECOVERED})


def tasks_of(values: pd.DataFrame) -> list[str]:
    """The tasks of a frame of numbers that its mean is over, in GLUE's order."""
    present = set(values["task"]) - BESIDE.keys() - {DIAGNOSTIC}
    return [task for task in TASKS if task in present] + sorted(present - TASKS.keys())


def columns_of(values: pd.DataFrame) -> dict[str, str]:
    """Titles of a table's columns: the tasks, their mean, and what else there is."""
    tasks, present = tasks_of(values), set(values["task"])
    titles = {task: task_title(task) for task in tasks} | {"mean": mean_title(tasks)}
    others = {DIAGNOSTIC: task_title(DIAGNOSTIC)} | {t: BESIDE[t] for t in ("glue", RECOVERED)}
    return titles | {task: title for task, title in others.items() if task in present}


def mean_title(tasks: Sequence[str]) -> str:
    return f"Mean of {len(tasks)}"


def cell(row: Mapping[Any, Any] | None, *, signed: bool, percent: bool = False) -> str:
    if row is None:
        return NOTHING

    def show(value: float) -> str:
        return decimal(value, 0 if percent else 1, signed) if pd.notna(value) else NOTHING

    text = show(row["value"]) + (" %" if percent else "")
    if pd.notna(row["low"]):
        return f"{text} [{show(row['low'])}, {show(row['high'])}]"
    between = "/" if pd.isna(row["n"]) else ", "
    few = 1 < len(row["points"]) < MIN_SEEDS
    return f"{text} ({between.join(map(show, row['points']))})" if few else text


def rounded(value: float, digits: int = 1) -> float:
    """As printed: half a unit goes away from zero, and there is no -0.0."""
    size = np.floor(abs(value) * 10**digits + 0.5 + 1e-9) / 10**digits
    return float(np.copysign(size, value)) + 0.0


def decimal(value: float, digits: int, signed: bool) -> str:
    found = rounded(value, digits)
    return f"{'+' if signed and found > 0 else ''}{found:.{digits}f}"


def verdict(row: Mapping[Any, Any], digits: int = 1) -> str:
    """A gain or a loss where the interval, as printed, leaves out 0; "" without an interval."""
    if pd.isna(row["low"]):
        return ""
    if rounded(row["low"], digits) > 0:
        return GAIN
    return LOSS if rounded(row["high"], digits) < 0 else UNCLEAR


def direction(ours: Mapping[Any, Any], paper: float) -> str:
    """Whether a difference goes the paper's way; "" where ours has no interval or theirs is 0."""
    found = verdict(ours) if rounded(paper) else ""
    if found not in (GAIN, LOSS):
        return found
    return AS_PAPER if (found == GAIN) == (paper > 0) else AGAINST_PAPER


def seed_counts(counts: pd.Series) -> str:
    if counts.empty:
        return NOTHING
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"
