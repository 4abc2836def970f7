"""The one training loop: multi-task, single-task, fine-tuning and distillation alike."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from mtkd.common.errors import MtkdError
from mtkd.common.progress import Progress
from mtkd.common.seeds import derive_seed
from mtkd.data.batches import Batch, TaskData, batches_per_task, collate, epoch_units
from mtkd.method import checkpoints
from mtkd.method.checkpoints import History
from mtkd.method.distillation import batch_loss, find_loss
from mtkd.method.model import MultiTaskModel
from mtkd.method.optim import BlockedAdamax
from mtkd.method.ranks import WholeDraws, gathered
from mtkd.method.settings import Distillation, Training
from mtkd.method.threads import fast_threads

Scores = dict[str, dict[str, float]]  # task -> metric -> points


def train(
    model: MultiTaskModel,
    data: Mapping[str, TaskData],
    settings: Training,
    *,
    seed: int = 0,
    distillation: Distillation | None = None,
    evaluate: Callable[[], Scores] | None = None,
    checkpoint: Path | None = None,
    stamp: str = "",
    progress: Progress | None = None,
) -> History:
    """Train `model` in place and return its history. MT-DNN Algorithm 1; KD paper, section 3.

    Each epoch deals every task's examples into batches, merges and shuffles the batches of all
    tasks, and takes one Adamax step per batch. `data` maps task -> training split; where a split
    has soft targets (N, C), made at the same temperature, `distillation` says how they are used.
    `evaluate` takes nothing and gives dev scores in points after each epoch, for example
    `lambda: mtkd.evaluate(model, {"rte": {"dev": dev}})`; with it `settings.keep` says whether the
    best epoch or the last one is kept, without it the last one.
    With a `checkpoint` folder, an interrupted call continues at the last finished epoch and ends
    with the very weights of an uninterrupted one: all randomness is seeded by (seed, epoch). Only
    a checkpoint of the same `stamp` is continued. After an error the model keeps its weights of
    that moment, and torch and the model are set as before.
    Raises MtkdError for an unknown loss, soft targets without `distillation`, or a task with
    neither labels nor soft targets.
    """
    if distillation is None and (soft := [t for t, item in data.items() if item.soft is not None]):
        raise MtkdError(
            f"train: soft targets of {', '.join(soft)}, and no `distillation` that says how they "
            "are used; expected for example distillation=mtkd.Distillation(hard_weight=0.5)"
        )
    if distillation:
        find_loss(distillation.loss)  # an unknown name is told before any work
    # A batch is of one task, and a head need not use all that it has.
    handler = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
    accelerator = Accelerator(kwargs_handlers=[handler])
    network = accelerator.prepare(model)  # moves to the device; wraps for several processes
    # All parameters in one call: a GPU does so by itself, a CPU only if told to.
    cpu = accelerator.device.type == "cpu"
    adamax = BlockedAdamax if cpu else torch.optim.Adamax
    optimizer = adamax(model.parameters(), foreach=True if cpu else None)
    history = History(keep=settings.keep if evaluate else "last")
    best = None
    if checkpoint:
        with accelerator.main_process_first():  # which removes a damaged one
            best = checkpoints.restore(checkpoint, model, optimizer, history, stamp)
    run = Run(accelerator, network, optimizer, model, data, settings, seed, distillation, progress)
    if progress:
        progress.advance(sum(run.plan[: len(history.epochs)]))
    with fast_threads(model), in_training(model), products(settings.precision):
        for epoch in range(len(history.epochs) + 1, settings.epochs + 1):
            began = time.perf_counter()
            entry = run.epoch(epoch)
            if evaluate and (epoch % settings.evaluate_every == 0 or epoch == settings.epochs):
                entry["scores"] = evaluate()
                entry["score"] = mean_score(entry["scores"])
            entry["seconds"] = round(time.perf_counter() - began, 3)
            if history.keep == "last":
                history.kept_epoch = epoch
            elif "score" in entry and entry["score"] > best_score(history):
                history.kept_epoch = epoch
                best = {name: value.cpu().clone() for name, value in model.state_dict().items()}
            history.epochs.append(entry)
            if checkpoint and accelerator.is_main_process:
                checkpoints.save(checkpoint, model, optimizer, history, best, stamp)
        if best is not None:
            model.load_state_dict(best)
    return history


@contextmanager
def in_training(model: nn.Module) -> Iterator[None]:
    """Training; the model is ready for prediction after it, and as it was after an error."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    except BaseException:
        for module, mode in modes:
            module.training = mode
        raise
    model.eval()


