"""Cross-fitted teachers: soft targets on training examples from models that have not seen them.

After Dao et al. 2021 (arXiv:2104.09732, section 4). A teacher is trained once for every fold
without it, the multi-task training and the fine-tuning both, and predicts the fold. So a model
that speaks of an example has met its label nowhere; the choice of the teachers is by dev scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mtkd.data.folds import assign_folds
from mtkd.data.tasks import is_dev
from mtkd.data.tokens import Encoded
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.inputs import Splits, is_ranked, total_steps
from mtkd.experiments.settings import Recipe
from mtkd.experiments.systems.averages import average_scores, member_predictions
from mtkd.experiments.trainings import Setup, finetune_model, multi_task, store
from mtkd.method.targets import align

HELD = "held"  # the split of what a model has not seen
Folds = Mapping[str, np.ndarray]  # of every training example, by task


def folds_of(context: RunContext) -> Folds:
    """The fold of every training example, the same for all teachers of a seed.

    A teacher learns from all tasks, so all are cut, those without soft targets, too.
    """
    count = context.recipe.teachers.crossfit
    if count is None:
        return {}
    examples = {task: read_examples(context, task, "train") for task in context.tasks}
    ranked = [task for task in context.tasks if is_ranked(context.recipe, task)]
    return assign_folds(examples, count, context.run.seed, whole=ranked)


def without_fold(data: Mapping[str, Splits], folds: Folds, fold: int) -> dict[str, Splits]:
    """All splits, `train` without a fold, and that fold without its labels as the split HELD."""
    found = {}
    for task, splits in data.items():
        held = folds[task] == fold
        seen, unseen = (splits["train"].some(np.flatnonzero(rows)) for rows in (~held, held))
        unseen = replace(unseen, encoded=replace(unseen.encoded, label=None))
        found[task] = splits | {"train": seen, HELD: unseen}
    return found


def every_fold(data: Mapping[str, Splits], folds: Folds) -> Iterator[dict[str, Splits]]:
    count = 1 + max(int(numbers.max()) for numbers in folds.values())
    return (without_fold(data, folds, fold) for fold in range(count))


def crossfit_steps(recipe: Recipe, data: dict[str, Splits], folds: Folds) -> int:
    """Optimiser steps of one cross-fitted teacher."""
    return sum(
        total_steps(fold, recipe.training) + total_steps(fold, recipe.finetuning, alone=True)
        for fold in every_fold(data, folds)
    )


def crossfit_teacher(
    setup: Setup,
    system: str,
    encoder: str,
    dropout: float,
    data: dict[str, Splits],
    folds: Folds,
) -> list[dict[str, Any]]:
    """Train a candidate without each fold, and store what its models say together as `system`.

    On a training example speaks the model that has not seen it, on all others the average of the
    models. Returns the parts of all trainings; the average's scores are those of the last one.
    """
    context, parts, members = setup.context, list[dict[str, Any]](), list[tuple[str, str]]()
    for number, fold in enumerate(every_fold(data, folds), 1):
        name = f"{system}-fold{number}"
        # Not among the run's outputs: like other teachers it leaves its predictions alone.
        folder = context.folder / "checkpoints" / f"{name}-model"
        shared = {
            task: {split: item for split, item in splits.items() if is_dev(split)}
            | {"train": splits["train"]}
            for task, splits in fold.items()
        }
        parts.append(multi_task(setup, f"{name}-noft", encoder, dropout, shared, model=folder))
        parts += [finetune_model(setup, folder, name, task, fold[task]) for task in fold]
        members.append((context.run.run_id, name))
    for task, splits in data.items():
        store_held(context, system, task, splits["train"].encoded, members)
    scores = average_scores(context, system, members, data, context.recipe.teachers.average)
    parts = [part | {"system": system, "scores": []} for part in parts]
    parts[-1]["scores"] = [asdict(score) for score in scores]
    return parts


def store_held(
    context: RunContext,
    system: str,
    task: str,
    train: Encoded,
    members: Sequence[tuple[str, str]],
) -> None:
    """Store for every training example the outputs of the model that has not seen it."""
    held = member_predictions(context, task, HELD, members)
    idx, logits = (np.concatenate([getattr(one, of) for one in held]) for of in ("idx", "logits"))
    together = replace(held[0], idx=idx, logits=logits)
    store(context, system, task, "train", train, align(together, train.idx, together.labels))
