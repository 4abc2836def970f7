"""What a row of a teacher's file says of its example, and labels by the teacher's names for them.

Every error is one line that names file and line, or row, and what was expected there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from mtkd.common.errors import MtkdError
from mtkd.data.given_settings import GivenTeacher
from mtkd.data.own_files import Table
from mtkd.data.own_meaning import IDS
from mtkd.data.own_values import as_text, label_name, names_of, number_of
from mtkd.data.tasks import Task

FLOOR = 1e-9  # least probability: a logarithm is finite, and no sum of interest changes by it
TOLERANCE = 1e-2  # of a sum of probabilities, which files round
# Keys that hold a row's values by label, and what they say of them.
HOLDERS = {
    "scores": "probabilities",
    "probabilities": "probabilities",
    "logits": "logits",
    "label_probs": "top-k",
    "votes": "votes",
}
SHOWN = 6  # labels in an error line

Cells = Mapping[str, Any]  # a row's values by label, as the file names it
Convert = Callable[[Cells, str], np.ndarray]  # values, and where they are -> outputs (C,)


def table_outputs(table: Table, task: Task, teacher: GivenTeacher) -> np.ndarray:
    """Outputs float32 (N, C) that a file's rows say: logits or log-probabilities, or scores."""
    if task.kind == "regression":
        scores = table.column("score", f"of given teacher {teacher.name}")
        cells: list[Cells] = [{"score": score} for score in scores]
        convert = scores_as(task)
    else:
        form, cells = cells_of(table, task, teacher)
        convert = outputs_as(form, task, label_places(teacher, task))
    return np.array([convert(one, table.where(row)) for row, one in enumerate(cells)], np.float32)


def cells_of(table: Table, task: Task, teacher: GivenTeacher) -> tuple[str, list[Cells]]:
    """What a file's rows say, probabilities, logits or the like, and the values of each."""
    columns, form = table.columns, teacher.format
    if len(holders := [name for name in HOLDERS if name in columns]) > 1:
        raise MtkdError(f"{table.source}: both {holders[0]} and {holders[1]}; expected one of them")
    if holders:
        held = columns[holders[0]]
        cells = [by_label(held[row], table.where(row)) for row in range(len(table))]
        return form or HOLDERS[holders[0]], cells
    if names := label_columns(table, task, teacher):
        rows = zip(*(columns[name] for name in names), strict=True)
        return form or "probabilities", [dict(zip(names, row, strict=True)) for row in rows]
    chosen = table.column("label", f"of given teacher {teacher.name}, or a column for each label")
    if "score" in columns:  # what a pipeline gives of one label
        best = [named(value, table.where(row)) for row, value in enumerate(chosen)]
        pairs = zip(best, columns["score"], strict=True)
        return form or "top-k", [{name: score} for name, score in pairs]
    return "label", [
        dict.fromkeys(answers(value, task, table.where(row)), 1) for row, value in enumerate(chosen)
    ]


def label_columns(table: Table, task: Task, teacher: GivenTeacher) -> list[str]:
    """Columns that are a label's. Raises MtkdError if some are, and a label has none.

    Where the recipe does not say which column is which label, other numbers would be a label that
    the task does not have: columns of another use alone may be beside them.
    """
    known = label_places(teacher, task)
    names = [name for name in table.columns if name in known]
    own = {task.own.id, task.own.label} if task.own else set()
    used = {*names, *task.columns, *own, *IDS, teacher.id, "split", "label"}
    others = [] if teacher.labels else [name for name in table.columns if name not in used]
    if names or (others and "label" not in table.columns):
        check_names([*names, *others], teacher, task, table.source)
    return names


def answers(value: Any, task: Task, where: str) -> list[str]:
    """The label that a teacher answers with, or the labels where a text may have several."""
    if task.kind != "multilabel":
        return [named(value, where)]
    try:
        return names_of(value, task.own.separator if task.own else "|")
    except ValueError as error:
        raise MtkdError(f"{where}: {error}") from None


def named(value: Any, where: str) -> str:
    """A label as text. Raises MtkdError for what is none."""
    try:
        return label_name(value)
    except ValueError as error:
        raise MtkdError(f"{where}: {error}") from None


def by_label(held: Any, where: str) -> Cells:
    """Values by label, from a mapping or from what a pipeline gives, pairs of label and score."""
    if isinstance(held, dict):
        return held
    if not isinstance(held, list) or not all(
        isinstance(one, dict) and {"label", "score"} <= one.keys() for one in held
    ):
        raise MtkdError(
            f'{where}: {str(held)[:40]}; expected {{"label": value, ...}}, or '
            '[{"label": ..., "score": ...}, ...]'
        )
    found = {named(one["label"], where): one["score"] for one in held}
    if len(found) < len(held):
        raise MtkdError(f"{where}: a label comes twice; expected each once")
    return found


