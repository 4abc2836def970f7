"""Scores to compare, read and checked: a results folder's, the committed demo's, the paper's."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mtkd.analysis.paper import paper_dev
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.experiments.records import COLUMNS, SCHEMA, read_record

COMMITTED, PAPER = "committed", "paper"  # words in place of a folder
DEMO_SCORES = "results/reference/demo/scores.csv"  # in the checkout: everybody has them


@dataclass(frozen=True)
class Source:
    """Tidy scores (the columns of `records.collect`) and what tables and figures call them."""

    label: str
    scores: pd.DataFrame
    printed: bool = False  # the paper's cells: one number each, no seeds


def open_sources(names: Sequence[str]) -> list[Source]:
    """Scores by folder, by recipe name, or by the words "committed" and "paper"; labels differ.

    A single name is compared with the committed demo, which then comes first. Raises MtkdError
    for a folder that is not there, has no scores, or is of another schema.
    """
    found: list[Source] = []
    for name in [COMMITTED, *names] if len(names) == 1 else names:
        source = open_source(name)
        found.append(replace(source, label=_label(source.label, name, [s.label for s in found])))
    return found


def _label(short: str, name: str, taken: Sequence[str]) -> str:
    # Two folders of one name go by what the user typed, the same folder twice by a number.
    if short not in taken:
        return short
    return name if name not in taken else f"{name} ({len(taken) + 1})"


def open_source(name: str) -> Source:
    """One of the sources that `open_sources` names."""
    if name == PAPER:
        # Table 3 of the KD paper: its one number per metric stands as the score of a seed 0.
        return Source(PAPER, paper_dev().assign(seed=0).reindex(columns=COLUMNS), printed=True)
    if name == COMMITTED:
        return Source(COMMITTED, parse_scores(committed_text(), f"{DEMO_SCORES} in git's HEAD"))
    folder = find_folder(name)
    for path in sorted(folder.glob("runs/*/record.json")):
        read_record(path.parent)  # refuses another schema
    path = folder / "scores.csv"
    return Source(folder.resolve().name, parse_scores(path.read_text(encoding="utf-8"), str(path)))


def find_folder(name: str) -> Path:
    """The folder with scores.csv: of a recipe by name, else a path. Raises MtkdError if none."""
    folder = paths.results() / name
    folder = folder if folder.is_dir() else Path(name)
    if not folder.is_dir():
        raise MtkdError(
            f"{name}: no such folder, and no results of a recipe of that name in "
            f"{paths.results()}; expected a folder with scores.csv, a recipe, "
            f"{COMMITTED!r} or {PAPER!r}"
        )
    if not (folder / "scores.csv").is_file():
        raise MtkdError(f"{folder}: no scores.csv there; `mtkd reproduce` writes it at its end")
    return folder


def committed_text() -> str:
    """The demo's scores.csv as in git's HEAD, whatever a later run wrote over the file."""
    command = ["git", "show", f"HEAD:./{DEMO_SCORES}"]
    try:
        done = subprocess.run(
            command, cwd=paths.home(), capture_output=True, encoding="utf-8", timeout=30
        )
        if done.returncode == 0:
            return done.stdout
        reason = " ".join(done.stderr.split())
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    raise MtkdError(
        f"{COMMITTED}: git does not give {DEMO_SCORES} of this checkout ({reason}); name the "
        "folder of an untouched copy instead"
    )


def parse_scores(text: str, where: str) -> pd.DataFrame:
    """Tidy scores from CSV, which an error calls `where`.

    Raises MtkdError for columns of another schema, values that are no numbers, and no rows.
    """
    try:
        scores = pd.read_csv(io.StringIO(text))
    except pd.errors.EmptyDataError:
        scores = pd.DataFrame(columns=COLUMNS)
    except pd.errors.ParserError as error:
        raise MtkdError(f"{where}: not a CSV file ({error}); reproduce again") from None
    differing = [f"{name} is missing" for name in COLUMNS if name not in scores]
    differing += [f"{name} is unknown" for name in scores if name not in COLUMNS]
    if differing:
        raise MtkdError(
            f"{where}: not the columns of schema {SCHEMA}: {', '.join(differing)} (expected "
            f"{', '.join(COLUMNS)}); made by another version of mtkd: compare with that version, "
            "or reproduce with this one"
        )
    if scores.empty:
        raise MtkdError(f"{where}: no scores in it; `mtkd reproduce` writes them at its end")
    try:
        return scores.astype({"value": "float64", "seed": "int64"})
    except ValueError as error:
        raise MtkdError(f"{where}: a value or seed is not a number ({error})") from None
