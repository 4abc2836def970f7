"""Two systems by their stored dev predictions: how they differ by task, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mtkd.analysis.evaluations import Gold, Outputs, dev_outputs
from mtkd.analysis.paired_examples import Difference, Scored, difference, holm, mean_difference
from mtkd.analysis.plotting import counted
from mtkd.analysis.results import Results, finished
from mtkd.analysis.statistics import LEVEL, Estimate, estimate
from mtkd.analysis.systems import task_title
from mtkd.analysis.tables import OURS, UNCLEAR, cell, decimal, row_of, verdict
from mtkd.data import metrics
from mtkd.data.resampling import resampled_scores
from mtkd.experiments.plans import variant_runs
from mtkd.experiments.studies.registry import find_variant

MEAN = "mean"
Scores = Mapping[str, Mapping[int, Scored]]  # of a system, by task and seed


@dataclass(frozen=True)
class Comparison:
    """A system minus another one, by task and in the mean of these tasks."""

    other: str
    tasks: Mapping[str, Difference]
    mean: Difference

    @property
    def rows(self) -> dict[str, Difference]:
        """The tasks, and their mean where there are several."""
        return {**self.tasks, **({MEAN: self.mean} if len(self.tasks) > 1 else {})}

    @property
    def p(self) -> dict[str, float]:
        """p by task, adjusted for the number of tasks, and of their mean."""
        adjusted = holm([each.p for each in self.tasks.values()])
        return {**dict(zip(self.tasks, adjusted, strict=True)), MEAN: self.mean.p}

    @property
    def words(self) -> dict[str, str]:
        """A gain or a loss where the interval, as printed, leaves out 0 and p is below 5 %."""
        p = self.p
        rows = {name: row_of("", OURS, name, over_both(one)) for name, one in self.rows.items()}
        return {n: verdict(row) if p[n] < 1 - LEVEL else UNCLEAR for n, row in rows.items()}


def over_both(found: Difference) -> Estimate:
    """A difference with its interval over seeds and dev examples together."""
    return Estimate(found.value, *found.interval, tuple(found.points.values()))


def over_seeds(found: Difference) -> Estimate:
    """A difference with its interval over seeds alone: Student's t, none below three."""
    return estimate(pd.Series(found.points))


def said(found: Comparison) -> str:
    """A comparison's mean in words."""
    tasks, mean = list(found.tasks), found.mean
    where = f"in the mean of {len(tasks)} tasks" if len(tasks) > 1 else f"on {task_title(tasks[0])}"
    basis = f"{counted(len(mean.points), 'seed')}, {mean.n:,} dev examples"
    return f"{printed(over_both(mean))} points {where} ({basis})"


def printed(found: Estimate) -> str:
    return cell(row_of("", OURS, "", found), signed=True)


def printed_p(p: float) -> str:
    return "<0.001" if p < 0.001 else decimal(p, 3, False)


def numbers(system: str, task: str, found: Difference) -> dict[str, object]:
    """A difference as a row: columns as `tables.frame_of`, over seeds and examples, and more.

    `seeds_low`, `seeds_high` are over seeds alone; `examples` are dev examples; `student`, `score`
    the two systems' scores, means over the `n` seeds; `visible` is in points.
    """
    alone = over_seeds(found)
    student, score = np.mean(list(found.scores.values()), axis=0)
    return row_of(system, OURS, task, over_both(found)) | {
        "examples": found.n,
        "student": student,
        "score": score,
        "seeds_low": alone.low,
        "seeds_high": alone.high,
        "visible": found.visible(),
    }


def scores_of(results: Results, name: str, gold: Gold) -> Scores:
    """Scores of one of the recipe's systems, or of a variant of a study, "crossfit/in-sample"."""
    system, records = name, results.records
    if variant := find_variant(results.recipe, name):
        system = variant[1].system
        records = tuple(finished(results.folder, variant_runs(results.recipe, *variant)))
    found: dict[str, dict[int, Scored]] = {}
    for one in dev_outputs(replace(results, records=records), system, gold):
        found.setdefault(one.task.name, {})[one.seed] = scored(one)
    return found


def scored(found: Outputs) -> Scored:
    """Scores of one model; of several dev sets, each drawn from by itself, the mean."""
    task = found.task
    ends = np.cumsum([size for _, size in found.sizes])[:-1]
    parts = zip(np.split(found.values, ends), np.split(found.label, ends), strict=True)
    scores, resampled = [], []
    for (split, _), (values, label) in zip(found.sizes, parts, strict=True):
        scores.append(metrics.task_score(task, metrics.compute(task, values, label)))
        resampled.append(resampled_scores(task, split, values, label))
    right = None
    if task.metrics == ("accuracy",):
        right = metrics.answers(found.values) == found.label
    return Scored(len(found.label), float(np.mean(scores)), np.mean(resampled, axis=0), right)


def compare(system: Scores, others: Scores, other: str) -> Comparison | None:
    """A system minus another, on the tasks and seeds that both have; None without any."""
    found = {task: difference(system[task], others[task]) for task in system if task in others}
    tasks = {task: one for task, one in found.items() if one is not None}
    mean = mean_difference(list(tasks.values()))
    return None if mean is None else Comparison(other, tasks, mean)
