"""Tasks of one's own from files, of the hub, or from memory: the task, and its examples."""

from __future__ import annotations

import difflib
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from mtkd.common.errors import MtkdError
from mtkd.data.metrics import check_metrics
from mtkd.data.own_files import Table, in_memory
from mtkd.data.own_meaning import row_labels, texts_of, with_meaning
from mtkd.data.own_settings import OwnTask
from mtkd.data.own_splits import (
    Example,
    Part,
    Place,
    cut_shares,
    divided,
    known_splits,
    same_text,
    split_places,
    split_tables,
    stamp_of,
)
from mtkd.data.own_values import example_id, label_name, missing, names_of, number_of
from mtkd.data.tasks import THREE_SPLITS, UNLABELLED, Examples, Task, several_hot

USUAL = {  # metrics by kind
    "classification": ("accuracy",),
    "multilabel": ("micro_f1",),
    "regression": ("pearson", "spearman"),
    "ranking": ("average_precision",),
}
SPEC = TypeAdapter(OwnTask)
MOST_NAMED = 10  # labels in an error line
Parts = dict[str, Part]
Cell = Callable[[Any], Any]  # what a cell stands for; raises ValueError that says what is wrong


def own_task(name: str, spec: OwnTask) -> Task:
    """The task that a recipe describes, with what its training data says.

    Raises MtkdError, one line with file and line, if its files are not as described, or leave
    open what they mean.
    """
    return known_task(name, SPEC.dump_json(spec), stamp_of(spec))


def read_own(task: Task, split: str) -> Examples:
    """Examples of one split of a task that `own_task` made. Raises MtkdError."""
    return examples_of(task, described_parts(task.name, described(task))[1], split)


def own_examples(name: str, data: Any, **spec: Any) -> dict[str, Examples]:
    """Every split of a task of one's own, as a recipe would have it: "train", "dev", "test".

    `data` is as in a recipe, or a pandas DataFrame, a `datasets.Dataset`, or a mapping of split to
    these; `spec` are the other keys of `OwnTask`: text, label, id, kind, labels, ... The task is
    that of any of the examples. Raises MtkdError.
    """
    several = isinstance(data, Mapping)
    if all(isinstance(one, str) for one in (data.values() if several else [data])):
        task = own_task(name, checked_spec(name, spec | {"data": data}))
        return {split: read_own(task, split) for split in task.splits}
    frames = known_splits(data if several else {"train": data}, f"task {name}")
    tables = {split: in_memory(one, f"{name} {split}") for split, one in frames.items()}
    draft, parts = drafted(name, checked_spec(name, spec | {"data": ""}), tables)
    task = with_training_labels(draft, parts["train"])
    found = {split: examples_of(task, parts, split) for split in task.splits}
    task = replace(task, own=None)  # which nobody can read again
    return {split: replace(examples, task=task) for split, examples in found.items()}


def checked_spec(name: str, given: Mapping[str, Any]) -> OwnTask:
    """A spec from Python's values. Raises MtkdError for the first that does not fit."""
    try:
        return SPEC.validate_json(json.dumps(given))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in (name, *problem["loc"]))
        raise MtkdError(f"task {where}: {problem['msg']}; found {problem['input']!r:.80}") from None
    except TypeError as error:
        raise MtkdError(f"task {name}: {error}; expected text, numbers, lists of them") from None


def own_places(task: Task) -> dict[str, Place]:
    """The file, or hub name and its split, of each split that has one."""
    return split_places(task.name, described(task))


def described(task: Task) -> OwnTask:
    assert task.own is not None  # a task of GLUE is read elsewhere
    return task.own


# A recipe's tasks are asked for by every run of a plan: files are read once while they stay as
# they are, which `stamp` tells. A spec is in JSON, which has a hash.


@functools.lru_cache(256)
def known_task(name: str, spec: bytes, stamp: str) -> Task:
    draft, parts = parts_in_files(name, spec, stamp)
    return with_training_labels(draft, parts["train"])


@functools.lru_cache(64)
def parts_in_files(name: str, spec: bytes, stamp: str) -> tuple[Task, Parts]:
    known = SPEC.validate_json(spec)
    return drafted(name, known, split_tables(name, known))


