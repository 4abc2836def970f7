"""What is learnt beside the score: corrected labels, agreement with the teachers, calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtkd.analysis.charts import rows_figure
from mtkd.analysis.colours import BLUE
from mtkd.analysis.evaluations import Outputs, alike, calibration, dev_labels, dev_outputs
from mtkd.analysis.markup import NOTHING
from mtkd.analysis.results import Results, labelled_targets, surprising_examples
from mtkd.analysis.systems import ENSEMBLE, system_order, system_title, task_title
from mtkd.analysis.tables import averages, printed
from mtkd.analysis.teacher_outputs import teachers_heard, teachers_table
from mtkd.analysis.views import View

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
LIKELY = 3  # labels shown of an example, beside the given one


def teacher_views(results: Results) -> list[View]:
    """Who teaches, what the soft targets say of labels, what the systems have of the ensemble."""
    noise, habits = label_noise(results), system_habits(results)
    tasks = {task: task_title(task) for task in noise["system"]}
    systems = {system: system_title(system) for system in habits["system"]}
    shown = {name: HABITS[name] for name in ("agreement", "calibration")}
    views = [
        View(
            name="label_noise",
            title="Do soft targets correct wrong labels?",
            caption="Training labels of the tasks with teachers, where the right ones are "
            "known: at how many wrong labels is the soft target highest at the right one, and "
            "at how many right labels is it highest elsewhere?",
            notes=(
                "The teachers' soft targets are of examples that their models have not seen."
                if results.recipe.teachers.crossfit
                else "The teachers' soft targets are of examples that they were trained on.",
            ),
            table=printed(noise, NOISE, names=tasks, first="Task"),
            values=noise,
            figure=rows_figure(noise, tasks, NOISE, hues=dict.fromkeys(tasks, BLUE)),
            section="teachers",
        ),
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
            table=printed(habits, HABITS, signed=("too_sure",)),
            values=habits,
            figure=rows_figure(habits, systems, shown),
            section="teachers",
        ),
    ]
    found = [view for view in views if view.values is not None and len(view.values)]
    own = any(task is not None for task in results.recipe.tasks.values())
    if results.teachers and (own or results.recipe.teachers.given):
        found = [teachers_table(teachers_heard(results.teachers[0])), *found]
    return [*chosen_teachers(results), *doubted_labels(results), *found]


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
    rows = []
    for task in results.teacher_classes if results.teachers else ():
        labels, columns = results.recipe.task(task).labels, results.recipe.task(task).columns
        found = surprising_examples(results, task, DOUBTS)
        for line in found.to_dict("records"):
            likely = sorted(labels, key=lambda label: -line[f"P({label})"])[:LIKELY]
            shown = [label for label in labels if label in (line["given label"], *likely)]
            soft = [f"{label} {100 * line[f'P({label})']:.0f} %" for label in shown]
            words = {"Task": task_title(task), "Text": " / ".join(str(line[c]) for c in columns)}
            words["Given label"] = line["given label"]
            words["True label"] = line.get("true label", NOTHING)
            rows.append(words | {"Soft target": ", ".join(soft)})
    if not rows:
        return []
    return [
        View(
            name="doubted_labels",
            title="Labels that the teachers doubt most",
            caption="Training examples whose given label, the one that training sees, has the "
            "lowest probability by the teachers of the first seed. The true label, before "
            "annotator noise, is known of the toy benchmark alone.",
            table=pd.DataFrame(rows),
            section="teachers",
            quotes=True,
        )
    ]


def label_noise(results: Results) -> pd.DataFrame:
    """What the soft targets say of wrong training labels, where the right ones are known.

    Numbers by task ("system") and measure of NOISE ("task"), in %.
    """
    rows = []
    for examples, label, soft in labelled_targets(results, results.teachers):
        if examples.clean is None:
            continue
        wrong, right = label != examples.clean, soft.argmax(axis=1) == examples.clean
        if wrong.any() and not wrong.all():
            found = (wrong.mean(), right[wrong].mean(), 1 - right[~wrong].mean())
            name = examples.task.name
            rows += [(name, one, 100 * x) for one, x in zip(NOISE, found, strict=True)]
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
            alike = np.nan if system == ENSEMBLE else agreement(mine, teachers)
            numbers = (alike, *(100 * value for value in calibration(mine)))
            rows += [(system, name, x) for name, x in zip(HABITS, numbers, strict=True)]
    return averages(pd.DataFrame(rows, columns=["system", "task", "value"]))


def agreement(outputs: Sequence[Outputs], others: Sequence[Outputs]) -> float:
    """Mean over classification tasks of the examples, in %, that both answer alike; or NaN."""
    answers = {one.task.name: one for one in others if one.task.kind == "classification"}
    shares = [alike(one, answers[one.task.name]) for one in outputs if one.task.name in answers]
    return float(np.mean(shares)) if shares else float("nan")
