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

import numpy as np

from mtkd.common.code import code_digest
from mtkd.common.errors import MtkdError
from mtkd.data import tokens
from mtkd.data.glue_files import task_folders, tsv_name
from mtkd.data.loading import DataSource
from mtkd.data.tasks import Task

COMMIT = re.compile("[0-9a-f]{40}")  # a branch or a tag may move
UNLABELLED_FILE = "a file of unlabelled text"


def data_origin(source: DataSource, task: Task, rules: str, max_length: int) -> str | None:
    """Digest of all that decides the tokens of a task's splits; None where that is not known.

    The files' content, wherever they lie, the code that reads or writes the examples, the
    tokenizer's `rules` and the longest length. Not known: no files, or no commit of the hub's.
    Raises MtkdError if a file cannot be read.
    """
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
    versions = [tokens.CACHE_LAYOUT, np.__version__, code_digest("mtkd.data.loading")]
    everything = [task.name, facts, files, versions, rules, max_length]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


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
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
