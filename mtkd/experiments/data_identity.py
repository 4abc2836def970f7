"""What of a recipe's data and settings enters the identity of its runs, and sizes for estimates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtkd.data.digests import (
    UNLABELLED_FILE,
    content,
    file_digest,
    own_identity,
    own_text,
    source_files,
)
from mtkd.data.loading import DataSource
from mtkd.data.tasks import GLUE, Task
from mtkd.data.toy.benchmark import TRAIN_SIZES

# Training examples of GLUE today, and of SNLI and SciTail (MT-DNN's Table 4), for cost estimates
# only.
GLUE_SIZES = {name: task.sizes["train"] for name, task in GLUE.items() if task.trained}
GLUE_SIZES |= {"snli": 549367, "scitail": 23596}


def train_size(source: DataSource, task: Task) -> int:
    """Training examples of a task, about: for estimates, without reading a file of GLUE."""
    if task.own:
        full = task.sizes["train"]
    elif source.kind == "toy":
        full = round(TRAIN_SIZES[task.name] * source.scale)
    else:
        full = GLUE_SIZES[task.name]
    return round(source.label_fraction * min(full, source.limit or full))


def data_identity(source: DataSource, tasks: Sequence[Task]) -> dict[str, Any]:
    """What tells one data source from another, wherever it lies.

    For a folder: names and digests of the files, so that a copy elsewhere is the same source and
    another version of a file is not. Text without labels has an identity of its own. Raises
    MtkdError if a file cannot be read.
    """
    common: dict[str, Any] = {"limit": source.limit, "seed": source.seed}
    common["label_fraction"] = source.label_fraction
    if not source.predict_test:
        common["predict_test"] = False
    if own := {task.name: own_identity(task) for task in tasks if task.own}:
        common["own"] = own
        if len(own) == len(tasks):
            return common
    common["kind"] = source.kind
    tasks = [task for task in tasks if not task.own]
    if source.kind == "toy":
        return common | {"scale": source.scale}
    if source.kind == "hub":
        if apart := {task.name: task.hub for task in tasks if task.hub}:
            common["apart"] = apart
        return common | {"hub": source.hub, "revision": source.revision}
    files = sorted(content(file) for task in tasks for file in source_files(source, task))
    return common | {"files": files}


def text_identity(source: DataSource, tasks: Sequence[Task]) -> dict[str, Any]:
    """What tells the text without labels that teachers of `tasks` label."""
    names = [task.name for task in tasks]
    text: dict[str, Any] = {"unlabelled_ratio": source.unlabelled_ratio, "text of": names}
    if own := {task.name: own_text(task) for task in tasks if task.own}:
        text["own"] = own
    if source.unlabelled_file is not None:
        file = Path(source.unlabelled_file).expanduser()
        text["unlabelled_file"] = file_digest(file, UNLABELLED_FILE)
    return text
