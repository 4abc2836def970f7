"""Metrics against formulas written out here, and the GLUE score against rows in print."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtkd.common.errors import MtkdError
from mtkd.data.metrics import compute, glue_score, is_degenerate, task_score
from mtkd.data.tasks import GLUE

RNG = np.random.default_rng(0)


def one_hot(predicted: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[predicted]


@pytest.mark.parametrize(
    ("labels", "predicted", "f1", "accuracy"),
    [
        ([1, 1, 1, 0, 0], [1, 1, 0, 1, 0], 200 / 3, 60),  # 2 true, 1 false of each kind
        ([0, 0, 0, 0], [0, 0, 0, 0], 0, 100),  # F1 is of class 1, zero without it
    ],
)
def test_f1_and_accuracy_by_hand(
    labels: list[int], predicted: list[int], f1: float, accuracy: float
) -> None:
    scores = compute(GLUE["mrpc"], one_hot(np.array(predicted), 2), np.array(labels))
    assert list(scores) == ["f1", "accuracy"]
    assert scores == pytest.approx({"f1": f1, "accuracy": accuracy})


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_matthews_formula(pairs: list[tuple[bool, bool]]) -> None:
    labels, predicted = np.array(pairs, dtype=int).T
    tp, tn = int((labels & predicted).sum()), int(((1 - labels) & (1 - predicted)).sum())
    fp, fn = int(((1 - labels) & predicted).sum()), int((labels & (1 - predicted)).sum())
    bottom = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
    expected = 100 * (tp * tn - fp * fn) / bottom if bottom else 0.0
    scores = compute(GLUE["cola"], one_hot(predicted, 2), labels)
    assert scores["matthews"] == pytest.approx(expected, abs=1e-9)


def test_three_class_matthews_of_ax() -> None:
    labels, predicted = RNG.integers(0, 3, 200), RNG.integers(0, 3, 200)
    # R3 (Gorodkin 2004) as the correlation of the two indicator matrices.
    x, y = one_hot(labels, 3), one_hot(predicted, 3)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    scores = compute(GLUE["ax"], one_hot(predicted, 3), labels)
    assert scores["matthews"] == pytest.approx(100 * expected)


def test_correlations() -> None:
    labels = np.float32(RNG.permutation(np.linspace(0, 5, 50)))
    outputs = np.float32(labels**2 + RNG.normal(0, 3, 50))
    scores = compute(GLUE["stsb"], outputs[:, None], labels)
    ranks = [values.argsort().argsort() for values in (outputs, labels)]
    assert scores["pearson"] == pytest.approx(100 * np.corrcoef(outputs, labels)[0, 1], abs=1e-4)
    assert scores["spearman"] == pytest.approx(100 * np.corrcoef(*ranks)[0, 1], abs=1e-4)


def test_constant_predictions_score_zero_and_are_flagged() -> None:
    constant = np.tile([2.0, 1.0], (6, 1))
    labels = np.array([0, 1, 0, 1, 1, 0])
    assert compute(GLUE["cola"], constant, labels) == {"matthews": 0.0}
    assert is_degenerate(constant)
    flat = np.full((6, 1), 2.5)
    assert compute(GLUE["stsb"], flat, labels * 1.0) == {"pearson": 0.0, "spearman": 0.0}
    assert is_degenerate(flat)


def test_degenerate() -> None:
    assert is_degenerate(np.array([[0.0, np.nan], [1.0, 0.0]]))
    assert is_degenerate(np.array([[1.0], [np.inf]]))
    assert not is_degenerate(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert not is_degenerate(np.array([[0.1], [0.2]]))
    assert not is_degenerate(np.array([[0.0, 1.0]]))  # one row alone says nothing
    nan = np.array([[np.nan], [1.0], [2.0]])
    assert compute(GLUE["stsb"], nan, np.array([0.0, 1.0, 2.0]))["pearson"] == 0.0


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        ((3, 2), None, "no labels"),
        ((3, 3), [0, 0, 0], r"shape \(3, 3\); expected \(3, 2\)"),
        ((0, 2), [], "at least one"),
    ],
)
def test_what_cannot_be_scored(
    outputs: tuple[int, int], labels: list[int] | None, message: str
) -> None:
    with pytest.raises(MtkdError, match=message):
        compute(GLUE["rte"], np.zeros(outputs), None if labels is None else np.array(labels))


def row(*cells: float | tuple[float, float]) -> dict[str, dict[str, float]]:
    """A leaderboard row, in the paper's order of columns: CoLA ... WNLI, AX."""
    names = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli", "ax")
    scores = {}
    for name, cell in zip(names, cells, strict=True):
        metrics = ("accuracy", "accuracy_mm") if name == "mnli" else GLUE[name].metrics
        values = cell if isinstance(cell, tuple) else (cell,)
        scores[name] = dict(zip(metrics, values, strict=True))
    return scores


# arXiv:1904.09482 Table 2 and arXiv:1901.11504v2 Table 2: cells and printed score.
BERT = row(
    60.5, 94.9, (89.3, 85.4), (87.6, 86.5), (72.1, 89.3), (86.7, 85.9), 92.7, 70.1, 65.1, 39.6
)
MTDNN = row(
    62.5, 95.6, (91.1, 88.2), (89.5, 88.8), (72.7, 89.6), (86.7, 86.0), 93.1, 81.4, 65.1, 40.3
)
METAL = row(
    63.8, 96.2, (91.5, 88.5), (90.1, 89.7), (73.1, 89.9), (87.6, 87.2), 93.9, 80.9, 65.1, 39.9
)


@pytest.mark.parametrize(("cells", "printed"), [(BERT, 80.5), (MTDNN, 82.7), (METAL, 83.2)])
def test_glue_score_of_printed_rows(cells: dict[str, dict[str, float]], printed: float) -> None:
    assert round(glue_score(cells), 1) == printed


def test_glue_score_leaves_ax_out_and_takes_what_is_there() -> None:
    without = {name: cells for name, cells in BERT.items() if name != "ax"}
    assert glue_score(BERT) == glue_score(without)
    two = {"rte": {"accuracy": 70.0, "loss": 1.0}, "mrpc": {"f1": 90.0, "accuracy": 80.0}}
    assert glue_score(two) == pytest.approx((70 + 85) / 2)
    with pytest.raises(MtkdError, match="no GLUE task"):
        glue_score({"ax": {"matthews": 10.0}})


def test_task_score() -> None:
    assert task_score(GLUE["mnli"], {"accuracy": 86.0, "accuracy_mm": 84.0}) == 85.0
    assert task_score(GLUE["mnli"], {"accuracy": 86.0}) == 86.0
    with pytest.raises(MtkdError, match="MRPC: no accuracy"):
        task_score(GLUE["mrpc"], {"f1": 90.0})
