"""A recipe's finished runs, and what its teachers know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtkd.analysis import inspection
from mtkd.analysis.systems import with_headline
from mtkd.common.errors import MtkdError
from mtkd.data.loading import load_examples
from mtkd.data.tasks import Examples
from mtkd.experiments import records
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import main_runs
from mtkd.experiments.recipes import open_recipe
from mtkd.experiments.records import Record, run_folder
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe
from mtkd.experiments.systems.teachers import soft_targets
from mtkd.experiments.task_sets import present_tasks, teacher_tasks

Knowledge = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Results:
    """A recipe's finished runs."""

    recipe: Recipe
    folder: Path
    runs: tuple[Run, ...]
    records: tuple[Record, ...]
    tasks: tuple[str, ...]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every score of the finished runs (`records.collect`)."""
        return records.collect(self.records)

    @property
    def main_scores(self) -> pd.DataFrame:
        """Scores of the main tables: of STILTs one intermediate task, the recipe's first."""
        return with_headline(self.scores, self.recipe.intermediate)

    @property
    def taught(self) -> tuple[str, ...]:
        """The systems that had teachers."""
        return taught_systems(self.records)

    @property
    def teacher_tasks(self) -> tuple[str, ...]:
        return teacher_tasks(self.recipe, self.tasks)

    @property
    def teacher_classes(self) -> tuple[str, ...]:
        """The teacher tasks whose texts have one label each."""
        known = ((task, self.recipe.task(task)) for task in self.teacher_tasks)
        return tuple(name for name, task in known if task.labels and task.kind != "multilabel")

    @property
    def teachers(self) -> list[RunContext]:
        """The finished teachers, one per seed."""
        done = {record.run_id for record in self.records}
        runs = [run for run in self.runs if run.stage == "teachers" and run.run_id in done]
        return [RunContext(self.recipe, run, self.folder, self.tasks) for run in runs]


def open_results(name: str) -> Results:
    """Finished runs of a recipe, by name or saved file. Raises MtkdError if there is none."""
    recipe, folder = open_recipe(name)
    runs = tuple(main_runs(recipe))
    found = tuple(finished(folder, runs))
    if not any(record.scores for record in found):
        raise MtkdError(
            f"{folder}: no finished run of recipe {recipe.name} has scores yet; run "
            f"`mtkd reproduce --recipe {recipe.name}`"
        )
    return Results(recipe, folder, runs, found, present_tasks(recipe))


def finished(folder: Path, runs: Iterable[Run]) -> Iterator[Record]:
    """The records of those runs that are done."""
    for run in runs:
        if (run_folder(folder, run.run_id) / "record.json").exists():
            yield records.read_record(run_folder(folder, run.run_id))


def taught_systems(found: Iterable[Record]) -> tuple[str, ...]:
    """The systems that learnt from soft targets, by the records of their runs."""
    done = list(found)
    stages = {record.run_id: record.stage for record in done}
    systems = [
        score.system
        for record in done
        if record.stage == "distill"
        and record.settings["distillation"]["hard_weight"] < 1
        and any(stages.get(parent) in ("teachers", "distill") for parent in record.parents)
        for score in record.scores
    ]
    return tuple(dict.fromkeys(systems))


def labelled_targets(
    results: Results, teachers: Iterable[RunContext]
) -> Iterator[tuple[Examples, np.ndarray, np.ndarray]]:
    """Training examples, labels (N,) and soft targets (N, C), of tasks of one label a text."""
    for context in teachers:
        for task in results.teacher_classes:
            examples, soft = training_targets(context, task)
            if examples.label is not None:
                yield examples, examples.label, soft


def teacher_knowledge(results: Results) -> Knowledge:
    """Soft targets, training labels and (toy) clean labels, of the teachers of the first seed."""
    found = labelled_targets(results, results.teachers[:1])
    return {examples.task.name: (soft, label, examples.clean) for examples, label, soft in found}


def training_targets(context: RunContext, task: str) -> tuple[Examples, np.ndarray]:
    """A task's training examples and the teachers' soft targets (N, C) for them."""
    examples = load_examples(context.recipe.data, context.recipe.task(task), "train")
    return examples, soft_targets(context, task, examples.idx)


def surprising_examples(results: Results, task: str, count: int = 8, **how: Any) -> pd.DataFrame:
    """Training examples whose given label the teachers doubt most."""
    if not results.teachers:
        raise MtkdError(f"{results.folder}: no teachers are finished yet; run `mtkd reproduce`")
    examples, soft = training_targets(results.teachers[0], task)
    return inspection.unsure_examples(examples, soft, count, **how)


def times(results: Results) -> pd.DataFrame:
    """Wall time, training time and peak memory by stage."""
    frame = pd.DataFrame(
        {
            "stage": record.stage,
            "runs": 1,
            "minutes": record.wall_seconds / 60,
            "training minutes": record.training_seconds / 60,
            "peak memory, MiB": record.peak_memory_mib,
        }
        for record in results.records
    )
    how = {"runs": "sum", "minutes": "sum", "training minutes": "sum", "peak memory, MiB": "max"}
    return frame.groupby("stage", sort=False).agg(how).round(1)