def outputs_as(form: str, task: Task, known: Mapping[str, int]) -> Convert:
    """What turns a row's values, which are of that form, into logits or log-probabilities."""
    several, count = task.kind == "multilabel", len(task.labels)
    partial = form in ("top-k", "votes", "label")

    def convert(cells: Cells, where: str) -> np.ndarray:
        if several and form in ("top-k", "votes"):
            raise MtkdError(
                f"{where}: {form} of {task.name}, where a text may have several labels; expected "
                "probabilities, logits or `label`"
            )
        # A Parquet file has every key in every row.
        given = {name: value for name, value in cells.items() if value is not None}
        places = [place_of(name, known, task, where) for name in given]
        values = [number(value, name, where) for name, value in given.items()]
        if several and len(set(places)) < len(places):
            raise MtkdError(f"{where}: two labels are one of {task.name}; expected one for each")
        if not partial and len(missing := set(range(count)) - set(places)):
            raise MtkdError(
                f"{where}: no value of {task.labels[min(missing)]!r}; expected one of each label, "
                "or `format: top-k`"
            )
        if form == "logits":
            merged = np.full(count, -np.inf)
            np.logaddexp.at(merged, places, values)
            return merged
        if negative := [name for name, value in zip(given, values, strict=True) if value < 0]:
            raise MtkdError(
                f"{where}: {negative[0]} is {given[negative[0]]}; expected no number below 0, or "
                "`format: logits`"
            )
        merged = np.zeros(count)
        np.add.at(merged, places, values)
        return log_odds(merged, where) if several else log_shares(merged, set(places), form, where)

    return convert


def log_shares(values: np.ndarray, named: set[int], form: str, where: str) -> np.ndarray:
    """Log-probabilities (C,) of probabilities that sum to 1, of the first of them, or of counts."""
    total = float(values.sum())
    if not total:
        raise MtkdError(f"{where}: no label has anything; expected one that is likely")
    if form == "top-k" and len(named) < len(values) and total <= 1 + TOLERANCE:
        rest = [place for place in range(len(values)) if place not in named]
        values[rest] = max(0.0, 1 - total) / len(rest)
    elif form not in ("votes", "label") and abs(total - 1) > TOLERANCE:
        raise MtkdError(
            f"{where}: probabilities that sum to {total:.4g}; expected 1, or `format: logits` if "
            "they are logits, `votes` if they are counts"
        )
    return np.log((values / values.sum()).clip(FLOOR))


def log_odds(values: np.ndarray, where: str) -> np.ndarray:
    """Logits (C,) of independent probabilities."""
    if (most := float(values.max())) > 1:
        raise MtkdError(
            f"{where}: a probability of {most:g}; expected at most 1, or `format: logits`"
        )
    sure = values.clip(FLOOR, 1 - FLOOR)
    return np.log(sure / (1 - sure))


def scores_as(task: Task) -> Convert:
    """What turns a row's score into the output of a regression."""
    low, high = task.bounds or (-np.inf, np.inf)
    slack = 0.1 * (high - low) if task.bounds else 0.0  # a regression overshoots a little

    def convert(cells: Cells, where: str) -> np.ndarray:
        score = number(cells["score"], "score", where)
        if not low - slack <= score <= high + slack:
            raise MtkdError(
                f"{where}: score {score:g}; expected {low:g} to {high:g}, as the task's"
            )
        return np.array([score])

    return convert


def number(value: Any, name: str, where: str) -> float:
    """A finite number. Raises MtkdError if the value is none."""
    found = None if isinstance(value, bool) else number_of(value)
    if found is None:
        raise MtkdError(f"{where}: {name} is {str(value)[:40]!r}; expected a finite number")
    return found


def label_places(teacher: GivenTeacher, task: Task) -> dict[str, int]:
    """Place of a label of the task by all names that the teacher may have for it."""
    places = {name: place for place, name in enumerate(task.labels)}
    ours = {theirs: as_text(one) for theirs, one in teacher.labels.items()}
    if unknown := [theirs for theirs, one in ours.items() if one not in places]:
        raise MtkdError(
            f"given teacher {teacher.name}: labels.{unknown[0]}: {ours[unknown[0]]!r} is no label "
            f"of {task.name}; expected one of {shortened(task.labels)}"
        )
    return places | {theirs: places[one] for theirs, one in ours.items()}


def place_of(name: str, known: Mapping[str, int], task: Task, where: str) -> int:
    place = known.get(name, known.get(as_text(name)))
    if place is None:
        raise MtkdError(
            f"{where}: label {name!r}; expected one of {shortened(task.labels)}, or write "
            f"`labels: {{{guess(name, task)}}}` for this teacher"
        )
    return place


def check_names(names: Sequence[str], teacher: GivenTeacher, task: Task, where: str) -> None:
    """Refuse a teacher's labels that are more, or fewer, than the task's."""
    known = label_places(teacher, task)
    unknown = [name for name in names if name not in known]
    missing = set(range(len(task.labels))) - {known[name] for name in names if name in known}
    if not unknown and not missing:
        return
    what = f"{unknown[0]!r} is none" if unknown else f"no {task.labels[min(missing)]!r}"
    mapped = ", ".join(guess(name, task) for name in (unknown or names)[:SHOWN])
    raise MtkdError(
        f"{where}: labels {shortened(names)}, and {task.name} has {shortened(task.labels)}: "
        f"{what}; write which is which, `labels: {{{mapped}}}`, for given teacher {teacher.name}"
    )


def guess(name: str, task: Task) -> str:
    """A line of `labels`: the task's label that differs in case alone, or a place to fill in."""
    ours = (one for one in task.labels if one.lower() == name.strip().lower())
    return f"{quoted(name)}: {next(map(quoted, ours), '...')}"


def quoted(name: str) -> str:
    """A label as a recipe may have it: in quotes where YAML would read something else."""
    plain = re.fullmatch(r"[A-Za-z]\w*", name) and yaml.safe_load(name) == name
    return name if plain else json.dumps(name, ensure_ascii=False)


def shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
