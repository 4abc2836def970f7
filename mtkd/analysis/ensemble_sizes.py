"""Ensembles of any size from stored predictions: nothing is trained for them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from mtkd.analysis.evaluations import Gold, dev_labels
from mtkd.analysis.results import Results
from mtkd.analysis.statistics import estimate
from mtkd.analysis.tables import OURS, cell, row_of, said, verdict
from mtkd.data import metrics
from mtkd.data.tasks import GLUE
from mtkd.experiments import records
from mtkd.experiments.plans import arm_runs
from mtkd.experiments.records import prediction_file, run_folder
from mtkd.experiments.runs import Run
from mtkd.experiments.studies.ablations import ensembles
from mtkd.method import targets
from mtkd.method.targets import Predictions

SUBSETS = 20  # ensembles of one size, at the most
Member = dict[tuple[str, str], Predictions]  # by task and split


def ensembles_by_size(results: Results) -> pd.DataFrame:
    """Ensembles of candidates of every size: all of a size, or 20 drawn ones, and the best.

    One row per ensemble, columns seed, size, `best` (its members rank highest), `drawn`, `score`
    (mean dev score in points), `gain` (less the mean of its members' own scores), `disagreement`
    (% of dev examples that two members answer differently, mean over pairs and tasks). Empty
    without finished runs of the study `ensembles`.
    """
    gold, rows = dev_labels(results), []
    for run in widest_teachers(results):
        record = records.read_record(run_folder(results.folder, run.run_id))
        members = [
            read_member(results, run_id, system, gold)
            for run_id, system in record.details["members"]
        ]
        alone = [ensemble_score([member], gold) for member in members]
        apart = {
            pair: disagreement(members[pair[0]], members[pair[1]])
            for pair in combinations(range(len(members)), 2)
        }
        for size in range(1, len(members) + 1):
            best, groups = tuple(range(size)), drawn(len(members), size, run.seed)
            for group in dict.fromkeys([best, *groups]):
                score = ensemble_score([members[at] for at in group], gold)
                shares = [apart[pair] for pair in combinations(group, 2)]
                rows.append(
                    {
                        "seed": run.seed,
                        "size": size,
                        "best": group == best,
                        "drawn": group in groups,
                        "score": score,
                        "gain": score - float(np.mean([alone[at] for at in group])),
                        "disagreement": float(np.mean(shares)) if shares else float("nan"),
                    }
                )
    columns = ["seed", "size", "best", "drawn", "score", "gain", "disagreement"]
    return pd.DataFrame(rows, columns=columns)


def by_seed(found: pd.DataFrame) -> pd.DataFrame:
    """A row per seed and size of `ensembles_by_size`: `best`, `any`, `gain` and `disagreement`.

    The score of the best ensemble, and means over the drawn ones.
    """
    keys = ["seed", "size"]
    best = found[found["best"]].set_index(keys)["score"].rename("best")
    means = found[found["drawn"]].groupby(keys)[["score", "gain", "disagreement"]].mean()
    return best.to_frame().join(means.rename(columns={"score": "any"})).reset_index()


def size_table(found: pd.DataFrame) -> pd.DataFrame:
    """Ensembles by size as printed: means over seeds with their intervals."""
    titles = {
        "best": ("The best", False),
        "any": ("Any", False),
        "gain": ("Any, less its members' mean", True),
    }
    table = []
    for size, rows in by_seed(found).groupby("size"):
        line = {"Teachers": str(size)}
        for name, (title, signed) in titles.items():
            numbers = estimate(rows[name])
            row = row_of("", OURS, name, numbers) if numbers.n else None
            line[title] = cell(row, signed=signed)
        table.append(line | {"Seeds": str(rows["seed"].nunique())})
    return pd.DataFrame(table)


def diversity(found: pd.DataFrame, size: int) -> pd.Series:
    """Rank correlation of disagreement and gain among ensembles of one size, by seed (Spearman)."""
    mine = found[(found["size"] == size) & found["drawn"]]
    ranks = {
        seed: spearmanr(rows["disagreement"], rows["gain"]).statistic
        for seed, rows in mine.groupby("seed")
        if rows["disagreement"].nunique() > 1 and rows["gain"].nunique() > 1
    }
    return pd.Series(ranks, dtype=np.float64)


def diversity_said(found: pd.DataFrame, size: int) -> str:
    """Whether members that differ more make a better ensemble, in words."""
    numbers = estimate(diversity(found, size))
    if not numbers.n:
        return ""
    apart = estimate(by_seed(found).query(f"size == {size}").set_index("seed")["disagreement"])
    differ = said(row_of("", OURS, "", apart), signed=False, unit="%")
    heard = verdict(row_of("", OURS, "", numbers))
    words = {"a gain": "more", "a loss": "less", "not told apart": "as much, as far as is told"}
    low = "" if numbers.low is None else f" [{numbers.low:+.2f}, {numbers.high:+.2f}]"
    return (
        f"Two candidates answer {differ} of the dev examples differently. Ensembles of {size} "
        f"whose members differ more gain {words.get(heard, heard)}: rank correlation "
        f"{numbers.value:+.2f}{low} (n = {numbers.n})."
    )


def widest_teachers(results: Results) -> list[Run]:
    """The finished teachers runs, one per seed, that hold every candidate."""
    arms = [arm for arm in ensembles(results.recipe).arms if arm.name.startswith("all-")]
    students = [
        run for arm in arms for run in arm_runs(results.recipe, ensembles(results.recipe), arm)
    ]
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
        mean = targets.average([one[task, split] for one in members], idx, GLUE[task].labels)
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
