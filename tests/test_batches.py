"""Dealing examples into batches, and what a batch holds."""

from collections import Counter

import numpy as np
import pytest
from conftest import MakeData
from hypothesis import given, settings
from hypothesis import strategies as st

from mtkd.data.batches import (
    TaskData,
    batches_per_task,
    by_length,
    collate,
    epoch_units,
)
from mtkd.data.tasks import GLUE
from mtkd.data.tokens import Encoded


def made_up(lengths: np.ndarray, grouped: int | None = None) -> TaskData:
    """Rows of the given lengths; with `grouped`, that many candidates to a question."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total, count = int(offsets[-1]), len(lengths)
    encoded = Encoded(
        task=GLUE["qnli"],
        split="train",
        idx=np.arange(count, dtype=np.int64),
        tokens=np.arange(1, total + 1, dtype=np.int32),  # every token is another number
        segments=np.ones(total, np.int8),
        offsets=offsets,
        label=np.zeros(count, np.int64),
        fingerprint="",
        truncated=0,
    )
    if grouped is None:
        return TaskData(encoded)
    groups = np.array_split(np.random.default_rng(3).permutation(count), -(-count // grouped))
    return TaskData(encoded, None, tuple(groups))


def lengths_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(2, 60, count)


@given(
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    batch_size=st.integers(1, 64),
    group_by_length=st.booleans(),
    grouped=st.sampled_from([None, 1, 3]),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_every_example_once_an_epoch(
    sizes: list[int],
    batch_size: int,
    group_by_length: bool,
    grouped: int | None,
    seed: int,
    epoch: int,
) -> None:
    data = {f"task{i}": made_up(lengths_of(n, i), grouped) for i, n in enumerate(sizes)}
    batches = epoch_units(
        data, batch_size, seed=seed, epoch=epoch, epochs=5, group_by_length=group_by_length
    )
    for task, item in data.items():
        mine = [units for name, units in batches if name == task]
        assert len(mine) == -(-item.units // batch_size)
        assert max(map(len, mine)) <= batch_size
        rows = [
            row
            for units in mine
            for unit in units
            for row in ([unit] if item.unit_rows is None else item.unit_rows[unit])
        ]
        assert sorted(rows) == list(range(len(item.encoded)))


def test_epochs_are_dealt_anew_and_reproducibly() -> None:
    data = {"a": made_up(lengths_of(100)), "b": made_up(lengths_of(40))}

    def deal(seed: int, epoch: int) -> list[tuple[str, list[int]]]:
        batches = epoch_units(data, 8, seed=seed, epoch=epoch, epochs=3)
        return [(task, units.tolist()) for task, units in batches]

    assert deal(1, 1) == deal(1, 1)
    assert deal(1, 1) != deal(1, 2)
    assert deal(1, 1) != deal(2, 1)
    assert {frozenset(units) for _, units in deal(1, 1)} != {
        frozenset(units) for _, units in deal(1, 2)
    }  # other company, not only another order
    order = [task for task, _ in deal(1, 1)]
    assert order not in (sorted(order), sorted(order, reverse=True))  # tasks are merged


def test_mixing_laws_by_hand() -> None:
    sizes = {"large": 100, "middle": 25, "small": 1}  # batches of each, 126 in all

    def shares(law: str, progress: float = 0.0) -> list[int]:
        return list(batches_per_task(sizes, law=law, power=0.5, progress=progress).values())

    assert shares("proportional") == [100, 25, 1]
    assert shares("power") == [79, 39, 8]  # 126 shared out 10 : 5 : 1
    assert shares("uniform") == [42, 42, 42]
    assert shares("annealed", 0.0) == [100, 25, 1]
    weights = np.array([100, 25, 1]) ** 0.2
    assert shares("annealed", 1.0) == np.round(126 * weights / weights.sum()).tolist()


@given(
    sizes=st.lists(st.integers(1, 500), min_size=1, max_size=6),
    law=st.sampled_from(["proportional", "power", "uniform", "annealed"]),
    progress=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_mixing_keeps_the_number_of_batches(sizes: list[int], law: str, progress: float) -> None:
    found = batches_per_task(
        {str(i): size for i, size in enumerate(sizes)}, law=law, power=0.5, progress=progress
    )
    assert min(found.values()) >= 1
    assert abs(sum(found.values()) - sum(sizes)) <= len(sizes)


def test_repeated_tasks_start_a_fresh_pass() -> None:
    data = {"large": made_up(lengths_of(150)), "small": made_up(lengths_of(10))}
    batches = epoch_units(data, 4, seed=0, epoch=1, epochs=1, task_sampling="uniform")
    seen = {task: Counter[int]() for task in data}
    for task, units in batches:
        seen[task].update(units.tolist())
    assert set(seen["large"].values()) == {1} and len(seen["large"]) < 150
    assert len(seen["small"]) == 10
    assert max(seen["small"].values()) - min(seen["small"].values()) <= 1


def test_grouping_by_length_saves_padding() -> None:
    data = {"a": made_up(lengths_of(640))}

    def cells(group_by_length: bool) -> int:
        batches = epoch_units(data, 16, seed=0, epoch=1, epochs=1, group_by_length=group_by_length)
        return sum(collate("a", data["a"], units, 0).tokens.numel() for _, units in batches)

    real = int(lengths_of(640).sum())
    assert cells(True) < 1.1 * real < 1.5 * real < cells(False)


def test_batch_holds_the_examples(make_data: MakeData) -> None:
    item = make_data("rte")
    encoded = item.encoded
    soft = np.random.default_rng(0).random((len(encoded), 2)).astype(np.float32)
    units = np.array([7, 0, 11])
    batch = collate("rte", TaskData(encoded, soft), units, pad=99)
    assert batch.tokens.shape == batch.segments.shape == (3, encoded.lengths[units].max())
    for row, unit in enumerate(units):
        place = slice(encoded.offsets[unit], encoded.offsets[unit + 1])
        length = encoded.lengths[unit]
        assert batch.tokens[row, :length].tolist() == encoded.tokens[place].tolist()
        assert batch.segments[row, :length].tolist() == encoded.segments[place].tolist()
        assert set(batch.tokens[row, length:].tolist()) <= {99}
        assert set(batch.segments[row, length:].tolist()) <= {-1}
    assert batch.labels is not None and batch.soft is not None and encoded.label is not None
    assert batch.labels.tolist() == encoded.label[units].tolist()
    np.testing.assert_array_equal(batch.soft, soft[units])
    assert batch.groups.tolist() == [0, 1, 2]


def test_batch_keeps_the_candidates_of_a_question_together(make_data: MakeData) -> None:
    item = make_data("qnli", ranking=True)
    assert item.unit_rows is not None and item.encoded.label is not None
    batch = collate("qnli", item, np.array([2, 0]), 0)
    rows = np.concatenate([item.unit_rows[2], item.unit_rows[0]])
    assert batch.groups.tolist() == [0, 0, 1, 1]
    assert batch.labels is not None
    assert batch.labels.tolist() == item.encoded.label[rows].tolist()
    assert [(batch.labels[batch.groups == g] == 0).sum() for g in (0, 1)] == [1, 1]


@pytest.mark.parametrize("grouped", [None, 3])
def test_prediction_order_has_every_unit_once(grouped: int | None) -> None:
    item = made_up(lengths_of(50), grouped)
    batches = list(by_length(item, 8))
    assert sorted(np.concatenate(batches)) == list(range(item.units))
    longest = [item.unit_lengths[units].max() for units in batches]
    assert longest == sorted(longest)
