"""The toy benchmark is a benchmark: sizes, balance, noise, no leakage, the same everywhere."""

import functools
import zlib
from pathlib import Path

import numpy as np
import pytest

import mtkd
from mtkd.data.tasks import GLUE, TASKS, Examples
from mtkd.data.toy.benchmark import NOISE, TRAIN_SIZES
from mtkd.data.toy.benchmark import toy_examples as write_examples
from mtkd.data.toy.corpus import toy_corpus
from mtkd.data.toy.language import draw, loosened, opposed

toy_examples = functools.cache(write_examples)
PAIRS = ["mrpc", "qqp", "mnli", "qnli", "rte"]


def texts(task: str, split: str) -> list[str]:
    found = toy_examples(task, split)
    return [f"{a} {b}" for a, b in zip(found.text_a, found.text_b or found.text_a, strict=True)]


def test_the_same_on_every_machine():
    """Committed results rest on these very examples."""

    def content(found: Examples) -> object:
        return found.text_a, found.text_b, found.label.tolist(), found.clean.tolist()

    found = [content(toy_examples(t, s)) for t, task in TASKS.items() for s in task.splits]
    assert zlib.crc32(repr(found).encode()) == 0xAF704878
    assert zlib.crc32(repr(toy_corpus(0, 500)).encode()) == 0x325101A6


@pytest.mark.parametrize("task", list(GLUE))
def test_sizes_labels_and_splits(task):
    for split in GLUE[task].splits:
        found = toy_examples(task, split)
        if split == "train":
            assert len(found) == TRAIN_SIZES[task]
        assert len(set(found.idx.tolist())) == len(found)
        assert (found.text_b is None) == (not GLUE[task].pair)
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


def test_changes_of_a_frame_change_it():
    rng = np.random.default_rng(0)
    for _ in range(200):
        frame = draw(rng)
        assert opposed(rng, frame) != frame
        assert loosened(rng, frame) != frame


def test_files_as_people_have_them(tmp_path: Path) -> None:
    """Equal for equal seeds; the language model knows every pair, and more than annotators."""
    one, two = (mtkd.toy_files(tmp_path / name, scale=0.3) for name in ("one", "two"))
    content = [
        {path.name: path.read_bytes() for path in sorted((tmp_path / name).rglob("*.*"))}
        for name in ("one", "two")
    ]
    assert content[0] == content[1]
    tasks = {
        name: mtkd.own_examples(name, str(one[name])) for name in ("mood", "follows", "places")
    }
    assert [t["train"].task.kind for t in tasks.values()] == ["classification"] * 2 + ["multilabel"]
    teacher = mtkd.GivenTeacher("follows", predictions=str(two["llm"]))
    said = mtkd.given_predictions(teacher, tasks["follows"])
    dev = tasks["follows"]["dev"]
    right = mtkd.average_predictions([said["dev"]], dev.idx, dev.task.labels).argmax(1) == dev.label
    assert 0.8 < right.mean() < 1
