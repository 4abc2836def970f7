"""Intervals, pairing and the share of the ensemble's gain: against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtkd import statistics
from mtkd.errors import MtkdError
from mtkd.records import COLUMNS


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
