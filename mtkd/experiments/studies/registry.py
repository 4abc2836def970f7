"""Studies: one question each, asked by arms that change the recipe in a line or two.

An arm is the recipe with some `key=value` changes, as `--set` makes them, and the run that
answers. Runs that an arm shares with the recipe, or with another arm, are made once. A recipe asks
for studies by name: `studies: [targets]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mtkd.common.errors import MtkdError
from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.ablations import ensembles, heads, targets, teacher_tasks
from mtkd.experiments.studies.arms import Arm, Study
from mtkd.experiments.studies.open_questions import few_labels, generations, sizes, unlabelled
from mtkd.experiments.validation import changed

STUDIES: Mapping[str, Callable[[Recipe], Study]] = {
    "targets": targets,
    "ensembles": ensembles,
    "teacher-tasks": teacher_tasks,
    "heads": heads,
    "sizes": sizes,
    "generations": generations,
    "unlabelled": unlabelled,
    "few-labels": few_labels,
}
ABLATIONS = ("targets", "ensembles", "teacher-tasks", "heads")  # of notebook 08
OPEN_QUESTIONS = ("sizes", "generations", "unlabelled", "few-labels")  # of notebook 09
GROUPS = {"ablations": ABLATIONS, "open-questions": OPEN_QUESTIONS}


def studies(recipe: Recipe) -> Iterator[Study]:
    """The studies that a recipe asks for, and that its data can answer."""
    for name in recipe.studies:
        study = STUDIES[name](recipe)
        if study.arms:
            yield study


def arm_recipe(recipe: Recipe, name: str) -> tuple[Recipe, Arm]:
    """The recipe of an arm, "targets/w0.25-t2". Raises MtkdError if there is none of that name."""
    study, _, arm_name = name.partition("/")
    if study not in STUDIES:
        raise MtkdError(f"unknown study {study!r}; expected one of {', '.join(STUDIES)}")
    arm = STUDIES[study](recipe).arm(arm_name)
    if arm.of:
        raise MtkdError(f"{name} is a mean and has no run; open one of {', '.join(arm.of)}")
    return changed(recipe, arm.changes), arm


def named(words: Sequence[str]) -> tuple[str, ...]:
    """Studies by name, or by the name of a group: "ablations", "open-questions"."""
    found: list[str] = []
    for word in words:
        if word not in GROUPS and word not in STUDIES:
            known = ", ".join([*GROUPS, *STUDIES])
            raise MtkdError(f"--with {word!r}: expected one of {known}")
        found += GROUPS.get(word, (word,))
    return tuple(dict.fromkeys(found))
