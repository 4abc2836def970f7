"""Is the student worth shipping? A sentence made from numbers, about a recipe's main student.

Against the ensemble the question is one of non-inferiority: does the 95 % interval of the mean
difference rule out a loss of more than the recipe's `margin` (Piaggio et al. 2012, JAMA 308:2594)?
Against the identical student without teachers it is whether the teachers added anything.

The margin's default is 1 point of the mean score. It has to be smaller than what an ensemble is
worth, or a student that has lost all of that would pass (FDA 2016, Non-Inferiority Clinical Trials
to Establish Effectiveness): in the paper's Table 3 an ensemble gains 1.4 points over a single
model. And it has to be a loss that one would accept for a model several times cheaper: one answer
in a hundred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10

import numpy as np
import pandas as pd

from mtkd.analysis.evaluations import Gold, Outputs, dev_labels, dev_outputs
from mtkd.analysis.paired_examples import (
    MOST,
    Difference,
    Scored,
    difference,
    holm,
    mean_difference,
)
from mtkd.analysis.plotting import counted
from mtkd.analysis.results import Results
from mtkd.analysis.statistics import LEVEL, Estimate, estimate
from mtkd.analysis.systems import ENSEMBLE, task_title
from mtkd.analysis.tables import GAIN, LOSS, OURS, UNCLEAR, cell, decimal, rounded, row_of, verdict
from mtkd.data import metrics
from mtkd.data.resampling import resampled_scores
from mtkd.experiments.settings import Recipe
from mtkd.experiments.systems.student import has_teachers

SHIP, KEEP, OPEN = "Ship the student", "Keep the ensemble", "The data cannot tell"
MEAN = "mean"
Scores = Mapping[str, Mapping[int, Scored]]  # of a system, by task and seed


@dataclass(frozen=True)
class Comparison:
    """A student minus another system, by task and in the mean of these tasks."""

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


@dataclass(frozen=True)
class Verdict:
    """What the dev examples say of a student; as text, the sentences."""

    student: str
    ensemble: Comparison
    control: Comparison | None  # with the same student without teachers
    margin: float  # points of the mean score that the student may lose

    @property
    def decision(self) -> str:
        """SHIP, KEEP or OPEN, by the interval as it is printed."""
        low, high = map(rounded, self.ensemble.mean.interval)
        return SHIP if low > -self.margin else KEEP if high < -self.margin else OPEN

    def __str__(self) -> str:
        return f"{self.decision}{self.against_ensemble} {self.from_teachers}"

    @property
    def against_ensemble(self) -> str:
        found = f"Against the ensemble the student is at {said(self.ensemble)}"
        margin = f"more than {self.margin:g} point{'s' if self.margin != 1 else ''}"
        if self.decision == OPEN:
            return f": {self.what_would}. {found}; that leaves open whether it loses {margin}."
        if self.decision == KEEP:
            return f". {found}, a loss of {margin}."
        return f". {found}, which rules out a loss of {margin}.{self.exceptions}"

    @property
    def exceptions(self) -> str:
        """The tasks, of several, on which the student is worse though its mean will do."""
        found, words = self.ensemble.tasks, self.ensemble.words
        worse = [
            f"{task_title(t)} ({printed(over_both(found[t]))})" for t in found if words[t] == LOSS
        ]
        several = len(found) > 1 and worse
        return f" But the ensemble is better on {', '.join(worse)}." if several else ""

    @property
    def what_would(self) -> str:
        """What would tell whether the loss is above the margin, were it as large as it looks."""
        mean = self.ensemble.mean
        more = mean.more(abs(mean.value + self.margin))
        if more is not None:
            return f"about {two_digits(more):,} more dev examples would"
        examples, seeds = mean.variances(MOST)
        if seeds > examples:
            return "more dev examples alone would not, for the seeds differ too much: add seeds"
        return f"not even {MOST:g} times as many dev examples would, so near the margin is it"

    @property
    def from_teachers(self) -> str:
        if self.control is None:
            return (
                "What its teachers added is not known: there is no finished run of the same "
                "student without teachers (in the recipe: `no-teacher: {hard_weight: 1.0, "
                f"same_seed_as: {self.student}}}`)."
            )
        mean, alone = self.control.mean, over_seeds(self.control.mean)
        found = said(self.control)
        if alone.low is not None:
            found += f", over seeds alone {printed(alone)}"
        return {
            GAIN: f"Its teachers added {found}.",
            LOSS: f"Its teachers did harm, {found}: ship the same student without them.",
            UNCLEAR: f"Whether its teachers added anything is not clear: {found}. To be seen here, "
            f"it would have to be {decimal(mean.visible(), 1, False)} points.",
        }[list(self.control.words.values())[-1]]


def said(found: Comparison) -> str:
    """A comparison's mean in words."""
    tasks, mean = list(found.tasks), found.mean
    where = f"in the mean of {len(tasks)} tasks" if len(tasks) > 1 else f"on {task_title(tasks[0])}"
    basis = f"{counted(len(mean.points), 'seed')}, {mean.n:,} dev examples"
    return f"{printed(over_both(mean))} points {where} ({basis})"


def printed(found: Estimate) -> str:
    return cell(row_of("", OURS, "", found), signed=True)


def two_digits(count: int) -> int:
    """A count rounded up to two digits: 1,234 as 1,300."""
    unit = 10 ** max(floor(log10(max(count, 1))) - 1, 0)
    return -(-count // unit) * unit


# ---------------------------------------------------------------------------- stored predictions


def judge(results: Results) -> Verdict | None:
    """The verdict on the recipe's first student that has teachers.

    None where there is none, or where it and the ensemble have no finished runs of one seed. Raises
    MtkdError where stored predictions are missing.
    """
    student, control = main_student(results.recipe)
    if student is None:
        return None
    gold = dev_labels(results)
    found = scores_of(results, student, gold)
    ensemble = compare(found, scores_of(results, ENSEMBLE, gold), ENSEMBLE)
    if ensemble is None:
        return None
    alone = compare(found, scores_of(results, control, gold), control) if control else None
    return Verdict(student, ensemble, alone, results.recipe.margin)


def main_student(recipe: Recipe) -> tuple[str | None, str | None]:
    """The first student that has teachers, and the one that is like it but for them."""
    students = recipe.students
    name = next((name for name, one in students.items() if has_teachers(one)), None)
    for other, one in students.items():
        alike = name and (one.same_seed_as == name or students[name].same_seed_as == other)
        if alike and not has_teachers(one):
            return name, other
    return name, None


def scores_of(results: Results, system: str, gold: Gold) -> Scores:
    found: dict[str, dict[int, Scored]] = {}
    for one in dev_outputs(results, system, gold):
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


def compare(student: Scores, others: Scores, other: str) -> Comparison | None:
    """The student minus another system, on the tasks and seeds that both have; None without any."""
    found = {task: difference(student[task], others[task]) for task in student if task in others}
    tasks = {task: one for task, one in found.items() if one is not None}
    mean = mean_difference(list(tasks.values()))
    return None if mean is None else Comparison(other, tasks, mean)
