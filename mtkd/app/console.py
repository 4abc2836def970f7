"""What the commands print as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtkd.app.reproduce import (
    KERNEL_COST,
    plan_rows,
    rate_elsewhere,
    read_runs,
    results_folder,
    seconds_per_example,
)
from mtkd.common.errors import MtkdError
from mtkd.common.progress import duration
from mtkd.experiments.plans import notices
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe

if TYPE_CHECKING:
    import pandas as pd

    from mtkd.app.submission import Submission


def show_plan(recipe: Recipe, runs: Sequence[Run], jobs: int) -> None:
    """The runs by stage, what the data lacks, and the time left."""
    results = results_folder(recipe)
    console = Console()
    table = Table(title=f"recipe {recipe.name}", title_justify="left")
    for name in ("stage", "runs", "done", "examples to train on"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    rows = plan_rows(recipe, results, runs)
    for stage, count, done, cost in rows:
        table.add_row(stage, str(count), str(done), f"{cost:,.0f}")
    todo = sum(count - done for _, count, done, _ in rows)
    table.add_row("all", str(len(runs)), str(len(runs) - todo), f"{sum(r[3] for r in rows):,.0f}")
    console.print(table)
    for line in notices(recipe):
        console.print(line, soft_wrap=True)
    rate, of = seconds_per_example(read_runs(results, runs)), "the runs finished so far"
    if todo and rate is None and (other := rate_elsewhere(recipe)):
        rate, of = other[0], f"the finished runs of {other[1]}"
    if not todo:
        console.print("nothing left to run")
    elif rate is None:
        console.print("time: not known before the first run has finished on this machine")
    else:
        seconds = (sum(r[3] for r in rows) + KERNEL_COST * todo) * rate / jobs
        console.print(f"time left, from {of}: about {duration(seconds)}")


def show_costs(recipe: Recipe, name: str) -> None:
    """What the main table would cost on a device, and what that rests on."""
    from mtkd.analysis.costs import (  # pandas is slow to import, for a mere plan
        DEVICES,
        stage_costs,
    )

    if name not in DEVICES:
        raise MtkdError(f"--device {name!r}: expected one of {', '.join(DEVICES)}")
    device = DEVICES[name]
    costs = stage_costs(recipe, device)
    console = Console()
    table = Table(title=f"one {device.title}, without studies", title_justify="left")
    for head in ("stage", "runs", "training, h", "prediction, h", "memory, GiB"):
        table.add_column(head, justify="left" if head == "stage" else "right")
    for cost in costs:
        hours = (f"{cost.train_hours:.1f}", f"{cost.predict_hours:.1f}")
        table.add_row(cost.stage, str(cost.runs), *hours, f"{cost.memory_gib:.0f}")
    both = (sum(c.train_hours for c in costs), sum(c.predict_hours for c in costs))
    largest = max(cost.memory_gib for cost in costs)
    runs = sum(cost.runs for cost in costs)
    table.add_row("all", str(runs), *(f"{hours:.1f}" for hours in both), f"{largest:.0f}")
    console.print(table)
    console.print(
        f"rests on {device.teraflops:g} TFLOP/s, {device.terabytes:g} TB/s and steps at "
        f"{100 * device.share:g} % of the floor's speed ({device.source}); token counts of "
        "mtkd/analysis/lengths.csv, where QQP and MNLI are assumed",
        soft_wrap=True,
    )


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


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """A frame of text as a table, first column left and the others right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, name in enumerate(frame.columns):
        table.add_column(Text(str(name)), justify="right" if number else "left", overflow="fold")
    for row in frame.to_numpy().tolist():
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)
