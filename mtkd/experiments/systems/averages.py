"""Ensembles: the average of stored predictions, stored and scored like a model's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mtkd.experiments.context import RunContext
from mtkd.experiments.inputs import Splits
from mtkd.experiments.records import Score
from mtkd.experiments.stored import stored_predictions
from mtkd.experiments.trainings import store
from mtkd.method import targets


def member_predictions(
    context: RunContext, task: str, split: str, members: Sequence[Sequence[str]]
) -> list[targets.Predictions]:
    """Stored outputs of each member, (run, system), on one split."""
    return [
        stored_predictions(context.results, run_id, system, task, split)
        for run_id, system in members
    ]


def average_scores(
    context: RunContext,
    system: str,
    members: Sequence[Sequence[str]],
    data: dict[str, Splits],
    of: Literal["probabilities", "logits"] = "probabilities",
) -> list[Score]:
    """Store and score the average of the members, (run, system), on every dev and test split."""
    scores = []
    for task, splits in data.items():
        for split, item in splits.items():
            if split == "train":
                continue
            found = member_predictions(context, task, split, members)
            known = context.recipe.task(task)
            mean = targets.average_predictions(
                found, item.encoded.idx, known.labels, of=of, objective=known.kind
            )
            outputs = targets.as_outputs(mean, known.kind)
            scores += store(context, system, task, split, item.encoded, outputs)
    return scores
