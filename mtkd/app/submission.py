"""The zip that GLUE's server takes: eleven files of test predictions of one system and seed.

Predictions are read from finished runs; nothing is trained or predicted here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from mtkd.analysis.results import Results, open_results
from mtkd.common.errors import MtkdError
from mtkd.common.files import whole
from mtkd.data.glue_files import SCORES
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.tasks import GLUE, WNLI_LABEL, Task
from mtkd.experiments.records import Record
from mtkd.experiments.stored import stored_file
from mtkd.method.targets import align, read_predictions

NAMED = ("mnli", "qnli", "rte", "ax")  # uploaded as label names, the other classes as 0 and 1
# What `--fill fallback` puts into every row: the zip is complete, the file's score means nothing.
FALLBACK_LABEL = 0
FALLBACK_SCORE = 2.5
DATE = (1980, 1, 1, 0, 0, 0)  # of every file in the zip: equal predictions give equal bytes


@dataclass(frozen=True)
class UploadFile:
    """One of the eleven files, and the test split whose rows it holds."""

    name: str  # "MNLI-mm.tsv"
    task: Task
    split: str


@dataclass(frozen=True)
class Content:
    """What goes into one file: the prediction of every row, in the order of the index."""

    file: UploadFile
    values: Sequence[str]
    source: str  # the system, or why and with what the file is filled
    filled: bool = False


@dataclass(frozen=True)
class Submission:
    """A zip that was written and checked."""

    path: Path
    run_id: str  # the run that the predictions are of
    contents: tuple[Content, ...]

    @property
    def filled(self) -> list[str]:
        return [content.file.name for content in self.contents if content.filled]

    @property
    def unofficial(self) -> list[str]:
        """Files whose row count is not that of GLUE's test split."""
        return [c.file.name for c in self.contents if len(c.values) != official_rows(c.file)]


FILES = tuple(
    UploadFile(name, task, split)
    for task in GLUE.values()
    for split, name in task.submission.items()
)


def official_rows(file: UploadFile) -> int:
    return file.task.sizes[file.split]


def submit(
    recipe: str,
    system: str,
    seed: int | None = None,
    fill: Literal["refuse", "fallback"] = "refuse",
    output: Path | None = None,
) -> Submission:
    """Write and check the zip of one system; `seed` is the recipe's first unless it is given.

    Raises MtkdError if there is no such run, if a file but WNLI's has no predictions and `fill` is
    "refuse", or if stored predictions and test file do not have the same rows.
    """
    results = open_results(recipe)
    seed = results.recipe.seeds[0] if seed is None else seed
    run_id = find_record(results, system, seed).run_id
    stored = {
        file: stored_file(results.folder, run_id, system, file.task.name, file.split)
        for file in FILES
    }
    missing = [f.name for f in FILES if f.task.name != "wnli" and not stored[f].is_file()]
    if missing and fill == "refuse":
        raise MtkdError(
            f"{results.folder}: {run_id} has no test predictions of {system} for "
            f"{', '.join(missing)}; expected all but WNLI: reproduce the recipe with these tasks, "
            "or give `--fill fallback` to fill them with one constant"
        )
    contents = tuple(
        predicted(results.recipe.data, file, path, system) if path.is_file() else constant(file)
        for file, path in stored.items()
    )
    path = output or results.folder / "submissions" / f"{system}-s{seed}.zip"
    write_submission(path, contents)
    return Submission(path, run_id, contents)


def find_record(results: Results, system: str, seed: int) -> Record:
    """The finished run that predicted with a system. Raises MtkdError naming those there are."""
    found = {r.seed: r for r in results.records if system in systems(r)}
    if seed in found:
        return found[seed]
    known = [f"seed {known}" for known in found]
    known = known or list(dict.fromkeys(s for record in results.records for s in systems(record)))
    raise MtkdError(
        f"{results.folder}: no finished run has system {system!r} with seed {seed}; expected one "
        f"of: {', '.join(known)}; choose with --system and --seed, or run `mtkd reproduce --recipe "
        f"{results.recipe.name}`"
    )


