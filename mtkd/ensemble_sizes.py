"""Ensembles of any size from stored predictions: nothing is trained for them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from mtkd import metrics, records, targets
from mtkd.ablations import ensembles
from mtkd.evaluations import Gold, dev_labels
from mtkd.plans import arm_runs
from mtkd.results import Results
from mtkd.runs import Run
from mtkd.targets import Predictions
from mtkd.tasks import GLUE
from mtkd.workbench import prediction_file, run_folder

SUBSETS = 20  # ensembles of one size, at the most
Member = dict[tuple[str, str], Predictions]  # by task and split


def ensemble_sizes(results: Results) -> pd.DataFrame:
    """Dev score by ensemble size, columns seed, size, best, any, disagreement.

    `best` is the mean over tasks of the average of the candidates that rank highest; `any` that of
    ensembles of candidates however they rank (the mean over all of them, or over 20 drawn ones);
    `disagreement` the share of dev examples, in percent, on which two of the best differ, mean
    over pairs and tasks. Empty without finished runs of the study `ensembles`.
    """
    gold, rows = dev_labels(results), []
    for run in widest_teachers(results):
        record = records.read_record(run_folder(results.folder, run))
        members = [
            read_member(results, run_id, system, gold)
            for run_id, system in record.details["members"]
        ]
        for size in range(1, len(members) + 1):
            some = [ensemble_score(group, gold) for group in drawn(members, size, run.seed)]
            rows.append(
                {
                    "seed": run.seed,
                    "size": size,
                    "best": ensemble_score(members[:size], gold),
                    "any": float(np.mean(some)),
                    "disagreement": disagreement(members[:size]),
                }
            )
    return pd.DataFrame(rows, columns=["seed", "size", "best", "any", "disagreement"])


def widest_teachers(results: Results) -> list[Run]:
    """The finished teachers runs, one per seed, that hold every candidate."""
    arms = [arm for arm in ensembles(results.recipe).arms if arm.name.startswith("all-")]
    students = [
        run for arm in arms for run in arm_runs(results.recipe, ensembles(results.recipe), arm)
    ]
    found = [parent for run in students for parent in run.parents if parent.stage == "teachers"]
    return [run for run in found if (run_folder(results.folder, run) / "record.json").exists()]


def read_member(results: Results, run_id: str, system: str, gold: Gold) -> Member:
    """One teacher's stored predictions on every dev set."""
    return {
        (task, split): targets.read_predictions(
            prediction_file(results.folder, run_id, system, task, split)
        )
        for task, split in gold
    }


def drawn(members: Sequence[Member], size: int, seed: int) -> list[Sequence[Member]]:
    """All ensembles of one size, or 20 of them, drawn."""
    groups = list(combinations(members, size))
    if len(groups) <= SUBSETS:
        return list(groups)
    picked = np.random.default_rng((seed, size)).choice(len(groups), SUBSETS, replace=False)
    return [groups[number] for number in picked]


def ensemble_score(members: Sequence[Member], gold: Gold) -> float:
    """Mean over tasks of the dev score, in points, of the members' averaged probabilities."""
    scores: dict[str, list[float]] = {}
    for (task, split), (idx, label) in gold.items():
        mean = targets.average([one[task, split] for one in members], idx, GLUE[task].labels)
        found = metrics.compute(GLUE[task], mean, label)
        scores.setdefault(task, []).append(float(np.mean(list(found.values()))))
    return float(np.mean([np.mean(values) for values in scores.values()]))


def disagreement(members: Sequence[Member]) -> float:
    """Share of examples, in percent, that two members answer differently; NaN for one member."""
    shares = [
        100 * float(np.mean(first[key].logits.argmax(1) != second[key].logits.argmax(1)))
        for first, second in combinations(members, 2)
        for key in first
        if GLUE[key[0]].labels
    ]
    return float(np.mean(shares)) if shares else float("nan")
