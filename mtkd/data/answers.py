"""A model's outputs for texts in words: label names and scores.

numpy alone, so that a runtime without torch answers alike. A task is told of as in `mtkd.json`:
its head (labels, options), objective, columns, temperature and bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mtkd.common.errors import MtkdError

# {"label", "score"}, the best of these, {"labels", "scores"}, or the number of a regression.
Answer = dict[str, Any] | list[dict[str, Any]] | float
Text = str | Sequence[str] | Mapping[str, str | None]  # one text, or a pair of them
Rows = list[tuple[str, ...]]  # texts as a tokenizer takes them: (text,) or (text, second text)
Outputs = Callable[[Rows, list[str]], Mapping[str, np.ndarray]]  # of tasks' heads, (N, C) each
Told = Mapping[str, Any]  # of one task


def answer(
    texts: Text | Iterable[Text],
    told: Mapping[str, Told],
    outputs: Outputs,
    task: str | None = None,
    top_k: int = 1,
) -> Any:
    """Answers to texts from the outputs of heads: the whole of `MultiTaskModel.predict`."""
    if task is not None and task not in told:
        raise MtkdError(f"predict: no task {task!r}; expected one of {', '.join(told)}")
    if top_k < 1:
        raise MtkdError(f"predict: top_k is {top_k}; expected 1 or more")
    alone = isinstance(texts, str | tuple | Mapping)
    rows = [as_row(text, place) for place, text in enumerate([texts] if alone else texts)]
    found: list[dict[str, Answer]] = [{} for _ in rows]
    for size in (1, 2):
        places = [place for place, row in enumerate(rows) if len(row) == size]
        if not places:
            continue
        tasks = fitting(told, task, size, places[0])
        for name, values in outputs([rows[place] for place in places], tasks).items():
            for place, one in zip(places, in_words(values, told[name], top_k), strict=True):
                found[place][name] = one
    answers = found if task is None else [one[task] for one in found]
    return answers[0] if alone else answers


def as_row(text: Any, place: int) -> tuple[str, ...]:
    """One text as (text,), a pair as (text, second text)."""
    row: Any = (text,) if isinstance(text, str) else text
    if isinstance(text, Mapping) and text.keys() <= {"text", "text_pair"}:
        pair = text.get("text_pair")
        row = (text.get("text"), pair)[: 1 if pair is None else 2]
    whole = isinstance(row, tuple | list) and len(row) in (1, 2)
    if not whole or not all(isinstance(part, str) for part in row):
        raise MtkdError(
            f"predict: text {place} is {text!r:.80}; expected a str, a pair of them, or a dict of "
            "text and text_pair"
        )
    return tuple(row)


def fitting(told: Mapping[str, Told], task: str | None, size: int, place: int) -> list[str]:
    """The tasks to answer for texts of this size, 2 for pairs; `place` is the first such text's.

    Raises MtkdError if there is none, or the task asked for is none of them.
    """
    names = list(told) if task is None else [task]
    if task is not None and told[task]["objective"] == "ranking":
        raise MtkdError(
            f"predict: the head of {task} ranks a question's candidates, and has no answer to one "
            "pair alone; use mtkd.predict with all of them, or train it with a classifying head"
        )
    fits = [
        name
        for name in names
        if len(told[name]["columns"]) in (0, size) and told[name]["objective"] != "ranking"
    ]
    if not fits:
        given, wanted = ("a pair", "single texts") if size == 2 else ("a single text", "pairs")
        raise MtkdError(f"predict: text {place} is {given}; {', '.join(names)} takes {wanted}")
    return fits


def in_words(outputs: np.ndarray, told: Told, top_k: int = 1) -> list[Answer]:
    """The answer that each row of a head's outputs (N, C) stands for."""
    labels, objective = told["head"]["labels"], told["objective"]
    if objective == "regression":
        low, high = told.get("bounds") or (-np.inf, np.inf)
        return [float(value) for value in outputs[:, 0].clip(low, high)]
    scores = probabilities(outputs, objective, told["temperature"]).tolist()
    if objective == "multilabel":
        named = [dict(zip(labels, row, strict=True)) for row in scores]
        return [{"labels": [n for n, p in row.items() if p >= 0.5], "scores": row} for row in named]
    order = np.argsort(-outputs, 1, kind="stable")[:, :top_k]
    best = [
        [{"label": labels[place], "score": row[place]} for place in places]
        for row, places in zip(scores, order, strict=True)
    ]
    return [row[0] for row in best] if top_k == 1 else [*best]


def probabilities(outputs: np.ndarray, objective: str, temperature: float = 1.0) -> np.ndarray:
    """Probabilities float64 (N, C) of logits: softmax over labels, or each label's sigmoid."""
    logits = outputs.astype(np.float64) / temperature
    if objective == "multilabel":
        return np.exp(-np.logaddexp(0, -logits))
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)
