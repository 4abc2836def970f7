"""Arms of a study: the recipe with a line or two changed, and the run that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mtkd.common.errors import MtkdError
from mtkd.experiments.settings import Recipe
from mtkd.method.settings import Distillation

PAPERS = "the paper's setting"
DRAWS = 4  # students a seed where one is not enough
ALONE = "no teacher (mean of four draws)"
TWIN = "its twin without a teacher"  # the student with the same random numbers
MEAN = "the mean of the four without a teacher"
ONE = "Arms are one draw of random numbers a seed; the study `generations` shows what those weigh."
STUDENT = "mtdnn-kd"  # name of the student in the arms that have one of their own


@dataclass(frozen=True)
class Arm:
    """One setting of a study, answered by one system of one run per seed, or by other arms."""

    name: str  # "w0.25-t2"
    title: str
    system: str  # whose scores are the arm's
    stage: str = "distill"
    what: str | None = None  # of the run; None where the stage has one run per seed
    changes: tuple[str, ...] = ()  # to the recipe, as `--set` takes them
    base: str | None = None  # arm to compare with; None: the study's
    tasks: tuple[str, ...] | None = None  # that have a teacher; None: the recipe's
    of: tuple[str, ...] = ()  # arms whose mean, seed by seed, this one is; it has no run then


@dataclass(frozen=True)
class Contrast:
    """Arms less others, beside the comparison with the base arm."""

    title: str  # of the others: "BERT, the same labels"
    pairs: Mapping[str, str]  # the other by arm
    told: tuple[str, ...] = ()  # arms of which the reading says it
    column: bool = False  # whether the table has it


@dataclass(frozen=True)
class Study:
    """A question, the arms that answer it, and the arm without a teacher to measure them by."""

    name: str
    title: str
    question: str
    arms: tuple[Arm, ...]
    base: str = "none"  # arm that the others are compared with
    paper: str | None = None  # arm that is the paper's setting
    against: str = ""  # what gains are measured against, where it is not one arm for all
    contrasts: tuple[Contrast, ...] = ()
    budget: str = "All arms have the same budget of training."

    @property
    def own_contrasts(self) -> tuple[Contrast, ...]:
        """The study's, and every arm that is measured by the base arm against the paper's."""
        if self.paper is None or self.against:
            return self.contrasts
        others = (arm.name for arm in self.arms if self.paper not in (arm.name, *arm.of))
        return (*self.contrasts, Contrast(PAPERS, {name: self.paper for name in others}))

    @property
    def compared(self) -> str:
        """What gains are measured against, in words."""
        return self.against or self.arm(self.base).title

    def arm(self, name: str) -> Arm:
        for arm in self.arms:
            if arm.name == name:
                return arm
        known = ", ".join(arm.name for arm in self.arms)
        raise MtkdError(f"study {self.name} has no arm {name!r}; it has {known}")


def taught(recipe: Recipe, name: str, title: str, *changes: str, **how: object) -> Arm:
    """An arm that trains a student; one of the recipe's own students, where it is the same."""
    wanted = replace(Distillation(), **how)  # type: ignore[arg-type]
    for own, distillation in recipe.students.items():
        alike = distillation.twin_of in (None, STUDENT)  # the random numbers of other arms, too
        if alike and not changes and replace(distillation, finetune=False, twin_of=None) == wanted:
            return Arm(name, title, own, what=own)
    fields = ", ".join(f"{key}: {yaml_value(value)}" for key, value in how.items())
    return Arm(
        name,
        title,
        STUDENT,
        what=STUDENT,
        changes=(f"students={{{STUDENT}: {{{fields}}}}}", *changes),
    )


def yaml_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def untaught(recipe: Recipe) -> Arm:
    """The arm without a teacher: the same model and budget, trained on the labels alone."""
    return taught(recipe, "none", "no teacher", hard_weight=1.0)


def without_teachers(recipe: Recipe) -> tuple[Arm, ...]:
    """The arm without a teacher and three that differ in their random numbers; then their mean.

    Their mean, "alone", is what arms with teachers are measured by: one draw is a poor measure.
    """
    names = [f"none-{number}" for number in range(1, DRAWS)]
    first = replace(untaught(recipe), title="no teacher, draw 1", base="none")
    draws = [
        Arm(
            name,
            f"no teacher, draw {number}",
            name,
            what=name,
            changes=(f"students={{{name}: {{hard_weight: 1.0}}}}",),
            base=name,
        )
        for number, name in enumerate(names, 2)
    ]
    return (first, *draws, Arm("alone", ALONE, "", base="alone", of=("none", *names)))


def beside_twins(recipe: Recipe, arms: Sequence[Arm], *told: str) -> tuple[Contrast, ...]:
    """Arms less their twin without a teacher, and the luck of that one.

    Arms with the random numbers of "none" are as lucky as that is, as far as luck carries over from
    one arm to another; the mean of four is a steadier measure, as far as it does not.
    """
    own = draw_of(recipe, next(arm for arm in arms if arm.name == "none"))
    students = [arm for arm in arms if not arm.of and arm.name != arm.base]
    twins = {arm.name: "none" for arm in students if draw_of(recipe, arm) == own}
    return (
        Contrast(TWIN, twins, told=told, column=True),
        Contrast(MEAN, {"none": "alone"}, told=("none",)),
    )


def draw_of(recipe: Recipe, arm: Arm) -> str | None:
    """Name of the student whose random numbers an arm has."""
    student = None if arm.changes or arm.what is None else recipe.students.get(arm.what)
    return (student.twin_of if student else None) or arm.what
