"""Objectives against scipy, numpy and calculation by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from mtkd.method.losses import (
    group_log_probs,
    hard_loss,
    mixed_loss,
    mixed_targets,
    ranking_loss,
    regression_loss,
    several_loss,
    soft_loss,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 3)).astype(np.float32)
TEACHER = RNG.normal(size=(5, 3)).astype(np.float32)
LABELS = np.array([0, 2, 1, 1, 0])


def gradient(logits: np.ndarray, teacher: np.ndarray, temperature: float) -> np.ndarray:
    """d soft_loss / d logits, with the teacher at the same temperature."""
    leaf = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    soft = torch.tensor(softmax(teacher.astype(np.float64) / temperature, -1))
    soft_loss(leaf, soft, temperature).backward()
    assert leaf.grad is not None
    return leaf.grad.numpy()


def test_hard_loss_is_the_log_probability_of_the_label() -> None:
    by_hand = -np.mean([log_softmax(row)[label] for row, label in zip(LOGITS, LABELS, strict=True)])
    found = hard_loss(torch.tensor(LOGITS), torch.tensor(LABELS))
    assert float(found) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_soft_loss_is_the_cross_entropy_with_the_teacher(temperature: float) -> None:
    soft = softmax(TEACHER / temperature, -1)
    by_hand = -(temperature**2) * np.mean((soft * log_softmax(LOGITS / temperature, -1)).sum(-1))
    found = soft_loss(torch.tensor(LOGITS), torch.tensor(soft), temperature)
    assert float(found) == pytest.approx(by_hand, rel=1e-5)


def test_soft_loss_on_numbers_that_can_be_checked_in_the_head() -> None:
    # Student certain at 1/2, 1/4, 1/4; teacher 1/2, 1/2, 0: ln 2 / 2 + ln 4 / 2 = 1.5 ln 2.
    logits = torch.tensor([[math.log(2), 0.0, 0.0]])
    soft = torch.tensor([[0.5, 0.5, 0.0]])
    assert float(soft_loss(logits, soft)) == pytest.approx(1.5 * math.log(2), rel=1e-6)


def test_one_hot_soft_targets_are_gold_labels() -> None:
    logits, labels = torch.tensor(LOGITS), torch.tensor(LABELS)
    one_hot = torch.nn.functional.one_hot(labels, 3).float()
    torch.testing.assert_close(soft_loss(logits, one_hot), hard_loss(logits, labels))


def test_temperature_squared_keeps_the_size_of_the_gradient() -> None:
    # Hinton et al. 2015, Eq. 4: at a high temperature the gradient of T^2 * CE tends to
    # (z - v) / C for zero-mean logits z, v of C classes; without the factor it would vanish.
    z = LOGITS - LOGITS.mean(-1, keepdims=True)
    v = TEACHER - TEACHER.mean(-1, keepdims=True)
    np.testing.assert_allclose(gradient(z, v, 1000.0), (z - v) / 3 / len(z), atol=1e-3)
    sizes = [np.linalg.norm(gradient(z, v, t)) for t in (1.0, 2.0, 4.0, 10.0)]
    assert max(sizes) < 2 * min(sizes)


@given(
    teacher=st.lists(st.floats(-5, 5), min_size=2, max_size=6),
    other=st.lists(st.floats(-5, 5), min_size=6, max_size=6),
    temperature=st.sampled_from([1.0, 3.0]),
)
@settings(max_examples=50)
def test_no_student_beats_the_teacher_itself(
    teacher: list[float], other: list[float], temperature: float
) -> None:
    logits = torch.tensor([teacher], dtype=torch.float64)
    soft = torch.softmax(logits / temperature, -1)
    student = torch.tensor([other[: len(teacher)]], dtype=torch.float64)
    at_best = float(soft_loss(logits, soft, temperature))
    assert at_best <= float(soft_loss(student, soft, temperature)) + 1e-9
    entropy = -(temperature**2) * float((soft * soft.log()).sum())
    assert at_best == pytest.approx(entropy, abs=1e-9)


def test_regression_is_the_mean_squared_error() -> None:
    outputs, scores = torch.tensor([[1.0], [2.0], [5.0]]), torch.tensor([0.0, 2.5, 3.0])
    assert float(regression_loss(outputs, scores)) == pytest.approx((1 + 0.25 + 4) / 3)


def test_ranking_loss_is_a_softmax_per_question() -> None:
    # Two questions whose candidates lie mixed in the batch; the right ones are rows 0 and 3.
    scores = np.array([1.0, -0.5, 2.0, 0.3, 0.0], dtype=np.float32)
    groups = np.array([0, 1, 0, 1, 1])
    by_hand = -(log_softmax(scores[[0, 2]])[0] + log_softmax(scores[[1, 3, 4]])[1]) / 2
    target = torch.tensor([1.0, 0, 0, 1, 0])
    found = ranking_loss(torch.tensor(scores)[:, None], target, torch.tensor(groups))
    assert float(found) == pytest.approx(by_hand, rel=1e-6)


@given(
    rows=st.lists(st.tuples(st.floats(-20, 20), st.integers(0, 3)), min_size=1, max_size=20),
    shift=st.floats(-50, 50),
)
@settings(max_examples=50)
def test_candidates_of_a_question_share_one(rows: list[tuple[float, int]], shift: float) -> None:
    scores = torch.tensor([[score] for score, _ in rows], dtype=torch.float64)
    groups = torch.tensor([group for _, group in rows])
    log_probs = group_log_probs(scores, groups)
    for group in groups.unique():
        assert float(log_probs[groups == group].exp().sum()) == pytest.approx(1, abs=1e-9)
    # A constant added to all candidates of one question changes nothing anywhere.
    moved = scores + shift * (groups == groups[0])[:, None]
    torch.testing.assert_close(group_log_probs(moved, groups), log_probs, atol=1e-9, rtol=1e-9)


# -------------------------------------------------------- several labels, weights, a range

SEVERAL = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0]], np.float32)
WEIGHTS = np.array([0.5, 1.0, 3.0], np.float32)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_several_labels_are_a_logistic_loss_each(temperature: float) -> None:
    # scikit-learn's log loss of each label, as that of a binary classifier.
    chance = expit(LOGITS.astype(np.float64) / temperature)
    each = [log_loss(SEVERAL[:, one], chance[:, one], labels=[0, 1]) for one in range(3)]
    found = several_loss(torch.tensor(LOGITS), torch.tensor(SEVERAL), temperature)
    assert float(found) == pytest.approx(temperature**2 * np.mean(each), rel=1e-5)
    soft = expit(TEACHER / temperature)
    by_hand = -np.mean(soft * np.log(chance) + (1 - soft) * np.log1p(-chance))
    found = several_loss(torch.tensor(LOGITS), torch.tensor(soft), temperature)
    assert float(found) == pytest.approx(temperature**2 * by_hand, rel=1e-5)


def test_weights_of_classes_are_those_of_scikit_learn() -> None:
    weights = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    expected = log_loss(LABELS, softmax(LOGITS, -1), sample_weight=weights[LABELS])
    found = hard_loss(torch.tensor(LOGITS), torch.tensor(LABELS), torch.tensor(weights).float())
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("hard_weight", [0.0, 0.3, 1.0])
def test_mixed_targets_are_mixed_losses(weights: np.ndarray | None, hard_weight: float) -> None:
    logits, labels, soft = map(torch.tensor, (LOGITS, LABELS, softmax(TEACHER, -1)))
    given = None if weights is None else torch.tensor(weights)
    mixed = mixed_targets(labels, soft, hard_weight, given)
    expected = mixed_loss(hard_loss(logits, labels, given), soft_loss(logits, soft), hard_weight)
    torch.testing.assert_close(soft_loss(logits, mixed), expected)
    several, soft = torch.tensor(SEVERAL), torch.tensor(expit(TEACHER))
    mixed = mixed_targets(several, soft, hard_weight)
    expected = mixed_loss(several_loss(logits, several), several_loss(logits, soft), hard_weight)
    torch.testing.assert_close(several_loss(logits, mixed), expected)


def test_an_error_of_the_whole_range_is_one() -> None:
    outputs, scores = torch.tensor([[10.0], [60.0]]), torch.tensor([60.0, 60.0])
    assert float(regression_loss(outputs, scores, 50.0)) == pytest.approx(0.5)
