"""The student: the teachers' averaged soft targets distilled into one multi-task model."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.common.progress import Progress
from mtkd.data.batches import TaskData
from mtkd.data.tasks import UNLABELLED
from mtkd.experiments.context import RunContext
from mtkd.experiments.data_identity import text_identity
from mtkd.experiments.inputs import Splits, load_data, total_steps
from mtkd.experiments.records import Outcome
from mtkd.experiments.settings import Recipe, Student
from mtkd.experiments.systems.teachers import soft_targets
from mtkd.experiments.task_sets import teacher_tasks
from mtkd.experiments.trainings import Setup, combine, finetune, multi_task
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import deployed

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run


def student_runs(outline: Outline, teachers: Run, seed: int) -> list[Run]:
    """The students of a seed's teachers, of other students, or of nobody."""
    recipe = outline.recipe
    runs: list[Run] = []
    tasks = teacher_tasks(recipe, outline.present)
    for name, student in recipe.students.items():
        start = student.encoder or recipe.encoder
        settings = outline.single | {"encoder": start, "distillation": asdict(student)}
        settings["teaches"] = teaches(recipe, name)
        cost = outline.examples(recipe.single_stage)
        parents = [outline.encoders[start]]
        if has_teachers(student):
            settings |= {"teacher_tasks": list(tasks), "average": recipe.teachers.average}
            parents += [run for run in runs if run.variant in student.taught_by] or [teachers]
        if student.unlabelled_ratio:
            settings["text"] = text_identity(recipe.data, [recipe.task(name) for name in tasks])
            more = outline.full_size(tasks) * student.unlabelled_ratio
            cost += more * recipe.single_stage.epochs
        if student.finetune:
            settings |= outline.tuning
            cost += outline.examples(recipe.finetuning)
        runs.append(
            outline.run("distill", name, seed, train_student, settings, parents, cost, student=name)
        )
    return runs


def has_teachers(student: Student) -> bool:
    """Whether a student learns from soft targets at all."""
    text = student.unlabelled_ratio > 0 and not student.repeat_labelled
    own = student.loss != Student().loss  # it may listen whatever the weight
    return own or student.hard_weight < 1 or text


def teaches(recipe: Recipe, student: str) -> bool:
    """Whether other students learn from this one."""
    return any(student in other.taught_by for other in recipe.students.values())


def train_student(context: RunContext) -> Outcome:
    """Train one multi-task student (row `<student>`).

    Fine-tuned per task on the labels alone, if the recipe says so, it is the row `<student>-ft`.
    """
    recipe, system = context.recipe, context.run.variant
    student = recipe.students[system]
    encoder = student.encoder or recipe.encoder
    has_pupils = teaches(recipe, system)
    text = has_pupils or student.unlabelled_ratio > 0
    tokenizer, data = load_data(context, encoder, text=text)
    labelled = {task: splits["train"] for task, splits in data.items()}
    if has_teachers(student):
        for task in context.teacher_tasks:
            data[task]["train"] = with_soft_targets(context, data[task]["train"], student)
    extra = more_text(context, data, student)
    if not has_pupils:  # nobody asks what it makes of text without labels
        data = {t: {s: d for s, d in data[t].items() if s != UNLABELLED} for t in data}
    more = {name: {"train": item} for name, item in extra.items()}
    steps = total_steps(data | more, recipe.single_stage)
    steps += total_steps(data, recipe.finetuning, alone=True) if student.finetune else 0
    with Progress(steps, system) as progress:
        setup = Setup(context, tokenizer, progress)
        parts = [
            multi_task(
                setup,
                system,
                encoder,
                recipe.dropout,
                data,
                distillation=student if has_teachers(student) else None,
                same_seed_as=student.same_seed_as,
                training=recipe.single_stage,
                extra=extra,
                with_train=has_pupils,
            )
        ]
        if student.finetune:
            parts += [
                finetune(setup, context.run, f"{system}-ft", task, data[task] | {"train": train})
                for task, train in labelled.items()
            ]
    scores, details = combine(parts)
    model = MultiTaskModel.from_pretrained(context.model_folder)
    details["more"] = {name: item.units for name, item in extra.items()}
    details["deployed"] = deployed(model, data)
    return scores, details


def with_soft_targets(context: RunContext, item: TaskData, student: Student) -> TaskData:
    """A split's examples with the teachers' averaged soft targets."""
    encoded, temperature = item.encoded, student.temperature
    soft = soft_targets(
        context, encoded.task.name, encoded.idx, split=encoded.split, temperature=temperature
    )
    return replace(item, soft=soft)


def more_text(
    context: RunContext, data: dict[str, Splits], student: Student
) -> dict[str, TaskData]:
    """What a student learns from beside the training examples, by name.

    Text without labels; or, to tell what that adds from what more steps add, as many of the
    training examples once more.
    """
    if not student.unlabelled_ratio:
        return {}
    share, found = student.unlabelled_ratio / context.recipe.data.unlabelled_ratio, {}
    for task in context.teacher_tasks:
        if UNLABELLED in data[task]:
            count = max(1, round(share * data[task][UNLABELLED].units))
            source = data[task]["train" if student.repeat_labelled else UNLABELLED]
            if not student.repeat_labelled:
                source = with_soft_targets(context, source, student)
            found[f"{task}-{'again' if student.repeat_labelled else UNLABELLED}"] = replace(
                source, unit_rows=drawn_units(source, count), head=task
            )
    if not found:
        raise MtkdError(
            f"unlabelled_ratio of a student: no text without labels for "
            f"{', '.join(context.teacher_tasks)}; expected data.unlabelled_file, or a file "
            "`unlabelled` of a task of one's own, for a task that has teachers"
        )
    return found


def drawn_units(item: TaskData, count: int) -> tuple[np.ndarray, ...]:
    """`count` units in random order, what a larger count draws among them; all again if few."""
    rows = item.unit_rows or tuple(np.arange(len(item.encoded))[:, None])
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    return tuple(rows[order[number % len(rows)]] for number in range(count))
