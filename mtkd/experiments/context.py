"""A run at work: its folders, data and models, and one training with all that it leaves."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.batches import TaskData
from mtkd.data.cache_keys import data_origin
from mtkd.data.loading import load_examples, missing_tasks
from mtkd.data.tasks import DIAGNOSTIC, TASKS, UNLABELLED, Examples, scored_as
from mtkd.data.tokens import encode, encoded_before, tokenizer_rules
from mtkd.experiments import records
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.recipes import open_recipe
from mtkd.experiments.records import Record, Score, Stopwatch
from mtkd.experiments.runs import Run, ancestors, find_run, present_tasks, teacher_tasks
from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.registry import arm_recipe
from mtkd.method.encoders import load_encoder, load_tokenizer
from mtkd.method.model import MultiTaskModel
from mtkd.method.settings import HeadSpec, Training
from mtkd.method.training import steps_per_epoch

Splits = dict[str, TaskData]


@dataclass(frozen=True)
class OpenRun:
    """A run and the folders it works in."""

    recipe: Recipe
    run: Run
    results: Path  # results/<recipe>
    tasks: tuple[str, ...]  # those that the data source has

    @property
    def folder(self) -> Path:
        return run_folder(self.results, self.run)

    @property
    def model_folder(self) -> Path:
        return self.results / "models" / self.run.run_id

    @property
    def teacher_tasks(self) -> tuple[str, ...]:
        return teacher_tasks(self.recipe, self.tasks)

    @property
    def done(self) -> bool:
        return (self.folder / "record.json").exists()


def run_folder(results: Path, run: Run) -> Path:
    return results / "runs" / run.run_id


def prediction_file(results: Path, run_id: str, system: str, task: str, split: str) -> Path:
    """Where the outputs of one system of one run on one split are stored."""
    task, split = scored_as(task, split)
    return results / "predictions" / run_id / system / f"{task}.{split}.safetensors"


def open_run(recipe: str, stage: str, what: str | None, seed: int, arm: str = "") -> OpenRun:
    """The run of a notebook, of the recipe itself or of an arm of a study ("targets/w0-t2").

    Raises MtkdError if there is no such run or an input is missing.
    """
    resolved, results = open_recipe(recipe)
    if arm:
        resolved, _ = arm_recipe(resolved, arm)
    run = find_run(resolved, stage, what, seed)
    opened = OpenRun(resolved, run, results, present_tasks(resolved)[0])
    for parent in run.parents:
        if not opened.done and not (run_folder(results, parent) / "record.json").exists():
            values = ", ".join(f"{k}={v!r}" for k, v in parent.parameters.items())
            raise MtkdError(
                f"{run.run_id} needs {parent.run_id}, which is not there: run "
                f"`mtkd reproduce --recipe {resolved.name} --until {parent.stage}`, or open "
                f"notebooks/{parent.notebook}.ipynb with {values}"
            )
    return opened


def read_examples(opened: OpenRun, task: str, split: str) -> Examples:
    """The text of one split, from the recipe's data source; prints what is odd about its file."""
    examples = load_examples(opened.recipe.data, TASKS[task], split)
    if examples.notice:
        tell(examples.notice)
    return examples


@functools.cache  # a run reads some splits more than once
def tell(notice: str) -> None:
    """Print a line, once."""
    print(notice, flush=True)


def word_counts(opened: OpenRun, task: str) -> np.ndarray:
    """Words in each training example of a task, both texts together, int64 (N,)."""
    examples = read_examples(opened, task, "train")
    seconds = examples.text_b or [""] * len(examples)
    return np.array(
        [len(f"{a} {b}".split()) for a, b in zip(examples.text_a, seconds, strict=True)]
    )


def load_data(
    opened: OpenRun, encoder: str, *, text: bool = False
) -> tuple[Any, dict[str, Splits]]:
    """Tokenizer of an encoder, and every split of every task in its tokens.

    With `text`, what the recipe has teachers label is one more split of the teacher tasks.
    """
    tokenizer, source = encoder_tokenizer(opened, encoder), opened.recipe.data
    rules = tokenizer_rules(tokenizer)
    data: dict[str, Splits] = {}
    for task in opened.tasks:
        more = (UNLABELLED,) if text and source.pool and task in opened.teacher_tasks else ()
        splits = load_splits(opened, tokenizer, rules, task, (*TASKS[task].splits, *more))
        # A file of unlabelled text need not have some of every task.
        data[task] = {split: item for split, item in splits.items() if len(item.encoded)}
    if "mnli" in data and not missing_tasks(source, [DIAGNOSTIC]):
        diagnostic = load_splits(opened, tokenizer, rules, DIAGNOSTIC, ["test"])
        data["mnli"][DIAGNOSTIC] = diagnostic["test"]
    return tokenizer, data