def described_parts(name: str, spec: OwnTask) -> tuple[Task, Parts]:
    """A spec's task as far as no label is read, and its splits."""
    return parts_in_files(name, SPEC.dump_json(spec), stamp_of(spec))


def drafted(name: str, spec: OwnTask, tables: dict[str, Table]) -> tuple[Task, Parts]:
    """Task and splits of what is in tables, by split, as far as no label is read."""
    spec = with_meaning(name, spec, tables)
    assert spec.kind is not None
    task = Task(
        name,
        spec.kind,
        spec.labels,
        columns=texts_of(spec),
        metrics=spec.metrics or USUAL[spec.kind],
        dropout=spec.dropout,
        range=spec.range,
        own=spec,
    )
    check_metrics(task)
    parts = {split: Part(table, np.arange(len(table))) for split, table in tables.items()}
    if shares := cut_shares(list(tables), spec.split):
        train = tables["train"]
        parts |= divided(train, for_dividing(task, train), shares, spec.split.seed)
    sizes = {split: len(parts[split].rows) for split in THREE_SPLITS if split in parts}
    return replace(task, splits={split: split for split in sizes}, sizes=sizes), parts


def with_training_labels(task: Task, train: Part) -> Task:
    """The task with what its training labels decide: weights, or the range of scores."""
    label = labels_of(task, train, required=True)
    assert label is not None
    if task.labels:
        return replace(task, weights=weights_of(task, label))
    low, high = task.range or (float(label.min()), float(label.max()))
    if low == high:
        raise MtkdError(
            f"{train.table.source}: all scores of {task.name} are {low:g}; expected different "
            f"ones, or write `range: [LOW, HIGH]` in tasks.{task.name}"
        )
    return replace(task, range=(low, high), bounded=task.range is not None)


def for_dividing(task: Task, table: Table) -> list[Example]:
    """What decides which part each row goes to."""
    spec = described(task)
    columns = [table.columns[name] for name in texts_of(spec)]
    if task.kind == "ranking":  # a question's candidates stay together
        return [Example((), same_text(question)) for question in columns[0]]
    texts = [same_text(*row) for row in zip(*columns, strict=True)]
    names = [[]] * len(table) if task.kind == "regression" else row_labels(spec, table)
    return [Example(tuple(own), text) for own, text in zip(names, texts, strict=True)]


# --------------------------------------------------------------------------------------- examples


def examples_of(task: Task, parts: Parts, split: str) -> Examples:
    """Examples of a split; none of unlabelled text where there is none."""
    if split == UNLABELLED and split not in parts:
        return Examples.from_lists(task, [], second=[] if task.pair else None, split=UNLABELLED)
    part = parts[split]
    texts = [converted(task, part, name, text_of) for name in task.columns]
    label = None
    if split != UNLABELLED:
        label = labels_of(task, part, required=split != "test")
    ids = ids_of(task, part, required=split != UNLABELLED)
    return Examples(task, split, ids, texts[0], texts[1] if task.pair else None, label)


def faults(name: str, spec: OwnTask) -> Iterator[str]:
    """Every cell of a task's files that is not as expected, one line each.

    Raises MtkdError for what is wrong with a file as a whole.
    """
    task, parts = described_parts(name, spec)
    for split in task.splits:
        cells: list[tuple[str, Cell]] = [(column, text_of) for column in task.columns]
        if has_labels(task, parts[split], required=split != "test"):
            cells.append((described(task).label, label_cell(task)))
        if spec.id:
            cells.append((spec.id, id_of))
        for column, cell in cells:
            yield from unfit(task, parts[split], column, cell)


def unfit(task: Task, part: Part, column: str, cell: Cell) -> Iterator[str]:
    """The cells of a column that are not as expected, one line each."""
    values = part.table.column(column, f"of task {task.name}")
    for row in part.rows:
        try:
            cell(values[row])
        except ValueError as error:
            yield f"{part.table.where(row)}: column {column!r}: {error}"