def systems(record: Record) -> list[str]:
    """Systems with stored predictions in a run; the ensemble's are with its teachers."""
    own = list(record.details.get("systems", ()))
    return [*own, "ensemble"] if record.stage == "teachers" and "ensemble" not in own else own


def predicted(source: DataSource, file: UploadFile, path: Path, system: str) -> Content:
    """Stored predictions for each row of the test split, by the examples' ids.

    Raises MtkdError unless each row has exactly one, a finite one.
    """
    idx = load_examples(source, file.task, file.split).idx
    rows, stored = np.arange(len(idx)), read_predictions(path)
    if not np.array_equal(np.sort(idx), rows):
        raise MtkdError(
            f"{file.task.title} {file.split}: its ids are not 0 to {len(idx) - 1}; expected GLUE's "
            "own test file: download it again"
        )
    outputs = align(stored, rows, file.task.labels)
    if len(stored.idx) != len(rows) or not np.isfinite(outputs).all():
        finite = np.isfinite(outputs).all(axis=1).sum()
        raise MtkdError(
            f"{path}: {len(stored.idx)} predictions, finite ones for {finite} of {len(rows)} rows; "
            f"expected one for each row of {file.task.title} {file.split}: reproduce the recipe "
            "with this data"
        )
    return Content(file, as_strings(file.task, outputs), system)


def as_strings(task: Task, outputs: np.ndarray) -> list[str]:
    """Predictions of outputs (N, C): the largest one's label, or the score cut to its range."""
    if not task.labels:
        return [f"{score:.3f}" for score in outputs[:, 0].clip(*SCORES) + 0.0]  # no "-0.000"
    return [label_strings(task)[label] for label in outputs.argmax(axis=1)]


def label_strings(task: Task) -> tuple[str, ...]:
    """What GLUE's server wants for each class, in the order of the task's labels; () for scores."""
    return task.labels if task.name in NAMED else tuple(map(str, range(len(task.labels))))


def constant(file: UploadFile) -> Content:
    """A file without predictions: one value in as many rows as GLUE's test split has."""
    strings = label_strings(file.task)
    if file.task.name == "wnli":
        value, why = strings[WNLI_LABEL], "not trained, majority class"
    elif strings:
        value, why = strings[FALLBACK_LABEL], "fallback, first label"
    else:
        value, why = f"{FALLBACK_SCORE:.3f}", "fallback, middle of the scale"
    return Content(file, [value] * official_rows(file), f"{why}: {value}", filled=True)


def write_submission(path: Path, contents: Sequence[Content]) -> None:
    """Write the zip, read it again and compare; only a sound one gets its name."""
    if path.is_dir():
        raise MtkdError(f"{path}: a folder; expected a file for the zip, as {path / 'glue.zip'}")
    try:
        with whole(path) as part:
            with zipfile.ZipFile(part, "w") as archive:
                for content in contents:
                    info = zipfile.ZipInfo(content.file.name, DATE)
                    text = as_frame(content).to_csv(sep="\t", index=False, lineterminator="\n")
                    archive.writestr(info, text, zipfile.ZIP_DEFLATED)
            check(part, contents)
    except OSError as error:
        raise MtkdError(
            f"{path}: {error.strerror}; expected to write the zip here: choose another --output"
        ) from error


def as_frame(content: Content) -> pd.DataFrame:
    rows = [str(row) for row in range(len(content.values))]
    return pd.DataFrame({"index": rows, "prediction": list(content.values)}, dtype=str)


def check(path: Path, contents: Sequence[Content]) -> None:
    """Read a zip and compare it with what it should hold. Raises MtkdError where it differs."""
    with zipfile.ZipFile(path) as archive:
        for content in contents:
            with archive.open(content.file.name) as file:
                found = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)
            allowed = label_strings(content.file.task) or found["prediction"]
            if not found.equals(as_frame(content)) or not found["prediction"].isin(allowed).all():
                raise MtkdError(f"{path}: {content.file.name} is not as it was to be written")
