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

from dataclasses import dataclass
from math import floor, log10

from mtkd.analysis.comparisons import (
    Comparison,
    compare,
    over_both,
    over_seeds,
    printed,
    said,
    scores_of,
)
from mtkd.analysis.evaluations import dev_labels
from mtkd.analysis.paired_examples import MOST
from mtkd.analysis.results import Results
from mtkd.analysis.systems import ENSEMBLE, task_title
from mtkd.analysis.tables import GAIN, LOSS, UNCLEAR, decimal, rounded
from mtkd.experiments.settings import Recipe
from mtkd.experiments.systems.student import has_teachers

SHIP, KEEP, OPEN = "Ship the student", "Keep the ensemble", "The data cannot tell"


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
