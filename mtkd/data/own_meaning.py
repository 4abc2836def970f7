"""What the training file says of a task that its recipe leaves open.

Each is inferred where there is no doubt, and refused with the line to write where there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from mtkd.common.errors import MtkdError
from mtkd.data.own_files import Table
from mtkd.data.own_settings import Kind, OwnTask
from mtkd.data.own_values import example_id, label_name, missing, names_of, number_of
from mtkd.data.tasks import UNLABELLED

TEXTS = ("text", "sentence", "message", "utterance", "review", "question", "query", "body")
PAIRS = (
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "answer"),
    ("text", "text_pair"),
)
LABELS = ("labels", "class", "category", "target", "score")  # beside "label", which goes first
IDS = ("id", "idx", "index", "guid")  # columns of ids, where no other is named
MOST_CLASSES = 1000
STRAY = 0.1  # share of words among numbers up to which they are mistakes rather than labels
UNSURE = 20  # different numbers up to which they may as well be classes as scores
POSITIVE = (("0", "1"), ("false", "true"), ("no", "yes"))  # labels, the right candidate's last


def with_meaning(name: str, spec: OwnTask, tables: Mapping[str, Table]) -> OwnTask:
    """The spec with columns, kind and labels, of its tables by split.

    Raises MtkdError where the training file leaves doubt.
    """
    train = tables["train"]
    spec = with_columns(name, spec, train)
    spec = replace(spec, id=spec.id or id_column(spec, tables))
    if spec.kind is None:
        spec = settled(name, spec, train, kind=infer_kind(name, spec, train))
    if spec.kind != "regression" and not spec.labels:
        spec = settled(name, spec, train, labels=infer_labels(name, spec, train))
    if spec.kind == "ranking" and (len(spec.labels) != 2 or isinstance(spec.text, str)):
        raise MtkdError(
            f"{train.source}: ranking needs to know which of two labels is the right candidate's, "
            f"and both texts; write `labels: [RIGHT, WRONG]` and `text: [QUESTION, CANDIDATE]` in "
            f"tasks.{name}"
        )
    return spec


def settled(name: str, spec: OwnTask, table: Table, **found: Any) -> OwnTask:
    """The spec with what a file says. Raises MtkdError where the recipe's words do not allow it."""
    try:
        return replace(spec, **found)
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        what = ", ".join(f"{key} {value!r:.80}" for key, value in found.items())
        raise MtkdError(
            f"{table.source}: {told}, and the file says {what}; change tasks.{name}"
        ) from None


def row_labels(spec: OwnTask, table: Table) -> list[list[str]]:
    """Names of each row's labels. Raises MtkdError for the first cell that is none."""
    found: list[list[str]] = []
    for row, value in enumerate(table.columns[spec.label]):
        try:
            if spec.kind == "multilabel":
                found.append(names_of(value, spec.separator))
            else:
                found.append([] if missing(value) else [label_name(value)])
        except ValueError as error:
            raise MtkdError(f"{table.where(row)}: column {spec.label!r}: {error}") from None
    return found


def texts_of(spec: OwnTask) -> tuple[str, ...]:
    return (spec.text,) if isinstance(spec.text, str) else spec.text


def with_columns(name: str, spec: OwnTask, table: Table) -> OwnTask:
    """The spec with the columns of texts and label, where their names leave no doubt."""
    for column, what in ((spec.label, "label"), (spec.id, "id")):
        if column:
            table.column(column, f"the {what} of task {name}")
    free = [one for one in table.columns if one not in (spec.label, spec.id)]
    if spec.text:
        for column in texts_of(spec):
            table.column(column, f"a text of task {name}")
        free = [one for one in free if one not in texts_of(spec)]
        return spec if spec.label else replace(spec, label=infer_label(name, free, table))
    if spec.label:
        return settled(name, spec, table, text=infer_text(name, free, table))
    texts = {*TEXTS, *(one for pair in PAIRS if set(pair) <= set(free) for one in pair)}
    label = infer_label(name, [one for one in free if one not in texts], table)
    text = infer_text(name, [one for one in free if one != label], table)
    return settled(name, spec, table, label=label, text=text)


