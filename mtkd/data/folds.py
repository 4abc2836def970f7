"""Which fold an example is in: by its text and a seed, whatever the order of the files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Hashable, Mapping

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import Examples

BINS = 5  # of a regression's scores, equally full

Key = tuple[str, ...]  # the texts of an example


def assign_folds(
    examples: Mapping[str, Examples], count: int, seed: int, *, whole: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """The fold 0 to `count` - 1 of every labelled example, int64 (N,), by task.

    Examples of the same texts, in either order and whatever their case and spaces, are in one
    fold, also across tasks; of the tasks named in `whole`, all of one first text: a question with
    its candidates. Each label of each task is spread as evenly as that allows. Raises MtkdError
    where a task has fewer different texts than folds.
    """
    groups: dict[Key, list[tuple[str, Hashable]]] = {}  # task and label of each example
    keys = {task: keys_of(found, question=task in whole) for task, found in examples.items()}
    for task, found in examples.items():
        if (different := len(set(keys[task]))) < count:
            raise MtkdError(
                f"{found.task.title}: {different} different training texts for {count} folds; "
                f"expected one for each fold: fewer folds (teachers.crossfit) or more examples"
            )
        for key, stratum in zip(keys[task], strata(found), strict=True):
            groups.setdefault(key, []).append((task, stratum))
    folds: dict[Key, int] = {}
    filled: list[Counter[Hashable]] = [Counter() for _ in range(count)]
    # The largest groups first: what is left evens out. Ties by a digest, which is random and stays.
    for key in sorted(groups, key=lambda one: (-len(groups[one]), digest(one, seed))):
        labels = groups[key]
        tasks = [task for task, _ in labels]
        loads = [[sum(now[one] for one in what) for what in (labels, tasks)] for now in filled]
        every = [now.total() for now in filled]
        folds[key] = min(range(count), key=lambda fold: (*loads[fold], every[fold]))
        filled[folds[key]].update([*labels, *tasks])
    return {task: np.array([folds[key] for key in found]) for task, found in keys.items()}


def keys_of(examples: Examples, *, question: bool) -> list[Key]:
    """What must stay together: the texts of each example, or its first text alone."""
    first = [plain(text) for text in examples.text_a]
    if question or examples.text_b is None:
        return [(text,) for text in first]
    second = map(plain, examples.text_b)
    return [tuple(sorted(pair)) for pair in zip(first, second, strict=True)]


def plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def digest(key: Key, seed: int) -> bytes:
    return hashlib.sha256("\0".join([str(seed), *key]).encode()).digest()


def strata(examples: Examples) -> list[Hashable]:
    """The label of each example, of several the set, of a score its range."""
    label = examples.label
    if label is None:
        raise MtkdError(f"{examples.task.title} {examples.split}: no labels; expected some")
    if label.ndim == 2:
        return [tuple(row) for row in label.astype(int).tolist()]
    if not examples.task.labels:
        edges = np.quantile(label, np.arange(1, BINS) / BINS)
        label = np.searchsorted(edges, label)
    return label.tolist()
