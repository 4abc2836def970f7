"""What of a recipe's data and settings enters the identity of its runs, and sizes for estimates."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from mtkd.data import DataSource, find_task
from mtkd.glue_files import task_folders
from mtkd.settings import Distillation, Teachers
from mtkd.toy import TRAIN_SIZES

# Training examples of GLUE today (the hub's dataset card), for cost estimates only.
GLUE_SIZES = {
    "cola": 8551,
    "sst2": 67349,
    "mrpc": 3668,
    "stsb": 5749,
    "qqp": 363846,
    "mnli": 392702,
    "qnli": 104743,
    "rte": 2490,
}
# Fields that came after the first results: at these values they take no part in an identity.
LATER: dict[str, Any] = {"order": "best", "mix": "losses", "anneal": False}
LATER |= {"encoder": None, "taught_by": ()}


def identity(settings: Teachers | Distillation) -> dict[str, Any]:
    """The settings as they enter a run's identity."""
    fields = asdict(settings)
    return {k: v for k, v in fields.items() if k not in LATER or v != LATER[k]}


def train_size(source: DataSource, task: str) -> int:
    """Training examples of a task, about: for estimates, without reading any file."""
    if source.kind == "toy":
        return round(TRAIN_SIZES[task] * source.scale)
    return min(GLUE_SIZES[task], source.limit or GLUE_SIZES[task])


def data_identity(source: DataSource, tasks: tuple[str, ...]) -> dict[str, Any]:
    """What tells one data source from another, wherever it lies.

    For a folder: names and sizes of the files, so that a copy elsewhere is the same source and
    another version of a file is not.
    """
    if source.kind == "toy":
        return {"kind": "toy", "seed": source.seed, "scale": source.scale, "limit": source.limit}
    if source.kind == "hub":
        chosen = {"limit": source.limit, "seed": source.seed}
        return {"kind": "hub", "hub": source.hub, "revision": source.revision} | chosen
    files = sorted(
        (f"{folder.name}/{file.name}", file.stat().st_size)
        for task in tasks
        for folder in task_folders(find_task(task), Path(source.path or ""))
        for file in folder.iterdir()
        if file.suffix in (".tsv", ".parquet")
    )
    return {"kind": "folder", "files": files, "limit": source.limit, "seed": source.seed}
