"""Which of a recipe's tasks its data has, which have teachers, and which choose the teachers."""

from __future__ import annotations

from collections.abc import Iterable

from mtkd.common.errors import MtkdError
from mtkd.data.loading import missing_tasks
from mtkd.data.tasks import GLUE
from mtkd.experiments.settings import Recipe


def in_the_data(recipe: Recipe, names: Iterable[str]) -> tuple[str, ...]:
    names = tuple(names)
    others = [name for name in names if recipe.tasks.get(name) is None]  # a task of GLUE's
    missing = missing_tasks(recipe.data, others) if others else []
    return tuple(name for name in names if name not in missing)


def present_tasks(recipe: Recipe) -> tuple[str, ...]:
    """The recipe's tasks that its data source has. Raises MtkdError if there is none."""
    if present := in_the_data(recipe, recipe.tasks):
        return present
    raise MtkdError(
        f"recipe {recipe.name}: none of its tasks ({', '.join(recipe.tasks)}) is in "
        f"{recipe.data.path or recipe.data.hub}; expected folders as GLUE names them: CoLA, RTE"
    )


def scored_only(recipe: Recipe) -> tuple[str, ...]:
    """GLUE's tasks that nothing is trained on, WNLI and AX, where the data source has them.

    None beside tasks of one's own alone.
    """
    if None not in recipe.tasks.values():
        return ()
    return in_the_data(recipe, [name for name, task in GLUE.items() if not task.trained])


def new_tasks(recipe: Recipe) -> tuple[str, ...]:
    """The tasks of the study few-labels that the data source has."""
    return in_the_data(recipe, recipe.few_labels.tasks)


def teacher_tasks(recipe: Recipe, present: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks whose soft targets the student uses."""
    return tuple(task for task in present if task in recipe.taught)


def selection_tasks(recipe: Recipe, present: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks whose dev scores choose the teachers; all that are there if none of them is."""
    return tuple(task for task in recipe.teachers.selection_tasks if task in present) or present
