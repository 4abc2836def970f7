"""Outputs of a model on a split, and their scores."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mtkd.data import metrics
from mtkd.data.batches import TaskData, by_length, pad_rows
from mtkd.data.tasks import is_dev
from mtkd.method.heads import objective_of
from mtkd.method.losses import group_log_probs
from mtkd.method.model import MultiTaskModel
from mtkd.method.threads import fast_threads

ONES = range(20)  # examples whose latency is measured
TIMED = 128  # examples of a task whose speed is measured
BATCH = 128  # rows a batch; no gradients, so larger than in training


@torch.inference_mode()
def predict(model: MultiTaskModel, task: str, item: TaskData) -> np.ndarray:
    """Outputs float32 (N, C) of one task's head, row i for example i: logits, or a score (N, 1).

    A ranking head's relevance scores become log-probabilities of (entailment, not_entailment)
    within each question's candidates, so that they read like a classifier's.
    """
    model.eval()
    device = next(model.parameters()).device
    encoded, spec = item.encoded, model.specs[task]
    ranking = objective_of(spec) == "ranking"
    outputs = np.zeros((len(encoded), max(len(spec.labels), 1)), np.float32)
    with fast_threads(model):
        for units in by_length(item, BATCH // 4 if item.unit_rows else BATCH):
            rows = item.rows(units)
            tokens, segments = pad_rows(encoded, rows, model.pad)
            found = model(task, tokens.to(device), segments.to(device))
            if ranking:
                found = candidate_log_probs(found, item.groups(units).to(device))
            outputs[rows] = found.cpu().numpy()
    return outputs


def candidate_log_probs(scores: Tensor, groups: Tensor) -> Tensor:
    """Relevance (B, 1) as log-probabilities (B, 2) of being the right candidate, and of not."""
    chosen = group_log_probs(scores, groups)
    other = torch.log(-torch.expm1(chosen.clamp(max=-1e-6)))
    return torch.stack([chosen, other], 1)


def deployed(model: MultiTaskModel, data: Mapping[str, Mapping[str, TaskData]]) -> dict[str, float]:
    """What a model costs where it is used: parameters, examples per second, latency in ms.

    `data` maps task -> split -> data. Speed is over the first examples of every task's dev set, in
    batches of similar length; latency is the median of the first task's, one at a time.
    """
    whole = {task: next(d for s, d in splits.items() if is_dev(s)) for task, splits in data.items()}
    dev = {task: d.some(d.rows(np.arange(min(TIMED, d.units)))) for task, d in whole.items()}
    task, item = next(iter(dev.items()))
    predict(model, task, item)  # the first pass allocates
    began = time.perf_counter()
    for name, one in dev.items():
        predict(model, name, one)
    seconds = time.perf_counter() - began
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "examples_per_second": sum(len(one.encoded) for one in dev.values()) / seconds,
        "latency_ms": 1000 * float(np.median([timed(model, task, item, row) for row in ONES])),
    }


def timed(model: MultiTaskModel, task: str, item: TaskData, row: int) -> float:
    """Seconds that a model needs for one example."""
    device = next(model.parameters()).device
    tokens, segments = pad_rows(item.encoded, np.array([row % len(item.encoded)]), model.pad)
    began = time.perf_counter()
    with torch.inference_mode():
        model(task, tokens.to(device), segments.to(device)).cpu()
    return time.perf_counter() - began


def evaluate(
    model: MultiTaskModel,
    splits: Mapping[str, Mapping[str, TaskData]],
    *,
    outputs: dict[tuple[str, str], np.ndarray] | None = None,
) -> dict[str, dict[str, float]]:
    """Scores by task and metric, in points: `splits` maps task -> split -> data with labels.

    A metric of dev_mm is `accuracy_mm`. The model's outputs go into `outputs`, by task and split.
    """
    scores: dict[str, dict[str, float]] = {}
    outputs = {} if outputs is None else outputs
    for task, items in splits.items():
        for split, item in items.items():
            outputs[task, split] = predict(model, task, item)
            found = metrics.compute(item.encoded.task, outputs[task, split], item.encoded.label)
            suffix = split.removeprefix("dev")
            scores.setdefault(task, {}).update({m + suffix: v for m, v in found.items()})
    return scores
