"""Studies: one question each, asked by arms that change the recipe in a line or two.

An arm is the recipe with some `key=value` changes, as `--set` makes them, and the run that
answers. Runs that an arm shares with the recipe, or with another arm, are made once. A recipe asks
for studies by name: `studies: [targets]`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mtkd.errors import MtkdError
from mtkd.recipes import changed
from mtkd.settings import Distillation, Recipe

STUDENT = "mtdnn-kd"  # name of the student in the arms that have one of their own
WEIGHTS = (0.0, 0.25, 0.5, 0.75)
TEMPERATURES = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Arm:
    """One setting of a study, answered by one system of one run per seed."""

    name: str  # "w0.25-t2"
    title: str
    system: str  # whose scores are the arm's
    stage: str = "distill"
    what: str | None = None  # of the run; None where the stage has one run per seed
    changes: tuple[str, ...] = ()  # to the recipe, as `--set` takes them
    base: str | None = None  # arm to compare with; None: the study's


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


def studies(recipe: Recipe) -> Iterator[Study]:
    """The studies that a recipe asks for."""
    for name in recipe.studies:
        yield STUDIES[name](recipe)


def arm_recipe(recipe: Recipe, name: str) -> tuple[Recipe, Arm]:
    """The recipe of an arm, "targets/w0.25-t2". Raises MtkdError if there is none of that name."""
    study, _, arm_name = name.partition("/")
    if study not in STUDIES:
        raise MtkdError(f"unknown study {study!r}; expected one of {', '.join(STUDIES)}")
    arm = STUDIES[study](recipe).arm(arm_name)
    return changed(recipe, arm.changes), arm


def taught(recipe: Recipe, name: str, title: str, *changes: str, **how: object) -> Arm:
    """An arm that trains a student; one of the recipe's own students, where it is the same."""
    wanted = replace(Distillation(), **how)  # type: ignore[arg-type]
    for own, distillation in recipe.students.items():
        if not changes and replace(distillation, finetune=False) == wanted:
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
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def untaught(recipe: Recipe) -> Arm:
    """The arm without a teacher: the same model and budget, trained on the labels alone."""
    return taught(recipe, "none", "no teacher", hard_weight=1.0)


def targets(recipe: Recipe) -> Study:
    """Weight of the labels by temperature, targets or losses mixed, teacher annealing."""
    arms = [untaught(recipe)]
    for weight in WEIGHTS:
        for heat in TEMPERATURES:
            title = f"label weight {weight:g}, temperature {heat:g}"
            how = {"hard_weight": weight, "temperature": heat}
            arms.append(taught(recipe, f"w{weight:g}-t{heat:g}", title, **how))
    mixed = {"hard_weight": 0.5, "temperature": 2.0, "mix": "targets"}
    arms.append(taught(recipe, "mixed-t2", "targets mixed, not losses, temperature 2", **mixed))
    title = "teacher annealing: label weight from 0 to 1"
    arms.append(taught(recipe, "annealed", title, anneal=True))
    return Study(
        "targets",
        "Hard and soft targets",
        "How much should the student listen to the labels, how much to the teachers, and at which "
        "temperature?",
        tuple(arms),
        paper="w0.5-t1",
    )


def ensembles(recipe: Recipe) -> Study:
    """Who teaches: how many, how chosen, how averaged."""
    count, grid = recipe.teachers.choose, recipe.candidates
    pool = len(grid.encoders) * len(grid.dropout)
    arms = [untaught(recipe), taught(recipe, "paper", f"best {count} by dev score")]
    if count > 1:
        arms.append(taught(recipe, "best-1", "the best one", "teachers.choose=1"))
    if pool > count:
        arms.append(taught(recipe, f"all-{pool}", f"all {pool}", f"teachers.choose={pool}"))
        title = f"{count} drawn at random"
        arms.append(taught(recipe, f"random-{count}", title, "teachers.order=random"))
    if len(grid.encoders) > 1 and len(grid.dropout) >= count:
        for name in grid.encoders:
            only = f"candidates.encoders=[{name}]"
            arms.append(taught(recipe, f"only-{name}", f"best {count}, {name} only", only))
    other = "logits" if recipe.teachers.average == "probabilities" else "probabilities"
    title = f"best {count}, mean of {other}"
    arms.append(taught(recipe, f"mean-of-{other}", title, f"teachers.average={other}"))
    return Study(
        "ensembles",
        "The ensemble",
        "How many teachers, chosen how, averaged how? Is one strong teacher enough?",
        tuple(arms),
        paper="paper",
    )


def teacher_tasks(recipe: Recipe) -> Study:
    """Which tasks have teachers: none, each alone, the recipe's, all."""
    arms = [untaught(recipe)]
    for task in recipe.teachers.tasks:
        if task in recipe.tasks:
            arms.append(taught(recipe, task, f"{task} alone", f"teachers.tasks=[{task}]"))
    arms.append(taught(recipe, "paper", f"{', '.join(recipe.teachers.tasks)}"))
    every = f"teachers.tasks=[{','.join(recipe.tasks)}]"
    arms.append(taught(recipe, "all", f"all {len(recipe.tasks)} tasks", every))
    return Study(
        "teacher-tasks",
        "Which tasks have teachers",
        "Do tasks without a teacher gain, too, and would more teachers help?",
        tuple(arms),
        paper="paper",
    )


