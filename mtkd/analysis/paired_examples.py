"""Two systems on the same dev examples: how sure their difference is, and what could be seen.

A difference in points depends on which examples are in the dev set and on which seeds were
trained. Its variance adds both: over examples by the paired bootstrap of the mean over seeds, over
seeds by their spread; the interval is Student's t with the degrees of freedom of Satterthwaite
1946. All seeds share the examples, so that more seeds do not stand for more examples. A bootstrap
of seeds and of examples within them, in its place, is too narrow with few seeds: in simulations
with three to five, as few as 77 % of its 95 % intervals held the truth, and of these 93 % or more.
With one seed the difference is one between two models, and says nothing of other seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, hypot, sqrt

import numpy as np
from scipy.stats import binomtest, t

from mtkd.analysis.statistics import LEVEL

POWER = 0.8  # chance to find a difference that is there
MOST = 100.0  # times as many dev examples are not worth thinking of


@dataclass(frozen=True)
class Scored:
    """One model on the n dev examples of a task."""

    n: int
    score: float  # in points
    resampled: np.ndarray  # (R,), the score on R draws of the examples, the same for all models
    right: np.ndarray | None = None  # bool (n,), where the score is the accuracy


@dataclass(frozen=True)
class Difference:
    """Score of one system less that of another, in points."""

    scores: Mapping[int, tuple[float, float]]  # of the two, by seed; of at least one seed
    examples: float  # standard error of the mean over seeds, from the choice of dev examples
    n: int  # dev examples
    # Of the seeds' variance, in points squared, what more dev examples would take away: each seed
    # is right by chance on other examples
    noise: float = 0.0
    test: float | None = None  # p of McNemar's test, of a single seed's accuracy

    @cached_property
    def points(self) -> dict[int, float]:
        """The difference by seed."""
        return {seed: one - other for seed, (one, other) in self.scores.items()}

    @property
    def value(self) -> float:
        return float(np.mean(list(self.points.values())))

    @property
    def seeds(self) -> float:
        """Standard error from the choice of seeds; 0 with one seed, of which nothing is known."""
        count = len(self.points)
        return float(np.std(list(self.points.values()), ddof=1)) / sqrt(count) if count > 1 else 0.0

    def variances(self, times: float = 1.0) -> tuple[float, float]:
        """From examples and from seeds, were there so many times the dev examples."""
        noise = min(self.noise, self.seeds**2)
        return self.examples**2 / times, self.seeds**2 - noise * (1 - 1 / times)

    def error(self, times: float = 1.0) -> float:
        """Standard error."""
        return sqrt(sum(self.variances(times)))

    def freedom(self, times: float = 1.0) -> float:
        """Degrees of freedom of the error (Satterthwaite 1946, Biometrics Bulletin 2:110)."""
        examples, seeds = self.variances(times)
        counts = max(times * self.n - 1, 1), max(len(self.points) - 1, 1)
        return (examples + seeds) ** 2 / (examples**2 / counts[0] + seeds**2 / counts[1])

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95 % interval."""
        half = self.error() * float(t.ppf((1 + LEVEL) / 2, self.freedom()))
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided p of no difference: McNemar's where there is one, else of the interval."""
        if self.test is not None:
            return self.test
        return 2 * float(t.sf(abs(self.value) / self.error(), self.freedom()))

    def visible(self, times: float = 1.0) -> float:
        """The smallest true difference that is found at 5 % with a power of 80 %.

        About 2.8 standard errors, that is z(0.975) + z(0.8) (Card et al. 2020, arXiv:2010.06595).
        Of a single seed's accuracy it is that of McNemar's test to a few per cent: the error is the
        root of the share of examples that only one of the two gets right, over n (Connor 1987,
        Biometrics 43:207).
        """
        quantiles = t.ppf([(1 + LEVEL) / 2, POWER], self.freedom(times))
        return float(quantiles.sum()) * self.error(times)

    def more(self, size: float) -> int | None:
        """How many dev examples more make a difference of `size` points visible.

        0 where it is visible already; None where a hundred times as many would not do, as where the
        seeds alone differ by too much.
        """
        if self.visible() <= size:
            return 0
        many = np.geomspace(1, MOST, 400)
        enough = next((times for times in many if self.visible(times) <= size), None)
        return None if enough is None else ceil((enough - 1) * self.n)


def difference(a: Mapping[int, Scored], b: Mapping[int, Scored]) -> Difference | None:
    """a less b on the same examples, over the seeds that both have; None if they share none.

    To the bootstrap's error that of one example is added, as if one more had been answered
    differently: without it, two systems that agree on all of few examples would be surely equal
    (as Agresti and Min 2005, Statistics in Medicine 24:729, for matched proportions).
    """
    pairs = {seed: (a[seed], b[seed]) for seed in sorted(a.keys() & b.keys())}
    if not pairs:
        return None
    scores = {seed: (one.score, other.score) for seed, (one, other) in pairs.items()}
    drawn = np.array([one.resampled - other.resampled for one, other in pairs.values()])
    together, alone = drawn.mean(axis=0).var(), drawn.var(axis=1).mean()
    noise = max(float(alone - together), 0.0) / max(len(pairs) - 1, 1)
    one, other = next(iter(pairs.values()))
    test = None
    if len(pairs) == 1 and one.right is not None and other.right is not None:
        test = mcnemar(one.right, other.right)
    return Difference(scores, hypot(sqrt(together), 100 / (one.n + 2)), one.n, noise, test)


def mean_difference(found: Sequence[Difference]) -> Difference | None:
    """Mean of several tasks' differences, over the seeds that all have; None if there is none.

    Tasks have different examples, so that their errors are independent; of one seed they are
    not, and the seeds' error is that of the mean.
    """
    seeds = set.intersection(*(set(each.scores) for each in found)) if found else set()
    if not seeds:
        return None
    scores = {
        seed: (
            float(np.mean([each.scores[seed][0] for each in found])),
            float(np.mean([each.scores[seed][1] for each in found])),
        )
        for seed in sorted(seeds)
    }
    examples = hypot(*(each.examples for each in found)) / len(found)
    noise = sum(each.noise for each in found) / len(found) ** 2
    return Difference(scores, examples, sum(each.n for each in found), noise)


def mcnemar(a: np.ndarray, b: np.ndarray) -> float:
    """Exact two-sided p that two systems are equally often right, from (N,) right or wrong.

    Of the examples that one alone gets right, each has half; the others do not count. McNemar 1947,
    Psychometrika 12:153; for classifiers Dietterich 1998, Neural Computation 10:1895.
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p values adjusted for their number, in their order (Holm 1979, Scand. J. Stat. 6:65)."""
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(one) for one in adjusted]
