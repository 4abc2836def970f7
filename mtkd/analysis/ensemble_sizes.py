"""Ensembles of any size from stored predictions: nothing is trained for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from mtkd.analysis.charts import lines_figure
from mtkd.analysis.evaluations import Gold, dev_labels
from mtkd.analysis.results import Results, finished
from mtkd.analysis.tables import averages, printed
from mtkd.analysis.views import View
from mtkd.data import metrics
from mtkd.experiments.plans import variant_runs
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe
from mtkd.experiments.stored import stored_predictions
from mtkd.experiments.studies.registry import make_study
from mtkd.method import targets
from mtkd.method.targets import Predictions

SUBSETS = 20  # ensembles of one size, at most
MEASURES = {"best": "Best candidates", "any": "Any candidates"}
Member = dict[tuple[str, str], Predictions]  # by task and split


def ensemble_views(results: Results) -> list[View]:
    """Score of the ensemble itself by its size; empty without the study `ensembles`."""
    values = ensembles_by_size(results)
    if values.empty:
        return []
    sizes = {size: size for size in values["system"]}
    points = values.assign(panel="", line=values["task"].map(MEASURES), x=values["system"].map(int))
    return [
        View(
            name="ensemble_sizes",
            title="How many teachers make a good ensemble?",
            caption="Score of the averaged predictions themselves, without any student, by the "
            "number of teachers: the best by dev score, and any of the candidates.",
            notes=(f"At most {SUBSETS} ensembles of each size and seed, drawn at random.",),
            table=printed(values, MEASURES, names=sizes, first="Teachers"),
            values=values,
            figure=lines_figure(points, "teachers in the ensemble", "ensemble's score, points"),
            section="studies",
        )
    ]


def ensembles_by_size(results: Results) -> pd.DataFrame:
    """Dev scores as numbers: the "system" is the size, the "task" says of which candidates.

    "best" are the candidates that rank highest; "any" is the mean over all ensembles of that size,
    or 20 drawn ones. Empty without finished runs of the study `ensembles`.
    """
    gold, rows = dev_labels(results), list[tuple[str, str, float]]()
    for record in finished(results.folder, widest_teachers(results)):
        chosen = record.details["members"]
        members = [read_member(results, run, system, gold) for run, system in chosen]
        rows += scores_by_size(members, gold, record.seed, results.recipe)
    return averages(pd.DataFrame(rows, columns=["system", "task", "value"]))


def scores_by_size(
    members: Sequence[Member], gold: Gold, seed: int, recipe: Recipe
) -> Iterator[tuple[str, str, float]]:
    """Size, "best" or "any", and score of the ensembles of some members, the best member first."""
    for size in range(1, len(members) + 1):
        yield str(size), "best", ensemble_score(members[:size], gold, recipe)
        scores = [ensemble_score(group, gold, recipe) for group in drawn(members, size, seed)]
        yield str(size), "any", float(np.mean(scores))


def widest_teachers(results: Results) -> list[Run]:
    """The teachers runs, one per seed, that hold every candidate."""
    study = make_study(results.recipe, "ensembles")
    if not study.variants:
        return []
    widest = max(study.variants, key=lambda variant: float(variant.factors.get("teachers", 0)))
    students = variant_runs(results.recipe, study, widest)
    return [parent for run in students for parent in run.parents if parent.stage == "teachers"]


def read_member(results: Results, run_id: str, system: str, gold: Gold) -> Member:
    """One teacher's stored predictions on every dev set."""
    return {
        (task, split): stored_predictions(results.folder, run_id, system, task, split)
        for task, split in gold
    }


def drawn(members: Sequence[Member], size: int, seed: int) -> list[tuple[Member, ...]]:
    """All ensembles of one size, or 20 of them, drawn."""
    groups = list(combinations(members, size))
    if len(groups) <= SUBSETS:
        return groups
    picked = np.random.default_rng((seed, size)).choice(len(groups), SUBSETS, replace=False)
    return [groups[number] for number in picked]


def ensemble_score(members: Sequence[Member], gold: Gold, recipe: Recipe) -> float:
    """Mean over tasks of the dev score, in points, of the members' averaged probabilities."""
    scores: dict[str, list[float]] = {}
    for (task, split), (idx, label) in gold.items():
        known, outputs = recipe.task(task), [one[task, split] for one in members]
        mean = targets.average_predictions(outputs, idx, known.labels, objective=known.kind)
        mean = mean.astype(np.float64)  # whose logarithms keep the order of what is nearly equal
        found = metrics.compute(known, targets.as_outputs(mean, known.kind), label)
        scores.setdefault(task, []).append(float(np.mean(list(found.values()))))
    return float(np.mean([np.mean(values) for values in scores.values()]))
