"""Which examples meet in which batch: Algorithm 1's merged and shuffled mini-batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import Examples
from mtkd.data.tokens import Encoded, encode

POOL = 32  # batches sorted by length together; the larger, the less padding and the less random


@dataclass(frozen=True)
class TaskData:
    """One task's examples as the loop needs them.

    A unit is what must stay together in a batch: one example, or for a ranking head all the
    candidates of one question. `unit_rows` lists each unit's rows.
    """

    encoded: Encoded
    soft: np.ndarray | None = None  # float32 (N, C), teachers' targets; None: no teacher
    unit_rows: tuple[np.ndarray, ...] | None = None  # None: every example is its own unit
    head: str | None = None  # that learns from it; None: the one of its own name

    def with_soft_targets(self, soft: np.ndarray) -> TaskData:
        """The same examples with teachers' targets (N, C), as `average` gives them."""
        wanted = (len(self.encoded), max(len(self.encoded.task.labels), 1))
        if soft.shape != wanted:
            where = f"{self.encoded.task.title} {self.encoded.split}"
            raise MtkdError(f"{where}: soft targets of shape {soft.shape}; expected {wanted}")
        return replace(self, soft=soft.astype(np.float32))

    def some(self, rows: np.ndarray) -> TaskData:
        """Some rows, and the units that are among them whole."""
        place = np.full(len(self.encoded), -1)
        place[rows] = np.arange(len(rows))
        units = self.unit_rows
        if units is not None:
            units = tuple(place[unit] for unit in units if (place[unit] >= 0).all())
        soft = None if self.soft is None else self.soft[rows]
        return replace(self, encoded=self.encoded.some(rows), soft=soft, unit_rows=units)

    @property
    def units(self) -> int:
        return len(self.encoded) if self.unit_rows is None else len(self.unit_rows)

    def rows(self, units: np.ndarray) -> np.ndarray:
        """Rows of these units, one unit after the other."""
        if self.unit_rows is None:
            return units
        return np.concatenate([self.unit_rows[unit] for unit in units])

    def groups(self, units: np.ndarray) -> Tensor:
        """For each of `rows(units)`, the number of its unit among these, int64 (B,)."""
        sizes = 1 if self.unit_rows is None else [len(self.unit_rows[unit]) for unit in units]
        return torch.from_numpy(np.repeat(np.arange(len(units)), sizes))

    @cached_property
    def unit_lengths(self) -> np.ndarray:
        lengths = self.encoded.lengths
        if self.unit_rows is None:
            return lengths
        return np.array([lengths[rows].max() for rows in self.unit_rows])


def tokenize(
    examples: Examples, tokenizer: Any, max_length: int = 128, cache: Path | None = None
) -> TaskData:
    """Examples as `train` and `predict` take them, each cut to `max_length` tokens.

    `tokenizer` is a model's own, `model.tokenizer`. With a `cache` folder the tokens are kept
    there and mapped, not read. Raises MtkdError if the tokenizer is none of the fast ones.
    """
    return TaskData(encode(examples, tokenizer, max_length, cache))


@dataclass(frozen=True)
class Batch:
    """Padded rows of one task. Segments are -1 on padding; `groups` numbers the units."""

    task: str
    tokens: Tensor  # int64 (B, T)
    segments: Tensor  # int8 (B, T)
    labels: Tensor | None  # (B,)
    soft: Tensor | None  # (B, C)
    groups: Tensor  # (B,)

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""

        def move(value: Tensor) -> Tensor:
            # A GPU copies from pinned memory alone while the host goes on.
            pinned = value.pin_memory() if device.type == "cuda" else value
            return pinned.to(device, non_blocking=True)

        moved: dict[str, Any] = {k: move(v) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)


def epoch_units(
    data: Mapping[str, TaskData],
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    epochs: int,
    task_sampling: str = "proportional",
    power: float = 0.5,
    group_by_length: bool = True,
) -> list[tuple[str, np.ndarray]]:
    """All batches of one epoch, (task, unit numbers), merged over tasks and shuffled.

    Examples are dealt anew every epoch. Under `proportional` sampling every example is seen exactly
    once; the other laws keep the number of batches and share them out differently, repeating small
    tasks (each repeat a fresh pass) and cutting large ones short. MT-DNN Algorithm 1.
    """
    wanted = batches_per_task(
        {task: -(-item.units // batch_size) for task, item in data.items()},
        law=task_sampling,
        power=power,
        progress=(epoch - 1) / max(epochs - 1, 1),
    )
    merged: list[tuple[str, np.ndarray]] = []
    for number, (task, item) in enumerate(data.items()):
        rng = np.random.default_rng((seed, epoch, number))
        dealt: list[np.ndarray] = []
        while len(dealt) < wanted[task]:
            dealt += deal(item, batch_size, rng, group_by_length)
        merged += [(task, units) for units in dealt[: wanted[task]]]
    order = np.random.default_rng((seed, epoch, len(data))).permutation(len(merged))
    return [merged[i] for i in order]


def batches_per_task(
    sizes: Mapping[str, int], *, law: str, power: float, progress: float
) -> dict[str, int]:
    """Batches each task gets in an epoch, about sum(sizes) in all and at least one each.

    p_t ~ size_t^a with a = 1 (proportional), `power` (power), 0 (uniform), or falling from 1 to
    0.2 over training (annealed, Stickland and Murray 2019, section 3.2). `progress` is in [0, 1].
    """
    if law == "proportional":
        return dict(sizes)
    exponent = {"power": power, "uniform": 0.0, "annealed": 1 - 0.8 * progress}[law]
    weights = {task: size**exponent for task, size in sizes.items()}
    share = sum(sizes.values()) / sum(weights.values())
    return {task: max(1, round(weight * share)) for task, weight in weights.items()}


def deal(
    item: TaskData, batch_size: int, rng: np.random.Generator, group_by_length: bool
) -> list[np.ndarray]:
    """One pass over a task's units in batches, in random order."""
    order = rng.permutation(item.units)
    if group_by_length:
        pools = range(0, len(order), batch_size * POOL)
        parts = [order[start : start + batch_size * POOL] for start in pools]
        order = np.concatenate(
            [part[np.argsort(item.unit_lengths[part], kind="stable")] for part in parts]
        )
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def collate(task: str, item: TaskData, units: np.ndarray, pad: int) -> Batch:
    """Padded batch of the given units; `pad` is the tokenizer's padding id."""
    encoded, rows = item.encoded, item.rows(units)
    tokens, segments = pad_rows(encoded, rows, pad)
    return Batch(
        task,
        tokens,
        segments,
        None if encoded.label is None else torch.from_numpy(encoded.label[rows]),
        None if item.soft is None else torch.from_numpy(item.soft[rows]),
        item.groups(units),
    )


def pad_rows(encoded: Encoded, rows: np.ndarray, pad: int) -> tuple[Tensor, Tensor]:
    """Tokens int64 and segments int8 of some rows, padded to the longest of them."""
    starts = encoded.offsets[rows]
    lengths = encoded.offsets[rows + 1] - starts  # not of the whole split, in every batch
    columns = np.arange(lengths.max())
    real = columns < lengths[:, None]
    places = np.where(real, starts[:, None] + columns, 0)
    tokens = np.where(real, encoded.tokens[places], pad).astype(np.int64)
    segments = np.where(real, encoded.segments[places], -1).astype(np.int8)
    return torch.from_numpy(tokens), torch.from_numpy(segments)


def by_length(item: TaskData, batch_size: int) -> Iterator[np.ndarray]:
    """Units in batches of similar length, for prediction: least padding, order irrelevant."""
    order = np.argsort(item.unit_lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
