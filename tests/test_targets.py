"""Stored predictions and the soft targets that are averaged from them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax

from mtkd.common.errors import MtkdError
from mtkd.method.targets import (
    Predictions,
    as_outputs,
    average_predictions,
    read_predictions,
    write_predictions,
)

LABELS = ("entailment", "not_entailment")
IDX = np.array([4, 9, 2, 7])
LOGITS = np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0], [3.0, 3.0]], dtype=np.float32)
FIRST = Predictions("rte", "train", LABELS, IDX, LOGITS, "mtdnn-a-s1")
SECOND = replace(FIRST, logits=LOGITS[::-1].copy() * 4, run="mtdnn-b-s1")


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_probabilities_are_averaged_as_in_the_paper(temperature: float) -> None:
    found = average_predictions([FIRST, SECOND], IDX, LABELS, temperature=temperature)
    by_hand = (softmax(LOGITS / temperature, -1) + softmax(SECOND.logits / temperature, -1)) / 2
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    assert found.dtype == np.float32


def test_logits_can_be_averaged_instead() -> None:
    found = average_predictions([FIRST, SECOND], IDX, LABELS, temperature=2.0, of="logits")
    np.testing.assert_allclose(found, softmax((LOGITS + SECOND.logits) / 4, -1), rtol=1e-6)
    other = average_predictions([FIRST, SECOND], IDX, LABELS, temperature=2.0)
    assert np.abs(found - other).max() > 0.01  # the two are not the same thing


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_each_of_several_labels_is_averaged_by_itself(temperature: float) -> None:
    how: dict[str, Any] = {"temperature": temperature, "objective": "multilabel"}
    found = average_predictions([FIRST, SECOND], IDX, LABELS, **how)
    by_hand = (expit(LOGITS / temperature) + expit(SECOND.logits / temperature)) / 2
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)
    found = average_predictions([FIRST, SECOND], IDX, LABELS, of="logits", **how)
    by_hand = expit((LOGITS + SECOND.logits) / 2 / temperature)
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)


def test_soft_targets_become_outputs_and_back() -> None:
    first = average_predictions([FIRST, SECOND], IDX, LABELS)
    np.testing.assert_allclose(softmax(as_outputs(first, "classification"), -1), first, rtol=1e-6)
    several = average_predictions([FIRST, SECOND], IDX, LABELS, objective="multilabel")
    np.testing.assert_allclose(expit(as_outputs(several, "multilabel")), several, rtol=1e-6)
    sure = as_outputs(np.float32([[0, 1]]), "multilabel")  # no teacher is sure beyond measure
    assert np.isfinite(sure).all() and sure[0, 0] == pytest.approx(-sure[0, 1])


def test_examples_are_matched_by_id() -> None:
    shuffle = np.array([2, 0, 3, 1])
    shuffled = replace(SECOND, idx=IDX[shuffle], logits=SECOND.logits[shuffle])
    expected = average_predictions([FIRST, SECOND], IDX, LABELS)
    np.testing.assert_array_equal(average_predictions([FIRST, shuffled], IDX, LABELS), expected)
    some = np.array([7, 4])  # other order, and not all: the student's data decides
    np.testing.assert_array_equal(
        average_predictions([shuffled, FIRST], some, LABELS), expected[[3, 0]]
    )


def test_similarities_are_averaged_as_they_are() -> None:
    one = Predictions("stsb", "train", (), IDX, np.float32([[1], [2], [3], [4]]), "a-s1")
    two = replace(one, idx=IDX[::-1].copy(), logits=np.float32([[5], [5], [0], [0]]))
    np.testing.assert_allclose(average_predictions([one, two], IDX, ()), [[0.5], [1], [4], [4.5]])


SHORT = replace(SECOND, idx=IDX[:2], logits=SECOND.logits[:2])


@pytest.mark.parametrize(
    ("member", "idx", "message"),
    [
        (SHORT, IDX, "of mtdnn-b-s1 on rte train: 2 examples are not in it, the first has id 2"),
        (SECOND, np.array([4, 1000, -1]), "2 examples are not in it, the first has id 1000"),
        (replace(SECOND, labels=LABELS[::-1]), IDX, r"labels \['not_entailment', 'entailment'\]"),
        (replace(SECOND, idx=IDX[:0], logits=LOGITS[:0]), IDX, "empty"),
    ],
)
def test_what_does_not_fit_is_refused(member: Predictions, idx: np.ndarray, message: str) -> None:
    with pytest.raises(MtkdError, match=message):
        average_predictions([FIRST, member], idx, LABELS)


def test_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rte.train.safetensors"
    write_predictions(path, replace(FIRST, logits=np.asfortranarray(LOGITS)))
    found = read_predictions(path)
    np.testing.assert_array_equal(found.idx, IDX)
    np.testing.assert_array_equal(found.logits, LOGITS)
    assert replace(found, idx=IDX, logits=LOGITS) == FIRST
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:-7],
        lambda whole: b"not safetensors at all",
        lambda whole: whole.replace(b'format\\": 1', b'format\\": 9'),
    ],
)
def test_unusable_files_are_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "rte.safetensors"
    with pytest.raises(MtkdError, match="no stored predictions"):
        read_predictions(path)
    write_predictions(path, FIRST)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MtkdError, match=str(path)):
        read_predictions(path)
