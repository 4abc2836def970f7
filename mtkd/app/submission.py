"""The zip that GLUE's server takes: eleven files of test predictions of one system and seed.

Predictions are read from finished runs; nothing is trained or predicted here. File names, label
strings and row counts are those of GLUE's server and of its current test files.
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mtkd.analysis.results import Results, open_results
from mtkd.common.errors import MtkdError
from mtkd.common.files import whole
from mtkd.data.glue_files import SCORES, task_folders, tsv_name
from mtkd.data.loading import DataSource, load_examples, missing_tasks
from mtkd.data.tasks import GLUE, WNLI_LABEL, Task
from mtkd.experiments.records import Record, prediction_file
from mtkd.method.targets import Predictions, align, read_predictions

HEADER = "index\tprediction"
OFFICIAL_ROWS = {
    "CoLA.tsv": 1063,
    "SST-2.tsv": 1821,
    "MRPC.tsv": 1725,
    "STS-B.tsv": 1379,
    "QQP.tsv": 390965,
    "MNLI-m.tsv": 9796,
    "MNLI-mm.tsv": 9847,
    "QNLI.tsv": 5463,
    "RTE.tsv": 3000,
    "WNLI.tsv": 146,
    "AX.tsv": 1104,
}
NAMED = ("mnli", "qnli", "rte", "ax")  # uploaded as label names, the other classes as 0 and 1
# What `--fill fallback` puts into every row of any other file: it makes the zip complete, and the
# score of such a file means nothing.
FALLBACK_LABEL = 0
FALLBACK_SCORE = 2.5
DATE = (1980, 1, 1, 0, 0, 0)  # of every file in the zip: equal predictions give equal bytes
# What zipfile raises where bytes are wrong, found by changing each byte of a zip.
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, lzma.LZMAError, EOFError, OSError),
    *(ValueError, NotImplementedError, RuntimeError),
)

Fill = Literal["refuse", "fallback"]


@dataclass(frozen=True)
class UploadFile:
    """One of the eleven files, and the test split whose rows it holds."""

    name: str  # "MNLI-mm.tsv"
    task: Task
    split: str

    @property
    def title(self) -> str:
        return self.name.removesuffix(".tsv")


@dataclass(frozen=True)
class Content:
    """What goes into one file: the prediction of every row, in the order of the index."""

    file: UploadFile
    values: Sequence[str]
    source: str  # the system, or why and with what the file is filled
    filled: bool


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
        counts = {content.file.name: len(content.values) for content in self.contents}
        return [name for name, count in counts.items() if count != OFFICIAL_ROWS[name]]


FILES = tuple(
    UploadFile(name, task, split)
    for task in GLUE.values()
    for split, name in task.submission.items()
)


def submit(
    recipe: str,
    system: str,
    seed: int | None = None,
    fill: Fill = "refuse",
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
        file: prediction_file(results.folder, run_id, system, file.task.name, file.split)
        for file in FILES
    }
    missing = [f for f in FILES if f.task.name != "wnli" and not stored[f].is_file()]
    if missing and fill == "refuse":
        raise MtkdError(
            f"{results.folder}: {run_id} has no test predictions of {system} for "
            f"{', '.join(file.title for file in missing)}; expected all but WNLI: reproduce the "
            "recipe with these tasks, or give `--fill fallback` to fill them with one constant"
        )
    source = results.recipe.data
    contents = tuple(
        predicted(source, file, path, system) if path.is_file() else constant(source, file)
        for file, path in stored.items()
    )
    path = output or results.folder / "submissions" / f"{system}-s{seed}.zip"
    write_submission(path, contents)
    return Submission(path, run_id, contents)


def find_record(results: Results, system: str, seed: int) -> Record:
    """The finished run that predicted with a system. Raises MtkdError naming those there are."""
    found = [record for record in results.records if system in systems(record)]
    for record in found:
        if record.seed == seed:
            return record
    where = f"{results.folder}: no finished run has system {system!r} with seed {seed}"
    if found:
        known = "seed " + ", ".join(str(record.seed) for record in found)
    else:
        known = ", ".join(dict.fromkeys(s for record in results.records for s in systems(record)))
    raise MtkdError(
        f"{where}; expected one of: {known}; choose with --system and --seed, or run "
        f"`mtkd reproduce --recipe {results.recipe.name}`"
    )


def systems(record: Record) -> list[str]:
    """Systems with stored predictions in a run; the ensemble's are with its teachers."""
    own = list(record.details.get("systems", ()))
    return [*own, "ensemble"] if record.stage == "teachers" and "ensemble" not in own else own


def label_strings(task: Task) -> tuple[str, ...]:
    """What GLUE's server wants for each class, in the order of the task's labels; () for scores."""
    return task.labels if task.name in NAMED else tuple(map(str, range(len(task.labels))))


def predicted(source: DataSource, file: UploadFile, path: Path, system: str) -> Content:
    """A file of stored predictions, checked against the rows of the test split."""
    examples = load_examples(source, file.task, file.split)
    outputs = in_order(read_predictions(path), examples.idx, file, path)
    return Content(file, as_strings(file.task, outputs), system, filled=False)


