"""What a run leaves behind: one record, written last and atomically, and their collection."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mtkd.common.errors import Damaged, MtkdError
from mtkd.common.files import PART, remove
from mtkd.common.objects import read_object, write_object
from mtkd.common.paths import CHECKOUT, PACKAGE
from mtkd.data.digests import file_digest
from mtkd.data.tasks import scored_as

if TYPE_CHECKING:  # pandas and torch are slow to import, and most users of records need neither
    import pandas as pd

    from mtkd.experiments.runs import Run

SCHEMA = 2
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
    __pydantic_config__ = ConfigDict(extra="forbid")


# What a run ends with: its scores, and details (histories, choices, counts) for its record
Outcome = tuple[list[Score], dict[str, Any]]


@dataclass(frozen=True)
class Record:
    """A finished run. `settings` and `parents` are what its identity is made of."""

    run_id: str
    config_id: str  # the identity without the seed
    recipe: str
    stage: str
    variant: str
    seed: int
    parents: dict[str, str]  # run id -> its `result`, which this run has used
    settings: dict[str, Any]
    stamp: str  # of the code that the run rests on, its parents' included
    result: str = ""  # digest of scores and outputs
    outputs: tuple[str, ...] = ()  # files of predictions and models, relative to the results
    digests: tuple[str, ...] = ()  # SHA-256 of each of them
    scores: tuple[Score, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    wall_seconds: float = 0.0
    training_seconds: float = 0.0
    peak_memory_mib: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    __pydantic_config__ = ConfigDict(extra="forbid")


RECORD = TypeAdapter(Record)


def write_record(folder: Path, record: Record) -> None:
    """Write `record.json`; its presence means that the run is done."""
    write_object(folder / "record.json", asdict(record), indent=1)


def read_record(folder: Path) -> Record:
    """Record of a finished run. Raises MtkdError if there is none, or it is damaged or of another
    schema."""
    path = folder / "record.json"
    try:
        found = path.stat()
    except FileNotFoundError:
        raise MtkdError(f"{path}: this run is not finished; `mtkd reproduce` makes it") from None
    return parse_record(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(4096)  # a run's children ask for it, too
def parse_record(path: Path, changed: int, size: int) -> Record:
    """Record in a file, parsed once while it stays as it is."""
    todo = "`mtkd reproduce` makes that run again"
    saved = read_object(path, todo)
    if saved.get("schema") != SCHEMA:
        raise MtkdError(
            f"{path}: made by another version of mtkd (schema {saved.get('schema')!r}, this one "
            f"reads {SCHEMA}); use that version, or move the results folder away and reproduce"
        )
    try:
        return RECORD.validate_python(saved)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        key = ".".join(map(str, wrong["loc"]))
        raise Damaged(f"{path}: no record of a run ({key}: {wrong['msg']}); {todo}") from None


def run_folder(results: Path, run_id: str) -> Path:
    """Where a run keeps its record and what it needs for a resume."""
    return results / "runs" / run_id


def model_folder(results: Path, run_id: str) -> Path:
    """Where a run's model or encoder is."""
    return results / "models" / run_id


def prediction_file(results: Path, run_id: str, system: str, task: str, split: str) -> Path:
    """Where the outputs of one system of one run on one split are stored."""
    task, split = scored_as(task, split)
    return results / "predictions" / run_id / system / f"{task}.{split}.safetensors"


def outputs_of(results: Path, run_id: str) -> tuple[str, ...]:
    """The files of predictions and models that a run has left, relative to the results folder."""
    folders = (results / "predictions" / run_id, model_folder(results, run_id))
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple(
        path.relative_to(results).as_posix() for path in files if not PART.fullmatch(path.name)
    )


def remove_results(results: Path, run_id: str) -> None:
    """Remove a run's record, predictions and model."""
    record = run_folder(results, run_id) / "record.json"
    for path in (record, results / "predictions" / run_id, model_folder(results, run_id)):
        remove(path)


def output_digests(results: Path, outputs: Iterable[str]) -> tuple[str, ...]:
    """SHA-256 of each of a run's files."""
    return tuple(file_digest(results / name, "an output of a run") for name in outputs)


def result_digest(scores: Sequence[Score], outputs: Sequence[str], digests: Sequence[str]) -> str:
    """What tells two results of one run apart: its scores and its files, 16 hexadecimal digits."""
    files = [[name, digest] for name, digest in zip(outputs, digests, strict=True)]
    content = json.dumps([[asdict(score) for score in scores], files])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def current_record(results: Path, run: Run, *, models: bool = True) -> Record | None:
    """A run's record, if today's code would make it again from the parents' results of now.

    None as well where it is damaged, or where one of its outputs is missing or has changed,
    without `models` one of its predictions.
    """
    folders = [run_folder(results, one.run_id) for one in (run, *run.parents)]
    if not all((folder / "record.json").exists() for folder in folders):
        return None
    try:
        record = read_record(folders[0])
        current = record.stamp == run.stamp and record.parents == parent_results(results, run)
    except Damaged as error:
        tell(str(error))
        return None
    return record if current and outputs_are_whole(results, record, models) else None


@functools.cache  # a run and its children look at its record
def tell(notice: str) -> None:
    """Print a line, once."""
    print(notice, flush=True)


def outputs_are_whole(results: Path, record: Record, models: bool) -> bool:
    """Whether a run's outputs are there and as it wrote them.

    To be quick: a model's file that is not younger than the record is read by nobody here, but by
    `as_written`, before it is used.
    """
    made = (run_folder(results, record.run_id) / "record.json").stat().st_mtime_ns
    folder = model_folder(results, record.run_id)
    for name in record.outputs:
        path = results / name
        model = path.is_relative_to(folder)
        if model and not models:
            continue
        if not path.is_file():
            return False
        if (path.stat().st_mtime_ns > made or not model) and has_changed(results, record, name):
            return False
    return True


def has_changed(results: Path, record: Record, name: str) -> bool:
    """Whether one of a run's outputs is another than the one that its record has seen."""
    known = dict(zip(record.outputs, record.digests, strict=False))  # one of before has none
    return output_digests(results, [name])[0] != known.get(name)


def as_written(results: Path, run_id: str, path: Path) -> Path:
    """A file or folder of predictions or a model, known to be as its run wrote it.

    That of a run without a record, which is still at work, is taken as it is. Raises MtkdError.
    """
    folder, place = run_folder(results, run_id), path.relative_to(results)
    if not (folder / "record.json").exists():
        return path
    record = read_record(folder)
    for name in record.outputs if record.digests else ():
        here = Path(name).is_relative_to(place) and (results / name).is_file()
        if here and has_changed(results, record, name):
            raise MtkdError(
                f"{results / name}: has changed since {run_id} wrote it; remove it: `mtkd "
                "reproduce` makes that run again"
            )
    return path


def parent_results(results: Path, run: Run) -> dict[str, str]:
    """The results of a run's parents, by run id."""
    folders = {parent.run_id: run_folder(results, parent.run_id) for parent in run.parents}
    return {run_id: read_record(folder).result for run_id, folder in folders.items()}


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
    """Commit of the checkout that the library runs from, "-dirty" behind it if changed; or None."""
    if CHECKOUT is None:  # a wheel's: the folder may be in a repository of somebody else
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(
            command, cwd=PACKAGE, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
