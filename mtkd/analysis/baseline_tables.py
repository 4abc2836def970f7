"""Numbers beside the main ones: STILTs' intermediate tasks, QNLI both ways."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mtkd.analysis.statistics import estimate, gains_over, score_matrix
from mtkd.analysis.systems import STILTS
from mtkd.analysis.tables import OURS, frame_of, row_of
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
        gains = gains_over(matrix, base, [str(task) for task in matrix if task in base])
        rows += [row_of(system, OURS, task, estimate(gain)) for task, gain in gains.items()]
    return frame_of(rows)


def qnli(scores: pd.DataFrame) -> pd.DataFrame:
    """QNLI's accuracy ("task" is the split) by classification, by ranking, and by both."""
    found = {
        (system, split): score_matrix(scores, system, split).get("qnli", pd.Series(dtype=float))
        for system in QNLI
        for split in ("dev", "test")
    }
    return frame_of(
        [row_of(system, OURS, split, estimate(one)) for (system, split), one in found.items()]
    )


def ranked_questions(records: Iterable[Record]) -> list[str]:
    """A note on how many questions the ranking of QNLI was trained on; the same for every seed."""
    counts = [record.details.get("qnli_questions") for record in records]
    return [
        f"The ranking was trained on the {count:,} questions that have one right and a wrong "
        "candidate; `data.limit` and a fraction of the labels tear others apart."
        for count in [count for count in counts if count is not None][:1]
    ]