def converted(task: Task, part: Part, column: str, cell: Cell) -> list[Any]:
    """What the cells of a column stand for. Raises MtkdError for the first that is not fit."""
    values = part.table.column(column, f"of task {task.name}")
    try:
        return [cell(values[row]) for row in part.rows]
    except ValueError:
        raise MtkdError(next(unfit(task, part, column, cell))) from None


def text_of(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError(f"{'empty' if missing(value) else repr(value)[:80]}; expected a text")


def id_of(value: Any) -> int:
    if missing(value):
        raise ValueError("empty; expected an id")
    return example_id(value)


def label_cell(task: Task) -> Cell:
    """What a cell of a task's label column stands for: a class's place, several, or a score."""
    spec = described(task)
    places = {name: place for place, name in enumerate(task.labels)}
    low, high = spec.range or (-np.inf, np.inf)

    def place(name: str) -> int:
        if name in places:
            return places[name]
        near = difflib.get_close_matches(name, places, 1)
        named = ", ".join(task.labels[:MOST_NAMED]) + (", ..." if len(places) > MOST_NAMED else "")
        raise ValueError(
            f"label {name!r:.80}; expected one of {named}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )

    def one(value: Any) -> int:
        return place(label_name(value))

    def several(value: Any) -> list[int]:
        return [place(name) for name in names_of(value, spec.separator)]

    def score(value: Any) -> float:
        number = number_of(value)
        if number is None or not low <= number <= high:
            between = f" from {low:g} to {high:g}" if spec.range else ""
            raise ValueError(f"score {value!r:.80}; expected a number{between}")
        return number

    if task.kind == "regression":
        return score
    return several if task.kind == "multilabel" else one


def has_labels(task: Task, part: Part, *, required: bool) -> bool:
    """Whether a part has labels, which it must if they are `required`."""
    column = described(task).label
    if required:
        part.table.column(column, f"the label of task {task.name}")
        return True
    values = part.table.columns.get(column)
    return values is not None and not all(missing(values[row]) for row in part.rows)


def labels_of(task: Task, part: Part, *, required: bool) -> np.ndarray | None:
    """Labels of a part as `Examples` has them; None where there are none at all."""
    if not has_labels(task, part, required=required):
        return None
    found = converted(task, part, described(task).label, label_cell(task))
    if task.kind == "multilabel":
        return several_hot(found, task)
    return np.array(found, np.int64 if task.labels else np.float32)


def weights_of(task: Task, label: np.ndarray) -> tuple[float, ...]:
    """Weights of the classes: N / (C * N_c) if balanced, as scikit-learn has it."""
    given, where = described(task).weights, f"tasks.{task.name}.weights"
    if given is None:
        return ()
    if task.kind != "classification":
        raise MtkdError(f"{where}: {task.kind} has none; expected no `weights`")
    if isinstance(given, dict):
        if set(given) != set(task.labels) or not all(value > 0 for value in given.values()):
            raise MtkdError(
                f"{where}: {given}; expected a number above 0 for each of {', '.join(task.labels)}"
            )
        return tuple(given[name] for name in task.labels)
    counts = Counter(label.tolist())
    if absent := [name for place, name in enumerate(task.labels) if not counts[place]]:
        raise MtkdError(
            f"{where}: no training example of {absent[0]!r} to balance; expected one, or weights "
            "as `label: number`"
        )
    return tuple(len(label) / (len(task.labels) * counts[at]) for at in range(len(task.labels)))


def ids_of(task: Task, part: Part, *, required: bool) -> np.ndarray:
    """Ids of a part's rows: of their column, else their numbers in the file."""
    column = described(task).id
    if not column or not (required or column in part.table.columns):
        return part.rows
    found = converted(task, part, column, id_of)
    seen: dict[int, int] = {}
    for row, one in zip(part.rows.tolist(), found, strict=True):
        if one in seen:
            raise MtkdError(
                f"{part.table.where(row)}: id {part.table.columns[column][row]!r} is that of "
                f"{part.table.where(seen[one])}, too; expected ids that are unique"
            )
        seen[one] = row
    return np.array(found, np.int64)
