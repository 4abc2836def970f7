"""What a teacher has said of a task's examples, in files: which of their rows is of which example.

Every error is one line that names file and line, or row, and what was expected there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.given_settings import GivenTeacher
from mtkd.data.given_values import table_outputs
from mtkd.data.own_files import Table, read_table
from mtkd.data.own_meaning import IDS
from mtkd.data.own_splits import SYNONYMS, our_split
from mtkd.data.own_values import example_id
from mtkd.data.tasks import TASKS, Examples, Task


@dataclass(frozen=True)
class Answers:
    """What a file says, by example."""

    table: Table
    by: str  # what its rows are known by: "id", "text", or "place" in the file
    rows: dict[tuple[str, Any], int]  # split (or "") and id, texts or place -> row
    outputs: np.ndarray  # float32 (N, C): logits, log-probabilities or scores

    def rows_of(self, examples: Examples, *, shared: bool) -> np.ndarray | None:
        """The row of each example; in a file that splits share, places are the ids.

        None where it has no row of a test split at all. Raises MtkdError where an example has none.
        """
        where = f"{examples.task.title} {examples.split}"
        keys: Sequence[Any] = examples.idx.tolist()
        if self.by == "text":
            keys = examples.rows
        elif self.by == "place" and not shared:
            keys = range(len(examples))
            if len(self.table) != len(examples):
                raise MtkdError(
                    f"{self.table.source}: {len(self.table)} rows, and {where} has "
                    f"{len(examples)}; expected a row for each, in the same order, or ids"
                )
        split = examples.split if next(iter(self.rows))[0] else ""
        found = [self.rows.get((split, key)) for key in keys]
        missing = [at for at, row in enumerate(found) if row is None]
        if len(missing) == len(keys) and may_lack(examples.split):
            return None
        if missing:
            first = f"id {examples.idx[missing[0]]}, {examples.text_a[missing[0]][:40]!r}"
            raise MtkdError(
                f"{self.table.source}: no row of {len(missing)} of {len(keys)} examples of "
                f"{where}, the first: {first}; expected one for each, with its {self.by}"
            )
        return np.array(found, np.int64)


def file_outputs(
    teacher: GivenTeacher, splits: Mapping[str, Examples]
) -> tuple[dict[str, np.ndarray], int]:
    """A teacher's outputs float32 (N, C) for the examples of each split, and unused rows.

    Logits or log-probabilities in the order of the task's labels, or scores (N, 1) of a
    regression. Test splits that no file speaks of are left out. Raises MtkdError for anything else
    that is missing or not as expected.
    """
    task, outputs, unused = next(iter(splits.values())).task, dict[str, np.ndarray](), 0
    files = files_of(teacher, splits)
    for file in dict.fromkeys(files.values()):
        answers, used = read_answers(file, task, teacher), set[int]()
        mine = {split: splits[split] for split, other in files.items() if other == file}
        if len(mine) > 1:
            check_shared(answers, mine)
        for split, examples in mine.items():
            rows = answers.rows_of(examples, shared=len(mine) > 1)
            if rows is not None:
                outputs[split] = answers.outputs[rows]
                used |= set(rows.tolist())
        unused += len(answers.table) - len(used)
    return outputs, unused


def files_of(teacher: GivenTeacher, splits: Mapping[str, Examples]) -> dict[str, str]:
    """The file of each split that has one."""
    given = teacher.predictions
    if not isinstance(given, dict):
        return dict.fromkeys(splits, str(given))
    found = {our_split(split, splits) or split: file for split, file in given.items()}
    needed = [split for split in splits if not may_lack(split)]
    unknown = [split for split in found if split not in (*splits, *SYNONYMS)]
    if unknown or not set(needed) <= found.keys():
        wanted = ", ".join(f"{split}: FILE" for split in needed)
        raise MtkdError(
            f"given teacher {teacher.name}: predictions of {', '.join(given)}; expected "
            f"`predictions: {{{wanted}}}`, and files of test splits if there are"
        )
    return {split: found[split] for split in splits if split in found}


def may_lack(split: str) -> bool:
    """Whether a teacher need not speak of a split: nothing is learnt or chosen by it."""
    return split.startswith("test")


def check_shared(answers: Answers, splits: Mapping[str, Examples]) -> None:
    """Refuse a file of several splits whose ids, or places, do not tell them apart."""
    if answers.by == "text" or next(iter(answers.rows))[0]:
        return
    task = next(iter(splits.values())).task
    if answers.by == "place" and (task.own is None or task.own.id):  # ids are no row numbers
        files = ", ".join(f"{split}: FILE" for split in splits)
        raise MtkdError(
            f"{answers.table.source}: rows of {', '.join(splits)} of {task.title} without ids or "
            f"texts; expected a column of ids, or a file for each: `predictions: {{{files}}}`"
        )
    seen: dict[int, str] = {}
    for split, examples in splits.items():
        if twice := seen.keys() & set(examples.idx.tolist()):
            one, source = min(twice), answers.table.source
            raise MtkdError(
                f"{source}: {seen[one]} and {split} of {examples.task.title} both have an example "
                f"{one}; expected a column `split`, or a file for each split: "
                f"`predictions: {{train: {source}, dev: ...}}`"
            )
        seen |= dict.fromkeys(examples.idx.tolist(), split)
    if answers.by == "place" and len(answers.table) != len(seen):
        raise MtkdError(
            f"{answers.table.source}: {len(answers.table)} rows without ids or texts, and the task "
            f"has {len(seen)} examples; expected a row for each, in the same order, or ids"
        )


def read_answers(source: str, task: Task, teacher: GivenTeacher) -> Answers:
    """All that a file says, row by row. Raises MtkdError."""
    table = read_table(source)
    outputs = table_outputs(table, task, teacher)
    by, keys = keys_of(table, task, teacher)
    parts = splits_of(table, task)
    rows: dict[tuple[str, Any], int] = {}
    for row, key in enumerate(zip(parts, keys, strict=True)):
        first = rows.setdefault(key, row)
        if first != row and (by == "id" or not np.array_equal(outputs[first], outputs[row])):
            raise MtkdError(
                f"{table.where(row)}: the same {by} as in {table.where(first)}; expected each "
                "once" + ("" if by == "id" else ", or ids of the task in a column")
            )
    return Answers(table, by, rows, outputs)


def keys_of(table: Table, task: Task, teacher: GivenTeacher) -> tuple[str, Sequence[Any]]:
    """What rows are known by, and that of each row."""
    if column := key_column(table, task, teacher):
        values = table.columns[column]
        if None in values:
            where = table.where(values.index(None))
            raise MtkdError(f"{where}: column {column!r} is empty; expected an id")
        return "id", [example_id(value) for value in values]
    if set(task.columns) <= table.columns.keys():
        return "text", list(zip(*(table.columns[name] for name in task.columns), strict=True))
    return "place", range(len(table))


def key_column(table: Table, task: Task, teacher: GivenTeacher) -> str:
    """The column of the examples' ids; "" where there is none."""
    if teacher.id:
        table.column(teacher.id, f"the ids, as given teacher {teacher.name} says")
        return teacher.id
    own = task.own.id if task.own else ""
    column = next((one for one in (own, *IDS) if one in table.columns), "")
    if own or (task.own is None and task.name in TASKS):
        return column
    if set(task.columns) <= table.columns.keys():
        return ""  # what ids there may be of is not known, and the texts tell
    if not column or task.own is None:  # in memory: numbered by whoever made it
        return column
    raise MtkdError(
        f"{table.source}: ids in column {column!r}, and task {task.name} has none; write `id: "
        f"{column}` for given teacher {teacher.name} if they are the row numbers of the task's "
        f"file, from 0; else expected the texts ({', '.join(task.columns)}) beside them"
    )


def splits_of(table: Table, task: Task) -> list[str]:
    """The split of each row, "" where the file has no such column."""
    if "split" not in table.columns or "split" in task.columns:
        return [""] * len(table)
    values = [str(value) for value in table.columns["split"]]
    names = [our_split(value, task.splits) or value for value in values]
    known = {*task.splits, *SYNONYMS}
    if unknown := [row for row, name in enumerate(names) if name not in known]:
        where, value = table.where(unknown[0]), table.columns["split"][unknown[0]]
        raise MtkdError(f"{where}: split {value!r}; expected one of {', '.join(sorted(known))}")
    return names
