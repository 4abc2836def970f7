"""What a recipe's main results show: every table and figure, computed once, with its words."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mtkd.analysis import baseline_tables, figures, tables
from mtkd.analysis.evaluations import slice_values
from mtkd.analysis.paper import PAPER, RELEASED
from mtkd.analysis.results import Results, teacher_knowledge
from mtkd.analysis.statistics import MIN_SEEDS
from mtkd.analysis.systems import STILTS, system_title, task_title
from mtkd.analysis.views import View
from mtkd.data.tasks import is_dev
from mtkd.experiments.records import Record

INTERVALS = (
    "Mean over seeds with the 95 % interval of Student's t in brackets; below "
    f"{MIN_SEEDS} seeds the single seeds are in parentheses."
)
PAPER_NOTE = (
    f"{PAPER[0].upper()}{PAPER[1:]}: Table 3 of arXiv:1904.09482, one number per "
    "cell, another benchmark and encoder; compare directions and orders, not levels."
)


def main_views(results: Results) -> dict[str, View]:
    """Every view of a recipe's main results by name, in the order of the story.

    Raises MtkdError where stored predictions are missing.
    """
    scores, records = results.main_scores, results.records
    dev, gains = tables.score_values(scores), tables.gain_values(scores, results.taught)
    found = [
        summary_view(dev, gains),
        *dev_views(dev, degenerate_note(records, dev)),
        test_view(tables.score_values(scores, "test")),
        *gain_views(gains, results.teacher_tasks),
        *baseline_views(results),
        *training_views(results),
    ]
    return {
        view.name: view
        for view in found
        if view.figure is not None or (view.table is not None and len(view.table))
    }


def summary_view(dev: pd.DataFrame, gains: pd.DataFrame) -> View:
    return View(
        "summary",
        "The systems in short",
        "Mean dev score in points, and gain over MT-DNN paired by seed, beside the paper's.",
        table=tables.summary(dev, gains),
    )


def dev_views(dev: pd.DataFrame, broken: list[str]) -> list[View]:
    notes = [mean_note(dev), INTERVALS, PAPER_NOTE, *broken]
    if "glue" in set(dev["task"]):
        notes.append("GLUE: mean over nine tasks, with WNLI answered by its majority class.")
    if set(STILTS) & set(dev["system"]):
        notes.append(
            f"{RELEASED[0].upper()}{RELEASED[1:]}: github.com/zphang/bert_on_stilts, "
            "after MNLI or without an intermediate task, as the authors chose by task."
        )
    table = View(
        "glue_dev",
        "Dev scores",
        "Every system on every task, the paper's cells below ours.",
        tuple(notes),
        tables.printed(dev),
        dev,
    )
    plot = View(
        "dev_scores",
        "Dev scores, task by task",
        "A dot is the mean over seeds, a bar its 95 % interval, a fine tick one seed. Right: the "
        "paper's numbers on a scale of their own, for the order of the systems and not for levels.",
        figure=figures.dev_scores(dev),
    )
    return [table, plot]


def mean_note(values: pd.DataFrame) -> str:
    tasks = tables.tasks_of(values)
    return (
        f"Mean of {len(tasks)}: over {', '.join(map(task_title, tasks)) or 'no task'}. "
        "In points; a task's score is the mean of its metrics, and of MNLI's two sets."
    )


def degenerate_note(records: Iterable[Record], dev: pd.DataFrame) -> list[str]:
    """Which dev evaluations had predictions that were constant or not finite."""
    shown, tasks = set(dev["system"]), tables.tasks_of(dev)
    broken: dict[str, bool] = {}
    for record in records:
        for score in record.scores:
            if score.system in shown and score.task in tasks and is_dev(score.split):
                place = f"{system_title(score.system)} on {task_title(score.task)} ({score.split})"
                name = f"{place}, seed {record.seed}"
                broken[name] = broken.get(name, False) or score.degenerate
    names = [name for name, found in broken.items() if found]
    if not names:
        return []
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return [
        f"Degenerate, that is constant or not finite, are the predictions of {len(names)} of "
        f"{len(broken)} evaluations; they are counted in: {'; '.join(names[:5])}{more}."
    ]


def test_view(test: pd.DataFrame) -> View:
    return View(
        "glue_test",
        "Test scores",
        "Every system on the test sets, the paper's row under ours, published rows last.",
        (
            mean_note(test),
            "GLUE: the leaderboard's mean over nine tasks, with WNLI answered by its majority "
            "class, as it is in an upload. AX: three-class Matthews, not in any mean.",
            "Paper: Table 2 of arXiv:1904.09482, the leaderboard in 2019, GLUE as printed. Rows "
            "marked (paper) without one of ours above are published numbers only.",
            INTERVALS,
        ),
        tables.printed(test),
        test,
    )


def gain_views(gains: pd.DataFrame, teacher_tasks: tuple[str, ...]) -> list[View]:
    plot = View(
        "gain",
        "What distillation gains",
        "MT-DNN-KD less MT-DNN, paired by seed. Right of the line the student is better. Shaded "
        "tasks have a teacher; the others can gain through the shared encoder only.",
        figure=figures.gain(gains, teacher_tasks),
    )
    ablation = View(
        "ablation",
        "Which part does what",
        "Dev score less that of MT-DNN with the same seed, system by system; in the figure the "
        "mean over tasks, hollow marks are the paper's.",
        (
            "Ensemble's gain kept: a student's mean gain over MT-DNN divided by the ensemble's, "
            "with Fieller's 95 % interval, left out where the ensemble's own gain is not clear.",
            mean_note(gains),
            INTERVALS,
            PAPER_NOTE,
        ),
        tables.printed_gains(gains),
        gains,
        figures.ablation(gains),
    )
    return [plot, ablation]


def baseline_views(results: Results) -> list[View]:
    scores = results.scores
    stilts, qnli = baseline_tables.stilts(scores), baseline_tables.qnli(scores)
    slices = slice_values(results)
    return [
        View(
            "stilts",
            "What an intermediate task gains",
            "Dev score less that of BERT with the same seed, by intermediate task.",
            (INTERVALS,),
            tables.printed_gains(stilts),
            stilts,
        ),
        View(
            "qnli",
            "QNLI by classification, by ranking, and merged",
            "Accuracy in points.",
            (INTERVALS, *baseline_tables.ranked_questions(results.records)),
            tables.printed(
                qnli,
                {"dev": "Dev", "test": "Test"},
                names=baseline_tables.QNLI,
                first="QNLI, single task",
            ),
            qnli,
        ),
        View(
            "slices",
            "Dev scores on slices",
            "Negation, and questions where a task has them; numbers of examples in parentheses.",
            (INTERVALS,),
            tables.printed(slices, {task: task for task in slices["task"]}),
            slices,
        ),
    ]


def training_views(results: Results) -> list[View]:
    knowledge = teacher_knowledge(results)
    views = [
        View(
            "learning_curves",
            "How the models learn",
            "Mean dev score by epoch of the multi-task trainings. Thin lines are seeds, thick ones "
            "their mean.",
            figure=figures.learning_curves(results.records),
        ),
    ]
    if knowledge:
        plot = View(
            "teacher_knowledge",
            "How sure the teachers are",
            "Entropy of the soft targets of training examples, where the given label is right and "
            "where it is wrong (the toy benchmark knows). Mass on the right means no idea.",
            figure=figures.teacher_knowledge(knowledge),
        )
        views.insert(1, plot)
    return views
