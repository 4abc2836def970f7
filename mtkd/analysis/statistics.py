"""Means over seeds, their intervals, and comparisons paired by seed.

A score matrix is seeds x tasks: one row per seed (index `seed`), one column per task, each cell
the task's dev score in points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, t

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE, TASKS

RESAMPLES = 9999
LEVEL = 0.95
FEW = 5  # below that many seeds the points are shown instead of an interval


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, its 95 % interval (None below two seeds), and what it is the mean of."""

    value: float
    low: float | None
    high: float | None
    points: tuple[float, ...]

    @property
    def n(self) -> int:
        return len(self.points)


def interval(values: Sequence[float] | np.ndarray, seed: int = 0) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean; None below two values.

    `seed` fixes the resamples. With few seeds such an interval is too narrow (at five it covers
    the true mean of normal values in about 84 % of cases, not 95 %): read it with the points.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return None
    if np.ptp(array) == 0:
        return float(array[0]), float(array[0])
    found = bootstrap(
        (array,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of at least two normal values: Student's t."""
    array = np.asarray(values, dtype=np.float64)
    half = t.ppf((1 + LEVEL) / 2, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return float(array.mean() - half), float(array.mean() + half)


def estimate(values: pd.Series) -> Estimate:
    """Mean, interval and points of one value per seed; missing seeds are left out."""
    points = values.dropna().to_numpy(dtype=np.float64)
    low, high = interval(points) or (None, None)
    mean = float(points.mean()) if len(points) else float("nan")
    return Estimate(mean, low, high, tuple(points.tolist()))


def paired(a: pd.Series, b: pd.Series) -> pd.Series:
    """a - b for the seeds that both have; both are indexed by seed."""
    a, b = a.dropna().align(b.dropna(), join="inner")
    return (a - b).sort_index()


def difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, seed: int = 0
) -> Estimate:
    """Mean of a less mean of b, which have nothing in common; for the same seeds use `paired`.

    The 95 % percentile interval resamples both, each on its own; there is none where either has
    fewer than two values. `points` is empty: no value of a belongs to one of b.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    value = float(first.mean() - second.mean()) if len(first) and len(second) else float("nan")
    if len(first) < 2 or len(second) < 2:
        return Estimate(value, None, None, ())
    found = bootstrap(
        (first, second),
        _difference_of_means,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high), ())


def _difference_of_means(a: np.ndarray, b: np.ndarray, axis: int = -1) -> Any:
    return a.mean(axis=axis) - b.mean(axis=axis)


def probability_of_improvement(x: np.ndarray, y: np.ndarray, seed: int = 0) -> Estimate:
    """P(X > Y) for one seed of each, averaged over tasks; ties count one half.

    x is (seeds, tasks), y (other seeds, the same tasks), without missing values. Per task it is
    the Mann-Whitney U statistic divided by the number of pairs of seeds; `points` are the tasks'
    probabilities. The interval is rliable's stratified bootstrap (arXiv:2108.13264): the seeds of
    x and of y are resampled for each task by itself; there is none below two seeds. Raises
    MtkdError where the tasks differ in number or there is nothing to compare.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not x.size or not y.size:
        raise MtkdError(f"scores of shapes {x.shape} and {y.shape}; expected seeds x same tasks")
    # wins (tasks, seeds of x, seeds of y): 1, 1/2 or 0
    left, right = x.T[:, :, None], y.T[:, None, :]
    wins = (left > right) + 0.5 * (left == right)
    points = wins.mean(axis=(1, 2))
    value = float(points.mean())
    if len(x) < 2 or len(y) < 2:
        return Estimate(value, None, None, tuple(points.tolist()))
    rng = np.random.default_rng(seed)
    means = np.zeros(RESAMPLES)
    for table in wins:
        # How often a resample draws each seed is all that its mean needs.
        drawn_x = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=RESAMPLES)
        drawn_y = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=RESAMPLES)
        means += ((drawn_x @ table) * drawn_y).sum(axis=1) / table.size / len(wins)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail]).clip(0, 1)  # sums of shares round
    return Estimate(value, float(low), float(high), tuple(points.tolist()))


def recovered(student: pd.Series, single: pd.Series, ensemble: pd.Series) -> Estimate:
    """Share of the ensemble's gain over one model that the student keeps, in percent.

    mean(student - single) / mean(ensemble - single) over the seeds that all three have, with an
    interval that resamples whole seeds. `value` is NaN where the ensemble has no gain; there is
    no interval below two seeds, nor where some resample has no gain, for the share is then
    unbounded. `points` are the single seeds' shares, NaN for a seed without a gain.
    """
    pair = pd.concat([paired(student, single), paired(ensemble, single)], axis=1, join="inner")
    gains, whole = pair.to_numpy(dtype=np.float64).T
    shares = np.where(whole > 0, 100 * gains / np.where(whole > 0, whole, 1), np.nan)
    points = tuple(shares.tolist())
    if not len(whole) or whole.mean() <= 0:
        return Estimate(float("nan"), None, None, points)
    value = 100 * float(gains.mean() / whole.mean())
    if len(whole) < 2:
        return Estimate(value, None, None, points)
    rows = np.random.default_rng(0).integers(len(whole), size=(RESAMPLES, len(whole)))
    below = whole[rows].mean(axis=1)
    if (below <= 0).any():
        return Estimate(value, None, None, points)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(100 * gains[rows].mean(axis=1) / below, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), points)


def score_matrix(scores: pd.DataFrame, system: str, split: str = "dev") -> pd.DataFrame:
    """Scores of a system, seeds x tasks; a cell is the mean over metrics and over MNLI m/mm.

    `scores` is the tidy frame of `records.collect`. Raises MtkdError if two runs give the same
    score of the same seed, for they would be of different settings.
    """
    rows = split_rows(scores, split)
    rows = rows[rows["system"] == system]
    cell = ["system", "task", "split", "metric", "seed"]
    if twice := rows.loc[rows.duplicated(cell), cell].values.tolist():
        raise MtkdError(
            f"scores: two values of {' '.join(map(str, twice[0][:4]))}, seed {twice[0][4]}; "
            "runs of different settings are mixed, keep one of them"
        )
    matrix = rows.pivot_table(index="seed", columns="task", values="value", aggfunc="mean")
    return matrix.reindex(columns=[task for task in task_order(rows, split)])


def split_rows(scores: pd.DataFrame, split: str = "dev") -> pd.DataFrame:
    """Rows of the dev or test splits, without WNLI and AX, which are not trained."""
    apart = [task.name for task in GLUE.values() if not task.trained]
    return scores[scores["split"].astype(str).str.startswith(split) & ~scores["task"].isin(apart)]


def task_order(scores: pd.DataFrame, split: str = "dev") -> list[str]:
    """The tasks that have scores on the split, in GLUE's order, others last."""
    present = set(split_rows(scores, split)["task"])
    return [task for task in TASKS if task in present] + sorted(present - set(TASKS))


def mean_score(matrix: pd.DataFrame, tasks: Sequence[str]) -> pd.Series:
    """Mean over exactly these tasks, for the seeds that have them all."""
    return matrix.reindex(columns=list(tasks)).mean(axis=1, skipna=False).dropna()
