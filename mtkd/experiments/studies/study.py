"""What a study is: one question, and the variants of a recipe that answer it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mtkd.common.errors import MtkdError
from mtkd.experiments.settings import Recipe, Student

Factor = float | str | bool
REPLICATES = 4  # students without teachers, one per seed is a poor measure
STUDENT = "mtdnn-kd"  # the student of variants that train one: its name seeds the random numbers
BUDGET = (
    "All variants have the same training budget, and one replicate per seed. Replicates without "
    "teachers (also in the study `generations`) differ in their random numbers alone: their gains "
    "are the seed noise."
)


@dataclass(frozen=True)
class Variant:
    """One setting of a study, answered by a system of one run per seed, or by other variants."""

    name: str  # "w0.25-t2": opens its runs as `<study>/<name>`
    title: str
    system: str = ""  # whose scores are the variant's
    stage: str = "distill"
    run: str | None = None  # the variant of the stage's run; None: the stage has one run per seed
    changes: tuple[str, ...] = ()  # to the recipe, as `--set` takes them
    factors: Mapping[str, Factor] = field(default_factory=dict)  # what sets it apart, as data
    reference: str | None = None  # variant that its gain is measured against; None: the study's
    tasks: tuple[str, ...] | None = None  # that have a teacher; None: the recipe's
    mean_of: tuple[str, ...] = ()  # variants whose mean, seed by seed, it is; no run of its own
    published: tuple[str, str] | None = None  # system, and ending of the tasks, in paper.csv


@dataclass(frozen=True)
class Comparison:
    """A column of the table: variants less others than their reference."""

    title: str  # of the others: "BERT, the same labels"
    pairs: Mapping[str, str]  # the other by variant


@dataclass(frozen=True)
class Axis:
    """A study drawn as curves: the score against one factor, or against a measured cost."""

    title: str
    factor: str  # along x, or "parameters"
    lines: str  # factor that tells the lines of a panel apart
    panels: str = ""  # factor with a panel per value, or "task"
    log: bool = False


@dataclass(frozen=True)
class Study:
    """A question, the variants that answer it, and how they are shown."""

    title: str
    question: str
    see: str  # what to look for in its figure
    variants: tuple[Variant, ...]
    reference: str = ""  # variant that gains are measured against, where a variant has no other
    reference_title: str = ""  # in words; "": the title of that variant
    paper: str | None = None  # variant that is the paper's setting
    comparisons: tuple[Comparison, ...] = ()
    curve: Axis | None = None  # None: a forest plot of the gains
    costs: bool = False  # whether the table has what the students cost where they are used
    teachers: bool = False  # whether a table of its own tells what the variants' teachers know
    budget: str = BUDGET
    name: str = ""  # given by `register_study`
    group: str = ""

    @property
    def measured_against(self) -> str:
        """The reference in words."""
        own = self.variant(self.reference).title if self.reference else "its reference"
        return self.reference_title or own

    def variant(self, name: str) -> Variant:
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.variants)
        raise MtkdError(f"study {self.name} has no variant {name!r}; it has {known}")

    def reference_of(self, variant: Variant) -> str | None:
        """The variant that a gain is measured against; None for the reference itself."""
        name = variant.reference or self.reference
        return None if name in ("", variant.name) else name


Builder = Callable[[Recipe], Study]
REGISTERED: dict[str, tuple[str, Builder]] = {}  # group and builder by name


def register_study(name: str, group: str = "open-questions") -> Callable[[Builder], Builder]:
    """Make a function from a recipe to a study known by a name, for `studies: [<name>]`.

    Notebook 08 shows the group "ablations", notebook 09 "open-questions". Raises MtkdError if
    another function has that name.
    """

    def register(build: Builder) -> Builder:
        _, known = REGISTERED.get(name, (group, build))
        if (known.__module__, known.__qualname__) != (build.__module__, build.__qualname__):
            raise MtkdError(
                f"study {name!r} of {build.__module__}: {known.__module__} has one, too"
            )
        REGISTERED[name] = (group, build)
        return build

    return register


def student(
    recipe: Recipe,
    name: str,
    title: str,
    *changes: str,
    factors: Mapping[str, Factor] | None = None,
    **how: Factor,
) -> Variant:
    """A variant that trains a student; one of the recipe's own students, where it is the same.

    `how` are fields of `Student`, and the variant's factors where no others are given.
    """
    wanted = replace(Student(), **how)  # type: ignore[arg-type]
    told = dict(how if factors is None else factors)
    for own, settings in recipe.students.items():
        alike = settings.same_seed_as in (None, STUDENT)  # the random numbers of the other variants
        if alike and not changes and replace(settings, finetune=False, same_seed_as=None) == wanted:
            return Variant(name, title, own, run=own, factors=told)
    given = (f"students={json.dumps({STUDENT: how})}", *changes)
    return Variant(name, title, STUDENT, run=STUDENT, changes=given, factors=told)


def replicates(recipe: Recipe) -> tuple[Variant, ...]:
    """Students without teachers that differ in their random numbers alone, then their mean.

    The mean, "no-teacher", is the steadier reference. The first has the random numbers of the
    variants with teachers: it is their same-seed control.
    """
    told = {"teachers": False, "replicate": 1}
    control = student(recipe, "none", "no teacher, replicate 1", factors=told, hard_weight=1.0)
    others = [
        Variant(
            name := f"none-{number}",
            f"no teacher, replicate {number + 1}",
            name,
            run=name,
            changes=(f"students={json.dumps({name: {'hard_weight': 1.0}})}",),
            factors={"teachers": False, "replicate": number + 1},
        )
        for number in range(1, REPLICATES)
    ]
    names = tuple(variant.name for variant in (control, *others))
    return control, *others, Variant("no-teacher", "no teacher (mean of the four)", mean_of=names)


def same_seed_control(recipe: Recipe, variants: Sequence[Variant]) -> Comparison:
    """Students with teachers less the student without that has the same random numbers."""
    control = next(variant for variant in variants if variant.name == "none")
    mine = seeding_name(recipe, control)
    alike = [v for v in variants if v.run is not None and seeding_name(recipe, v) == mine]
    pairs = {variant.name: "none" for variant in alike if variant is not control}
    return Comparison("the same-seed control without teachers", pairs)


def seeding_name(recipe: Recipe, variant: Variant) -> str | None:
    """Name of the student whose random numbers a variant has."""
    own = None if variant.changes or variant.run is None else recipe.students.get(variant.run)
    return (own.same_seed_as if own else None) or variant.run


def counterparts(
    variants: Sequence[Variant], among: Mapping[str, Factor], **other: Factor
) -> dict[str, str]:
    """Pairs of variants: each with the factors `among`, and the one that differs in `other` only.

    Variants that have no such counterpart are left out.
    """
    chosen = [v for v in variants if among.items() <= v.factors.items()]
    return {
        one.name: two.name
        for one in chosen
        for two in variants
        if two is not one and two.factors == {**one.factors, **other}
    }
