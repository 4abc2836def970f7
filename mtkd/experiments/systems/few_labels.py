"""New tasks with few labels: what a model that has seen other tasks makes of them.

Domain adaptation of MT-DNN (arXiv:1901.11504, section 5.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.common.progress import Progress
from mtkd.data.batches import TaskData
from mtkd.data.loading import first_drawn
from mtkd.data.tokens import encode
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.inputs import Splits, encoder_tokenizer, load_splits, total_steps
from mtkd.experiments.records import Outcome
from mtkd.experiments.stored import stored_model
from mtkd.experiments.task_sets import new_tasks
from mtkd.experiments.trainings import Setup, combine, single_task
from mtkd.method.settings import HeadSpec, Training

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run


def transfer_runs(outline: Outline, starts: Sequence[tuple[str, int, Run]]) -> list[Run]:
    """The runs that adapt each of `starts` (name, seed, run) to tasks that it has not seen."""
    recipe = outline.recipe
    asked, data, tasks = recipe.few_labels, recipe.data, outline.present
    if not tasks:
        raise MtkdError(
            f"recipe {recipe.name}: none of {', '.join(asked.tasks)} is in {data.path or data.hub}"
        )
    settings = {
        **outline.data,
        "few_labels": asdict(asked) | {"tasks": list(tasks), "fractions": list(asked.fractions)},
        "training": asdict(recipe.single_stage),
        "dropout": recipe.dropout,
        "max_length": recipe.max_length,
    }
    epochs, batch = recipe.single_stage.epochs, recipe.single_stage.batch_size
    sizes = [outline.size(task) * share for task in tasks for share in asked.fractions]
    cost = sum(max(size * epochs, asked.min_steps * batch) for size in sizes)
    runs = []
    for name, seed, start in starts:
        parents = (start.parents[0], start) if start.parents else (start,)  # an encoder comes first
        student = recipe.students.get(name)
        own = {"same_seed_as": student.same_seed_as if student else None}
        mine = settings | own | {"encoder": parents[0].variant}
        runs.append(
            outline.run("transfer", name, seed, train_transfer, mine, parents, cost, start=name)
        )
    return runs


def few_system(start: str, share: float) -> str:
    """Name of a model that has seen a share of a new task's labels: "mtdnn@0.01"."""
    return f"{start}@{share:g}"


def train_transfer(context: RunContext) -> Outcome:
    """Fine-tune one model on every share of every new task (rows `<start>@<share>`).

    A linear head, as MT-DNN's authors have it there. Which labels are drawn changes with the
    seed, and is the same for every start.
    """
    start, settings = context.run.parents[-1], context.run.settings
    folder = None if start.stage == "encoders" else stored_model(context.results, start.run_id)
    tokenizer = encoder_tokenizer(context, settings["encoder"])
    work = [
        (task, share, splits)
        for task in new_tasks(context.recipe)
        for share, splits in few_splits(context, tokenizer, task).items()
    ]
    training = context.recipe.single_stage
    steps = sum(total_steps({task: splits}, training) for task, _, splits in work)
    with Progress(steps, f"few labels, {context.run.variant}") as progress:
        setup, parts = Setup(context, tokenizer, progress), []
        for task, share, splits in work:
            known = context.recipe.task(task)
            head = HeadSpec("linear", known.labels, known.dropout)
            other = settings["same_seed_as"]
            parts.append(
                single_task(
                    setup,
                    few_system(context.run.variant, share),
                    task,
                    splits,
                    spec=head,
                    start=folder,
                    same_seed_as=few_system(other, share) if other else None,
                )
            )
    scores, details = combine(parts)
    details["examples"] = {
        f"{task}@{share:g}": len(splits["train"].encoded) for task, share, splits in work
    }
    return scores, details


def few_splits(context: RunContext, tokenizer: Any, task: str) -> dict[float, Splits]:
    """All splits of a task, by the share of its training labels that is there."""
    recipe, cache = context.recipe, context.results / "cache"
    others = [split for split in recipe.task(task).splits if split != "train"]
    found, rest = {}, load_splits(context, tokenizer, task, others)
    whole = read_examples(context, task, "train")
    for share in recipe.few_labels.fractions:
        drawn = first_drawn(whole, round(share * len(whole)), context.run.seed)
        train = TaskData(encode(drawn, tokenizer, recipe.max_length, cache))
        rows = repeated_rows(len(train.encoded), recipe.single_stage, recipe.few_labels.min_steps)
        found[share] = {"train": replace(train, unit_rows=rows), **rest}
    return found


def repeated_rows(count: int, training: Training, steps: int) -> tuple[np.ndarray, ...]:
    """Every row, as often as it takes for a training of at least so many optimiser steps."""
    needed = steps * training.batch_size / training.epochs  # units in an epoch
    times = max(1, int(np.ceil(needed / count)))
    return tuple(np.tile(np.arange(count), times)[:, None])
