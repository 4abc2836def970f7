"""Intervals, pairing and the share of the ensemble's gain: against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu

from mtkd.analysis import statistics
from mtkd.common.errors import MtkdError
from mtkd.experiments.records import COLUMNS


def scores(rows: list[tuple[str, str, str, str, float, int]]) -> pd.DataFrame:
    """Tidy scores from (system, task, split, metric, value, seed)."""
    names = ["system", "task", "split", "metric", "value", "seed"]
    return pd.DataFrame(rows, columns=names).reindex(columns=COLUMNS)


def test_interval_is_of_the_mean_and_the_same_every_time() -> None:
    values = [80.0, 81.0, 82.0, 83.0, 84.0]
    low, high = statistics.interval(values) or (0, 0)
    assert (low, high) == statistics.interval(values)
    # Resampled means are near normal around 82 with deviation sqrt(2 / 5).
    assert low == pytest.approx(82 - 1.96 * np.sqrt(2 / 5), abs=0.15)
    assert high == pytest.approx(82 + 1.96 * np.sqrt(2 / 5), abs=0.15)


def test_interval_of_two_values_is_the_two_values() -> None:
    # A quarter of the resamples holds only the lower value, another quarter only the higher one.
    assert statistics.interval([70.0, 72.0]) == (70.0, 72.0)


@pytest.mark.parametrize("values", [[], [81.0]])
def test_no_interval_below_two_values(values: list[float]) -> None:
    assert statistics.interval(values) is None


def test_constant_values_give_an_interval_of_no_width() -> None:
    assert statistics.interval([81.5] * 5) == (81.5, 81.5)


def test_paired_joins_by_seed() -> None:
    a = pd.Series({3: 84.0, 1: 81.0, 2: 82.0})
    b = pd.Series({1: 80.0, 3: 81.0, 4: 50.0, 2: np.nan})
    assert statistics.paired(a, b).to_dict() == {1: 1.0, 3: 3.0}


def test_recovered_is_a_ratio_of_means() -> None:
    single = pd.Series({0: 80.0, 1: 80.0})
    ensemble = pd.Series({0: 84.0, 1: 82.0})
    student = pd.Series({0: 82.0, 1: 82.0, 2: 90.0})
    found = statistics.recovered(student, single, ensemble)
    assert found.value == pytest.approx(100 * 2 / 3)  # not the mean of the seeds' 50 % and 100 %
    assert found.points == (50.0, 100.0)
    assert (found.low, found.high) == (50.0, 100.0)


def test_recovered_without_a_gain_has_no_value() -> None:
    flat, better = pd.Series({0: 80.0, 1: 81.0}), pd.Series({0: 82.0, 1: 82.0})
    nothing = statistics.recovered(better, flat, flat)
    assert np.isnan(nothing.value) and nothing.low is None
    once = statistics.recovered(better, flat, pd.Series({0: 84.0, 1: 80.0}))
    assert once.value == pytest.approx(100.0) and once.low is None, "some resample has no gain"
    assert np.isnan(once.points[1])
    assert np.isnan(statistics.recovered(better, flat, pd.Series(dtype=float)).value)


def test_score_matrix_averages_metrics_and_both_mnli_sets() -> None:
    frame = scores(
        [
            ("bert", "rte", "dev", "accuracy", 70.0, 1),
            ("bert", "mnli", "dev", "accuracy", 80.0, 0),
            ("bert", "mnli", "dev_mm", "accuracy", 82.0, 0),
            ("bert", "mrpc", "dev", "f1", 90.0, 0),
            ("bert", "mrpc", "dev", "accuracy", 86.0, 0),
            ("bert", "mrpc", "test", "accuracy", 10.0, 0),
            ("bert", "wnli", "dev", "accuracy", 10.0, 0),
            ("mtdnn", "rte", "dev", "accuracy", 10.0, 0),
        ]
    )
    matrix = statistics.score_matrix(frame, "bert")
    assert list(matrix.columns) == ["mrpc", "mnli", "rte"] and list(matrix.index) == [0, 1]
    assert matrix.loc[0, ["mrpc", "mnli"]].tolist() == [88.0, 81.0]
    assert statistics.mean_score(matrix, ["mrpc", "mnli"]).to_dict() == {0: 84.5}
    assert statistics.mean_score(matrix, ["mrpc", "rte"]).empty, "no seed has both"
    assert statistics.task_order(frame) == ["mrpc", "mnli", "rte"]


def test_two_values_for_one_cell_are_an_error() -> None:
    row = ("bert", "rte", "dev", "accuracy", 70.0, 3)
    with pytest.raises(MtkdError, match="two values of bert rte dev accuracy, seed 3"):
        statistics.score_matrix(scores([row, row]), "bert")


# ---------------------------------------------------------------------------- two sets of seeds


def test_difference_resamples_both() -> None:
    by_hand = statistics.difference([70.0, 72.0], [71.0, 71.0])
    assert (by_hand.value, by_hand.low, by_hand.high) == (0.0, -1.0, 1.0)  # b never moves
    a, b = [80.0, 81.0, 82.0, 83.0, 84.0], [75.0, 77.0, 79.0, 81.0, 83.0, 85.0]
    found = statistics.difference(a, b)
    assert found == statistics.difference(a, b)
    # Resampled means are near normal, with variances 2 / 5 and (35 / 3) / 6.
    spread = 1.96 * np.sqrt(2 / 5 + 35 / 18)
    assert found.value == pytest.approx(2)
    assert (found.low, found.high) == pytest.approx((2 - spread, 2 + spread), abs=0.2)


def test_difference_needs_two_values_for_an_interval() -> None:
    assert statistics.difference([80.0], [79.0, 81.0]) == statistics.Estimate(0.0, None, None, ())
    assert np.isnan(statistics.difference([], [1.0]).value)
    assert statistics.difference([3.0, 3.0], [1.0, 1.0]).high == 2.0


def test_probability_of_improvement_by_hand() -> None:
    x = np.array([[1.0, 5.0], [3.0, 5.0]])
    y = np.array([[2.0, 5.0], [2.0, 4.0]])
    # First task: 3 beats both 2s, 1 none. Second: each 5 ties once and wins once.
    found = statistics.probability_of_improvement(x, y)
    assert found.points == (0.5, 0.75) and found.value == 0.625
    assert found == statistics.probability_of_improvement(x, y)
    sure = statistics.probability_of_improvement(x + 10, y)
    assert (sure.value, sure.low, sure.high) == (1.0, 1.0, 1.0)
    assert statistics.probability_of_improvement(x[:1], y).low is None


def test_probability_of_improvement_is_mann_whitneys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (5, 8)).astype(float), rng.integers(0, 6, (4, 8)).astype(float)
    u = mannwhitneyu(x, y, axis=0, method="asymptotic").statistic
    assert statistics.probability_of_improvement(x, y).points == pytest.approx(u / (5 * 4))


def test_probability_of_improvement_interval_is_stratified() -> None:
    # Every task is a fair coin for each seed of x against a constant: the mean of n * tasks draws.
    tasks, seeds = 8, 4
    x = np.tile(np.array([[0.0], [0.0], [2.0], [2.0]]), tasks)
    found = statistics.probability_of_improvement(x, np.ones((2, tasks)))
    spread = 1.96 * np.sqrt(0.25 / (seeds * tasks))
    assert (found.low, found.high) == pytest.approx((0.5 - spread, 0.5 + spread), abs=0.02)


@pytest.mark.parametrize("y", [np.ones((2, 3)), np.ones((0, 2)), np.ones(2)])
def test_probability_of_improvement_refuses(y: np.ndarray) -> None:
    with pytest.raises(MtkdError, match="expected seeds x same tasks"):
        statistics.probability_of_improvement(np.ones((2, 2)), y)


POINTS = st.integers(0, 100).map(float)


@settings(max_examples=25, deadline=None)
@given(arrays(float, (3, 2), elements=POINTS), arrays(float, (4, 2), elements=POINTS))
def test_probability_of_improvement_both_ways_is_one(x: np.ndarray, y: np.ndarray) -> None:
    there = statistics.probability_of_improvement(x, y)
    back = statistics.probability_of_improvement(y, x)
    assert there.value + back.value == pytest.approx(1)
    assert there.low is not None and there.high is not None
    assert 0 <= there.low <= there.high <= 1 and 0 <= there.value <= 1


@settings(max_examples=15, deadline=None)
@given(st.lists(POINTS, min_size=2, max_size=5), st.lists(POINTS, min_size=2, max_size=5), POINTS)
def test_difference_does_not_see_a_shift_of_both(a: list[float], b: list[float], by: float) -> None:
    before = statistics.difference(a, b)
    after = statistics.difference([v + by for v in a], [v + by for v in b])
    assert after.value == pytest.approx(before.value, abs=1e-9)
    assert (after.low, after.high) == pytest.approx((before.low, before.high), abs=1e-9)
