"""A run at work: its folders, its examples, and the record that it ends with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mtkd.common.files import remove
from mtkd.common.locks import locked
from mtkd.data.loading import load_examples
from mtkd.data.tasks import Examples
from mtkd.experiments.processes import train_together
from mtkd.experiments.records import (
    Outcome,
    Record,
    current_record,
    environment,
    model_folder,
    output_digests,
    outputs_of,
    parent_results,
    peak_memory_mib,
    read_record,
    remove_results,
    result_digest,
    run_folder,
    tell,
    write_record,
)
from mtkd.experiments.settings import Recipe
from mtkd.experiments.task_sets import scored_only, teacher_tasks

if TYPE_CHECKING:  # planning is not part of what a run rests on
    from mtkd.experiments.runs import Run


@dataclass(frozen=True)
class RunContext:
    """A run and the folders it works in."""

    recipe: Recipe
    run: Run
    results: Path  # results/<recipe>
    tasks: tuple[str, ...]  # those that the data source has

    @property
    def folder(self) -> Path:
        return run_folder(self.results, self.run.run_id)

    @property
    def model_folder(self) -> Path:
        return model_folder(self.results, self.run.run_id)

    @property
    def scored_only(self) -> tuple[str, ...]:
        """WNLI and AX, where the data source has them."""
        return scored_only(self.recipe)

    @property
    def teacher_tasks(self) -> tuple[str, ...]:
        return teacher_tasks(self.recipe, self.tasks)

    @property
    def processes(self) -> int:
        """How many make this run together."""
        return self.recipe.processes if self.run.spreads else 1

    def execute(self) -> Record:
        """The run's record: read where it is there and current, else made now.

        What an interrupted call has finished is kept: its parts, and the epochs of the part at
        which it stopped.
        """
        if record := current_record(self.results, self.run):
            return record
        with locked(self.folder / "lock"):  # a notebook opened by hand may be at it, too
            return current_record(self.results, self.run) or self.make()

    def make(self) -> Record:
        """Make the run now."""
        if (self.folder / "record.json").exists():
            print(f"{self.run.run_id}: made by other code, or not whole; it is made again")
            remove_results(self.results, self.run.run_id)
        if self.processes > 1:
            train_together(self)
            return read_record(self.folder)
        began = time.perf_counter()
        outcome = self.run.train(self)
        return finish(self, outcome, time.perf_counter() - began)


def read_examples(context: RunContext, task: str, split: str) -> Examples:
    """The text of one split, from the recipe's data source; prints what is odd about its file."""
    examples = load_examples(context.recipe.data, context.recipe.task(task), split)
    if examples.notice:
        tell(examples.notice)
    return examples


def finish(context: RunContext, outcome: Outcome, wall_seconds: float) -> Record:
    """Write the run's record, which marks it as done, and clear what was kept for a resume."""
    run, results = context.run, context.results
    scores, details = outcome
    histories = details.get("histories", {})
    seconds = sum(e["seconds"] for history in histories.values() for e in history["epochs"])
    outputs = outputs_of(results, run.run_id)
    digests = output_digests(results, outputs)
    record = Record(
        run_id=run.run_id,
        config_id=run.config_id,
        recipe=context.recipe.name,
        stage=run.stage,
        variant=run.variant,
        seed=run.seed,
        parents=parent_results(results, run),
        settings=run.settings,
        stamp=run.stamp,
        result=result_digest(scores, outputs, digests),
        outputs=outputs,
        digests=digests,
        scores=tuple(scores),
        details=details | {"cost": run.cost},
        wall_seconds=round(wall_seconds, 2),
        training_seconds=round(seconds, 2),
        peak_memory_mib=peak_memory_mib(),
        environment=environment() | {"processes": context.processes},
    )
    write_record(context.folder, record)
    for kept in ("checkpoints", "parts"):
        remove(context.folder / kept)
    return record
