"""What a run's trainings start from: tokenised data, and models with new heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.batches import TaskData
from mtkd.data.digests import data_origin
from mtkd.data.tasks import DIAGNOSTIC, UNLABELLED, Examples
from mtkd.data.tokens import encode, encoded_before, tokenizer_rules
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.settings import Recipe
from mtkd.experiments.stored import stored_model
from mtkd.method.encoders import load_encoder, load_tokenizer
from mtkd.method.heads import objective_of
from mtkd.method.model import MultiTaskModel
from mtkd.method.settings import HeadSpec, Training
from mtkd.method.training import steps_per_epoch

Splits = dict[str, TaskData]


def word_counts(context: RunContext, task: str) -> np.ndarray:
    """Words in each training example of a task, both texts together, int64 (N,)."""
    examples = read_examples(context, task, "train")
    return np.array([sum(len(text.split()) for text in row) for row in examples.rows])


def load_data(
    context: RunContext, encoder: str, *, text: bool = False
) -> tuple[Any, dict[str, Splits]]:
    """Tokenizer of an encoder, and every split of every task that is asked for, in its tokens.

    With `text`, what the recipe has teachers label is one more split of the teacher tasks.
    """
    tokenizer, source = encoder_tokenizer(context, encoder), context.recipe.data
    data: dict[str, Splits] = {}
    for task in context.tasks:
        labelled = text and source.unlabelled_ratio and task in context.teacher_tasks
        more = (UNLABELLED,) if labelled else ()
        ranking = is_ranked(context.recipe, task)
        known = context.recipe.task(task).splits
        asked = [split for split in known if source.predict_test or not split.startswith("test")]
        splits = load_splits(context, tokenizer, task, [*asked, *more], ranking=ranking)
        # A file of unlabelled text need not have some of every task.
        data[task] = {split: item for split, item in splits.items() if len(item.encoded)}
    if "mnli" in data and DIAGNOSTIC in context.scored_only and source.predict_test:
        diagnostic = load_splits(context, tokenizer, DIAGNOSTIC, ["test"])
        data["mnli"][DIAGNOSTIC] = diagnostic["test"]
    return tokenizer, data


def load_splits(
    context: RunContext,
    tokenizer: Any,
    task: str,
    splits: Sequence[str],
    *,
    ranking: bool = False,
) -> Splits:
    """Splits of a task in tokens: as an earlier run left them, where nothing has changed.

    For a ranking head, a question's candidates belong together.
    """
    recipe, cache = context.recipe, context.results / "cache"
    rules = tokenizer_rules(tokenizer)
    origin = data_origin(recipe.data, recipe.task(task), rules, recipe.max_length)

    def load(split: str) -> TaskData:
        if origin and not ranking:  # ranking needs the text: a question's candidates
            encoded = encoded_before(recipe.task(task), split, cache, origin)
            if encoded is not None:
                return TaskData(encoded)
        examples = read_examples(context, task, split)
        encoded = encode(examples, tokenizer, recipe.max_length, cache, origin)
        return TaskData(encoded, None, candidate_groups(examples) if ranking else None)

    return {split: load(split) for split in splits}


def is_ranked(recipe: Recipe, task: str) -> bool:
    """Whether a task's head ranks the candidates of a question, which belong together."""
    return objective_of(recipe.heads.spec(recipe.task(task))) == "ranking"


def encoder_tokenizer(context: RunContext, encoder: str) -> Any:
    """The tokenizer of an encoder that is ready to load; the recipe's `max_length` is its own."""
    tokenizer = load_tokenizer(*located(context, encoder))
    tokenizer.model_max_length = context.recipe.max_length  # is saved with the models
    return tokenizer


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


def located(context: RunContext, encoder: str) -> tuple[str, str | None]:
    """Folder or hub name and revision of an encoder that is ready to load."""
    source = context.recipe.encoders[encoder]
    location = encoder_location(context.recipe, encoder)
    if location is None:
        made = next(
            run
            for run in context.run.ancestors
            if run.stage == "encoders" and run.variant == encoder
        )
        location = str(stored_model(context.results, made.run_id))
    return location, source.revision


def recipe_heads(context: RunContext, tasks: Sequence[str]) -> dict[str, HeadSpec]:
    """The heads that the recipe gives to these tasks."""
    return {task: context.recipe.heads.spec(context.recipe.task(task)) for task in tasks}


def new_model(
    context: RunContext, encoder: str, dropout: float, specs: dict[str, HeadSpec]
) -> MultiTaskModel:
    """Pre-trained shared layers under new heads."""
    location, revision = located(context, encoder)
    source = context.recipe.encoders[encoder]
    layers = None if source.pretrain else source.layers
    shared = load_encoder(location, revision=revision, dropout=dropout, layers=layers)
    return MultiTaskModel(shared, specs)


def total_steps(data: dict[str, Splits], settings: Training, *, alone: bool = False) -> int:
    """Optimiser steps of one multi-task training, or of one training per task (`alone`)."""
    sets = {task: splits["train"] for task, splits in data.items()}
    if alone:
        return sum(sum(steps_per_epoch({task: item}, settings)) for task, item in sets.items())
    return sum(steps_per_epoch(sets, settings))
