"""Tables beside the main ones: STILTs' intermediate tasks, QNLI both ways, slices."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mtkd.analysis.statistics import estimate, mean_score, paired, score_matrix
from mtkd.analysis.systems import STILTS, system_title, task_title
from mtkd.analysis.tables import OURS, cell, frame_of, row_of
from mtkd.experiments.records import Record

QNLI = {
    "bert": "classification",
    "qnli-ranking": "ranking of a question's candidates",
    "qnli-merged": "both merged: mean of their probabilities",
}


def stilts(scores: pd.DataFrame) -> pd.DataFrame:
    """Gain over BERT by intermediate task, paired by seed, as numbers. Empty without such runs."""
    base, rows = score_matrix(scores, "bert"), []
    for system in (name for name in STILTS if name in set(scores["system"])):
        matrix = score_matrix(scores, system)
        gains = {str(task): paired(matrix[task], base[task]) for task in matrix if task in base}
        tasks = list(gains)
        gains["mean"] = paired(mean_score(matrix, tasks), mean_score(base, tasks))
        rows += [row_of(system, OURS, task, estimate(gain)) for task, gain in gains.items()]
    return frame_of(rows)


def qnli(scores: pd.DataFrame) -> pd.DataFrame:
    """QNLI's dev and test accuracy by classification, by ranking, and by both, as printed."""
    table = []
    for system, how in QNLI.items():
        matrices = [score_matrix(scores, system, split) for split in ("dev", "test")]
        found = [estimate(each.get("qnli", pd.Series(dtype=float))) for each in matrices]
        if most := max(one.n for one in found):
            dev, test = (cell(row_of(system, OURS, "qnli", one), signed=False) for one in found)
            line = {"QNLI, single task": how, "Dev": dev, "Test": test, "Seeds": str(most)}
            table.append(line)
    return pd.DataFrame(table)


def ranked_questions(records: Iterable[Record]) -> list[str]:
    """A note on how many questions the ranking of QNLI was trained on; the same for every seed."""
    counts = [record.details.get("qnli_questions") for record in records]
    return [
        f"The ranking was trained on the {count:,} questions that have one right and a wrong "
        "candidate; `data.limit` and a fraction of the labels tear others apart."
        for count in [count for count in counts if count is not None][:1]
    ]


def slices(found: pd.DataFrame) -> pd.DataFrame:
    """Dev scores on named slices as printed: a row per system, a column per task and slice.

    `found` has columns system, seed, task, slice, n and value, as `evaluations.slice_scores` gives.
    """
    table = []
    for system, rows in found.groupby("system", sort=False):
        line = {"System": system_title(str(system))}
        for (task, name), members in rows.groupby(["task", "slice"], sort=False):
            one = estimate(members.groupby("seed")["value"].mean())
            title = f"{task_title(str(task))} {name} ({int(members['n'].max())})"
            line[title] = cell(row_of(str(system), OURS, str(task), one), signed=False)
        table.append(line)
    return pd.DataFrame(table).fillna("-")