def in_order(stored: Predictions, idx: np.ndarray, file: UploadFile, path: Path) -> np.ndarray:
    """Outputs (N, C) of rows 0 to N-1. Raises MtkdError unless each has exactly one, a finite one.

    `idx` int64 (N,) are the ids of the test split; GLUE's own run from 0.
    """
    rows = np.arange(len(idx))
    if not np.array_equal(np.sort(idx), rows):
        raise MtkdError(
            f"{file.task.title} {file.split}: its ids are not 0 to {len(idx) - 1} (smallest "
            f"{idx.min()}, largest {idx.max()}); expected GLUE's own test file: download it again"
        )
    missing, extra = np.setdiff1d(rows, stored.idx), np.setdiff1d(stored.idx, rows)
    if len(missing) or len(stored.idx) != len(rows):
        raise MtkdError(
            f"{path}: {len(stored.idx)} predictions for the {len(rows)} rows of {file.task.title} "
            f"{file.split}, {len(missing)} rows have none and {len(extra)} ids are of no row; "
            "expected one for each row: the data is not that of the run, reproduce with this data"
        )
    outputs = align(stored, rows, file.task.labels)
    shape = (len(rows), max(len(file.task.labels), 1))
    if outputs.shape != shape or not np.isfinite(outputs).all():
        finite = np.isfinite(outputs).all(axis=tuple(range(1, outputs.ndim))).sum()
        raise MtkdError(
            f"{path}: outputs of shape {outputs.shape}, {finite} rows of them finite; expected "
            f"{shape}, all finite: the training has failed, look at its run"
        )
    return outputs


def as_strings(task: Task, outputs: np.ndarray) -> list[str]:
    """Predictions of outputs (N, C): the largest one's label, or the score cut to its range."""
    if not task.labels:
        scores = outputs[:, 0].clip(*SCORES) + 0.0  # -0.0 becomes 0.0
        return [f"{score:.3f}" for score in scores]
    strings = label_strings(task)
    return [strings[label] for label in outputs.argmax(axis=1)]


def constant(source: DataSource, file: UploadFile) -> Content:
    """A file without predictions: one value in every row, and as many rows as the test split."""
    strings = label_strings(file.task)
    if file.task.name == "wnli":
        value, why = strings[WNLI_LABEL], "not trained, majority class"
    elif strings:
        value, why = strings[FALLBACK_LABEL], "fallback, first label"
    else:
        value, why = f"{FALLBACK_SCORE:.3f}", "fallback, middle of the scale"
    count = OFFICIAL_ROWS[file.name]
    if has_split(source, file.task, file.split):
        count = len(load_examples(source, file.task, file.split))
    return Content(file, [value] * count, f"{why}: {value}", filled=True)


def has_split(source: DataSource, task: Task, split: str) -> bool:
    """Whether a data source has a split; a folder may have the task without its test file."""
    if missing_tasks(source, [task.name]):
        return False
    if source.kind != "folder":
        return True
    names = (tsv_name(task, split), f"{task.splits[split]}*.parquet")
    folders = task_folders(task, Path(source.path or "").expanduser())
    return any(any(folder.glob(name)) for folder in folders for name in names)


def write_submission(path: Path, contents: Sequence[Content]) -> None:
    """Write the zip, read it again and check it; only a sound one gets its name."""
    if path.is_dir():
        raise MtkdError(f"{path}: a folder; expected a file for the zip, as {path / 'glue.zip'}")
    try:
        with whole(path) as part:
            write_zip(part, contents)
            check_submission(part, {content.file.name: len(content.values) for content in contents})
    except OSError as error:
        raise MtkdError(
            f"{path}: {error.strerror}; expected to write the zip here: choose another --output"
        ) from error


def write_zip(path: Path, contents: Sequence[Content]) -> None:
    """All files side by side in one zip; the bytes depend on nothing but the predictions."""
    with zipfile.ZipFile(path, "w") as archive:
        for content in contents:
            lines = [HEADER, *(f"{row}\t{value}" for row, value in enumerate(content.values))]
            info = zipfile.ZipInfo(content.file.name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, wherever it is written
            info.external_attr = 0o644 << 16
            archive.writestr(info, "\n".join(lines) + "\n")


def check_submission(path: Path, rows: Mapping[str, int] = OFFICIAL_ROWS) -> None:
    """Read a zip and check it: `rows` are the rows of each file, without the header.

    Raises MtkdError for the first file that is missing, not known, damaged, or not as GLUE's
    server wants it.
    """
    expected = sorted(file.name for file in FILES)
    try:
        with zipfile.ZipFile(path) as archive:
            found = sorted(archive.namelist())
            if found != expected:
                raise MtkdError(
                    f"{path}: holds {', '.join(found) or 'nothing'}; expected exactly "
                    f"{', '.join(expected)}: run `mtkd submit` again"
                )
            texts = {name: archive.read(name).decode("ascii") for name in found}
    except UNREADABLE as error:
        raise MtkdError(
            f"{path}: not readable as a zip ({error}); expected one of `mtkd submit`: run it again"
        ) from error
    for file in FILES:
        if problem := file_problem(file, texts[file.name], rows[file.name]):
            raise MtkdError(f"{path}: {file.name}{problem}: run `mtkd submit` again")


def file_problem(file: UploadFile, text: str, rows: int) -> str | None:
    """The first thing that is wrong in one file, None if nothing is."""
    header, *lines = text.split("\n")
    if header != HEADER:
        return f":1: header {header[:40]!r}; expected {HEADER!r}"
    if not lines or lines.pop() != "" or len(lines) != rows:
        return f": {len(lines)} rows below the header; expected {rows}, each with its line break"
    strings = label_strings(file.task)
    expected = "one of " + ", ".join(strings) if strings else "0.000 to 5.000, three decimals"
    for row, line in enumerate(lines):
        index, _, value = line.partition("\t")
        if index != str(row):
            return f":{row + 2}: index {index[:40]!r}; expected {row}"
        if value not in strings if strings else not is_score(value):
            return f":{row + 2}: prediction {value[:40]!r}; expected {expected}"
    return None


def is_score(value: str) -> bool:
    return bool(re.fullmatch(r"[0-4]\.[0-9]{3}|5\.000", value))
