"""The toy benchmark: nine GLUE-shaped tasks and a diagnostic set, made from a seed.

So that the paper's whole comparison runs on a CPU, without a download. Labels are right by
construction; training labels then get annotator noise, dev and test labels do not.
"""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import numpy as np
from numpy.random import Generator

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import TASKS, UNLABELLED, Examples
from mtkd.data.toy.tasks import WRITERS, Row

# rows at scale 1, in about GLUE's order of size; the test split is as large as dev. The two
# tasks of the study few-labels are large, so that a thousandth of their labels is something.
TRAIN_SIZES = {
    "mnli": 900,
    "qqp": 600,
    "qnli": 400,
    "sst2": 450,
    "cola": 300,
    "stsb": 220,
    "mrpc": 150,
    "rte": 120,
    "wnli": 60,
    "snli": 2000,
    "scitail": 2000,
}
DEV_SIZES = {"rte": 300, "mrpc": 300, "wnli": 40, "ax": 200}
DEV_SIZE = 400  # of the other tasks
NOISE = 0.2  # share of wrong training labels
SCORE_NOISE = 0.8  # standard deviation of an annotator's similarity score
SMALLEST = 16


def toy_examples(task: str, split: str, seed: int = 0, scale: float = 1.0) -> Examples:
    """One split of one toy task; every split is labelled, AX and test, too.

    `scale` multiplies the training sizes only (at least 16 rows), so that scores stay comparable.
    The same arguments give the same examples on every machine. `clean` has the true labels.
    """
    if task not in TASKS or split not in TASKS[task].splits:
        raise MtkdError(f"the toy benchmark has no split {split!r} of task {task!r}")
    size = DEV_SIZES.get(task, DEV_SIZE)
    if split == "train":
        size = max(SMALLEST, round(TRAIN_SIZES[task] * scale))
    written, rng = write(task, split, size, seed)
    clean = written.label
    assert clean is not None
    label = annotate(rng, task, clean, len(TASKS[task].labels)) if split == "train" else clean
    return replace(written, label=label, clean=clean)


def toy_text(task: str, count: int, seed: int = 0) -> Examples:
    """New text of a task without labels, written as its training examples are."""
    return replace(write(task, UNLABELLED, count, seed)[0], label=None)


def write(task: str, split: str, size: int, seed: int) -> tuple[Examples, Generator]:
    """Rows of a split with their true labels, and the generator as it is after them."""
    rng = np.random.default_rng((seed, crc32(f"{task}/{split}".encode())))
    rows = unique_rows(task, split, rng, size)
    firsts, seconds, labels = map(list, zip(*rows, strict=True))
    second = None if seconds[0] is None else seconds
    return Examples.from_lists(TASKS[task], firsts, labels, second=second, split=split), rng


def unique_rows(task: str, split: str, rng: Generator, size: int) -> list[Row]:
    """Distinct rows; by a hash of its text every row belongs to one of train, dev and test."""
    own = {"dev": (2,), "test": (3,)}.get(split.removesuffix("_mm"), (0, 1))
    rows: list[Row] = []
    seen: set[str] = set()
    while len(rows) < size:
        new = WRITERS[task](rng, split)
        key = f"{new[0][0]} {new[0][1]}".lower()
        if key not in seen and (task == "wnli" or crc32(key.encode()) % 4 in own):
            seen.add(key)
            rows += new
    return rows[:size]


def annotate(rng: Generator, task: str, clean: np.ndarray, classes: int) -> np.ndarray:
    """Labels as noisy annotators give them; a question's two candidates stay one of each."""
    if not classes:
        noisy = clean + rng.normal(0, SCORE_NOISE, len(clean))
        return noisy.clip(0, 5).round(1).astype(np.float32)
    group = 2 if task == "qnli" else 1
    wrong = np.repeat(rng.random(-(-len(clean) // group)) < NOISE, group)[: len(clean)]
    shift = rng.integers(1, classes, len(clean))
    return np.where(wrong, (clean + shift) % classes, clean)