def load_splits(
    opened: OpenRun, tokenizer: Any, rules: str, task: str, splits: Sequence[str]
) -> Splits:
    """Splits of a task in tokens: as an earlier run left them, where nothing has changed."""
    recipe, cache = opened.recipe, opened.results / "cache"
    origin = data_origin(recipe.data, TASKS[task], rules, recipe.max_length)
    ranking = recipe.heads.spec(TASKS[task]).kind == "ranking"

    def load(split: str) -> TaskData:
        if origin and not ranking:  # ranking needs the text: a question's candidates
            encoded = encoded_before(TASKS[task], split, cache, origin)
            if encoded is not None:
                return TaskData(encoded)
        examples = read_examples(opened, task, split)
        encoded = encode(examples, tokenizer, recipe.max_length, cache, origin)
        return TaskData(encoded, None, candidate_groups(examples) if ranking else None)

    return {split: load(split) for split in splits}


def encoder_tokenizer(opened: OpenRun, encoder: str) -> Any:
    """The tokenizer of an encoder that is ready to load."""
    return load_tokenizer(*located(opened, encoder))


def candidate_groups(examples: Examples) -> tuple[np.ndarray, ...]:
    """Rows of each question's candidates. Raises MtkdError if no question can be ranked."""
    rows = ranking_rows(examples)
    if not rows:
        raise MtkdError(
            f"{examples.task.title}: no question has one right and one wrong candidate, so nothing "
            "can be ranked; use `heads.qnli: classification`"
        )
    return rows


def ranking_rows(examples: Examples) -> tuple[np.ndarray, ...]:
    """Rows of each question's candidates, for a ranking head.

    A question can be ranked in training only if exactly one of its candidates is right.
    """
    groups: dict[str, list[int]] = {}
    for row, question in enumerate(examples.text_a):
        groups.setdefault(question, []).append(row)
    rows = tuple(np.array(group) for group in groups.values())
    if examples.split != "train" or examples.label is None:
        return rows
    label = examples.label
    return tuple(r for r in rows if len(r) > 1 and (label[r] == 0).sum() == 1)


def located(opened: OpenRun, encoder: str) -> tuple[str, str | None]:
    """Folder or hub name and revision of an encoder that is ready to load."""
    source = opened.recipe.encoders[encoder]
    location = encoder_location(opened.recipe, encoder)
    if location is None:
        runs = [r for r in ancestors(opened.run) if r.stage == "encoders" and r.what == encoder]
        location = str(opened.results / "models" / runs[0].run_id)
    return location, source.revision


def recipe_heads(opened: OpenRun, tasks: Sequence[str]) -> dict[str, HeadSpec]:
    """The heads that the recipe gives to these tasks."""
    return {task: opened.recipe.heads.spec(TASKS[task]) for task in tasks}


def new_model(
    opened: OpenRun, encoder: str, dropout: float, specs: dict[str, HeadSpec]
) -> MultiTaskModel:
    """Pre-trained shared layers under new heads."""
    location, revision = located(opened, encoder)
    source = opened.recipe.encoders[encoder]
    layers = None if source.pretrain else source.layers
    shared = load_encoder(location, revision=revision, dropout=dropout, layers=layers)
    return MultiTaskModel(shared, specs)


def total_steps(data: dict[str, Splits], settings: Training, *, alone: bool = False) -> int:
    """Optimiser steps of one multi-task training, or of one training per task (`alone`)."""
    sets = {task: splits["train"] for task, splits in data.items()}
    if alone:
        return sum(sum(steps_per_epoch({task: item}, settings)) for task, item in sets.items())
    return sum(steps_per_epoch(sets, settings))


def finish(
    opened: OpenRun, watch: Stopwatch, scores: list[Score], details: dict[str, Any]
) -> Record:
    """Write the run's record, which marks it as done, and clear what was kept for a resume."""
    histories = details.get("histories", {})
    seconds = sum(e["seconds"] for history in histories.values() for e in history["epochs"])
    record = Record(
        run_id=opened.run.run_id,
        config_id=opened.run.config_id,
        recipe=opened.recipe.name,
        stage=opened.run.stage,
        what=opened.run.what,
        seed=opened.run.seed,
        parents=tuple(parent.run_id for parent in opened.run.parents),
        settings=opened.run.settings,
        scores=tuple(scores),
        details=details | {"cost": opened.run.cost},
        wall_seconds=watch.seconds(),
        training_seconds=round(seconds, 2),
        peak_memory_mib=records.peak_memory_mib(),
        environment=records.environment(),
    )
    records.write_record(opened.folder, record)
    shutil.rmtree(opened.folder / "checkpoints", ignore_errors=True)
    shutil.rmtree(opened.folder / "parts", ignore_errors=True)
    return record
