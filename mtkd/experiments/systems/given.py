"""Given teachers: classifiers of others, or files of what they said, stored like a model's own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtkd.common.errors import MtkdError
from mtkd.data.digests import encoder_files, file_digest
from mtkd.data.given_settings import GivenTeacher
from mtkd.data.tasks import DIAGNOSTIC, UNLABELLED
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.data_identity import data_identity, text_identity
from mtkd.experiments.records import Outcome, Score
from mtkd.experiments.settings import Recipe
from mtkd.experiments.task_sets import scored_only
from mtkd.experiments.trainings import store
from mtkd.method.given import given_outputs

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run

PREDICTIONS = "a file of a teacher's predictions"
PASS = 0.3  # cost of an example that is only looked at, in training examples


def given_runs(outline: Outline) -> list[Run]:
    """A run for each given teacher of a task that is there, whatever the seeds."""
    return [
        given_run(outline, teacher)
        for teacher in outline.recipe.teachers.given
        if teacher.task in outline.present
    ]


def given_run(outline: Outline, teacher: GivenTeacher) -> Run:
    recipe, task = outline.recipe, outline.recipe.task(teacher.task)
    settings: dict[str, Any] = {
        "data": data_identity(recipe.data, (task,)),
        "task": task.name,
        "labels": list(task.labels),
        "teacher": identity_of(teacher, f"recipe {recipe.name}: given teacher {teacher.name}"),
    }
    cost = 0.0
    if teacher.model is not None:
        if task.name == "mnli" and (apart := scored_only(recipe)):
            settings["apart"] = data_identity(recipe.data, [recipe.task(one) for one in apart])
        cost = PASS * outline.size(task.name)
    if recipe.data.unlabelled_ratio:
        settings["text"] = text_identity(recipe.data, (task,))
    return outline.run(
        "given", teacher.name, 0, hear_teacher, settings, cost=cost, teacher=teacher.name
    )


def identity_of(teacher: GivenTeacher, where: str) -> dict[str, Any]:
    """What tells a teacher from another: its files, wherever they lie, and how they are read."""
    said = {key: value for key, value in asdict(teacher).items() if key not in ("task", "name")}
    given = teacher.predictions
    if teacher.model is None:
        files = {"": given} if isinstance(given, str) else dict(given or {})
        digests = {s: [Path(f).suffix, file_digest(Path(f), PREDICTIONS)] for s, f in files.items()}
        return said | {"predictions": digests}
    folder = Path(teacher.model)
    if folder.is_dir():
        return said | {"model": encoder_files(folder)}
    if folder.is_absolute():
        raise MtkdError(
            f"{where}: no folder {teacher.model}; expected one with config.json, "
            "model.safetensors and tokenizer files, or a hub name"
        )
    return said


def hear_teacher(context: RunContext) -> Outcome:
    """Store and score what a given teacher says (system `given-<name>`)."""
    recipe = context.recipe
    teacher = find_teacher(recipe, context.run.variant)
    task = recipe.task(teacher.task)
    splits = {split: read_examples(context, task.name, split) for split in task.splits}
    if recipe.data.unlabelled_ratio:
        splits[UNLABELLED] = read_examples(context, task.name, UNLABELLED)
    if teacher.model is not None and task.name == "mnli" and DIAGNOSTIC in context.scored_only:
        splits[DIAGNOSTIC] = read_examples(context, DIAGNOSTIC, "test")
    splits = {split: examples for split, examples in splits.items() if len(examples)}
    outputs, facts = given_outputs(teacher, splits)
    system, scores = system_of(teacher), list[Score]()
    for split, found in outputs.items():
        scores += store(context, system, task.name, split, splits[split], found)
    examples = {split: len(found) for split, found in outputs.items()}
    return scores, {"systems": [system], "task": task.name, "examples": examples} | facts


def find_teacher(recipe: Recipe, name: str) -> GivenTeacher:
    return next(teacher for teacher in recipe.teachers.given if teacher.name == name)


def system_of(teacher: GivenTeacher) -> str:
    """The name of its scores and predictions."""
    return f"given-{teacher.name}"
