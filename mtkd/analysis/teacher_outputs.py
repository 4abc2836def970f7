"""Teachers before any student: their scores, calibration and agreement on the dev sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mtkd.analysis.colours import BLUE, GREY
from mtkd.analysis.evaluations import Outputs, alike, calibration, sure_and_right
from mtkd.analysis.markup import NOTHING
from mtkd.analysis.plotting import Plot, grid_lines, styled
from mtkd.analysis.results import finished
from mtkd.analysis.systems import task_title
from mtkd.analysis.views import View
from mtkd.data.metrics import compute, task_score
from mtkd.data.tasks import is_dev
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.plans import runs_of
from mtkd.experiments.records import read_record, run_folder
from mtkd.experiments.stored import stored_predictions
from mtkd.experiments.systems.teachers import members_of, teacher_system
from mtkd.method.targets import align

BINS = 10  # of confidence in the figure


@dataclass(frozen=True)
class Heard:
    """A teacher of one task, and what it says on the task's dev sets."""

    teacher: str
    outputs: Outputs


def teachers_heard(context: RunContext) -> list[Heard]:
    """The members of a teachers run, task by task, on the tasks with soft targets."""
    names = {run.run_id: run.variant for run in context.run.ancestors}  # candidates, given ones
    record = read_record(run_folder(context.results, context.run.run_id))
    tuned = {teacher_system(one["variant"]): one["variant"] for one in record.details["ranking"]}
    return [
        Heard(
            tuned[system] if run_id == context.run.run_id else names[run_id],
            on_dev(context, run_id, system, task),
        )
        for task in context.teacher_tasks
        for run_id, system in members_of(context, task)
    ]


def given_heard(context: RunContext) -> list[Heard]:
    """The given teachers of a run's recipe that have been heard so far, this run's first."""
    found = finished(context.results, runs_of(context.recipe, "given"))
    first = sorted(found, key=lambda record: record.run_id != context.run.run_id)
    return [
        Heard(
            record.variant,
            on_dev(context, record.run_id, record.details["systems"][0], record.details["task"]),
        )
        for record in first
    ]


def on_dev(context: RunContext, run_id: str, system: str, task: str) -> Outputs:
    """Stored outputs of a system on all dev sets of a task, beside the labels."""
    known, values, labels = context.recipe.task(task), [], []
    for split in filter(is_dev, known.splits):
        examples = read_examples(context, task, split)
        stored = stored_predictions(context.results, run_id, system, task, split)
        if examples.label is not None:
            values.append(align(stored, examples.idx, known.labels))
            labels.append(examples.label)
    return Outputs(known, context.run.seed, np.concatenate(values), np.concatenate(labels))


def teachers_table(heard: Sequence[Heard]) -> View:
    """Teachers side by side."""
    rows = []
    for one in heard:
        mine, task = one.outputs, one.outputs.task
        others = [two.outputs for two in heard if two is not one and two.outputs.task == task]
        error, surplus = calibration([mine])
        numbers = {
            "Dev score": task_score(task, compute(task, mine.values, mine.label)),
            "Calibration error, %": 100 * error,
            "Confidence less accuracy, %": 100 * surplus,
            "Answers as the others, %": float(
                np.mean([alike(mine, two) for two in others] or [np.nan])
            ),
        }
        words = {
            key: NOTHING if np.isnan(x) else f"{round(x, 1) + 0:.1f}" for key, x in numbers.items()
        }
        rows.append({"Task": task_title(task.name), "Teacher": one.teacher} | words)
    return View(
        name="teachers_on_dev",
        title="The teachers, one by one",
        caption="What each teacher knows of a task, on its dev set, before any student is trained.",
        notes=(
            "Confidence is the mean probability of the answer, of each label by itself where a "
            "text may have several: above the accuracy a teacher is too sure of itself. The last "
            "column is the mean over the other teachers of the task; of scores, the correlation.",
        ),
        table=pd.DataFrame(rows),
        section="teachers",
    )


def confusions(outputs: Outputs, count: int = 10) -> pd.DataFrame:
    """The most frequent mistakes of a classifier: label, answer, how often; else empty."""
    if outputs.task.kind in ("regression", "multilabel"):
        return pd.DataFrame(columns=["label", "answer", "examples"])
    names = np.array(outputs.task.labels)
    pairs = pd.DataFrame(
        {
            "label": names[outputs.label.astype(np.int64)],
            "answer": names[outputs.values.argmax(1)],
        }
    )
    wrong = pairs[pairs["label"] != pairs["answer"]]
    return wrong.value_counts().head(count).rename("examples").reset_index()


@styled
def reliability_figure(outputs: Outputs) -> Plot:
    """Accuracy by confidence beside the line where they are equal; of scores, label and answer."""
    figure = Plot(figsize=(4.2, 4), layout="constrained")
    draw_reliability(figure.subplots(), outputs)
    return figure


def draw_reliability(axes: Axes, outputs: Outputs) -> None:
    """As `reliability_figure`, into axes that are there already."""
    if outputs.task.kind == "regression":
        axes.plot(outputs.label, outputs.values[:, 0], ".", color=BLUE, alpha=0.4)
        axes.set(xlabel="score in the data", ylabel="the teacher's score")
    else:
        sure, right = sure_and_right(outputs)
        place = np.minimum((sure * BINS).astype(int), BINS - 1)
        counts = np.bincount(place, minlength=BINS)
        there = counts > 0
        x, y = (np.bincount(place, one, BINS)[there] / counts[there] for one in (sure, right))
        axes.scatter(x, y, s=20 + 400 * counts[there] / len(sure), color=BLUE, alpha=0.8)
        axes.set(xlabel="confidence", ylabel="accuracy (area: how many answers)")
    draw_diagonal(axes)
    grid_lines(axes, "both")


def draw_diagonal(axes: Axes) -> None:
    low = min(axes.get_xlim()[0], axes.get_ylim()[0])
    high = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, zorder=0)
