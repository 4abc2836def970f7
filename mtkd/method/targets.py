"""Stored predictions, and the soft targets made of them: all that a teacher leaves behind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.special import expit, logit, softmax

from mtkd.common.errors import MtkdError, first_line
from mtkd.common.files import whole

FORMAT = 1


@dataclass(frozen=True)
class Predictions:
    """One model's outputs on one split of one task, keyed by the examples' own ids."""

    task: str
    split: str
    labels: tuple[str, ...]  # class names in column order, () for a similarity
    idx: np.ndarray  # int64 (N,)
    logits: np.ndarray  # float32 (N, C)
    run: str  # the run that made them


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write one file of predictions, atomically; safetensors with the names as metadata."""
    meta = {
        "format": FORMAT,
        "task": predictions.task,
        "split": predictions.split,
        "labels": list(predictions.labels),
        "run": predictions.run,
    }
    arrays = {"idx": predictions.idx, "logits": np.ascontiguousarray(predictions.logits)}
    with whole(path) as part:
        save_file(arrays, part, metadata={"mtkd": json.dumps(meta)})


def read_predictions(path: Path) -> Predictions:
    """Read a file of predictions. Raises MtkdError if it is missing, damaged or another kind."""
    todo = "delete the file and run its stage again"
    try:
        with safe_open(path, "numpy") as file:
            meta = json.loads((file.metadata() or {}).get("mtkd", "{}"))
            idx, logits = file.get_tensor("idx"), file.get_tensor("logits")
        if (found := meta.get("format")) != FORMAT:
            raise MtkdError(f"{path}: predictions of format {found!r}, expected {FORMAT}; {todo}")
        labels = tuple(meta["labels"])
        wanted = (len(idx), max(len(labels), 1))
        if idx.dtype != np.int64 or idx.ndim != 1 or logits.shape != wanted:
            raise ValueError(f"outputs of shape {logits.shape}, expected {wanted}")
        return Predictions(meta["task"], meta["split"], labels, idx, logits, meta["run"])
    except FileNotFoundError:
        raise MtkdError(f"{path}: no stored predictions; run the stage that makes them") from None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = first_line(error)
        raise MtkdError(f"{path}: damaged predictions ({reason}); {todo}") from error


def average(
    outputs: Sequence[np.ndarray],
    *,
    temperature: float = 1.0,
    of: Literal["probabilities", "logits"] = "probabilities",
    objective: str = "classification",
) -> np.ndarray:
    """Soft targets float32 (N, C) from the outputs (N, C) of several models on the same examples.

    Q = mean over models of softmax(logits / T), the average of class probabilities of the KD paper
    (section 3, T = 1); `of="logits"` averages the logits first. Where a text has several labels,
    `objective="multilabel"`, it is the sigmoid of each. Scores of a regression, (N, 1), are
    averaged as they are. `temperature` is above 0, without unit, and the one of the student's
    `Distillation`: nothing else can check that. Raises MtkdError where shapes differ.
    """
    shapes = {output.shape for output in outputs}
    if len(shapes) != 1:
        raise MtkdError(f"average: outputs of shapes {sorted(shapes)}; expected one shape (N, C)")
    if outputs[0].shape[-1] == 1:
        return np.asarray(np.mean(outputs, 0), np.float32)
    if of == "logits":
        outputs = [np.mean(outputs, 0)]
    if objective == "multilabel":
        return np.asarray(np.mean([expit(one / temperature) for one in outputs], 0), np.float32)
    probabilities = [softmax(logits / temperature, -1) for logits in outputs]
    return np.asarray(np.mean(probabilities, 0), np.float32)


def as_outputs(mean: np.ndarray, objective: str) -> np.ndarray:
    """Soft targets (N, C) as outputs of a head: logarithms, log-odds of several labels, scores."""
    if objective == "regression":
        return mean
    if objective == "multilabel":
        return logit(mean.astype(np.float64).clip(1e-9, 1 - 1e-9)).astype(np.float32)
    return np.log(mean.clip(1e-9))


def average_predictions(
    members: Sequence[Predictions],
    idx: np.ndarray,
    labels: Sequence[str],
    *,
    temperature: float = 1.0,
    of: Literal["probabilities", "logits"] = "probabilities",
    objective: str = "classification",
) -> np.ndarray:
    """Soft targets float32 (N, C) for the examples `idx`, in that order, from stored predictions.

    Raises MtkdError when label names differ or an example was not predicted.
    """
    aligned = [align(member, idx, labels) for member in members]
    return average(aligned, temperature=temperature, of=of, objective=objective)


def align(member: Predictions, idx: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Logits of the examples `idx`, in that order."""
    where = f"predictions of {member.run} on {member.task} {member.split}"
    if member.labels != tuple(labels):
        raise MtkdError(
            f"{where}: labels {list(member.labels)}, the task has {list(labels)}; "
            "predict again with this task's labels"
        )
    if not len(member.idx):
        raise MtkdError(f"{where}: empty; run the stage that makes them again")
    order = np.argsort(member.idx)
    places = np.searchsorted(member.idx[order], idx).clip(max=len(order) - 1)
    rows = order[places]
    missing = idx[member.idx[rows] != idx]
    if len(missing):
        raise MtkdError(
            f"{where}: {len(missing)} examples are not in it, the first has id {missing[0]}; "
            "teacher and student must see the same data (same source, revision and limit)"
        )
    return member.logits[rows]