@contextmanager
def products(precision: str) -> Iterator[None]:
    """A GPU's float32 matrix products in TF32 inside the block, if asked for."""
    if precision != "tf32":
        yield
        return
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@dataclass(frozen=True)
class Run:
    """What every epoch of one training needs."""

    accelerator: Accelerator
    network: nn.Module  # the model, wrapped for several processes
    optimizer: torch.optim.Optimizer
    model: MultiTaskModel
    data: Mapping[str, TaskData]
    settings: Training
    seed: int
    distillation: Distillation | None
    progress: Progress | None

    @cached_property
    def plan(self) -> list[int]:
        """Optimiser steps of every epoch."""
        return steps_per_epoch(self.data, self.settings)

    @property
    def alike(self) -> bool:
        """Whether several processes draw the random numbers that one alone would draw."""
        return self.accelerator.num_processes > 1 and self.accelerator.device.type == "cpu"

    def epoch(self, epoch: int) -> dict[str, Any]:
        """One pass over all tasks, and its mean loss by task."""
        settings, processes = self.settings, self.accelerator.num_processes
        own = 0 if self.alike else self.accelerator.process_index
        torch.manual_seed(derive_seed(self.seed, epoch, own))
        totals: dict[str, Tensor] = {}
        counts: Counter[str] = Counter()
        before, total = sum(self.plan[: epoch - 1]), sum(self.plan)
        self.model.train()
        batches = epoch_units(
            self.data,
            settings.batch_size,
            seed=self.seed,
            epoch=epoch,
            epochs=settings.epochs,
            task_sampling=settings.task_sampling,
            power=settings.power,
            group_by_length=settings.group_by_length,
        )
        for step, (task, units) in enumerate(batches, before):
            loss = torch.zeros((), device=self.accelerator.device)
            for piece in pieces(units, settings.accumulation, self.accelerator):
                part = piece.weight * self.loss(task, piece, step / max(total - 1, 1))
                self.accelerator.backward(part * processes)  # DDP takes the mean of their shares
                loss += part.detach()
            foreach = self.optimizer.defaults["foreach"]
            nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip, foreach=foreach)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(settings, step, total)
            self.optimizer.step()
            self.optimizer.zero_grad()
            totals[task] = totals.get(task, 0) + loss
            counts[task] += 1
            if self.progress:
                self.progress.advance()
        losses = {task: float(loss) / counts[task] for task, loss in totals.items()}
        return {"epoch": epoch, "loss": losses, "steps": counts.total()}

    def loss(self, task: str, piece: Piece, done: float) -> Tensor:
        """Loss of a piece when a fraction `done` of the training is over."""
        head, device = self.data[task].head or task, self.accelerator.device
        batch = collate(task, self.data[task], piece.units, self.model.pad)
        own = slice(*np.searchsorted(batch.groups.numpy(), (piece.own.start, piece.own.stop)))
        batch = batch.to(device)
        half = self.settings.precision == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            outputs = self.outputs(head, batch, own)
        return batch_loss(outputs, batch, self.model.specs[head], self.distillation, done)

    def outputs(self, head: str, batch: Batch, own: slice) -> Tensor:
        """Outputs (B, C) of a batch, its `own` rows by this process and the rest by the others."""
        rows = len(batch.tokens)
        if self.accelerator.num_processes == 1:
            return self.network(head, batch.tokens, batch.segments)
        # With no rows of its own a process takes one all the same: all have to step alike.
        mine = own if own.start < own.stop else slice(0, 1)
        with WholeDraws(mine, rows) if self.alike else nullcontext():
            found = self.network(head, batch.tokens[mine], batch.segments[mine])
        return gathered(found, own, rows)


@dataclass(frozen=True)
class Piece:
    """What is computed of a batch at a time."""

    units: np.ndarray
    own: slice  # of these, what this process computes
    weight: float  # of the piece in the batch's mean


def pieces(units: np.ndarray, accumulation: int, accelerator: Accelerator) -> list[Piece]:
    """A batch in its accumulation steps, each shared out among the processes.

    The gradient is that of the whole batch however it is computed.
    """
    found = []
    for some in np.array_split(units, accumulation):
        weight = len(some) / len(units)
        some = some if len(some) else units[:1]  # a batch may be smaller than its number of steps
        ends = np.linspace(0, len(some), accelerator.num_processes + 1).astype(int)
        place = accelerator.process_index
        found.append(Piece(some, slice(*ends[place : place + 2].tolist()), weight))
    return found


def steps_per_epoch(data: Mapping[str, TaskData], settings: Training) -> list[int]:
    """Optimiser steps of every epoch."""
    sizes = {task: -(-item.units // settings.batch_size) for task, item in data.items()}
    return [
        sum(
            batches_per_task(
                sizes,
                law=settings.task_sampling,
                power=settings.power,
                progress=epoch / max(settings.epochs - 1, 1),
            ).values()
        )
        for epoch in range(settings.epochs)
    ]


def learning_rate(settings: Training, step: int, total: int) -> float:
    """Of one step, from 0: linear warm-up to the peak, then linear decay to zero."""
    warm = settings.warmup * total
    rate = (step + 1) / warm if step + 1 < warm else (total - step) / max(total - warm, 1)
    return settings.learning_rate * min(rate, 1.0)


def best_score(history: History) -> float:
    """Best mean dev score so far, minus infinity before the first."""
    return max((e["score"] for e in history.epochs if "score" in e), default=float("-inf"))


def mean_score(scores: Scores) -> float:
    """Mean over tasks of each task's mean metric, in points."""
    return float(np.mean([np.mean(list(metrics.values())) for metrics in scores.values()]))
