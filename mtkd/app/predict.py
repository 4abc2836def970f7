"""Answers to all texts of a file, in constant memory: `mtkd predict`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mtkd.common.errors import MtkdError
from mtkd.common.files import whole
from mtkd.common.progress import Progress
from mtkd.data.answers import Answer, answer, fitting
from mtkd.data.own_files import SUFFIXES
from mtkd.data.row_files import Row, chunks, writer
from mtkd.method.model import MultiTaskModel
from mtkd.method.texts import text_outputs

Columns = tuple[str, ...]  # of a text, or of the two of a pair
PLAIN = ("text", "text_pair")  # columns where the task's own are not in the file


def predict_file(
    model: Path, source: Path, output: Path, task: str | None = None, text: Sequence[str] = ()
) -> dict[str, Columns]:
    """Write the rows of `source` to `output` with columns `<task>` and `<task>_score`.

    Every task of the model whose texts are in the file answers, or `task` alone; `text` names the
    columns of the texts, else they are the task's own, else `text` (and `text_pair`). Returns the
    columns that each task has read. Raises MtkdError, before any answer, with file and line.
    """
    for path in (source, output):
        if path.suffix.lower() not in SUFFIXES:
            raise MtkdError(f"{path}: expected a name that ends in one of {', '.join(SUFFIXES)}")
    network = MultiTaskModel.from_pretrained(model)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    reads = columns_of(network, source, task, tuple(text))
    names, count = checked(source, set(itertools.chain(*reads.values())))
    titles, taken = dict[str, str](), list(names)
    for one in reads:
        titles[one] = free_name(one, taken, source)
        taken += [titles[one], f"{titles[one]}_score"]
    with (
        whole(output) as part,
        Progress(count, "predict") as progress,
        writer(part, output, names, source) as write,
    ):
        for chunk in chunks(source):
            rows = [row for _, row in chunk]
            found = answers(network, rows, reads)
            added = (cells(one, titles, output.suffix.lower() == ".jsonl") for one in found)
            write([row | more for row, more in zip(rows, added, strict=True)])
            progress.advance(len(rows))
    return reads


def columns_of(
    model: MultiTaskModel, source: Path, task: str | None, text: Columns
) -> dict[str, Columns]:
    """The columns of the texts of each task that can be answered from a file."""
    if task is not None and task not in model.specs:
        raise MtkdError(f"--task {task}: expected a task of the model, {', '.join(model.specs)}")
    have = list(dict.fromkeys(name for _, row in next(chunks(source), []) for name in row))
    told = model.described()
    if task is not None:
        fitting(told, task, len(told[task]["columns"]) or len(text) or 1, 0)
    found, wanted = {}, []
    for name in model.specs if task is None else [task]:
        own: Columns = tuple(told[name]["columns"])
        size = len(own) or len(text) or 1
        fit = [one for one in ([text] if text else [own, PLAIN[:size]]) if len(one) == size]
        wanted += [" and ".join(map(repr, one)) for one in fit[:1]]
        if task is None and told[name]["objective"] == "ranking":
            continue
        if there := [one for one in fit if set(one) <= set(have)]:
            found[name] = there[0]
    if not found:
        raise MtkdError(
            f"{source}: no column of texts for {task or 'any task of the model'}; expected "
            f"{' or '.join(dict.fromkeys(wanted)) or 'as many --text as a task has texts'}, found "
            f"{', '.join(have) or 'no row'}: name it with --text"
        )
    return found


def checked(source: Path, texts: set[str]) -> tuple[list[str], int]:
    """All names of columns, and the number of rows; every text is looked at before any answer."""
    names: dict[str, None] = {}
    count = 0
    for chunk in chunks(source):
        for where, row in chunk:
            names |= dict.fromkeys(row)
            for name in texts:
                value = row.get(name)
                if not isinstance(value, str) or not value.strip():
                    raise MtkdError(f"{where}: column {name!r} is {value!r:.80}; expected a text")
        count += len(chunk)
    return list(names), count


def free_name(task: str, names: Sequence[str], source: Path) -> str:
    """Name of a task's column of answers: other columns, labels above all, are kept."""
    for name in (task, f"{task}_predicted"):
        if name not in names and f"{name}_score" not in names:
            return name
    raise MtkdError(f"{source}: columns {task} and {task}_predicted are taken; rename one of them")


def answers(
    model: MultiTaskModel, rows: Sequence[Row], reads: Mapping[str, Columns]
) -> list[dict[str, Answer]]:
    """Answers of all tasks to each row; tasks of the same columns share a pass of the encoder."""
    told = model.described()
    found: list[dict[str, Answer]] = [{} for _ in rows]
    for columns in dict.fromkeys(reads.values()):
        tasks = {name: told[name] for name in told if reads.get(name) == columns}
        texts = [tuple(row[column] for column in columns) for row in rows]
        given = answer(texts, tasks, partial(text_outputs, model))
        for one, more in zip(found, given, strict=True):
            one |= more
    return found


def cells(answers: Mapping[str, Any], titles: Mapping[str, str], nested: bool) -> Row:
    """The answers to one row as columns; scores of several labels as JSON, unless `nested`."""
    found: Row = {}
    for task, one in answers.items():
        name = titles[task]
        if isinstance(one, float):
            found[name] = one
        elif "labels" in one:
            scores = one["scores"]
            found[name] = "|".join(one["labels"])
            found[f"{name}_score"] = scores if nested else json.dumps(scores, ensure_ascii=False)
        else:
            found |= {name: one["label"], f"{name}_score": one["score"]}
    return found
