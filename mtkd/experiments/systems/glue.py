"""The data: sizes of every split, and what a constant answer scores."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mtkd.data import metrics
from mtkd.data.own_tasks import own_places
from mtkd.data.tasks import WNLI_LABEL, Examples, label_counts
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.records import Outcome, Score

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run


def data_run(outline: Outline) -> Run:
    return outline.run("glue", "data", 0, describe_data, outline.data)


def describe_data(context: RunContext) -> Outcome:
    """Sizes of every split (Table 1 of the paper), and the scores of the majority class.

    Of tasks of one's own also how their file was divided, and how often each split has each label.
    """
    sizes: dict[str, dict[str, Any]] = {}
    own: dict[str, dict[str, Any]] = {}
    scores: list[Score] = []
    mnli = read_examples(context, "mnli", "train") if "mnli" in context.tasks else None
    for task in (*context.tasks, *context.scored_only):
        sizes[task] = {"skipped": 0}
        splits = {
            split: read_examples(context, task, split) for split in context.recipe.task(task).splits
        }
        known = context.recipe.task(task)
        if known.own:
            cut = [split for split in splits if split not in own_places(known)]
            counts = {split: label_counts(examples) for split, examples in splits.items()}
            own[task] = {"cut": cut, "split": asdict(known.own.split), "labels": counts}
        for split, examples in splits.items():
            sizes[task][split] = len(examples)
            sizes[task]["skipped"] += examples.skipped
            # AX has no training examples: MNLI's classes answer it, where there is MNLI.
            learnt = splits.get("train") or mnli
            if split != "train" and learnt is not None:
                scores += majority_scores(examples, learnt)
    return scores, {"sizes": sizes} | ({"own": own} if own else {})


def majority_scores(examples: Examples, learnt: Examples) -> list[Score]:
    """Scores of answering a split with the most frequent training label, or the mean score."""
    task = examples.task
    if examples.label is None or learnt.label is None:
        return []
    if task.kind == "multilabel":
        share = learnt.label.mean(axis=0).clip(1e-6, 1 - 1e-6)
        answer = np.log(share / (1 - share))
    elif task.labels:
        counts = np.bincount(learnt.label.astype(np.int64), minlength=len(task.labels))
        answer = np.eye(len(task.labels))[WNLI_LABEL if task.name == "wnli" else counts.argmax()]
    else:
        answer = np.array([learnt.label.mean()])
    found = metrics.compute(task, np.tile(answer, (len(examples), 1)), examples.label)
    return [
        Score("majority", task.name, examples.split, metric, value, len(examples))
        for metric, value in found.items()
    ]
