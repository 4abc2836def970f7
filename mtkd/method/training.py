"""The one training loop: multi-task, single-task, fine-tuning and distillation alike."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtkd.common.progress import Progress
from mtkd.data.batches import Batch, TaskData, batches_per_task, collate, epoch_units
from mtkd.method import losses
from mtkd.method.dropout import draw_masks
from mtkd.method.model import MultiTaskModel
from mtkd.method.optim import Adamax
from mtkd.method.settings import Distillation, HeadSpec, Training

Scores = dict[str, dict[str, float]]  # task -> metric -> points


@dataclass
class History:
    """What happened, epoch by epoch; goes into the record as it is."""

    epochs: list[dict[str, Any]] = field(default_factory=list)
    kept_epoch: int = 0
    keep: str = "last"

    @property
    def finite(self) -> bool:
        return all(np.isfinite(list(epoch["loss"].values())).all() for epoch in self.epochs)


def train(
    model: MultiTaskModel,
    data: Mapping[str, TaskData],
    settings: Training,
    *,
    seed: int,
    pad: int,
    distillation: Distillation | None = None,
    evaluate: Callable[[], Scores] | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> History:
    """Train `model` in place by Algorithm 1 and return its history.

    Each epoch deals every task's examples into batches, merges and shuffles the batches of all
    tasks, and takes one Adamax step per batch. `evaluate` gives dev scores after each epoch.
    With a `checkpoint` folder, an interrupted call continues at the last finished epoch and ends
    with the very weights of an uninterrupted one: all randomness is seeded by (seed, epoch).
    """
    accelerator = Accelerator(
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=len(model.specs) > 1)]
    )
    network = accelerator.prepare(model)  # moves to the device; wraps for several processes
    optimizer = make_optimizer(model, settings, accelerator)
    draw_masks(model, settings.dropout_masks if accelerator.device.type == "cpu" else "torch")
    plan = steps_per_epoch(data, settings)
    history = History(keep=settings.keep if evaluate else "last")
    best = restore(checkpoint, model, optimizer, history) if checkpoint else None
    step = sum(plan[: len(history.epochs)])
    if progress:
        progress.advance(step)

    for epoch in range(len(history.epochs) + 1, settings.epochs + 1):
        began = time.perf_counter()
        torch.manual_seed(derive_seed(seed, epoch, accelerator.process_index))
        totals: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        model.train()
        for task, units in epoch_units(
            data,
            settings.batch_size,
            seed=seed,
            epoch=epoch,
            epochs=settings.epochs,
            mixing=settings.mixing,
            power=settings.power,
            group_by_length=settings.group_by_length,
        ):
            head = data[task].head or task
            loss = torch.zeros((), device=accelerator.device)
            for piece, weight in pieces(units, settings.accumulation, accelerator):
                batch = collate(task, data[task], piece, pad).to(accelerator.device)
                optimizer.catch_up(batch.tokens)
                with torch.autocast(
                    accelerator.device.type, torch.bfloat16, enabled=settings.precision == "bf16"
                ):
                    outputs = network(head, batch.tokens, batch.segments)
                done = step / max(sum(plan) - 1, 1)
                loss_here = batch_loss(outputs, batch, model.specs[head], distillation, done)
                part = weight * loss_here
                accelerator.backward(part * accelerator.num_processes)  # DDP takes the mean
                loss += part.detach()
            optimizer.clip(settings.clip)
            optimizer.step(learning_rate(settings, step, sum(plan)))
            optimizer.zero_grad()
            totals[task] = totals.get(task, 0) + loss
            counts[task] = counts.get(task, 0) + 1
            step += 1
            if progress:
                progress.advance()

        entry: dict[str, Any] = {
            "epoch": epoch,
            # Each process has summed its share of every batch.
            "loss": {
                task: float(accelerator.reduce(total)) / counts[task]
                for task, total in totals.items()
            },
            "steps": sum(counts.values()),
        }
        optimizer.catch_up()
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
            save(checkpoint, model, optimizer, history, best)

    if best is not None:
        model.load_state_dict(best)
    word_embedding(model).sparse = False
    draw_masks(model, "torch")
    model.eval()
    return history


def make_optimizer(model: MultiTaskModel, settings: Training, accelerator: Accelerator) -> Adamax:
    """Adamax over the encoder and each head; a CPU may leave embedding rows for later."""
    groups = [model.encoder.parameters(), *(head.parameters() for head in model.heads.values())]
    embedding = word_embedding(model)
    alone = accelerator.device.type == "cpu" and accelerator.num_processes == 1
    if alone and settings.embedding_rows == "read" and isinstance(embedding, nn.Embedding):
        embedding.sparse = True  # only the rows that a batch reads have gradients
        return Adamax(groups, embedding.weight)
    return Adamax(groups)


def word_embedding(model: MultiTaskModel) -> Any:
    """The encoder's token embedding, of a class that its authors chose."""
    return model.encoder.get_input_embeddings()


