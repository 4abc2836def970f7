"""Tasks of one's own: what their files say, and what they leave open.

What is not said in a recipe is inferred from the training data where there is no doubt, and
refused with the line to write where there is.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.metrics import check_metrics
from mtkd.data.own_files import Table
from mtkd.data.own_settings import Kind, OwnTask, Shares
from mtkd.data.own_splits import Place, cut, present, split_files, stamp_of, stratified, table_of
from mtkd.data.tasks import UNLABELLED, Examples, Task, several_hot

TEXTS = ("text", "sentence", "message", "utterance", "review", "question", "query", "body")
PAIRS = (
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "answer"),
    ("text", "text_pair"),
)
LABELS = ("label", "labels", "class", "category", "target", "score")
USUAL = {  # metrics by kind
    "classification": ("accuracy",),
    "multilabel": ("micro_f1",),
    "regression": ("pearson", "spearman"),
    "ranking": ("average_precision",),
}
MOST_CLASSES = 1000
UNSURE = 20  # different whole numbers up to which they may as well be classes as scores


def own_task(name: str, spec: OwnTask) -> Task:
    """The task that a recipe describes, with what its training data says.

    Raises MtkdError, one line with file and line, if its files are not as described, or leave
    open what they mean.
    """
    return task_of(name, json.dumps(asdict(spec)), stamp_of(spec))


@functools.lru_cache(256)
def task_of(name: str, spec_text: str, stamp: str) -> Task:
    """The task of a spec while its files stay as they are."""
    spec = spec_of(spec_text)
    splits = split_files(name, spec)
    train = table_of(splits["train"])
    spec = with_columns(name, spec, train)
    values = train.column(spec.label, f"the label of task {name}")
    kind = spec.kind or infer_kind(name, spec, train, values)
    labels = spec.labels
    if kind != "regression" and not labels:
        labels = infer_labels(name, spec, kind, train, values)
    draft = Task(
        name,
        kind,
        labels,
        columns=texts_of(spec),
        metrics=spec.metrics or USUAL[kind],
        dropout=spec.dropout,
        own=spec,
    )
    rows = divided(draft, train, "train", splits)
    draft = replace(
        draft,
        splits={split: split for split in present(spec, splits)},
        sizes={"train": len(rows)},
    )
    check_metrics(draft)
    label = labels_of(draft, train, rows, required=True)
    assert label is not None
    if kind == "regression":
        scores = spec.range or (float(label.min()), float(label.max()))
        if not scores[0] < scores[1]:
            raise MtkdError(
                f"{train.source}: all scores of {name} are {scores[0]:g}; expected different "
                "ones, or write `range: [low, high]`"
            )
        return replace(draft, range=scores)
    return replace(draft, weights=weights_of(draft, label))


def read_own(task: Task, split: str) -> Examples:
    """Examples of one split of a task that `own_task` made. Raises MtkdError."""
    spec = described(task)
    splits = split_files(task.name, spec)
    if split == UNLABELLED and split not in splits:
        return Examples.from_lists(task, [], second=[] if task.pair else None, split=UNLABELLED)
    table = table_of(splits.get(split, splits["train"]))
    rows = divided(task, table, split, splits)
    texts = [text_column(task, table, rows, name) for name in texts_of(spec)]
    label = None
    if split != UNLABELLED:
        label = labels_of(task, table, rows, required=not split.startswith("test"))
    return Examples(
        task, split, ids_of(spec, table, rows), texts[0], texts[1] if task.pair else None, label
    )


def own_places(task: Task) -> dict[str, Place]:
    """The file, or hub name and its split, of each split that has one."""
    return split_files(task.name, described(task))


def described(task: Task) -> OwnTask:
    assert task.own is not None  # a task of GLUE is read elsewhere
    return task.own


def divided(task: Task, table: Table, split: str, splits: Mapping[str, Place]) -> np.ndarray:
    """Rows of a table that are in a split, in the order of the file."""
    spec = described(task)
    shares = {
        part: getattr(spec.split, part) for part in ("dev", "test") if cut(spec, splits, part)
    }
    everything = np.arange(len(table))
    if not shares or (split != "train" and split not in shares):
        return everything
    if shares.get("dev") == 0:
        raise MtkdError(f"tasks.{task.name}: no dev split and split.dev is 0; expected a dev file")
    parts = stratified(strata(task, table), shares, spec.split)
    taken = np.concatenate(list(parts.values()))
    rows = np.setdiff1d(everything, taken) if split == "train" else parts[split]
    if not len(rows):
        raise MtkdError(f"{table.source}: {len(table)} rows leave none to {split}; expected more")
    return rows


def strata(task: Task, table: Table) -> list[tuple[str, str]]:
    """Label and text of each row: rows of one text stay together, and labels are shared out."""
    spec = described(task)
    texts = zip(*(table.column(name, "a text") for name in texts_of(spec)), strict=True)
    values = table.column(spec.label, "the label")
    kinds = ["" if task.kind == "regression" else str(value) for value in values]
    if task.kind == "ranking":  # a question's candidates stay together
        return [("", str(text[0])) for text in texts]
    return [(kind, str(text)) for kind, text in zip(kinds, texts, strict=True)]


def spec_of(text: str) -> OwnTask:
    raw = json.loads(text)
    tuples = {
        "text": raw["text"] if isinstance(raw["text"], str) else tuple(raw["text"]),
        "labels": tuple(raw["labels"]),
        "range": raw["range"] and tuple(raw["range"]),
        "metrics": tuple(raw["metrics"]),
        "split": Shares(**raw["split"]),
    }
    return OwnTask(**raw | tuples)


# --------------------------------------------------------------------------- columns and meaning


def texts_of(spec: OwnTask) -> tuple[str, ...]:
    return (spec.text,) if isinstance(spec.text, str) else spec.text


def with_columns(name: str, spec: OwnTask, table: Table) -> OwnTask:
    """The spec with the columns of texts and label, where their names leave no doubt."""
    text: str | tuple[str, ...] = spec.text
    if not text:
        pairs = [pair for pair in PAIRS if set(pair) <= table.columns.keys()]
        single = [one for one in TEXTS if one in table.columns]
        found: list[Any] = pairs or single
        if len(found) != 1:
            raise MtkdError(
                f"{table.source}: {'no' if not found else 'more than one'} column that must be the "
                f"text; write `text: NAME`, or two of a pair, in tasks.{name}; found "
                f"{', '.join(table.columns)}"
            )
        text = found[0]
    label = spec.label
    if not label:
        others = [key for key in table.columns if key not in texts_of(replace(spec, text=text))]
        usual = [key for key in (name, *LABELS) if key in others]
        if not usual:
            raise MtkdError(
                f"{table.source}: no column that must be the label; write `label: NAME` in "
                f"tasks.{name}; found {', '.join(others) or 'no other column'}"
            )
        label = usual[0]
    return replace(spec, text=text, label=label)


def infer_kind(name: str, spec: OwnTask, table: Table, values: Sequence[Any]) -> Kind:
    """What labels are: classes, several classes a text, or scores."""
    given = [value for value in values if value is not None]
    if spec.labels and not any(isinstance(value, list) for value in given):
        return "classification"
    if spec.range is not None:
        return "regression"
    if any(isinstance(value, (list, tuple)) for value in given):
        return "multilabel"
    if all(isinstance(value, bool) for value in given):
        return "classification"
    numbers = [number_of(value) for value in given]
    if any(number is None for number in numbers):
        texts = {str(value) for value in given}
        if any(spec.separator in text for text in texts):
            raise MtkdError(
                f"{table.source}: column {spec.label!r} has {spec.separator!r} in it; write `kind: "
                f"multilabel`, or `kind: classification`, in tasks.{name}"
            )
        return "classification"
    different = set(numbers)
    if different <= {0.0, 1.0} and not any(isinstance(value, float) for value in given):
        return "classification"
    if len(different) > UNSURE and any(number != int(number) for number in different if number):
        return "regression"
    raise MtkdError(
        f"{table.source}: column {spec.label!r} has {len(different)} different numbers, which may "
        f"be classes or scores; write `kind: classification` or `kind: regression` in tasks.{name}"
    )


def infer_labels(
    name: str, spec: OwnTask, kind: Kind, table: Table, values: Sequence[Any]
) -> tuple[str, ...]:
    """Names of the labels in the training file, sorted: numbers by size, others by letters."""
    several = kind == "multilabel"
    every = {
        one
        for value in values
        if value is not None
        for one in (names_of(value, spec.separator) if several else [label_name(value)])
    }
    if not 2 <= len(every) <= MOST_CLASSES:
        raise MtkdError(
            f"{table.source}: column {spec.label!r} has {len(every)} different labels; expected 2 "
            f"to {MOST_CLASSES}: check `label` and `kind` in tasks.{name}"
        )
    numbers = {one: number_of(one) for one in every}
    if None in numbers.values():
        return tuple(sorted(every))
    return tuple(sorted(every, key=lambda one: numbers[one] or 0.0))


def number_of(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def label_name(value: Any) -> str:
    """A label as text: True is "true", 3 and 3.0 are "3"."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def names_of(value: Any, separator: str) -> list[str]:
    """The labels of one text: a list, or text with separators; none if it is empty."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [label_name(one) for one in value]
    return [part.strip() for part in str(value).split(separator) if part.strip()]


# --------------------------------------------------------------------------------------- examples


def text_column(task: Task, table: Table, rows: np.ndarray, name: str) -> list[str]:
    values = table.column(name, f"a text of task {task.name}")
    for row in rows:
        if not isinstance(values[row], str) or not values[row].strip():
            raise MtkdError(
                f"{table.where(row)}: column {name!r} is {values[row]!r}; expected a text"
            )
    return [values[row] for row in rows]


def labels_of(task: Task, table: Table, rows: np.ndarray, *, required: bool) -> np.ndarray | None:
    """Labels of some rows as `Examples` has them; None where the file has none at all."""
    spec = described(task)
    if not required and (
        spec.label not in table.columns
        or all(table.columns[spec.label][row] is None for row in rows)
    ):
        return None
    values = table.column(spec.label, f"the label of task {task.name}")
    known = {name: place for place, name in enumerate(task.labels)}

    def place(row: int, name: str) -> int:
        if name not in known:
            near = ", ".join(list(known)[:10]) + (", ..." if len(known) > 10 else "")
            raise MtkdError(
                f"{table.where(row)}: label {name!r} of {task.name}; expected one of {near}"
            )
        return known[name]

    def score(row: int) -> float:
        number = number_of(values[row])
        low, high = spec.range or (-math.inf, math.inf)
        if number is None or not low <= number <= high:
            between = f" from {low:g} to {high:g}" if spec.range else ""
            raise MtkdError(
                f"{table.where(row)}: score {values[row]!r} of {task.name}; expected a number"
                f"{between}"
            )
        return number

    if task.kind == "regression":
        return np.array([score(row) for row in rows], np.float32)
    if task.kind == "multilabel":
        several = [
            [place(row, one) for one in names_of(values[row], spec.separator)] for row in rows
        ]
        return several_hot(several, task)
    if missing := [row for row in rows if values[row] is None]:
        raise MtkdError(f"{table.where(missing[0])}: no label of {task.name}; expected one")
    return np.array([place(row, label_name(values[row])) for row in rows], np.int64)


def weights_of(task: Task, label: np.ndarray) -> tuple[float, ...]:
    """Weights of the classes: N / (C * N_c) if balanced, as scikit-learn has it."""
    given = described(task).weights
    if given is None:
        return ()
    if task.kind != "classification":
        raise MtkdError(f"tasks.{task.name}.weights: {task.kind} has none; expected no `weights`")
    if given == "balanced":
        counts = Counter(label.tolist())
        if missing := [name for at, name in enumerate(task.labels) if not counts[at]]:
            raise MtkdError(f"tasks.{task.name}.weights: no training example of {missing[0]!r}")
        return tuple(len(label) / (len(task.labels) * counts[at]) for at in range(len(task.labels)))
    assert isinstance(given, dict)
    if set(given) != set(task.labels) or not all(value > 0 for value in given.values()):
        raise MtkdError(
            f"tasks.{task.name}.weights: expected a number above 0 for each of "
            f"{', '.join(task.labels)}"
        )
    return tuple(given[name] for name in task.labels)


def ids_of(spec: OwnTask, table: Table, rows: np.ndarray) -> np.ndarray:
    """Ids of some rows: of their column, else their numbers in the file."""
    if not spec.id:
        return rows.astype(np.int64)
    values = table.column(spec.id, "the example's id")
    found = np.array([example_id(values[row]) for row in rows], np.int64)
    if len(np.unique(found)) < len(found):
        seen: dict[int, int] = {}
        for row, one in zip(rows, found.tolist(), strict=True):
            if one in seen:
                raise MtkdError(
                    f"{table.where(row)}: id {values[row]!r} is that of {table.where(seen[one])}, "
                    "too; expected ids that are unique"
                )
            seen[one] = row
    return found


def example_id(value: Any) -> int:
    """An example's id as a number: whole numbers as they are, others by a digest of 62 bits."""
    text = label_name(value)
    if text.isascii() and text.isdigit() and len(text) < 18 and str(int(text)) == text:
        return int(text)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest) >> 2)  # below 0, so that no number is meant
