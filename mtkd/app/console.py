"""What the commands print as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtkd.app.freshness import due_trainings
from mtkd.app.reproduce import KERNEL_COST
from mtkd.common.progress import duration
from mtkd.data.tasks import Task
from mtkd.experiments.plans import notices
from mtkd.experiments.recipes import results_folder
from mtkd.experiments.records import Record, read_record, run_folder
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from mtkd.analysis.costs import Costs
    from mtkd.app.submission import Submission
    from mtkd.method.export.folder import Report


def show_plan(recipe: Recipe, runs: Sequence[Run], jobs: int, costs: Costs | None = None) -> None:
    """The runs by stage, what the data lacks, and the time left; hours and memory if measured."""
    results = results_folder(recipe)
    due = due_trainings(runs, results)
    table = Table(title=f"recipe {recipe.name}", title_justify="left")
    measured = ("time", "GiB a run") if costs else ()
    for name in ("stage", "runs", "done", "examples to train on", *measured):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in (*dict.fromkeys(run.stage for run in runs), "all"):
        mine = [run for run in runs if stage in (run.stage, "all")]
        todo = [run for run in mine if run.run_id in due]
        cells = [str(len(mine)), str(len(mine) - len(todo)), f"{sum(r.cost for r in todo):,.0f}"]
        if costs:
            seconds, memory = costs.seconds(todo), costs.memory_gib(todo)
            cells.append("not known" if seconds is None else duration(seconds / jobs))
            cells.append("-" if memory is None else f"{memory:.1f}")
        table.add_row(stage, *cells)
    console = Console()
    console.print(table)
    lines, rate = notices(recipe), None
    if costs:
        lines += costs.lines
        seconds, examples = costs.seconds(list(due.values())), sum(r.cost for r in due.values())
        rate = seconds / examples if seconds else None
    for line in (*lines, time_line(recipe, runs, jobs, rate)):
        console.print(line, soft_wrap=True)


def time_line(recipe: Recipe, runs: Sequence[Run], jobs: int, seconds: float | None = None) -> str:
    """The time left, from finished runs, else from the `seconds` of one training example."""
    results = results_folder(recipe)
    due = due_trainings(runs, results)
    done = [run_folder(results, run.run_id) for run in runs if run.run_id not in due]
    rate = seconds_per_example([read_record(folder) for folder in done])
    if not due:
        return "nothing left to run"
    if rate is None and seconds is None:
        return "time: not known before the first run has finished on this machine"
    whence = "the runs finished so far" if rate else "a few batches on this machine"
    left = sum(run.cost + KERNEL_COST for run in due.values()) * (rate or seconds or 0) / jobs
    return f"time left, from {whence}: about {duration(left)}"


def seconds_per_example(finished: Sequence[Record]) -> float | None:
    """Measured time of one training example on this machine, from finished runs."""
    cost = sum(r.details["cost"] for r in finished if r.training_seconds)
    seconds = sum(r.training_seconds for r in finished if r.training_seconds)
    return seconds / cost if cost else None


def show_submission(system: str, made: Submission) -> None:
    """What each file of a zip for GLUE's server holds."""
    table = Table(title=f"{system}, {made.run_id}", title_justify="left")
    for name in ("file", "rows", "predictions"):
        table.add_column(name, justify="right" if name == "rows" else "left")
    for content in made.contents:
        table.add_row(content.file.name, f"{len(content.values):,}", content.source)
    Console().print(table)
    print(f"filled, not predicted: {', '.join(made.filled)}")
    if made.unofficial:
        print(
            f"not the size of GLUE's test sets: {', '.join(made.unofficial)}; GLUE's server does "
            "not take this zip"
        )
    print(f"written and checked: {made.path}")


def show_export(report: Report, folder: Path) -> None:
    """What an export was checked for, and what int8 changes."""
    import pandas as pd

    from mtkd.method.export import card

    parity = pd.DataFrame(card.parity_rows(report), columns=card.PARITY_HEAD)
    print_frame(parity, "largest difference of scores from torch")
    if report.changes:
        frame = pd.DataFrame(card.change_rows(report), columns=card.CHANGE_HEAD)
        print_frame(frame, "int8, in points, with the change's 95 % interval over texts")
    print(f"int8: {report.int8}")
    mib = {name: size / 2**20 for name, size in report.sizes.items()}
    graphs = ", ".join(f"{name} {size:.1f} MiB" for name, size in mib.items() if "onnx/" in name)
    print(f"written and checked: {folder} ({sum(mib.values()):.1f} MiB; {graphs})")


def show_tasks(tasks: Sequence[Task]) -> None:
    """What is known of tasks of one's own, one row each."""
    from mtkd.analysis.data_checks import task_row

    table = Table(title="tasks", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    rows = [task_row(task) for task in tasks]
    for head in rows[0]:
        table.add_column(head, overflow="fold", no_wrap=head in ("task", "kind"))
    for row in rows:
        table.add_row(*map(Text, row.values()))
    Console().print(table)


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """A frame of text as a table, first column left and the others right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, name in enumerate(frame.columns):
        table.add_column(Text(str(name)), justify="right" if number else "left", overflow="fold")
    for row in frame.to_numpy().tolist():
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)
