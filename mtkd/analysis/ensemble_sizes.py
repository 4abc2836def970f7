"""Ensembles of any size from stored predictions: nothing is trained for them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from mtkd.analysis.evaluations import Gold, dev_labels
from mtkd.analysis.results import Results
from mtkd.analysis.statistics import estimate
from mtkd.analysis.study_figures import lines_figure
from mtkd.analysis.study_tables import printed
from mtkd.analysis.tables import OURS, frame_of, row_of
from mtkd.analysis.views import View
from mtkd.data import metrics
from mtkd.data.tasks import GLUE
from mtkd.experiments import records
from mtkd.experiments.plans import variant_runs
from mtkd.experiments.records import prediction_file, run_folder
from mtkd.experiments.runs import Run
from mtkd.experiments.studies.registry import make_study
from mtkd.method import targets
from mtkd.method.targets import Predictions

SUBSETS = 20  # ensembles of one size, at most
MEASURES = {
    "best": "Best candidates",
    "any": "Any candidates",
    "gain": "Any, less the mean of its members",
    "disagreement": "Two members differ, % of answers",
}
Member = dict[tuple[str, str], Predictions]  # by task and split


def ensemble_views(results: Results) -> list[View]:
    """Score of the ensemble itself by its size; empty without the study `ensembles`."""
    found = ensembles_by_size(results)
    if found.empty:
        return []
    sizes = {str(size): str(size) for size in sorted(set(found["size"]))}
    values = frame_of(
        [
            row_of(size, OURS, measure, estimate(found.loc[found["size"] == int(size), measure]))
            for size in sizes
            for measure in MEASURES
        ]
    )
    points = values[values["task"].isin(["best", "any"])]
    points = points.assign(panel="", line=points["task"].map(MEASURES), x=points["system"].map(int))
    return [
        View(
            name="ensemble_sizes",
            title="How many teachers make a good ensemble?",
            caption="Score of the averaged predictions themselves, without any student, by the "
            "number of teachers: the best by dev score, and any of the candidates.",
            notes=(f"At most {SUBSETS} ensembles of each size and seed, drawn at random.",),
            table=printed(values, "Teachers", sizes, MEASURES, signed=("gain",)),
            values=values,
            figure=lines_figure(points, "teachers in the ensemble", "ensemble's score, points"),
            section="studies",
        )
    ]


def ensembles_by_size(results: Results) -> pd.DataFrame:
    """A row per seed and size: `best`, `any` and `gain` in points, `disagreement` in %.

    `best` is the score of the candidates that rank highest; the others are means over all
    ensembles of that size, or 20 drawn ones: their score, what it is above the mean of the members'
    own scores, and how many dev examples two members answer differently. Empty without finished
    runs of the study `ensembles`.
    """
    gold, rows = dev_labels(results), []
    for teachers in widest_teachers(results):
        record = records.read_record(run_folder(results.folder, teachers.run_id))
        chosen = record.details["members"]
        members = [read_member(results, run, system, gold) for run, system in chosen]
        rows += sizes_of(members, gold, teachers.seed)
    return pd.DataFrame(rows, columns=["seed", "size", *MEASURES])


def sizes_of(members: Sequence[Member], gold: Gold, seed: int) -> list[dict[str, float]]:
    """One row per size of the ensembles of some members, the best member first."""
    alone = [ensemble_score([member], gold) for member in members]
    apart = {
        (a, b): disagreement(members[a], members[b])
        for a, b in combinations(range(len(members)), 2)
    }
    rows = []
    for size in range(1, len(members) + 1):
        groups = drawn(len(members), size, seed)
        scores = [ensemble_score([members[at] for at in group], gold) for group in groups]
        gains = [
            score - np.mean([alone[at] for at in group])
            for score, group in zip(scores, groups, strict=True)
        ]
        differ = [apart[pair] for group in groups for pair in combinations(group, 2)]
        row = {"best": ensemble_score(members[:size], gold), "any": float(np.mean(scores))}
        row |= {"gain": float(np.mean(gains)), "seed": seed, "size": size}
        rows.append(row | {"disagreement": float(np.mean(differ)) if differ else float("nan")})
    return rows


def widest_teachers(results: Results) -> list[Run]:
    """The finished teachers runs, one per seed, that hold every candidate."""
    study = make_study(results.recipe, "ensembles")
    widest = max(study.variants, key=lambda variant: float(variant.factors.get("teachers", 0)))
    students = variant_runs(results.recipe, study, widest)
    found = [parent for run in students for parent in run.parents if parent.stage == "teachers"]
    return [
        run for run in found if (run_folder(results.folder, run.run_id) / "record.json").exists()
    ]


def read_member(results: Results, run_id: str, system: str, gold: Gold) -> Member:
    """One teacher's stored predictions on every dev set."""
    return {
        (task, split): targets.read_predictions(
            prediction_file(results.folder, run_id, system, task, split)
        )
        for task, split in gold
    }


def drawn(members: int, size: int, seed: int) -> list[tuple[int, ...]]:
    """All ensembles of one size, or 20 of them, drawn."""
    groups = list(combinations(range(members), size))
    if len(groups) <= SUBSETS:
        return groups
    picked = np.random.default_rng((seed, size)).choice(len(groups), SUBSETS, replace=False)
    return [groups[number] for number in picked]


def ensemble_score(members: Sequence[Member], gold: Gold) -> float:
    """Mean over tasks of the dev score, in points, of the members' averaged probabilities."""
    scores: dict[str, list[float]] = {}
    for (task, split), (idx, label) in gold.items():
        mean = targets.average_predictions(
            [one[task, split] for one in members], idx, GLUE[task].labels
        )
        found = metrics.compute(GLUE[task], mean, label)
        scores.setdefault(task, []).append(float(np.mean(list(found.values()))))
    return float(np.mean([np.mean(values) for values in scores.values()]))


def disagreement(first: Member, second: Member) -> float:
    """Share of examples, in percent, that two members answer differently, mean over the sets."""
    shares = [
        100 * float(np.mean(first[key].logits.argmax(1) != second[key].logits.argmax(1)))
        for key in first
        if GLUE[key[0]].labels
    ]
    return float(np.mean(shares)) if shares else float("nan")
