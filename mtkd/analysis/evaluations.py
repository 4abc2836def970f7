"""Stored dev predictions of a system beside the gold labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from scipy.stats import pearsonr

from mtkd.analysis.results import Results
from mtkd.analysis.systems import system_order
from mtkd.analysis.tables import averages
from mtkd.data import metrics
from mtkd.data.loading import load_examples
from mtkd.data.tasks import Task, is_dev
from mtkd.experiments.stored import stored_predictions
from mtkd.experiments.systems.metal_slices import slices_of
from mtkd.method import targets

Gold = Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]  # (task, split) -> ids, labels


@dataclass(frozen=True)
class Outputs:
    """One system's outputs on all dev sets of a task, of one seed; N rows in the data's order."""

    task: Task
    seed: int
    values: np.ndarray  # float32 (N, C): logits, or (N, 1) similarities
    label: np.ndarray  # (N,)
    sizes: tuple[tuple[str, int], ...] = ()  # rows of each dev set, in their order


def dev_labels(results: Results) -> Gold:
    """Ids and gold labels of every dev set of the recipe's tasks."""
    found = {}
    for task in results.tasks:
        for split in filter(is_dev, results.recipe.task(task).splits):
            examples = load_examples(results.recipe.data, results.recipe.task(task), split)
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
            known = results.recipe.task(task)
            splits = [split for split in known.splits if (task, split) in scored & gold.keys()]
            parts = [
                targets.align(
                    stored_predictions(results.folder, record.run_id, system, task, split),
                    gold[task, split][0],
                    known.labels,
                )
                for split in splits
            ]
            if parts:
                label = np.concatenate([gold[task, split][1] for split in splits])
                sizes = tuple((split, len(gold[task, split][1])) for split in splits)
                found.append(Outputs(known, record.seed, np.concatenate(parts), label, sizes))
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
            task = one.task
            for name, members in slices[task.name].items():
                found = metrics.compute(task, one.values[members], one.label[members])
                title = f"{task.title} {name} ({len(members)})"
                rows.append((system, title, metrics.task_score(task, found)))
    return averages(pd.DataFrame(rows, columns=["system", "task", "value"]))


def dev_slices(results: Results, task: str, gold: Gold) -> dict[str, np.ndarray]:
    """Rows of each slice in a task's dev sets, counted through all of them."""
    known = results.recipe.task(task)
    splits = [split for split in known.splits if (task, split) in gold]
    return slices_of(*(load_examples(results.recipe.data, known, one) for one in splits))


def calibration(outputs: Sequence[Outputs]) -> tuple[float, float]:
    """Calibration error, and confidence less accuracy, of all answers; NaN for scores alone."""
    parts = [sure_and_right(one) for one in outputs if one.task.kind != "regression"]
    if not parts:
        return float("nan"), float("nan")
    confidence, right = (np.concatenate(column) for column in zip(*parts, strict=True))
    return calibration_error(confidence, right), float((confidence - right).mean())


def sure_and_right(outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """Confidence in each answer, and whether it is the label, of a task with labels.

    Where a text may have several labels, each is an answer: yes or no.
    """
    values = outputs.values.astype(np.float64)
    if outputs.task.kind == "multilabel":
        yes = expit(values).ravel()
        return np.maximum(yes, 1 - yes), (yes > 0.5) == (outputs.label.ravel() > 0.5)
    return softmax(values, axis=1).max(axis=1), values.argmax(axis=1) == outputs.label


def alike(one: Outputs, other: Outputs) -> float:
    """Answers of a task, in %, that two systems share; of scores, their correlation in %."""
    if one.task.kind == "regression":
        pair = one.values[:, 0], other.values[:, 0]
        return 100 * float(pearsonr(*pair).statistic) if all(map(np.ptp, pair)) else float("nan")
    if one.task.kind == "multilabel":
        return 100 * float(np.mean((one.values > 0) == (other.values > 0)))
    return 100 * float(np.mean(one.values.argmax(axis=1) == other.values.argmax(axis=1)))


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error, 0 to 1: ECE = sum_m |B_m|/N * |acc(B_m) - conf(B_m)|.

    `confidence` (N,) is the probability of the answer, `right` (N,) whether it is the label; bin m
    of M holds ((m - 1)/M, m/M]. Guo et al. 2017 (arXiv:1706.04599), section 2.
    """
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")
    return float(np.abs(np.bincount(place, confidence - right)).sum() / len(confidence))
