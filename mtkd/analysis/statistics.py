"""Means over seeds with their intervals, and differences paired by seed.

One data shape: a score matrix is seeds x tasks, one row per seed (index `seed`), one column per
task, each cell the task's score in points. One interval: 95 % by Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, t, ttest_ind

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE, TASKS

LEVEL = 0.95
MIN_SEEDS = 3  # with fewer there is no interval and no verdict: the points are shown


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, its 95 % interval (None below three seeds), and the single seeds."""

    value: float
    low: float | None
    high: float | None
    points: tuple[float, ...]

    @property
    def n(self) -> int:
        return len(self.points)


def estimate(values: pd.Series) -> Estimate:
    """Mean of one value per seed, with Student's t interval; missing seeds are left out."""
    points = values.dropna().to_numpy(dtype=np.float64)
    mean = float(points.mean()) if len(points) else float("nan")
    if len(points) < MIN_SEEDS:
        return Estimate(mean, None, None, tuple(points.tolist()))
    half = _t_quantile(len(points)) * float(points.std(ddof=1)) / np.sqrt(len(points))
    return Estimate(mean, mean - half, mean + half, tuple(points.tolist()))


def _t_quantile(n: int) -> float:
    return float(t.ppf((1 + LEVEL) / 2, n - 1))


def paired(a: pd.Series, b: pd.Series) -> pd.Series:
    """a - b for the seeds that both have; both are indexed by seed."""
    a, b = a.dropna().align(b.dropna(), join="inner")
    return (a - b).sort_index()


def welch(a: pd.Series, b: pd.Series) -> Estimate:
    """Mean of a less mean of b, which share no seeds: Welch's t interval.

    There is no interval where one has fewer than three seeds; `points` is empty, for no value of a
    belongs to one of b.
    """
    first, second = (s.dropna().to_numpy(dtype=np.float64) for s in (a, b))
    value = float(first.mean() - second.mean()) if len(first) and len(second) else float("nan")
    if min(len(first), len(second)) < MIN_SEEDS:
        return Estimate(value, None, None, ())
    if not np.ptp(first) and not np.ptp(second):
        return Estimate(value, value, value, ())
    found = ttest_ind(first, second, equal_var=False).confidence_interval(LEVEL)
    return Estimate(value, float(found.low), float(found.high), ())


def recovered(student: pd.Series, single: pd.Series, ensemble: pd.Series) -> Estimate:
    """Fraction of the ensemble's gain over one model that the student keeps, in percent.

    mean(student - single) / mean(ensemble - single) over the seeds that all three have. The
    interval is Fieller's (1954): the ratios r for which Student's t interval of the paired
    (student - single) - r (ensemble - single) holds 0. It is None below three seeds, and where it
    is unbounded because the ensemble's own gain is not clear. `value` is NaN where the ensemble
    has no gain; `points` are the single seeds' ratios, NaN for a seed without a gain.
    """
    pair = pd.concat([paired(student, single), paired(ensemble, single)], axis=1, join="inner")
    gains, whole = pair.to_numpy(dtype=np.float64).T
    ratios = np.divide(100 * gains, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    points = tuple(ratios.tolist())
    if not len(whole) or whole.mean() <= 0:
        return Estimate(float("nan"), None, None, points)
    value = 100 * float(gains.mean() / whole.mean())
    low, high = _fieller(gains, whole) if len(whole) >= MIN_SEEDS else (None, None)
    return Estimate(value, low, high, points)


def _fieller(gains: np.ndarray, whole: np.ndarray) -> tuple[float | None, float | None]:
    """Ends of Fieller's interval in percent: the roots of a r^2 - 2 b r + c; None if unbounded."""
    covariance = np.cov(gains, whole) * _t_quantile(len(whole)) ** 2 / len(whole)
    a = whole.mean() ** 2 - covariance[1, 1]
    b = gains.mean() * whole.mean() - covariance[0, 1]
    c = gains.mean() ** 2 - covariance[0, 0]
    if a <= 0:
        return None, None
    root = np.sqrt(max(b * b - a * c, 0.0))
    return 100 * float((b - root) / a), 100 * float((b + root) / a)


def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> float:
    """P(X > Y) for one seed of each, mean over tasks; ties count one half (arXiv:2108.13264).

    x is (seeds, tasks), y (other seeds, the same tasks), without missing values. Per task it is
    the Mann-Whitney U statistic divided by the number of pairs of seeds.
    """
    u = mannwhitneyu(x, y, axis=0, method="asymptotic").statistic
    return float(np.mean(u / (len(x) * len(y))))


# ---------------------------------------------------------------------------- score matrices


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
    return matrix.reindex(columns=task_order(rows, split))


def split_rows(scores: pd.DataFrame, split: str = "dev") -> pd.DataFrame:
    """Rows of the dev or test splits, without WNLI and AX, which are not trained."""
    apart = [task.name for task in GLUE.values() if not task.trained]
    return scores[scores["split"].astype(str).str.startswith(split) & ~scores["task"].isin(apart)]


def task_order(scores: pd.DataFrame, split: str = "dev") -> list[str]:
    """The tasks that have scores on the split, in GLUE's order, others last."""
    present = set(split_rows(scores, split)["task"])
    return [task for task in TASKS if task in present] + sorted(present - set(TASKS))


def gains_over(
    matrix: pd.DataFrame, base: pd.DataFrame, tasks: Sequence[str]
) -> dict[str, pd.Series]:
    """Differences of two score matrices paired by seed: of every task of both, and the mean's."""
    gains = {str(task): paired(matrix[task], base[task]) for task in matrix if task in base}
    return gains | {"mean": paired(mean_score(matrix, tasks), mean_score(base, tasks))}


def is_glue(tasks: Sequence[str]) -> bool:
    """Whether these are the eight tasks that GLUE's score is made of, beside WNLI."""
    return set(tasks) == {task.name for task in GLUE.values() if task.trained}


def mean_score(matrix: pd.DataFrame, tasks: Sequence[str]) -> pd.Series:
    """Mean over exactly these tasks, for the seeds that have them all."""
    return matrix.reindex(columns=list(tasks)).mean(axis=1, skipna=False).dropna()
