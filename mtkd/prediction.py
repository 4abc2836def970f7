"""Outputs of a model on a split, and their scores."""

from __future__ import annotations

import numpy as np
import torch

from mtkd import metrics
from mtkd.batches import TaskData, by_length, pad_rows
from mtkd.losses import group_log_probs
from mtkd.model import MultiTaskModel

BATCH = 128  # rows a batch; no gradients, so larger than in training


@torch.inference_mode()
def predict(model: MultiTaskModel, task: str, item: TaskData, *, pad: int) -> np.ndarray:
    """Outputs float32 (N, C) of one task's head, row i for example i.

    A ranking head's relevance scores become log-probabilities of (entailment, not_entailment)
    within each question's candidates, so that they read like a classifier's.
    """
    model.eval()
    device = next(model.parameters()).device
    encoded, spec = item.encoded, model.specs[task]
    rows_of = item.unit_rows
    columns = max(len(spec.labels), 1)
    outputs = np.zeros((len(encoded), columns), np.float32)
    for units in by_length(item, BATCH if rows_of is None else BATCH // 4):
        rows = units if rows_of is None else np.concatenate([rows_of[unit] for unit in units])
        tokens, segments = pad_rows(encoded, rows, pad)
        result = model(task, tokens.to(device), segments.to(device))
        if spec.kind == "ranking":
            sizes = [1] * len(units) if rows_of is None else [len(rows_of[unit]) for unit in units]
            groups = torch.repeat_interleave(torch.arange(len(units)), torch.tensor(sizes))
            chosen = group_log_probs(result, groups.to(device))
            other = torch.log(-torch.expm1(chosen.clamp(max=-1e-6)))
            result = torch.stack([chosen, other], 1)
        outputs[rows] = result.cpu().numpy()
    return outputs


def evaluate(
    model: MultiTaskModel, splits: dict[str, dict[str, TaskData]], *, pad: int
) -> dict[str, dict[str, float]]:
    """Scores by task: `splits` maps task -> split -> data; a metric of dev_mm is `accuracy_mm`."""
    scores: dict[str, dict[str, float]] = {}
    for task, items in splits.items():
        for split, item in items.items():
            found = metrics.compute(
                item.encoded.task, predict(model, task, item, pad=pad), item.encoded.label
            )
            suffix = split.removeprefix("dev")
            scores.setdefault(task, {}).update({m + suffix: v for m, v in found.items()})
    return scores
