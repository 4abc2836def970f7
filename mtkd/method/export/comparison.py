"""What an exported model answers beside the model that it was made of, on the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data import metrics
from mtkd.data.answers import Rows, probabilities
from mtkd.data.resampling import resampled_scores
from mtkd.data.tasks import Examples
from mtkd.method.encoders import quiet
from mtkd.method.model import MultiTaskModel
from mtkd.method.texts import text_outputs
from mtkd.runtime import Student

PARITY = 1e-4  # largest difference of scores between two forms of one model
MEAN = "mean"

Told = Mapping[str, Any]
Outputs = dict[str, np.ndarray]  # by task, (N, C)


@dataclass(frozen=True)
class Change:
    """What one metric of a task becomes, in points, with its 95 % interval over examples."""

    task: str
    metric: str  # `MEAN` for that of several
    before: float
    after: float
    low: float  # of the change
    high: float
    examples: int
    is_score: bool  # whether the task is judged by it: its one metric, or the mean

    @property
    def change(self) -> float:
        return self.after - self.before

    def __str__(self) -> str:
        return f"{self.change:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def scores_of(outputs: np.ndarray, told: Told) -> np.ndarray:
    """What an answer shows of a head's outputs (N, C): probabilities, or numbers as they are."""
    if told["objective"] in ("classification", "multilabel"):
        return probabilities(outputs, told["objective"], told["temperature"])
    return outputs.astype(np.float64)


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference of scores (N, C); of numbers beyond 1, relative to them."""
    return float((abs(found - wanted) / np.maximum(1, abs(wanted))).max(initial=0))


def torch_outputs(model: MultiTaskModel, texts: Mapping[str, Rows]) -> Outputs:
    """Outputs of each task's head on its texts, by torch."""
    return {task: text_outputs(model, rows, [task])[task] for task, rows in texts.items()}


def graph_outputs(student: Student, texts: Mapping[str, Rows]) -> Outputs:
    """Outputs of each task's head on its texts, by onnxruntime."""
    return {task: student.outputs(rows, [task])[task] for task, rows in texts.items()}


def pipeline_scores(folder: Path, rows: Rows, labels: Sequence[str]) -> np.ndarray:
    """Scores (N, C) of a saved classifier for texts, as transformers' `pipeline` gives them."""
    import transformers

    with quiet():
        pipe = transformers.pipeline("text-classification", str(folder), device="cpu")
    found = np.zeros((len(rows), len(labels)))
    for row, texts in enumerate(rows):
        given: Any = dict(zip(("text", "text_pair"), texts, strict=False))
        scores: Any = pipe([given], top_k=None, truncation=True)[0]
        named: dict[str, float] = {one["label"]: one["score"] for one in scores}
        found[row] = [named[label] for label in labels]
    return found


def check_parity(
    found: Outputs, wanted: Outputs, texts: Mapping[str, Rows], told: Mapping[str, Told], what: str
) -> dict[str, float]:
    """Largest difference of scores by task. Raises MtkdError where one is beyond `PARITY`."""
    distances = {}
    for task, outputs in wanted.items():
        ours, theirs = (scores_of(one, told[task]) for one in (outputs, found[task]))
        distances[task] = apart(theirs, ours)
        if not distances[task] <= PARITY:  # a NaN is not
            row = int(np.nan_to_num(abs(theirs - ours), nan=np.inf).max(1).argmax())
            raise MtkdError(
                f"task {task}: {what} and torch give scores {distances[task]:.2g} apart on "
                f"{texts[task][row][0]!r:.60}; expected at most {PARITY:g}, so nothing was written"
            )
    return distances


def changes(examples: Examples, before: np.ndarray, after: np.ndarray) -> list[Change]:
    """What each metric of a task, and their mean, becomes when outputs (N, C) change.

    Intervals are of a paired bootstrap over the examples. `examples` must have labels.
    """
    task, labels = examples.task, examples.label
    assert labels is not None
    sides, found = (before, after), list[Change]()
    for name, some in {**{one: (one,) for one in task.metrics}, MEAN: task.metrics}.items():
        judged = replace(task, metrics=some)
        if name == MEAN and len(some) == 1:  # one metric is its own mean
            return [replace(found[0], is_score=True)]
        old, new = (
            metrics.task_score(judged, metrics.compute(judged, one, labels)) for one in sides
        )
        drawn = [resampled_scores(judged, examples.split, one, labels) for one in sides]
        low, high = np.percentile(drawn[1] - drawn[0], (2.5, 97.5))
        numbers = (old, new, float(low), float(high), len(labels))
        found.append(Change(task.name, name, *numbers, is_score=name == MEAN))
    return found
