"""What is learnt beside the score: corrected labels, agreement with the teachers, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mtkd.analysis.calibration import calibration_error, mean_accuracy, mean_confidence
from mtkd.analysis.colours import BLUE
from mtkd.analysis.evaluations import Outputs, dev_labels, dev_outputs, pooled_reliability
from mtkd.analysis.markup import NOTHING
from mtkd.analysis.plotting import colour
from mtkd.analysis.results import (
    Results,
    finished_teachers,
    open_teachers,
    surprising_examples,
    training_targets,
)
from mtkd.analysis.statistics import estimate
from mtkd.analysis.study_figures import rows_figure
from mtkd.analysis.study_tables import printed
from mtkd.analysis.systems import ENSEMBLE, system_order, system_title, task_title
from mtkd.analysis.tables import OURS, frame_of, row_of
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
    "too_sure": "Confidence less accuracy, %",
}
DOUBTS = 3  # examples shown of each task


def teacher_views(results: Results) -> list[View]:
    """Who teaches, what the soft targets say of labels, what the systems have of the ensemble."""
    noise, habits = label_noise(results), system_habits(results)
    views = [*chosen_teachers(results), *doubted_labels(results)]
    if len(noise):
        names = {task: task_title(task) for task in noise["task"].unique()}
        values = averages(noise, "task", NOISE)
        views.append(
            View(
                name="label_noise",
                title="Do soft targets correct wrong labels?",
                caption="Training labels of the tasks with teachers, where the right ones are "
                "known: at how many wrong labels is the soft target highest at the right one, and "
                "at how many right labels is it highest elsewhere?",
                notes=("The teachers' soft targets are of examples that they were trained on.",),
                table=printed(values, "Task", names, NOISE),
                values=values,
                figure=rows_figure(values, names, NOISE, dict.fromkeys(names, BLUE)),
                section="teachers",
            )
        )
    if len(habits):
        names = {system: system_title(system) for system in habits["system"].unique()}
        values = averages(habits, "system", HABITS)
        views.append(
            View(
                name="agreement",
                title="Does the student answer as its teachers do?",
                caption="How many dev examples a system answers as the ensemble does (mean over "
                "classification tasks), and whether its probabilities mean what they say.",
                notes=(
                    "Calibration error is the expected one (ECE, arXiv:1706.04599) of all class "
                    "predictions. Confidence is the mean probability of the answer: above the "
                    "accuracy a system is too sure of itself.",
                ),
                table=printed(values, "System", names, HABITS, signed=("too_sure",)),
                values=values,
                figure=rows_figure(
                    values,
                    names,
                    {name: HABITS[name] for name in ("agreement", "calibration")},
                    {s: colour(s) for s in names},
                ),
                section="teachers",
            )
        )
    return views


def chosen_teachers(results: Results) -> list[View]:
    """The candidates that teach, by seed; empty before any teachers are finished."""
    choose = results.recipe.teachers.choose
    rows = []
    for record in results.records:
        if ranking := record.details.get("ranking", [])[:choose]:
            models = {
                str(place): f"{one['encoder']}, dropout {one['dropout']:g} ({one['score']:.1f})"
                for place, one in enumerate(ranking, 1)
            }
            rows.append({"Seed": str(record.seed)} | models)
    if not rows:
        return []
    return [
        View(
            name="chosen_teachers",
            title="Which models teach",
            caption=f"The best {choose} multi-task models of each seed, in parentheses the mean "
            "dev score that they were chosen by.",
            table=pd.DataFrame(rows),
            section="teachers",
        )
    ]


def doubted_labels(results: Results) -> list[View]:
    """Training examples whose given label the teachers of the first seed doubt most."""
    opened, rows = open_teachers(results), []
    for task in results.teacher_tasks if opened else ():
        labels, columns = GLUE[task].labels, GLUE[task].columns
        found = surprising_examples(results, task, DOUBTS) if labels else pd.DataFrame()
        for line in found.to_dict("records"):
            soft = [f"{label} {100 * line[f'P({label})']:.0f} %" for label in labels]
            words = {"Task": task_title(task), "Text": " / ".join(str(line[c]) for c in columns)}
            words |= {"Given": line["gold"], "Right": line.get("true", NOTHING)}
            rows.append(words | {"Soft target": ", ".join(soft)})
    if not rows:
        return []
    return [
        View(
            name="doubted_labels",
            title="Labels that the teachers doubt most",
            caption="Training examples with the lowest probability of the label that training "
            "sees (given), from the teachers of the first seed; the label before annotator noise "
            "(right) is known of the toy benchmark alone.",
            table=pd.DataFrame(rows),
            section="teachers",
        )
    ]


def averages(frame: pd.DataFrame, key: str, measures: Mapping[str, str]) -> pd.DataFrame:
    """Means over seeds with their intervals, one row per value of a column and measure."""
    return frame_of(
        [
            row_of(name, OURS, measure, estimate(frame.loc[frame[key] == name, measure]))
            for name in frame[key].unique()
            for measure in measures
        ]
    )


def label_noise(results: Results) -> pd.DataFrame:
    """What the soft targets say of wrong training labels, where the right ones are known.

    One row per seed and task with teachers, in %: columns task, seed and those of NOISE.
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
                percent = dict(zip(NOISE, (100 * float(x) for x in found), strict=True))
                rows.append({"task": task, "seed": opened.run.seed, **percent})
    return pd.DataFrame(rows, columns=["task", "seed", *NOISE])


def system_habits(results: Results) -> pd.DataFrame:
    """Agreement with the ensemble (none of its own) and calibration error by system and seed, in %.

    Columns system, seed and those of HABITS.
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
            error = sure = np.nan
            if bins is not None:
                error = 100 * calibration_error(bins)
                sure = 100 * (mean_confidence(bins) - mean_accuracy(bins))
            rows.append((system, seed, alike, error, sure))
    return pd.DataFrame(rows, columns=["system", "seed", *HABITS])


def agreement(outputs: Sequence[Outputs], others: Sequence[Outputs]) -> float:
    """Mean over classification tasks of the examples, in %, that both answer alike; or NaN."""
    answers = {one.task: one.values.argmax(axis=1) for one in others if GLUE[one.task].labels}
    shares = [
        100 * float(np.mean(one.values.argmax(axis=1) == answers[one.task]))
        for one in outputs
        if one.task in answers
    ]
    return float(np.mean(shares)) if shares else float("nan")
