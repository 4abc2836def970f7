"""Differences on the same dev examples: against SciPy, by hand, and by simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, bootstrap, chi2

from mtkd.analysis import paired_examples as paired
from mtkd.data import metrics, resampling
from mtkd.data.own_settings import Kind
from mtkd.data.tasks import Task

Seeds = Mapping[int, paired.Scored]


def evaluation(right: Mapping[int, np.ndarray]) -> Seeds:
    """A system that is right on these examples, by seed."""
    n = len(next(iter(right.values())))
    rows = np.concatenate(list(resampling.draws("colour", "dev", n, 400)))
    return {
        seed: paired.Scored(n, 100 * float(one.mean()), 100 * one[rows].mean(axis=1), one)
        for seed, one in right.items()
    }


def between(a: Seeds, b: Seeds) -> paired.Difference:
    found = paired.difference(a, b)
    assert found is not None
    return found


def answers(a_only: int, b_only: int, n: int) -> tuple[Seeds, Seeds]:
    """Two systems of one seed, each right where the other is wrong so many times."""
    a, b = np.ones(n, bool), np.ones(n, bool)
    b[:a_only], a[a_only : a_only + b_only] = False, False
    return evaluation({1: a}), evaluation({1: b})


# ---------------------------------------------------------------------------- tests of one pair


def test_mcnemar_by_hand() -> None:
    # One of 10 that only one gets right: 2 * (1 + 10) / 2^10. Nine of each: sure.
    a, b = np.array([1] * 9 + [0] + [1] * 30, bool), np.array([0] * 9 + [1] + [1] * 30, bool)
    assert paired.mcnemar(a, b) == paired.mcnemar(b, a) == pytest.approx(22 / 1024)
    assert paired.mcnemar(a, a) == 1.0


def test_mcnemar_is_near_its_chi_square_where_there_is_much() -> None:
    a, b = (one[1].right for one in answers(60, 90, 1000))
    assert a is not None and b is not None
    corrected = chi2.sf((abs(60 - 90) - 1) ** 2 / 150, 1)
    assert paired.mcnemar(a, b) == pytest.approx(corrected, rel=0.02)


def test_holm_by_hand() -> None:
    # 4 * 0.01, then 3 * 0.02 and 2 * 0.03, both 0.06, then 0.04, which may not fall below them.
    assert paired.holm([0.02, 0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.06, 0.04, 0.06])
    assert paired.holm([0.8, 0.7]) == [1.0, 1.0] and paired.holm([]) == []


def test_the_error_over_examples_is_the_bootstrap_s() -> None:
    random = np.random.default_rng(0)
    a, b = random.random((2, 150)) < [[0.8], [0.7]]
    found = between(evaluation({1: a}), evaluation({1: b}))
    theirs = bootstrap(
        (100.0 * (a.astype(float) - b),), np.mean, method="percentile", rng=1, n_resamples=4000
    )
    bare = sqrt(found.examples**2 - (100 / 152) ** 2)
    assert bare == pytest.approx(theirs.standard_error, rel=0.06)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval), abs=0.2 * bare)


def test_one_seed_of_accuracy_is_agresti_and_min_s_interval() -> None:
    found = between(*answers(14, 6, 100))
    by_hand = 100 / 102 * sqrt(14 + 6 + 1 - (14 - 6) ** 2 / 102)  # one of each kind of pair added
    assert found.error() == pytest.approx(by_hand, rel=0.06)
    only_a = np.arange(20) < 14
    assert found.value == pytest.approx(8) and found.p == paired.mcnemar(only_a, ~only_a)


def test_agreement_on_few_examples_is_no_proof_of_equality() -> None:
    found = between(*answers(0, 0, 20))
    assert found.value == 0 and found.p == 1 and found.interval[0] < -9
    assert between(*answers(0, 0, 2000)).interval[0] > -0.1


# ---------------------------------------------------------------------------- seeds and examples

SOME = st.integers(2, 60).flatmap(
    lambda n: st.lists(
        st.tuples(*(st.lists(st.booleans(), min_size=n, max_size=n) for _ in "ab")),
        min_size=1,
        max_size=4,
    )
)


@settings(max_examples=40, deadline=None)
@given(SOME)
def test_the_other_way_round_is_the_negative(pairs: list[tuple[list[bool], list[bool]]]) -> None:
    a, b = (
        evaluation({seed: np.array(pair[side]) for seed, pair in enumerate(pairs)})
        for side in (0, 1)
    )
    one, other = between(a, b), between(b, a)
    assert one.value == pytest.approx(-other.value)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert one.p == pytest.approx(other.p) and one.visible() == pytest.approx(other.visible())
    same = between(a, a)
    assert same.value == 0 and same.p == 1 and same.interval[0] < 0 < same.interval[1]


def test_seeds_that_differ_widen_it_and_equal_ones_do_not() -> None:
    random = np.random.default_rng(0)
    b = random.random(200) < 0.8
    worse = [b & (random.random(200) > share) for share in (0.01, 0.05, 0.2)]
    other = evaluation(dict.fromkeys(range(3), b))
    spread = between(evaluation(dict(enumerate(worse))), other)
    assert spread.seeds == pytest.approx(np.std(list(spread.points.values()), ddof=1) / sqrt(3))
    assert spread.freedom() < 5 and spread.error() > spread.seeds
    equal = between(evaluation(dict.fromkeys(range(3), worse[1])), other)
    alone = between(evaluation({0: worse[1]}), evaluation({0: b}))
    assert equal.error() == pytest.approx(
        alone.error()
    )  # three times the same is not thrice as much
    assert equal.test is None and alone.test is not None


def test_only_shared_seeds_count() -> None:
    a, b = np.array([True, False] * 10), np.array([True] * 20)
    found = between(evaluation({1: a, 2: b}), evaluation({2: a, 3: a}))
    assert found.points == {2: 50.0}
    assert paired.difference(evaluation({1: a}), evaluation({2: a})) is None
    assert paired.mean_difference([found, replace(found, scores={4: (1.0, 0.0)})]) is None


def test_the_mean_of_tasks_by_hand() -> None:
    first = paired.Difference({1: (51.0, 50.0), 2: (53.0, 50.0)}, 3.0, 50)
    second = paired.Difference({1: (5.0, 0.0), 2: (8.0, 9.0), 3: (9.0, 0.0)}, 4.0, 70)
    found = paired.mean_difference([first, second])
    assert found is not None and found.points == {1: 3.0, 2: 1.0}
    assert found.scores[1] == (28.0, 25.0)
    assert (
        found.examples == pytest.approx(2.5) and found.n == 120 and found.seeds == pytest.approx(1)
    )
    assert paired.mean_difference([]) is None


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.0), (3, 0.4), (5, 0.2)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(seeds: int, spread: float) -> None:
    """Right answers are drawn from examples, systems and seeds; the true difference is none."""
    random = np.random.default_rng([seeds, round(10 * spread)])
    held = []
    for _ in range(250):
        hard = random.normal(1.5, 2, 200)
        systems = []
        for _ in "ab":
            own = hard + random.normal(0, 0.7, 200) + random.normal(0, spread, (seeds, 1))
            right = random.random((seeds, 200)) < 1 / (1 + np.exp(-own))
            systems.append(evaluation(dict(enumerate(right))))
        low, high = between(*systems).interval
        held.append(low <= 0 <= high)
    assert np.mean(held) >= 0.91


# ---------------------------------------------------------------------------- what could be seen


@pytest.mark.parametrize(("n", "share"), [(400, 0.1), (1500, 0.06)])
def test_what_is_visible_is_what_mcnemar_s_test_finds_four_times_in_five(
    n: int, share: float
) -> None:
    """Power of the exact test, summed over all outcomes, at the size that is called visible."""
    only = round(share * n)
    size = between(*answers(only // 2, only - only // 2, n)).visible() / 100
    count = np.arange(binom.ppf(1e-6, n, share), binom.ppf(1 - 1e-6, n, share) + 1)
    power = 0.0
    for discordant, weight in zip(count, binom.pmf(count, n, share), strict=True):
        most = binom.ppf(0.025, discordant, 0.5) - 1  # as few as this are significant
        tail = binom.cdf(most, discordant, (1 - size / share) / 2)
        power += weight * (
            tail + binom.sf(discordant - most - 1, discordant, (1 - size / share) / 2)
        )
    assert 0.72 <= power <= 0.85


def test_more_examples_make_as_much_visible_as_was_asked() -> None:
    found = between(*answers(30, 40, 500))
    more = found.more(1.0)
    assert more is not None and more > 0
    there = replace(found, examples=found.examples * sqrt(500 / (500 + more)), n=500 + more)
    assert there.visible() == pytest.approx(1.0, rel=0.02)
    assert found.more(50) == 0 and found.more(0.01) is None
    # Seeds that differ by points are not cured by examples.
    assert replace(found, scores={1: (0.0, 5.0), 2: (5.0, 0.0), 3: (1.0, 1.0)}).more(1.0) is None


def test_seeds_that_differ_by_their_examples_alone_are_cured_by_examples() -> None:
    """Every seed is right with one probability, so that all spread is of the finite dev set."""
    random = np.random.default_rng(5)
    small, large = (
        between(*(evaluation(dict(enumerate(random.random((4, n)) < 0.8))) for _ in "ab"))
        for n in (300, 4800)
    )
    assert sqrt(small.noise) == pytest.approx(sqrt(2 * 0.8 * 0.2 / 300 / 4) * 100, rel=0.15)
    assert small.error(16) < 0.45 * small.error()
    assert sqrt(large.noise) == pytest.approx(sqrt(small.noise) / 4, rel=0.25)


# ---------------------------------------------------------------------------- many draws at once


@pytest.mark.parametrize(
    ("kind", "metric"),
    [(kind, name) for name in resampling.BY_COUNTS for kind in metrics.KINDS[name]]
    + [("regression", name) for name in resampling.BY_SCORES],
)
def test_quick_metrics_are_those_of_the_kit(
    kind: Kind, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(3)
    two = metric == "f1" or kind == "ranking"
    labels = ("no", "yes") if two else ("red", "green", "blue", "never")
    task = Task("colour", kind, () if kind == "regression" else labels, metrics=(metric,))
    outputs = random.normal(size=(40, max(len(task.labels), 1))).astype(np.float32)
    label = random.integers(0, min(len(labels), 3), 40)
    if kind == "multilabel":
        label = random.integers(0, 2, (40, 4)).astype(np.float32)
        label[:, 3], outputs[:, 3] = 0, -1  # a label that no one gives
        outputs[5:25] = label[5:25] - 0.5  # right on all labels
    quick = resampling.resampled_scores(task, "dev", outputs, label)
    constant = resampling.resampled_scores(task, "dev", np.full_like(outputs, 0.1), label)
    monkeypatch.setattr(resampling, "BY_COUNTS", {})
    monkeypatch.setattr(resampling, "BY_SCORES", {})
    monkeypatch.setattr(resampling, "SLOW_RESAMPLES", 30)
    slow = resampling.resampled_scores(task, "dev", outputs, label)
    assert len(quick) == resampling.RESAMPLES and len(slow) == 30
    assert quick[:30] == pytest.approx(slow, abs=1e-4) and np.ptp(quick) > 1
    slow = resampling.resampled_scores(task, "dev", np.full_like(outputs, 0.1), label)
    assert constant[:30] == pytest.approx(slow, abs=1e-4)


def test_draws_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resampling.draws("a", "dev", 7, 20)))
    monkeypatch.setattr(resampling, "CELLS", 30)
    pieces = list(resampling.draws("a", "dev", 7, 20))
    assert len(pieces) == 5 and (np.concatenate(pieces) == whole).all()
    assert whole.min() == 0 and whole.max() == 6
