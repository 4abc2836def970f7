"""Where a split's examples come from: enough to know them without parsing them again."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mtkd.common.code import code_digest
from mtkd.data import tokens as encoding
from mtkd.data.digests import UNLABELLED_FILE, content, file_digest, source_files
from mtkd.data.loading import DataSource
from mtkd.data.tasks import Task

COMMIT = re.compile("[0-9a-f]{40}")  # a branch or a tag may move


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
    versions = [encoding.CACHE_LAYOUT, np.__version__, code_digest("mtkd.data.loading")]
    everything = [task.name, facts, files, versions, rules, max_length]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
