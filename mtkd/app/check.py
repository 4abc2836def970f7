"""What stands in the way of a recipe, or may spoil its results, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mtkd.analysis import data_checks
from mtkd.app.console import print_frame, time_line
from mtkd.app.init import precision
from mtkd.app.reproduce import gpus, side_by_side
from mtkd.common.errors import MtkdError
from mtkd.data.batches import tokenize
from mtkd.data.given_settings import GivenTeacher
from mtkd.data.loading import first_drawn, load_examples
from mtkd.data.own_tasks import faults, own_places
from mtkd.data.tasks import UNLABELLED, Examples, Task
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.plans import expand, notices, uses_text
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe
from mtkd.experiments.systems.encoders import checked_encoder, used_encoders
from mtkd.experiments.task_sets import present_tasks

SAMPLE = 5000  # examples of a split whose lengths are looked at
FEW = 8  # examples that a given model is asked about
SHOWN = 20  # problems of one task
Tasks = dict[str, dict[str, Examples]]


@dataclass
class Findings:
    """What a look at a recipe has found, line by line."""

    problems: list[str] = field(default_factory=list)  # that would stop it
    notes: list[str] = field(default_factory=list)


def check(recipe: Recipe) -> int:
    """Look at a recipe's data and encoders, print what there is, and return an exit status.

    1 where something would stop `mtkd reproduce`, 0 with mere notes.
    """
    found = Findings()
    tasks = readable(recipe, found)
    hear_given(recipe, tasks, found)
    tokenizers = loadable(recipe, found)
    rows = [data_checks.split_row(one) for splits in tasks.values() for one in splits.values()]
    if tokenizer := tokenizers.get(recipe.encoder):
        for row, share in zip(rows, cut_shares(recipe, tasks, tokenizer), strict=True):
            row[f"cut at {recipe.max_length}"] = share
    if rows:
        print_frame(pd.DataFrame(rows).fillna("-"), f"recipe {recipe.name}")
    for splits in tasks.values():
        found.notes += data_checks.absent_labels(splits)
    found.notes += data_checks.texts_twice(tasks)
    runs: list[Run] = []
    if not found.problems:
        try:
            found.notes += [*notices(recipe), *slow_precision(recipe)]
            runs = expand(recipe)
        except MtkdError as error:
            found.problems.append(str(error))
    for line in found.notes:
        print(f"note: {line}")
    for line in found.problems:
        print(f"problem: {line}")
    if found.problems:
        print("`mtkd reproduce` would stop at a problem: fix them first")
        return 1
    seconds = seconds_an_example(recipe, tasks, tokenizers)
    print(time_line(recipe, runs, side_by_side(None, gpus(), recipe.processes), seconds))
    return 0


def readable(recipe: Recipe, found: Findings) -> Tasks:
    """Every split of every task that can be read; what cannot is a problem."""
    tasks: Tasks = {}
    try:
        present = present_tasks(recipe)
    except MtkdError as error:
        found.problems.append(str(error))
        return tasks
    for name in present:
        try:
            if own := recipe.tasks[name]:
                lines = list(dict.fromkeys(faults(name, own)))  # a file may be two splits
                more = len(lines) - SHOWN
                found.problems += lines[:SHOWN]
                found.problems += [f"{name}: {more:,} more of that kind"] if more > 0 else []
                if lines:
                    continue
            task = recipe.task(name)
            tasks[name] = {split: load_examples(recipe.data, task, split) for split in task.splits}
            if uses_text(recipe) and name in recipe.taught:
                load_examples(recipe.data, task, UNLABELLED)  # as text it is no part of the table
        except MtkdError as error:
            found.problems.append(str(error))
            tasks.pop(name, None)
    return tasks


def hear_given(recipe: Recipe, tasks: Tasks, found: Findings) -> None:
    """Whether given teachers speak of every example: files are read, models answer a few texts."""
    from mtkd.method.given import given_outputs

    if recipe.teachers.given and recipe.teachers.choose:
        found.notes.append(
            f"the recipe trains teachers of its own, too ({recipe.teachers.choose}), and averages "
            "them with the given ones; with teachers.choose=0 these teach alone"
        )
    for teacher in recipe.teachers.given:
        splits = tasks.get(teacher.task, {})
        if splits and recipe.data.unlabelled_ratio:
            text = load_examples(recipe.data, recipe.task(teacher.task), UNLABELLED)
            splits = splits | {UNLABELLED: text}
        if teacher.model is not None:
            splits = {split: first_drawn(one, FEW, 0) for split, one in splits.items()}
            found.notes += dev_it_may_know(recipe.task(teacher.task), teacher) if splits else []
        try:
            if splits:
                given_outputs(teacher, splits)
        except MtkdError as error:
            found.problems.append(str(error))


def dev_it_may_know(task: Task, teacher: GivenTeacher) -> Iterator[str]:
    """What to say where dev is cut from the file that a teacher may have been trained on."""
    if task.own is not None and "dev" not in own_places(task):
        yield (
            f"{task.name}: dev is cut from its training file; if {teacher.name} was fine-tuned on "
            f"that file, its dev score is too good: give a dev file of other rows"
        )


def loadable(recipe: Recipe, found: Findings) -> dict[str, Any]:
    """Tokenizers of the encoders that are there already; those that cannot be had are problems."""
    from mtkd.method.encoders import load_tokenizer

    tokenizers = {}
    for name in used_encoders(recipe):
        try:
            place = encoder_location(recipe, name)
            if place is not None and Path(place).is_dir():
                tokenizers[name] = checked_encoder(recipe, name, place)[1]
            elif place is not None:
                tokenizers[name] = load_tokenizer(place, recipe.encoders[name].revision)
        except MtkdError as error:
            found.problems.append(f"encoder {name}: {error}")
    return tokenizers


def slow_precision(recipe: Recipe) -> Iterator[str]:
    """What to say where bf16 is worked out by other means."""
    if "bf16" in (recipe.training.precision, recipe.finetuning.precision) and precision() != "bf16":
        yield (
            "bf16 is slow on this processor, which has no products of it: --set "
            "training.precision=fp32 finetuning.precision=fp32"
        )


def cut_shares(recipe: Recipe, tasks: Tasks, tokenizer: Any) -> Iterator[str]:
    """The share of each split's examples that are longer than the recipe's `max_length`."""
    for splits in tasks.values():
        for examples in splits.values():
            some = replace(first_drawn(examples, SAMPLE, 0), label=None)
            cut = tokenize(some, tokenizer, recipe.max_length).encoded.truncated
            yield f"{100 * cut / len(some):.1f} %"


def seconds_an_example(recipe: Recipe, tasks: Tasks, tokenizers: Mapping[str, Any]) -> float | None:
    """Seconds of one training example on one core, from a few batches; None without an encoder."""
    from mtkd.analysis import costs

    train = {name: first_drawn(splits["train"], SAMPLE, 0) for name, splits in tasks.items()}
    if recipe.encoders[recipe.encoder].pretrain or recipe.encoder not in tokenizers:
        return None
    encoder, _ = costs.some_encoder(recipe, recipe.encoder, train)
    tokenizer = tokenizers[recipe.encoder]
    # Runs are side by side, one a core.
    return costs.seconds_an_example(recipe, encoder, tokenizer, train, threads=1)
