"""Where a split's examples come from: enough to know them without reading them again."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from mtkd.data import DataSource
from mtkd.glue_files import task_folders
from mtkd.identities import digest_once, file_digest
from mtkd.tasks import Task

PACKAGE = Path(__file__).parent
READERS = ("data", "glue_files", "tasks", "toy", "toy_tasks", "toy_language")  # .py


def origin(source: DataSource, task: Task, rules: str, max_length: int) -> str | None:
    """Digest of all that decides the tokens of a task's splits; None where that is not known.

    The files' content, wherever they lie, the code that reads or writes the examples, the
    tokenizer's `rules` and the longest length. Not known: a dataset of no fixed revision.
    """
    fixed = source.revision is not None and task.hub is None and not Path(source.hub).is_dir()
    if source.kind == "hub" and not fixed:
        return None
    facts = asdict(source) | {"path": None, "unlabelled": None}
    files: list[object] = []
    if source.kind == "folder":
        files = [content(path) for path in task_files(task, Path(source.path or "").expanduser())]
    if source.unlabelled is not None:
        files.append(file_digest(Path(source.unlabelled).expanduser()))
    everything = [task.name, facts, files, readers_digest(), rules, max_length]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def task_files(task: Task, root: Path) -> list[Path]:
    """All files in a task's folders, in order."""
    return sorted(f for folder in task_folders(task, root) for f in folder.iterdir() if f.is_file())


def content(path: Path) -> list[str]:
    """Name and digest of a file."""
    found = path.stat()
    return [f"{path.parent.name}/{path.name}", digest_once(path, found.st_size, found.st_mtime_ns)]


@functools.cache
def readers_digest() -> str:
    """Digest of the modules that make examples: another version may make others."""
    code = b"".join((PACKAGE / f"{name}.py").read_bytes() for name in READERS)
    return hashlib.sha256(code).hexdigest()
