"""Scores of the same dev examples drawn again and again: the bootstrap's replicates.

Every system is scored on the same draws, so that differences of replicates are paired by example.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mtkd.data import metrics
from mtkd.data.tasks import Task

RESAMPLES = 1000  # gives a standard error that is itself sure to 1 / sqrt(2 * 1000), or 2 %
SLOW_RESAMPLES = 200  # where a metric is computed draw by draw: 5 %
CELLS = 2_000_000  # examples drawn at once, for memory


def resampled_scores(task: Task, split: str, outputs: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Scores in points on R draws, with replacement, of a split's N examples: float64 (R,).

    `outputs` (N, C) and `label` are those of `metrics.compute`; a score is the mean of the task's
    metrics. Equal task, split and N give equal draws. Candidates of a ranking are drawn one by one,
    not question by question. The bootstrap of Efron and Tibshirani 1993, chapter 6; for paired
    systems Koehn 2004 (aclanthology.org/W04-3250).
    """
    quick = (BY_SCORES if task.kind == "regression" else BY_COUNTS).keys()
    if not set(task.metrics) <= quick:
        scores = [
            metrics.task_score(task, metrics.compute(task, outputs[rows], label[rows]))
            for several in draws(task.name, split, len(label), SLOW_RESAMPLES)
            for rows in several
        ]
        return np.array(scores)
    of_rows = by_scores if task.kind == "regression" else by_counts
    parts = [
        of_rows(task, outputs, label, rows)
        for rows in draws(task.name, split, len(label), RESAMPLES)
    ]
    return 100 * np.concatenate(parts)


def draws(task: str, split: str, examples: int, count: int) -> Iterator[np.ndarray]:
    """Row numbers of `count` draws, (some, examples) at a time."""
    random = np.random.default_rng(zlib.crc32(f"{task}/{split}".encode()))
    most = max(1, CELLS // examples)
    for start in range(0, count, most):
        yield random.integers(examples, size=(min(most, count - start), examples))


# ---------------------------------------------------------------------------- metrics of counts


@dataclass(frozen=True)
class Counts:
    """How often each of C labels is given, answered, and both, in each of R draws: (R, C)."""

    given: np.ndarray
    said: np.ndarray
    both: np.ndarray
    right: np.ndarray  # (R,) examples that are wholly right
    examples: int
    several: bool  # an example may have several labels


def by_counts(task: Task, outputs: np.ndarray, label: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean of the task's metrics on each draw, all of which are functions of counts."""
    if label.ndim == 2:
        given, said = label, metrics.several(outputs)
    else:
        if task.kind == "ranking":  # its first label is the right candidate's, as in `compute`
            label, outputs = 1 - label, outputs[:, ::-1]
        given, said = (np.eye(outputs.shape[1])[one] for one in (label, metrics.answers(outputs)))
    places = rows + len(label) * np.arange(len(rows))[:, None]
    times = np.bincount(places.ravel(), minlength=rows.size).reshape(rows.shape)
    weights = times.astype(np.float32)  # how often each example is in each draw

    def total(cells: np.ndarray) -> np.ndarray:
        return (weights @ cells.astype(np.float32)).astype(np.float64)

    right = total((given == said).all(axis=1))
    counts = Counts(
        total(given), total(said), total(given * said), right, len(label), label.ndim == 2
    )
    return np.asarray(np.mean([BY_COUNTS[name](counts) for name in task.metrics], axis=0))


def share_right(counts: Counts) -> np.ndarray:
    return counts.right / counts.examples


def f1(counts: Counts) -> np.ndarray:
    return ratio(2 * counts.both, counts.given + counts.said)[:, 1]


def macro_f1(counts: Counts) -> np.ndarray:
    either = counts.given + counts.said
    over = (either > 0) | counts.several
    return ratio(ratio(2 * counts.both, either).sum(axis=1), over.sum(axis=1))


def micro_f1(counts: Counts) -> np.ndarray:
    return ratio(2 * counts.both.sum(axis=1), (counts.given + counts.said).sum(axis=1))


def balanced_accuracy(counts: Counts) -> np.ndarray:
    found = ratio(counts.both, counts.given).sum(axis=1)
    return ratio(found, (counts.given > 0).sum(axis=1))


def matthews(counts: Counts) -> np.ndarray:
    """Of any number of classes: Gorodkin 2004, Computational Biology and Chemistry 28:367."""
    square = counts.examples**2
    above = counts.right * counts.examples - (counts.given * counts.said).sum(axis=1)
    spread = [square - (each**2).sum(axis=1) for each in (counts.given, counts.said)]
    return ratio(above, np.sqrt(spread[0] * spread[1]))


BY_COUNTS: Mapping[str, Callable[[Counts], np.ndarray]] = {
    "accuracy": share_right,
    "exact_match": share_right,
    "f1": f1,
    "macro_f1": macro_f1,
    "micro_f1": micro_f1,
    "balanced_accuracy": balanced_accuracy,
    "matthews": matthews,
}

# ---------------------------------------------------------------------------- metrics of scores


def by_scores(task: Task, outputs: np.ndarray, label: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean of the task's metrics on each draw, all of which are functions of two scores."""
    given, said = label.astype(np.float64)[rows], metrics.scores(outputs)[rows]
    return np.asarray(np.mean([BY_SCORES[name](given, said) for name in task.metrics], axis=0))


def pearson(given: np.ndarray, said: np.ndarray) -> np.ndarray:
    a, b = (each - each.mean(axis=1, keepdims=True) for each in (given, said))
    varies = (np.ptp(given, axis=1) > 0) & (np.ptp(said, axis=1) > 0)  # exactly, unlike a and b
    spread = varies * (a * a).sum(axis=1) * (b * b).sum(axis=1)
    return ratio((a * b).sum(axis=1), np.sqrt(spread))


def spearman(given: np.ndarray, said: np.ndarray) -> np.ndarray:
    return pearson(rankdata(given, axis=1), rankdata(said, axis=1))


BY_SCORES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "pearson": pearson,
    "spearman": spearman,
}


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The quotient, and 0 where nothing is below."""
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)
