"""Intervals, pairing and the fraction of the ensemble's gain: against scipy.stats and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, ttest_1samp, ttest_ind, ttest_rel

from mtkd.analysis import statistics, tables
from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE
from mtkd.experiments.records import COLUMNS

A = pd.Series([82.1, 80.4, 83.3, 81.0, 82.9])
B = pd.Series([80.0, 79.1, 83.9, 79.2, 80.3])
POINTS = st.floats(0, 100).map(lambda value: round(value, 2))
SEEDS = st.lists(POINTS, min_size=3, max_size=6).map(pd.Series)


def ends(found: statistics.Estimate) -> tuple[float, float]:
    assert found.low is not None and found.high is not None
    return found.low, found.high


def scores(rows: list[tuple[str, str, str, str, float, int]]) -> pd.DataFrame:
    """Tidy scores from (system, task, split, metric, value, seed)."""
    names = ["system", "task", "split", "metric", "value", "seed"]
    return pd.DataFrame(rows, columns=names).reindex(columns=COLUMNS)


def test_the_interval_is_student_s_t() -> None:
    found = statistics.estimate(A)
    assert found.value == pytest.approx(81.94) and found.n == 5
    assert ends(found) == pytest.approx(tuple(ttest_1samp(A, 0).confidence_interval()))


def test_a_difference_is_paired_by_seed() -> None:
    found = statistics.estimate(statistics.paired(A.sample(frac=1, random_state=0), B))
    assert ends(found) == pytest.approx(tuple(ttest_rel(A, B).confidence_interval()))
    a = pd.Series({3: 84.0, 1: 81.0, 2: 82.0})
    b = pd.Series({1: 80.0, 3: 81.0, 4: 50.0, 2: np.nan})
    assert statistics.paired(a, b).to_dict() == {1: 1.0, 3: 3.0}


def test_without_shared_seeds_it_is_welch_s() -> None:
    found = statistics.welch(A, B[:4])
    expected = ttest_ind(A, B[:4], equal_var=False).confidence_interval()
    assert ends(found) == pytest.approx(tuple(expected)) and found.points == ()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_below_three_seeds_there_is_no_interval(count: int) -> None:
    found = statistics.estimate(A[:count])
    assert (found.low, found.high, found.n) == (None, None, count)
    assert statistics.welch(A, B[:count]).low is None
    assert tables.verdict(tables.row_of("x", tables.OURS, "mean", found)) == ""


@settings(max_examples=50)
@given(SEEDS)
def test_the_verdict_is_that_of_the_printed_interval(values: pd.Series) -> None:
    row = tables.row_of("x", tables.OURS, "mean", statistics.estimate(values - 50))
    low, high = map(float, tables.cell(row, signed=True).split("[")[1].rstrip("]").split(", "))
    expected = tables.GAIN if low > 0 else tables.LOSS if high < 0 else tables.UNCLEAR
    assert tables.verdict(row) == expected
    assert low <= tables.rounded(row["value"]) <= high


# ---------------------------------------------------------------------------- the ratio


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.integers(3, 8))
def test_fieller_s_ends_are_where_a_t_test_gives_five_percent(draw: int, n: int) -> None:
    """At an end r of the interval, student - single - r (ensemble - single) has p = 0.05."""
    rng = np.random.default_rng(draw)
    single, gain, kept = rng.normal((60, 3, 2), (2, 1, 1), (n, 3)).T
    found = statistics.recovered(*map(pd.Series, (single + kept, single, single + gain)))
    assume(found.low is not None)
    low, high = ends(found)
    for end in (low, high):
        assert ttest_1samp(kept - end / 100 * gain, 0).pvalue == pytest.approx(0.05)
    assert low <= found.value <= high


def test_recovered_is_a_ratio_of_means() -> None:
    single, ensemble = pd.Series({0: 80.0, 1: 80.0}), pd.Series({0: 84.0, 1: 82.0})
    found = statistics.recovered(pd.Series({0: 82.0, 1: 82.0, 2: 90.0}), single, ensemble)
    assert found.value == pytest.approx(100 * 2 / 3)  # not the mean of the seeds' 50 % and 100 %
    assert found.points == (50.0, 100.0) and found.low is None


def test_recovered_without_a_clear_gain_of_the_ensemble() -> None:
    flat, better = pd.Series([80.0, 81.0, 82.0]), pd.Series([82.0, 82.0, 83.0])
    assert np.isnan(statistics.recovered(better, flat, flat).value)
    unclear = statistics.recovered(better, flat, flat + pd.Series([4.0, -1.0, 1.0]))
    assert unclear.value == pytest.approx(100.0) and unclear.low is None
    assert np.isnan(unclear.points[1])
    assert np.isnan(statistics.recovered(better, flat, pd.Series(dtype=float)).value)


# ---------------------------------------------------------------------------- matrices


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


def test_two_values_for_one_cell_are_an_error() -> None:
    row = ("bert", "rte", "dev", "accuracy", 70.0, 3)
    with pytest.raises(MtkdError, match="two values of bert rte dev accuracy, seed 3"):
        statistics.score_matrix(scores([row, row]), "bert")


def test_glue_is_told_by_its_tasks_not_by_their_number() -> None:
    glue = [name for name, task in GLUE.items() if task.trained]
    assert statistics.is_glue(glue)
    assert not statistics.is_glue([*glue[1:], "snli"]) and not statistics.is_glue(glue[1:])


def test_probability_of_improvement_is_mann_whitney_s() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (5, 8)).astype(float), rng.integers(0, 6, (4, 8)).astype(float)
    u = [mannwhitneyu(x[:, task], y[:, task]).statistic for task in range(8)]
    found = statistics.probability_of_improvement(x, y)
    assert found == pytest.approx(np.mean(u) / 20)
    assert found + statistics.probability_of_improvement(y, x) == pytest.approx(1)
    wins = [np.mean((x[:, [t]] > y[:, t]) + 0.5 * (x[:, [t]] == y[:, t])) for t in range(8)]
    assert found == pytest.approx(np.mean(wins))
