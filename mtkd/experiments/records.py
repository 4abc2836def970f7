"""What a run leaves behind: one record, written last and atomically, and their collection."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtkd.common.errors import MtkdError
from mtkd.common.files import write_text

if TYPE_CHECKING:  # pandas and torch are slow to import, and most users of records need neither
    import pandas as pd

SCHEMA = 1
COLUMNS = [
    "run_id",
    "config_id",
    "recipe",
    "stage",
    "system",
    "task",
    "split",
    "metric",
    "value",
    "n_examples",
    "seed",
]
PACKAGES = ("torch", "transformers", "datasets", "accelerate", "numpy", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Score:
    """One metric of one system on one split, in points."""

    system: str
    task: str
    split: str
    metric: str
    value: float
    n_examples: int
    degenerate: bool = False  # constant or non-finite predictions; flagged, never dropped


@dataclass(frozen=True)
class Record:
    """A finished run. `settings` and `parents` are what its identity is made of."""

    run_id: str
    config_id: str  # the identity without the seed
    recipe: str
    stage: str
    what: str
    seed: int
    parents: tuple[str, ...]
    settings: dict[str, Any]
    scores: tuple[Score, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)  # histories, choices, counts
    wall_seconds: float = 0.0
    training_seconds: float = 0.0
    peak_memory_mib: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


def write_record(folder: Path, record: Record) -> None:
    """Write `record.json`; its presence means that the run is done."""
    write_text(folder / "record.json", json.dumps(asdict(record), indent=1) + "\n")


def read_record(folder: Path) -> Record:
    """Record of a finished run. Raises MtkdError if there is none or it is of another schema."""
    path = folder / "record.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MtkdError(f"{path}: this run is not finished; `mtkd reproduce` makes it") from None
    except json.JSONDecodeError as error:
        raise MtkdError(
            f"{path}:{error.lineno}: not valid JSON ({error.msg}); delete the run's folder and "
            "reproduce again"
        ) from None
    if saved.get("schema") != SCHEMA:
        raise MtkdError(
            f"{path}: made by another version of mtkd (schema {saved.get('schema')!r}, this one "
            f"reads {SCHEMA}); use that version, or move the results folder away and reproduce"
        )
    scores = tuple(Score(**score) for score in saved.pop("scores"))
    return Record(**saved | {"scores": scores, "parents": tuple(saved["parents"])})


def collect(records: Iterable[Record]) -> pd.DataFrame:
    """Tidy scores: one row per run, system, task, split and metric, in a stable order."""
    import pandas as pd

    rows = [
        {**asdict(score), **{key: getattr(record, key) for key in COLUMNS if hasattr(record, key)}}
        for record in records
        for score in record.scores
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(["system", "task", "split", "metric", "seed"], ignore_index=True)


class Stopwatch:
    """Wall time and peak memory of a run, from construction on."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def seconds(self) -> float:
        return round(time.perf_counter() - self.began, 2)


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2), 1)


def environment() -> dict[str, Any]:
    """Where a run happened: recorded, never part of its identity."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device or platform.machine(),
        "threads": torch.get_num_threads(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": git_commit(),
    }


def git_commit() -> str | None:
    """Commit of the checkout that the library runs from, None outside of one."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
