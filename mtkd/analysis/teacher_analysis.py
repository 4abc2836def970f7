"""What is learnt beside the score: corrected labels, agreement with the teachers, calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtkd.analysis.calibration import calibration_error
from mtkd.analysis.charts import rows_figure
from mtkd.analysis.colours import BLUE
from mtkd.analysis.evaluations import Outputs, dev_labels, dev_outputs, pooled_reliability
from mtkd.analysis.results import Results, finished_teachers, training_targets
from mtkd.analysis.systems import ENSEMBLE, system_order, system_title, task_title
from mtkd.analysis.tables import averages, printed
from mtkd.analysis.views import View
from mtkd.data.tasks import GLUE

NOISE = {
    "noisy": "Wrong labels, % of all",
    "corrected": "Corrected, % of the wrong labels",
    "contradicted": "Contradicted, % of the right labels",
}
HABITS = {
    "agreement": "Answers as the ensemble, % of dev examples",
    "calibration": "Calibration error, %",
}


def teacher_views(results: Results) -> list[View]:
    """What the soft targets say of wrong labels, and what the systems have of the ensemble."""
    noise, habits = label_noise(results), system_habits(results)
    tasks = {task: task_title(task) for task in noise["system"]}
    systems = {system: system_title(system) for system in habits["system"]}
    views = [
        View(
            name="label_noise",
            title="Do soft targets correct wrong labels?",
            caption="Training labels of the tasks with teachers, where the right ones are "
            "known: at how many wrong labels is the soft target highest at the right one, and "
            "at how many right labels is it highest elsewhere?",
            notes=("The teachers' soft targets are of examples that they were trained on.",),
            table=printed(noise, NOISE, names=tasks, first="Task"),
            values=noise,
            figure=rows_figure(noise, tasks, NOISE, hues=dict.fromkeys(tasks, BLUE)),
        ),
        View(
            name="agreement",
            title="Does the student answer as its teachers do?",
            caption="How many dev examples a system answers as the ensemble does (mean over "
            "classification tasks), and whether its probabilities mean what they say.",
            notes=("Calibration error is the expected one (ECE) of all class predictions.",),
            table=printed(habits, HABITS),
            values=habits,
            figure=rows_figure(habits, systems, HABITS),
        ),
    ]
    return [view for view in views if view.values is not None and len(view.values)]


def label_noise(results: Results) -> pd.DataFrame:
    """What the soft targets say of wrong training labels, where the right ones are known.

    Numbers by task ("system") and measure of NOISE ("task"), in %.
    """
    rows = []
    for opened in finished_teachers(results):
        for task in results.teacher_tasks:
            if not GLUE[task].labels:
                continue
            examples, soft = training_targets(opened, task)
            if examples.clean is None or examples.label is None:
                continue
            wrong, right = examples.label != examples.clean, soft.argmax(axis=1) == examples.clean
            if wrong.any() and not wrong.all():
                found = (wrong.mean(), right[wrong].mean(), 1 - right[~wrong].mean())
                rows += [(task, one, 100 * x) for one, x in zip(NOISE, found, strict=True)]
    return averages(pd.DataFrame(rows, columns=["system", "task", "value"]))


def system_habits(results: Results) -> pd.DataFrame:
    """Agreement with the ensemble (none of its own) and calibration error by system, in %.

    Numbers by measure of HABITS ("task").
    """
    gold = dev_labels(results)
    found = {s: dev_outputs(results, s, gold) for s in system_order(results.scores)}
    rows = []
    for system, outputs in found.items():
        for seed in sorted({one.seed for one in outputs}):
            mine = [one for one in outputs if one.seed == seed]
            teachers = [one for one in found.get(ENSEMBLE, []) if one.seed == seed]
            bins = pooled_reliability(mine)
            alike = np.nan if system == ENSEMBLE else agreement(mine, teachers)
            error = np.nan if bins is None else 100 * calibration_error(bins)
            rows += [(system, "agreement", alike), (system, "calibration", error)]
    return averages(pd.DataFrame(rows, columns=["system", "task", "value"]))


def agreement(outputs: Sequence[Outputs], others: Sequence[Outputs]) -> float:
    """Mean over classification tasks of the examples, in %, that both answer alike; or NaN."""
    answers = {one.task: one.values.argmax(axis=1) for one in others if GLUE[one.task].labels}
    shares = [
        100 * float(np.mean(one.values.argmax(axis=1) == answers[one.task]))
        for one in outputs
        if one.task in answers
    ]
    return float(np.mean(shares)) if shares else float("nan")
