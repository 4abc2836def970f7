"""Tables, figures and scores of a recipe: pure functions of its finished records."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtkd import comparisons, figures, inspection, metrics, records, tables, targets
from mtkd.auxiliary import SLICES, SMALLEST, slice_rows
from mtkd.data import load_examples
from mtkd.ensembles import soft_targets
from mtkd.errors import MtkdError
from mtkd.recipes import Recipe, open_recipe
from mtkd.records import Record
from mtkd.runs import Run, expand, present_tasks, teacher_tasks
from mtkd.tasks import GLUE, Examples
from mtkd.workbench import OpenRun, prediction_file, run_folder

Knowledge = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Results:
    """A recipe's finished runs."""

    recipe: Recipe
    folder: Path
    runs: tuple[Run, ...]
    records: tuple[Record, ...]
    tasks: tuple[str, ...]

    @property
    def scores(self) -> pd.DataFrame:
        return records.collect(self.records)

    @property
    def teacher_tasks(self) -> tuple[str, ...]:
        return teacher_tasks(self.recipe, self.tasks)


def open_results(name: str) -> Results:
    """Finished runs of a recipe, by name or saved file. Raises MtkdError if there is none."""
    recipe, folder = open_recipe(name)
    runs = tuple(expand(recipe))
    done = [run for run in runs if (run_folder(folder, run) / "record.json").exists()]
    found = tuple(records.read_record(run_folder(folder, run)) for run in done)
    if not any(record.scores for record in found):
        raise MtkdError(
            f"{folder}: no finished run of recipe {recipe.name} has scores yet; run "
            f"`mtkd reproduce --recipe {recipe.name}`"
        )
    return Results(recipe, folder, runs, found, present_tasks(recipe)[0])


def write_results(results: Results) -> list[Path]:
    """Write scores.csv, tables/ and figures/ of a recipe; returns the files."""
    scores = results.scores
    text = io.StringIO()
    scores.round({"value": 6}).to_csv(text, index=False, lineterminator="\n")
    path = results.folder / "scores.csv"
    records.write_text(path, text.getvalue())
    written = tables.write_tables(scores, results.folder, results.records)
    written += comparisons.write_comparisons(scores, slice_scores(results), results.folder)
    written += figures.write_figures(
        scores,
        results.records,
        results.folder,
        teacher_tasks=results.teacher_tasks,
        knowledge=teacher_knowledge(results),
    )
    return [path, *written]


def open_teachers(results: Results) -> OpenRun | None:
    """The teachers of the first seed, if they are finished."""
    finished = {record.run_id for record in results.records}
    for run in results.runs:
        if run.stage == "teachers" and run.run_id in finished:
            return OpenRun(results.recipe, run, results.folder, results.tasks)
    return None


def teacher_knowledge(results: Results) -> Knowledge:
    """Soft targets, training labels and (toy) clean labels of the tasks with teachers."""
    opened = open_teachers(results)
    if opened is None:
        return {}
    known: Knowledge = {}
    for task in results.teacher_tasks:
        if GLUE[task].labels:
            examples, soft = taught(opened, task)
            if examples.label is not None:
                known[task] = (soft, examples.label, examples.clean)
    return known


def taught(opened: OpenRun, task: str) -> tuple[Examples, np.ndarray]:
    """A task's training examples and the teachers' soft targets (N, C) for them."""
    examples = load_examples(opened.recipe.data, GLUE[task], "train")
    return examples, soft_targets(opened, task, examples.idx)


def surprising_examples(results: Results, task: str, count: int = 8, **how: Any) -> pd.DataFrame:
    """Training examples whose gold label the teachers doubt most."""
    opened = open_teachers(results)
    if opened is None:
        raise MtkdError(f"{results.folder}: no teachers are finished yet; run `mtkd reproduce`")
    examples, soft = taught(opened, task)
    return inspection.unsure_examples(examples, soft, count, **how)


def slice_scores(results: Results) -> pd.DataFrame:
    """Dev scores of every main system on the named slices: system, seed, task, slice, n, value.

    From stored predictions; `value` is the task's score in points, over the `n` dev examples in
    the slice (both of MNLI's sets). Slices that hold all of a task's examples, or hardly any, are
    left out.
    """
    texts = {
        task: [
            load_examples(results.recipe.data, GLUE[task], split)
            for split in GLUE[task].splits
            if split.startswith("dev")
        ]
        for task in results.tasks
    }
    rows = [
        {"system": system, "seed": record.seed, **row}
        for system in tables.system_order(results.scores)
        for record in results.records
        if system in scored(record)
        for row in slice_rows_of(results, record, system, texts)
    ]
    return pd.DataFrame(rows, columns=["system", "seed", "task", "slice", "n", "value"])


def scored(record: Record) -> set[str]:
    """Systems of a run that have stored predictions and scores."""
    return {score.system for score in record.scores}


def slice_rows_of(
    results: Results, record: Record, system: str, texts: Mapping[str, Sequence[Examples]]
) -> Iterator[dict[str, Any]]:
    for task, splits in texts.items():
        for name in SLICES:
            outputs, labels = [], []
            for examples in splits:
                rows = slice_rows(examples, name)
                path = prediction_file(results.folder, record.run_id, system, task, examples.split)
                stored = targets.align(
                    targets.read_predictions(path), examples.idx, GLUE[task].labels
                )
                if examples.label is not None:
                    outputs.append(stored[rows])
                    labels.append(examples.label[rows])
            count, whole = sum(map(len, labels)), sum(map(len, splits))
            if SMALLEST <= count <= 0.9 * whole:
                found = metrics.compute(GLUE[task], np.concatenate(outputs), np.concatenate(labels))
                value = metrics.task_score(GLUE[task], found)
                yield {"task": task, "slice": name, "n": count, "value": value}


def times(results: Results) -> pd.DataFrame:
    """Wall time, training time and peak memory by stage."""
    frame = pd.DataFrame(
        {
            "stage": record.stage,
            "runs": 1,
            "minutes": record.wall_seconds / 60,
            "training minutes": record.training_seconds / 60,
            "peak memory, MiB": record.peak_memory_mib,
        }
        for record in results.records
    )
    how = {"runs": "sum", "minutes": "sum", "training minutes": "sum", "peak memory, MiB": "max"}
    return frame.groupby("stage", sort=False).agg(how).round(1)


BLOCK = ("<!-- results:begin (made by `mtkd report`) -->", "<!-- results:end -->")


def readme_block(folder: Path) -> str:
    """What the README shows of the demo: its main figure and the summary, as committed."""
    figure = "![Dev scores of all systems](results/demo/figures/dev_scores.png)"
    summary = (folder / "tables" / "summary.md").read_text(encoding="utf-8").strip()
    words = (
        "Dev scores in points: mean over seeds, 95 % bootstrap interval. Gains are over MT-DNN, "
        "paired by seed. Paper: BERT-large on GLUE, another encoder and benchmark, so compare "
        "directions and not levels. Every task, with the paper's cells: "
        "[scores](results/demo/tables/glue_dev.md), [differences](results/demo/tables/ablation.md)."
    )
    return "\n\n".join([BLOCK[0], summary, words, figure, BLOCK[1]])


def update_readme(readme: Path, folder: Path) -> None:
    """Put the block between its two marks in the README."""
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BLOCK[0])
    after = rest.split(BLOCK[1])[1]
    records.write_text(readme, before + readme_block(folder) + after)
