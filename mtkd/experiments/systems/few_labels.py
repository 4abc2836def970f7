"""New tasks with few labels: what a model that has seen other tasks makes of them.

Domain adaptation of MT-DNN (arXiv:1901.11504, section 5.5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mtkd.common.progress import Progress
from mtkd.data.batches import TaskData
from mtkd.data.loading import first_drawn
from mtkd.data.tasks import TASKS
from mtkd.data.tokens import encode, tokenizer_rules
from mtkd.experiments import records
from mtkd.experiments.context import (
    OpenRun,
    Splits,
    encoder_tokenizer,
    finish,
    load_splits,
    read_examples,
    total_steps,
)
from mtkd.experiments.records import Record, Stopwatch
from mtkd.experiments.runs import few_system, new_tasks
from mtkd.experiments.trainings import Bench, combine, single_task
from mtkd.method.settings import HeadSpec, Training


def train_transfer(opened: OpenRun) -> Record:
    """Fine-tune one model on every share of every new task (rows `<start>@<share>`).

    A linear head, as MT-DNN's authors have it there. Which labels are drawn changes with the
    seed, and is the same for every start.
    """
    if opened.done:
        return records.read_record(opened.folder)
    watch, start = Stopwatch(), opened.run.parents[-1]
    students = opened.recipe.students
    twin = students[opened.run.what].twin_of if opened.run.what in students else None
    folder = None if start.stage == "encoders" else opened.results / "models" / start.run_id
    tokenizer = encoder_tokenizer(opened, opened.run.settings["encoder"])
    work = [
        (task, share, splits)
        for task in new_tasks(opened.recipe)
        for share, splits in few_splits(opened, tokenizer, task).items()
    ]
    training = opened.recipe.single_stage
    steps = sum(total_steps({task: splits}, training) for task, _, splits in work)
    with Progress(steps, f"few labels, {opened.run.what}") as progress:
        bench = Bench(opened, tokenizer, progress)
        parts = []
        for task, share, splits in work:
            head = HeadSpec("linear", TASKS[task].labels, TASKS[task].dropout)
            system = few_system(opened.run.what, share)
            alike = few_system(twin, share) if twin else None
            parts.append(single_task(bench, system, task, splits, head, folder, alike))
    scores, details = combine(parts)
    details["examples"] = {
        f"{task}@{share:g}": len(splits["train"].encoded) for task, share, splits in work
    }
    return finish(opened, watch, scores, details)


def few_splits(opened: OpenRun, tokenizer: Any, task: str) -> dict[float, Splits]:
    """All splits of a task, by the share of its training labels that is there."""
    recipe, cache = opened.recipe, opened.results / "cache"
    others = [split for split in TASKS[task].splits if split != "train"]
    found, rest = {}, load_splits(opened, tokenizer, tokenizer_rules(tokenizer), task, others)
    whole = read_examples(opened, task, "train")
    for share in recipe.few_labels.shares:
        drawn = first_drawn(whole, round(share * len(whole)), opened.run.seed)
        train = TaskData(encode(drawn, tokenizer, recipe.max_length, cache))
        rows = repeated_rows(len(train.encoded), recipe.single_stage, recipe.few_labels.steps)
        found[share] = {"train": replace(train, unit_rows=rows), **rest}
    return found


def repeated_rows(count: int, training: Training, steps: int) -> tuple[np.ndarray, ...]:
    """Every row, as often as it takes for a training of at least so many optimiser steps."""
    needed = steps * training.batch_size / training.epochs  # units in an epoch
    times = max(1, int(np.ceil(needed / count)))
    return tuple(np.tile(np.arange(count), times)[:, None])
