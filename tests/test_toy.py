"""The toy benchmark is a benchmark: sizes, balance, noise, no leakage, the same everywhere."""

import subprocess
import sys
import zlib

import numpy as np
import pytest

from mtkd.data.tasks import GLUE
from mtkd.data.toy.benchmark import NOISE, TRAIN_SIZES, toy_examples
from mtkd.data.toy.corpus import toy_corpus
from mtkd.data.toy.language import draw, loosened, opposed

PAIRS = ["mrpc", "qqp", "mnli", "qnli", "rte"]


def texts(task: str, split: str) -> list[str]:
    found = toy_examples(task, split)
    return [f"{a} {b}" for a, b in zip(found.text_a, found.text_b or found.text_a, strict=True)]


def test_same_examples_in_another_process():
    code = "import zlib; from mtkd.data.toy.benchmark import toy_examples; " + (
        "from mtkd.data.toy.corpus import toy_corpus as c; "
        "e = toy_examples('mnli', 'train'); "
        "print(zlib.crc32(repr((e.text_a, e.text_b, e.label.tolist(), c(0, 50))).encode()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    e = toy_examples("mnli", "train")
    mine = zlib.crc32(repr((e.text_a, e.text_b, e.label.tolist(), toy_corpus(0, 50))).encode())
    assert int(out.stdout) == mine


@pytest.mark.parametrize("task", list(GLUE))
def test_sizes_labels_and_splits(task):
    for split in GLUE[task].splits:
        found = toy_examples(task, split)
        if split == "train":
            assert len(found) == TRAIN_SIZES[task]
        assert len(set(found.idx.tolist())) == len(found)
        assert (found.text_b is None) == (GLUE[task].kind == "single")
        if GLUE[task].labels:
            assert set(found.label.tolist()) == set(range(len(GLUE[task].labels)))
        else:
            assert found.label.min() >= 0 and found.label.max() <= 5


@pytest.mark.parametrize("task", ["cola", "sst2", "mnli", "qqp", "qnli"])
def test_noise_is_in_training_labels_only(task):
    train, dev = toy_examples(task, "train"), toy_examples(task, "dev")
    assert abs((train.label != train.clean).mean() - NOISE) < 0.05
    assert (dev.label == dev.clean).all()


@pytest.mark.parametrize("task", PAIRS)
def test_no_example_is_in_two_splits(task):
    train = set(texts(task, "train"))
    for split in GLUE[task].splits:
        if split != "train":
            assert not train & set(texts(task, split))


def test_every_question_has_two_candidates_one_of_them_right():
    found = toy_examples("qnli", "dev")
    for row in range(0, len(found), 2):
        assert found.text_a[row] == found.text_a[row + 1]
        assert {int(found.label[row]), int(found.label[row + 1])} == {0, 1}


def test_mismatched_genre_differs():
    openers = ("My friend", "Believe me", "As you know")
    plain = toy_examples("mnli", "dev").text_a
    other = toy_examples("mnli", "dev_mm").text_a
    marked = [t.startswith(openers) or t.istitle() for t in other]
    assert np.mean(marked) > 0.9
    assert not any(t.startswith(openers) for t in plain)


def test_cased_names_are_words_in_lower_case():
    corpus = " ".join(toy_corpus(0, 3000)).split()
    for name in ("Rose", "Pearl", "Violet"):
        assert name in corpus and name.lower() in corpus


def test_changes_of_a_frame_change_it():
    rng = np.random.default_rng(0)
    for _ in range(200):
        frame = draw(rng)
        assert opposed(rng, frame) != frame
        assert loosened(rng, frame) != frame