def batch_loss(
    outputs: Tensor,
    batch: Batch,
    spec: HeadSpec,
    distillation: Distillation | None,
    done: float = 0.0,
) -> Tensor:
    """Task loss of one batch: without soft targets on its labels alone, and the other way round.

    `done` is the share of the training, 0 to 1, that is over.
    """
    if distillation is None or batch.soft is None:
        return objective(outputs, batch, spec, None, 1.0)
    weight, temperature = label_weight(distillation, done), distillation.temperature
    if batch.labels is None:
        return objective(outputs, batch, spec, batch.soft, temperature)
    if distillation.mix == "targets" and spec.kind in ("linear", "san"):
        mixed = losses.mixed_targets(batch.labels, batch.soft, weight)
        return objective(outputs, batch, spec, mixed, temperature)
    hard = objective(outputs, batch, spec, None, 1.0)
    soft = objective(outputs, batch, spec, batch.soft, temperature)
    return losses.mixed_loss(hard, soft, weight)


def label_weight(distillation: Distillation, done: float) -> float:
    """Weight of the labels when a share `done` of the training, 0 to 1, is over."""
    return done if distillation.anneal else distillation.hard_weight


def objective(
    outputs: Tensor, batch: Batch, spec: HeadSpec, soft: Tensor | None, temperature: float
) -> Tensor:
    """Loss against the soft targets, or against the labels when `soft` is None."""
    if soft is None and batch.labels is None:
        raise ValueError(f"{batch.task}: training needs labels or soft targets")
    if soft is not None and spec.kind in ("linear", "san"):
        return losses.soft_loss(outputs, soft, temperature)
    target = batch.labels if soft is None else soft[:, 0]
    assert target is not None  # checked above
    if spec.kind == "similarity":
        return losses.regression_loss(outputs, target)
    if spec.kind == "ranking":
        target = (target == 0).float() if soft is None else target
        mass = torch.zeros_like(target).index_add(0, batch.groups, target)
        return losses.ranking_loss(outputs, target / mass[batch.groups], batch.groups)
    return losses.hard_loss(outputs, target)


def pieces(
    units: np.ndarray, accumulation: int, accelerator: Accelerator
) -> list[tuple[np.ndarray, float]]:
    """This process's parts of a batch, with their weights in the batch's mean.

    A batch is cut over processes first and accumulation steps second, so that the gradient is
    that of the whole batch however it is computed.
    """
    shares = np.array_split(units, accelerator.num_processes * accumulation)
    mine = shares[accelerator.process_index :: accelerator.num_processes]
    # A batch smaller than its number of parts leaves empty ones; processes must still step alike.
    return [(part, len(part) / len(units)) if len(part) else (units[:1], 0.0) for part in mine]


def steps_per_epoch(data: Mapping[str, TaskData], settings: Training) -> list[int]:
    """Optimiser steps of every epoch."""
    sizes = {task: -(-item.units // settings.batch_size) for task, item in data.items()}
    return [
        sum(
            batches_per_task(
                sizes,
                law=settings.mixing,
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


def derive_seed(*numbers: int) -> int:
    """A well-mixed 32-bit seed from several small numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def best_score(history: History) -> float:
    """Best mean dev score so far, minus infinity before the first."""
    return max((e["score"] for e in history.epochs if "score" in e), default=float("-inf"))


def mean_score(scores: Scores) -> float:
    """Mean over tasks of each task's mean metric, in points."""
    return float(np.mean([np.mean(list(metrics.values())) for metrics in scores.values()]))


def save(
    folder: Path,
    model: MultiTaskModel,
    optimizer: Adamax,
    history: History,
    best: dict[str, Tensor] | None,
) -> None:
    """Checkpoint of a finished epoch: weights, optimiser state and history, no pickle."""
    epoch = len(history.epochs)
    part, done = folder / "writing", folder / f"epoch-{epoch:04d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, part / "model.safetensors"
    )
    save_file(optimizer.state(), part / "optimizer.safetensors")
    if best is not None:
        save_file(best, part / "best.safetensors")
    text = json.dumps({"epochs": history.epochs, "kept_epoch": history.kept_epoch})
    (part / "history.json").write_text(text)
    os.replace(part, done)
    for old in folder.glob("epoch-*"):
        if old != done:
            shutil.rmtree(old)


def restore(
    folder: Path,
    model: MultiTaskModel,
    optimizer: Adamax,
    history: History,
) -> dict[str, Tensor] | None:
    """Load the newest checkpoint, if any, into model, optimiser and history; returns the best."""
    done = sorted(folder.glob("epoch-*"))
    if not done:
        return None
    newest = done[-1]
    device = next(model.parameters()).device
    saved = json.loads((newest / "history.json").read_text())
    history.epochs, history.kept_epoch = saved["epochs"], saved["kept_epoch"]
    model.load_state_dict(load_file(newest / "model.safetensors", device=str(device)))
    optimizer.load_state(load_file(newest / "optimizer.safetensors", device=str(device)))
    best = newest / "best.safetensors"
    return load_file(best) if best.exists() else None
