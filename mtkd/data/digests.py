"""Digests of the files that data and encoders come from."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from mtkd.common.errors import MtkdError
from mtkd.data.glue_files import task_folders, tsv_name
from mtkd.data.loading import DataSource
from mtkd.data.tasks import Task

UNLABELLED_FILE = "a file of unlabelled text"


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
    """Every variant of a study asks for it: a process reads a file once while it stays as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
