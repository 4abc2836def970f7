"""What of a recipe is done and what is due: one answer for `plan`, `status` and `reproduce`.

A run is done when it has a record that today's code would make again, with all its outputs. Its
notebook is executed again, without any training, when its code has changed. Parameters and saved
outputs of a notebook are not code.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtkd.common import paths
from mtkd.common.code import code_digest, find_file, imported_names
from mtkd.common.errors import MtkdError
from mtkd.common.sums import altered, noted
from mtkd.experiments.recipes import as_yaml
from mtkd.experiments.records import current_record, run_folder
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe

REPORTS = ("07_glue_results", "08_ablations", "09_open_questions")  # notebooks of a whole recipe
PARAMETERS = {"parameters", "injected-parameters"}  # tags of the cells that are no code


@dataclass(frozen=True)
class Due:
    """What `reproduce` has to do."""

    trainings: tuple[Run, ...]  # runs without a current record, and all that rest on them
    notebooks: tuple[Run, ...]  # runs whose notebook is to be executed: those, and changed ones
    reports: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.notebooks or self.reports)


def due_trainings(runs: Sequence[Run], results: Path, *, models: bool = True) -> dict[str, Run]:
    """Runs without a current record, by id; `runs` have parents before children.

    Without `models`, theirs need not be there: what a run has predicted will do.
    """
    trainings: dict[str, Run] = {}
    for run in runs:
        waiting = any(parent.run_id in trainings for parent in run.parents)
        if waiting or current_record(results, run, models=models) is None:
            trainings[run.run_id] = run
    return trainings


def find_due(recipe: Recipe, runs: Sequence[Run], results: Path, *, reports: bool = True) -> Due:
    """What is missing or stale; `runs` have parents before children."""
    trainings = due_trainings(runs, results)
    notebooks = [
        run
        for run in runs
        if run.run_id in trainings
        or not executed(results, run.run_id, done_file(results, run), notebook_mark(run.notebook))
    ]
    due = [
        name
        for name in (REPORTS if reports else ())
        if trainings
        or not executed(results, name, report_file(results, name), report_mark(recipe, runs, name))
        or (name == REPORTS[0] and altered(results))  # which writes tables, figures and pages
    ]
    return Due(tuple(trainings.values()), tuple(notebooks), tuple(due))


def clear_marks(results: Path, due: Due) -> None:
    """Take away the marks of what is due, so that Snakemake makes it; records stay in place.

    And what went wrong with it before.
    """
    for run in due.notebooks:
        done_file(results, run).unlink(missing_ok=True)
    for name in due.reports:
        report_file(results, name).unlink(missing_ok=True)
    for name in (*(run.run_id for run in due.notebooks), *due.reports):
        (run_folder(results, name) / "error.txt").unlink(missing_ok=True)


def done_file(results: Path, run: Run) -> Path:
    """The file that says that a run's notebook was executed, and what code and copy it had."""
    return run_folder(results, run.run_id) / "done"


def report_file(results: Path, name: str) -> Path:
    return results / "reports" / f"{name}.done"


def executed(results: Path, name: str, done: Path, mark: str) -> bool:
    """Whether a notebook of this mark was executed, and its copy is as it was then."""
    copy = paths.executed_copy(results, name)
    there = done.is_file() and copy.is_file()
    return there and done.read_text(encoding="utf-8", errors="replace") == noted(mark, copy)


def notebook_mark(name: str) -> str:
    """Digest of a notebook's code."""
    return hashlib.sha256(notebook_code(paths.NOTEBOOKS / f"{name}.ipynb").encode()).hexdigest()


def report_mark(recipe: Recipe, runs: Sequence[Run], name: str) -> str:
    """Digest of all that a report shows: its notebook, the library's code, recipe and runs."""
    code = notebook_code(paths.NOTEBOOKS / f"{name}.ipynb")
    try:
        names = imported_names(ast.parse(code).body, "")
    except SyntaxError as error:
        raise MtkdError(
            f"{paths.NOTEBOOKS / name}.ipynb: not valid Python ({error.msg}: "
            f"{(error.text or '').strip()}); the notebooks of a report have plain Python alone"
        ) from None
    modules = {name for name in names if name.startswith("mtkd.") and find_file(name)}
    shown = replace(recipe, processes=1)  # which no report shows
    rests_on = sorted(f"{run.run_id} {run.stamp}" for run in runs)
    parts = [code, code_digest(*sorted(modules)), as_yaml(shown), *rests_on]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def notebook_code(notebook: Path) -> str:
    """A notebook's code without its parameters: nothing that running or saving it changes."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = [
            "".join(cell["source"])
            for cell in cells
            if cell["cell_type"] == "code"
            and not PARAMETERS & set(cell["metadata"].get("tags", ()))
        ]
    except FileNotFoundError:
        raise MtkdError(f"{notebook}: no such notebook") from None
    except (ValueError, KeyError, TypeError):
        raise MtkdError(
            f"{notebook}: not a notebook; expected JSON with cells: bring it back with "
            f"`git checkout notebooks/{notebook.name}`"
        ) from None
    return "".join(f"# %%\n{source}\n" for source in code if source.strip())
