"""Digests of the files that data and encoders come from, and of all that decides a split's tokens.

By them a split is known without parsing it again, wherever its files lie.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mtkd.common.code import code_digest
from mtkd.common.errors import MtkdError
from mtkd.common.files import digest_of
from mtkd.data import tokens
from mtkd.data.glue_files import task_folders, tsv_name
from mtkd.data.loading import DataSource
from mtkd.data.own_files import HUB
from mtkd.data.own_tasks import own_places
from mtkd.data.tasks import UNLABELLED, Task

COMMIT = re.compile("[0-9a-f]{40}")  # a branch or a tag may move
UNLABELLED_FILE = "a file of unlabelled text"


def data_origin(source: DataSource, task: Task, rules: str, max_length: int) -> str | None:
    """Digest of all that decides the tokens of a task's splits; None where that is not known.

    The files' content, wherever they lie, the code that reads or writes the examples, the
    tokenizer's `rules` and the longest length. Not known: no files, or no commit of the hub's.
    Raises MtkdError if a file cannot be read.
    """
    if task.own:
        own = own_identity(task)
        if any(place.startswith(HUB) for place, _ in own_places(task).values()):
            return None  # the hub's, of no commit
        # What of them is taken, and of which seed, is said as for other sources.
        own |= {"limit": source.limit, "seed": source.seed, "fraction": source.label_fraction}
        own |= {"unlabelled": source.unlabelled_ratio, "text": own_text(task)}
        return origin_digest(task, own, [], rules, max_length)
    pinned = COMMIT.fullmatch(source.revision or "") and not Path(source.hub).is_dir()
    if source.kind == "hub" and (task.hub is not None or not pinned):
        return None
    facts = asdict(source) | {"path": None, "unlabelled_file": None}
    files = []
    if source.kind == "folder":
        files = [content(path) for path in source_files(source, task)]
        if not files:
            return None
    if source.unlabelled_ratio and source.unlabelled_file is not None:
        text = Path(source.unlabelled_file).expanduser()
        files.append(["unlabelled", file_digest(text, UNLABELLED_FILE)])
    return origin_digest(task, facts, files, rules, max_length)


def origin_digest(
    task: Task, facts: dict[str, Any], files: list[list[str]], rules: str, max_length: int
) -> str:
    versions = [tokens.CACHE_LAYOUT, np.__version__, code_digest("mtkd.data.loading")]
    everything = [task.name, facts, files, versions, rules, max_length]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def own_identity(task: Task) -> dict[str, Any]:
    """What tells the data of a task of one's own: what is said of it, and its files' content.

    The place of a file is not part of it; the name of a data set of the hub is. Text without labels
    has an identity of its own.
    """
    assert task.own is not None
    said = asdict(task.own) | {"data": None}
    said |= {"kind": task.kind, "labels": list(task.labels), "range": task.range}
    said |= {"metrics": list(task.metrics), "weights": list(task.weights)}
    places = {split: place for split, place in own_places(task).items() if split != UNLABELLED}
    return said | {"files": {split: place_identity(*place) for split, place in places.items()}}


def own_text(task: Task) -> Any:
    """What tells the text without labels of a task of one's own; None where there is none."""
    place = own_places(task).get(UNLABELLED)
    return place and place_identity(*place)


def place_identity(place: str, part: str) -> Any:
    """A name and split of the hub, or a file's kind and content."""
    if place.startswith(HUB):
        return f"{place} {part}"
    return [Path(place).suffix, file_digest(Path(place), "a file")]


def source_files(source: DataSource, task: Task) -> list[Path]:
    """The files of a folder that may hold a task's examples, in order."""
    official = [tsv_name(task, split) for split in task.splits]
    return sorted(
        file
        for folder in task_folders(task, Path(source.path or "").expanduser())
        for file in folder.iterdir()
        if file.suffix in (".tsv", ".parquet") or file.name in official
    )


def content(path: Path) -> list[str]:
    """Folder, name and digest of a data file. Raises MtkdError if it cannot be read."""
    return [f"{path.parent.name}/{path.name}", file_digest(path, "a data file")]


def encoder_files(folder: Path) -> list[list[str]]:
    """Names and digests of an encoder's files: the same model elsewhere is the same encoder.

    Raises MtkdError if one cannot be read.
    """
    return sorted(
        [file.name, file_digest(file, "a file of the encoder")]
        for file in folder.glob("*")
        if file.suffix in (".json", ".safetensors", ".txt", ".model")
    )


def file_digest(path: Path, what: str) -> str:
    """SHA-256 of a file. Raises MtkdError, which says `what` was expected, if it cannot be read."""
    try:
        found = path.stat()
        return digest_once(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected {what} that can be read") from None


@functools.cache
def digest_once(path: Path, size: int, changed: int) -> str:
    """Every variant of a study asks for it: a file is read once while it stays as it is."""
    return digest_of(path)