def infer_text(name: str, free: Sequence[str], table: Table) -> str | tuple[str, str]:
    """The column of the text, or the two of a pair, among those that are nothing else."""
    pairs = [pair for pair in PAIRS if set(pair) <= set(free)]
    usual: list[Any] = pairs or [one for one in TEXTS if one in free]
    lines = "`text: NAME`, or `text: [NAME, NAME]` for pairs,"
    return the_only(usual, free, table, f"which column is the text? write {lines} in tasks.{name}")


def infer_label(name: str, free: Sequence[str], table: Table) -> str:
    """The column of the label among those that are nothing else."""
    own = [one for one in (name, "label") if one in free][:1]
    usual = own or [one for one in LABELS if one in free]
    what = f"which column is the label? write `label: NAME` in tasks.{name}"
    return the_only(usual, free, table, what)


def the_only(usual: Sequence[Any], free: Sequence[str], table: Table, what: str) -> Any:
    """The one column of a usual name, else the only one at all that has not an id's name."""
    found = usual or [one for one in free if one not in IDS]
    if len(found) == 1:
        return found[0]
    raise MtkdError(f"{table.source}: {what}; found {', '.join(table.columns)}")


def id_column(spec: OwnTask, tables: Mapping[str, Table]) -> str:
    """A column that is called an id and is one in every labelled file; "" where there is none."""
    labelled = [table for split, table in tables.items() if split != UNLABELLED]
    for column in IDS:
        values = [table.columns.get(column, [None]) for table in labelled]
        if any(missing(one) for some in values for one in some):
            continue
        different = all(len({example_id(one) for one in some}) == len(some) for some in values)
        if different and column not in (*texts_of(spec), spec.label):
            return column
    return ""


def infer_kind(name: str, spec: OwnTask, table: Table) -> Kind:
    """What labels are: classes, several classes a text, or scores."""
    where = f"{table.source}: column {spec.label!r}"
    rows = {row: one for row, one in enumerate(table.columns[spec.label]) if not missing(one)}
    values = list(rows.values())
    if spec.range is not None:
        return "regression"
    if any(isinstance(value, (list, tuple)) for value in values):
        return "multilabel"
    if spec.labels or spec.label in table.classes or all(isinstance(one, bool) for one in values):
        return "classification"
    if words := [row for row, value in rows.items() if number_of(value) is None]:
        if any(spec.separator in value for value in values if isinstance(value, str)):
            raise MtkdError(
                f"{where} has {spec.separator!r} in it; write `kind: multilabel`, or `kind: "
                f"classification`, in tasks.{name}"
            )
        if len(words) <= STRAY * len(rows):
            raise MtkdError(
                f"{table.where(words[0])}: column {spec.label!r}: {rows[words[0]]!r:.80} among "
                f"numbers; expected a number, or write `kind: classification` in tasks.{name}"
            )
        return "classification"
    numbers = {number_of(value) or 0.0 for value in values}
    fractions = any(not number.is_integer() for number in numbers)
    if numbers <= {0.0, 1.0} and not any(isinstance(value, float) for value in values):
        return "classification"
    if len(numbers) > UNSURE and fractions:
        return "regression"
    raise MtkdError(
        f"{where} has {len(numbers)} different numbers, which may be classes or scores; write "
        f"`kind: classification` or `kind: regression` in tasks.{name}"
    )


def infer_labels(name: str, spec: OwnTask, table: Table) -> tuple[str, ...]:
    """Names of the labels: as the file declares them, else sorted, numbers by their size."""
    declared = table.classes.get(spec.label)
    if declared and spec.kind != "ranking":
        return declared
    found = {one for names in row_labels(spec, table) for one in names}
    if not 2 <= len(found) <= MOST_CLASSES:
        raise MtkdError(
            f"{table.source}: column {spec.label!r} has {len(found)} different labels; expected 2 "
            f"to {MOST_CLASSES}: check `label` and `kind` in tasks.{name}"
        )
    if spec.kind == "ranking":  # which of two is the right one is known of usual words alone
        return next((pair[::-1] for pair in POSITIVE if set(pair) == found), ())
    numbers = {one: number_of(one) for one in found}
    if None in numbers.values():
        return tuple(sorted(found))
    return tuple(sorted(found, key=lambda one: (numbers[one] or 0.0, one)))