def heads(recipe: Recipe) -> Study:
    """Pair heads and mixing laws, on multi-task training without teachers or fine-tuning."""
    what = f"{recipe.encoder}-d{recipe.dropout:g}"

    def arm(name: str, title: str, *changes: str) -> Arm:
        return Arm(name, title, "mtdnn-noft", "mtdnn", what, changes)

    steps = recipe.heads.san_steps
    own = f"SAN, {steps} steps" if recipe.heads.pair == "san" else "linear heads"
    arms = [arm("recipe", f"{own}, {recipe.training.mixing} mixing")]
    if recipe.heads.pair == "san":
        arms.append(arm("linear", "linear heads", "heads.pair=linear"))
    for k in (1, 2, 5, 10):
        if recipe.heads.pair != "san" or k != steps:
            changes = ("heads.pair=san", f"heads.san_steps={k}")
            arms.append(arm(f"san-{k}", f"SAN, {k} step{'s' if k > 1 else ''}", *changes))
    for law in ("proportional", "power", "uniform", "annealed"):
        if law != recipe.training.mixing:
            arms.append(arm(law, f"{law} mixing", f"training.mixing={law}"))
    return Study(
        "heads",
        "Heads and mixing",
        "Does the SAN answer module beat a linear layer, and does the mixing law matter? No "
        "teacher takes part.",
        tuple(arms),
        base="recipe",
    )


def sizes(recipe: Recipe) -> Study:
    """Smaller students, each with and without a teacher."""
    source, own = recipe.encoders[recipe.encoder], recipe.pretraining
    whole = (own.layers, own.hidden) if source.pretrain else None
    arms = [
        replace(untaught(recipe), title="whole size, no teacher"),
        taught(recipe, "paper", "whole size"),
    ]
    for layers in recipe.sizes.layers:
        for hidden in recipe.sizes.hidden or (None,):
            if (layers, hidden or own.hidden) == whole:
                continue
            name = f"l{layers}" + (f"-h{hidden}" if hidden else "")
            title = f"{layers} layer{'s' if layers > 1 else ''}"
            title += f", {hidden} wide" if hidden else ""
            encoder = f"{recipe.encoder}-{name}"
            smaller = replace(source, layers=layers, hidden=hidden)
            given = {k: v for k, v in dataclasses.asdict(smaller).items() if v is not None}
            change = f"encoders.{encoder}={json.dumps(given)}"
            alone = f"none-{name}"
            small = taught(recipe, name, title, change, encoder=encoder)
            plain = taught(
                recipe, alone, f"{title}, no teacher", change, hard_weight=1.0, encoder=encoder
            )
            arms += [replace(small, base=alone), replace(plain, base=alone)]
    return Study(
        "sizes",
        "Smaller students",
        "How small can the student be, and does a small one gain more from the teachers?",
        tuple(arms),
        paper="paper",
        against="the same size without a teacher",
    )


def generations(recipe: Recipe) -> Study:
    """Born again: students taught by an ensemble of students, twice."""
    first, second = [f"first-{n}" for n in (1, 2, 3)], [f"second-{n}" for n in (1, 2, 3)]
    students = {
        **{name: {} for name in first},
        **{name: {"taught_by": first} for name in second},
        "third": {"taught_by": second},
    }
    changes = (f"students={json.dumps(students)}",)

    def born(name: str, title: str, what: str) -> Arm:
        return Arm(name, title, what, what=what, changes=changes)

    return Study(
        "generations",
        "Born again",
        "Does a student of three students get better than they are, and once more?",
        (
            untaught(recipe),
            taught(recipe, "paper", "taught by the ensemble"),
            born("first", "the same, first of three", "first-1"),
            born("second", "taught by three of those", "second-1"),
            born("third", "taught by three of those in turn", "third"),
        ),
        paper="paper",
    )


STUDIES: Mapping[str, Callable[[Recipe], Study]] = {
    "targets": targets,
    "ensembles": ensembles,
    "teacher-tasks": teacher_tasks,
    "heads": heads,
    "sizes": sizes,
    "generations": generations,
}
ABLATIONS = ("targets", "ensembles", "teacher-tasks", "heads")  # of notebook 08
OPEN_QUESTIONS = ("sizes", "generations")  # of notebook 09
GROUPS = {"ablations": ABLATIONS, "open-questions": OPEN_QUESTIONS}


def named(words: Sequence[str]) -> tuple[str, ...]:
    """Studies by name, or by the name of a group: "ablations", "open-questions"."""
    found: list[str] = []
    for word in words:
        if word not in GROUPS and word not in STUDIES:
            known = ", ".join([*GROUPS, *STUDIES])
            raise MtkdError(f"--with {word!r}: expected one of {known}")
        found += GROUPS.get(word, (word,))
    return tuple(dict.fromkeys(found))
