"""Stored dev predictions of a system beside the gold labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import softmax

from mtkd.analysis.calibration import Reliability, reliability
from mtkd.analysis.results import Results
from mtkd.analysis.systems import system_order
from mtkd.analysis.tables import averages
from mtkd.data import metrics
from mtkd.data.loading import load_examples
from mtkd.data.tasks import GLUE, is_dev
from mtkd.experiments.records import prediction_file
from mtkd.experiments.systems.metal_slices import slices_of
from mtkd.method import targets

Gold = Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]  # (task, split) -> ids, labels


@dataclass(frozen=True)
class Outputs:
    """One system's outputs on all dev sets of a task, of one seed; N rows in the data's order."""

    task: str
    seed: int
    values: np.ndarray  # float32 (N, C): logits, or (N, 1) similarities
    label: np.ndarray  # (N,)


def dev_labels(results: Results) -> Gold:
    """Ids and gold labels of every dev set of the recipe's tasks."""
    found = {}
    for task in results.tasks:
        for split in filter(is_dev, GLUE[task].splits):
            examples = load_examples(results.recipe.data, GLUE[task], split)
            if examples.label is not None:
                found[task, split] = (examples.idx, examples.label)
    return found


def dev_outputs(results: Results, system: str, gold: Gold) -> list[Outputs]:
    """A system's stored dev outputs, one item per task and seed; MNLI's two dev sets together.

    Raises MtkdError where a file of predictions is missing or does not fit the data.
    """
    found = []
    for record in results.records:
        scored = {(score.task, score.split) for score in record.scores if score.system == system}
        for task in results.tasks:
            splits = [split for split in GLUE[task].splits if (task, split) in scored & gold.keys()]
            parts = [
                targets.align(
                    targets.read_predictions(
                        prediction_file(results.folder, record.run_id, system, task, split)
                    ),
                    gold[task, split][0],
                    GLUE[task].labels,
                )
                for split in splits
            ]
            if parts:
                label = np.concatenate([gold[task, split][1] for split in splits])
                found.append(Outputs(task, record.seed, np.concatenate(parts), label))
    return found


def slice_values(results: Results) -> pd.DataFrame:
    """Dev scores of every main system on the named slices, as numbers.

    The "task" is "RTE negation (40)": a task, a slice, and how many dev examples are in it (both
    of MNLI's sets). Slices that hold nearly all of a task's examples, or hardly any, are left out.
    """
    gold = dev_labels(results)
    slices = {task: dev_slices(results, task, gold) for task in results.tasks}
    rows = []
    for system in system_order(results.scores):
        for one in dev_outputs(results, system, gold):
            task = GLUE[one.task]
            for name, members in slices[one.task].items():
                found = metrics.compute(task, one.values[members], one.label[members])
                title = f"{task.title} {name} ({len(members)})"
                rows.append((system, title, metrics.task_score(task, found)))
    return averages(pd.DataFrame(rows, columns=["system", "task", "value"]))


def dev_slices(results: Results, task: str, gold: Gold) -> dict[str, np.ndarray]:
    """Rows of each slice in a task's dev sets, counted through all of them."""
    splits = [split for split in GLUE[task].splits if (task, split) in gold]
    return slices_of(*(load_examples(results.recipe.data, GLUE[task], one) for one in splits))


def pooled_reliability(outputs: Sequence[Outputs]) -> Reliability | None:
    """Reliability of all class predictions together; None if there are none."""
    classes = [one for one in outputs if GLUE[one.task].labels]
    if not classes:
        return None
    # Tasks have two or three classes: a missing third one has no probability.
    widest = max(one.values.shape[1] for one in classes)
    rows = [softmax(one.values.astype(np.float64), axis=1) for one in classes]
    padded = [np.pad(row, ((0, 0), (0, widest - row.shape[1]))) for row in rows]
    return reliability(np.concatenate(padded), np.concatenate([one.label for one in classes]))
