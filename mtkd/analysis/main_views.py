"""What a recipe's main results show: every table and figure, computed once, with its words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from mtkd.analysis import baseline_tables, figures, tables
from mtkd.analysis.evaluations import slice_values
from mtkd.analysis.paper import PAPER, RELEASED
from mtkd.analysis.questions import Answer, answers, questions_view
from mtkd.analysis.results import Results, teacher_knowledge
from mtkd.analysis.statistics import MIN_SEEDS, estimate, mean_score, paired, score_matrix
from mtkd.analysis.systems import (
    ENSEMBLE,
    MAJORITY,
    NO_TEACHER,
    STILTS,
    STORY,
    STUDENT,
    system_title,
    task_title,
)
from mtkd.analysis.views import View
from mtkd.data.tasks import is_dev
from mtkd.experiments.records import Record
from mtkd.experiments.settings import Recipe

INTERVALS = (
    "Means over seeds; in brackets 95 % intervals (Student's t, differences paired by seed), with "
    f"fewer than {MIN_SEEDS} seeds each seed in parentheses."
)
PAPER_GAINS = " The paper's gains are of BERT-large on GLUE: compare directions, not levels."
PAPER_PANEL = (
    " Right: the paper's numbers on a scale of their own, for the order of the systems and not for "
    "levels."
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
    broken = [*degenerate_note(records, dev), *diverged_note(records)]
    found = answers(results)
    views = [
        headline_view(scores, dev, gains, data_title(results.recipe), broken, found),
        questions_view(results.recipe, found),
        summary_view(dev, gains, broken),
        *dev_views(dev, broken),
        test_view(tables.score_values(scores, "test")),
        *gain_views(gains, results.teacher_tasks),
        *baseline_views(results),
        *training_views(results),
    ]
    if caveat := results.recipe.caveat:
        views = [
            view if view.table is None else replace(view, notes=(*view.notes, caveat))
            for view in views
        ]
    return {
        view.name: view
        for view in views
        if view.figure is not None or (view.table is not None and len(view.table))
    }


def data_title(recipe: Recipe) -> str:
    """What the scores are of, in the words of a title."""
    own = [task is not None for task in recipe.tasks.values()]
    benchmark = "toy benchmark" if recipe.data.kind == "toy" else "GLUE"
    if recipe.data.limit:
        benchmark += f", at most {recipe.data.limit:,} labels a task"
    return "own tasks" if all(own) else f"{benchmark} and own tasks" if any(own) else benchmark


def headline_view(
    scores: pd.DataFrame,
    dev: pd.DataFrame,
    gains: pd.DataFrame,
    data: str,
    broken: list[str],
    found: Sequence[Answer] = (),
) -> View:
    """The paper's four systems and the control, with the answers to what the recipe asks."""
    systems = [name for name in STORY if tables.find_row(dev, name, tables.OURS, "mean")]
    return View(
        "headline",
        f"Single models, ensemble, student: {data}",
        f"{data[0].upper()}{data[1:]}: mean dev score in points, and gain over MT-DNN. "
        f"{INTERVALS}{PAPER_GAINS if tables.has_paper(gains) else ''}",
        (*(map(str, found) if found else verdicts(scores, gains, tables.tasks_of(dev))), *broken),
        headline_table(scores, dev, gains, systems),
        dev[dev["system"].isin(systems) & (dev["task"] == "mean")],
    )


def headline_table(
    scores: pd.DataFrame, dev: pd.DataFrame, gains: pd.DataFrame, systems: Sequence[str]
) -> pd.DataFrame:
    """The summary with the gain over the control, without which a student's says little."""
    if NO_TEACHER not in systems:
        return tables.summary(dev, gains, systems)

    def gain(system: str) -> str:
        if system == NO_TEACHER:
            return "-"
        found = over_control(scores, system, tables.tasks_of(dev))
        return tables.cell(found, signed=True)

    return tables.summary(dev, gains, systems, **{"Gain over no teachers": gain})


def over_control(scores: pd.DataFrame, system: str, tasks: Sequence[str]) -> dict[str, Any]:
    """A system's mean less that of the identical student without teachers, paired by seed."""
    means = [mean_score(score_matrix(scores, name), tasks) for name in (system, NO_TEACHER)]
    return tables.row_of(system, tables.OURS, "mean", estimate(paired(*means)))


def verdicts(scores: pd.DataFrame, gains: pd.DataFrame, tasks: Sequence[str]) -> list[str]:
    """What the ensemble and the student gain, and over what: one sentence each."""
    control = over_control(scores, STUDENT, tasks)
    ensemble, student = (
        tables.find_row(gains, name, tables.OURS, "mean") for name in (ENSEMBLE, STUDENT)
    )
    said = []
    for words, row in (
        ("The ensemble against a single MT-DNN", ensemble),
        ("The student against MT-DNN", student),
        ("The student against the identical student without teachers", control),
    ):
        if row and row["n"]:
            verdict = tables.verdict(row) or "too few seeds for a verdict"
            number = f"{tables.cell(row, signed=True)} points, n = {row['n']}"
            said.append(f"{words}: {verdict} ({number}).")
    return said


def summary_view(dev: pd.DataFrame, gains: pd.DataFrame, broken: list[str]) -> View:
    systems = [name for name in dict.fromkeys(dev["system"]) if name != MAJORITY]
    paper = ", beside the paper's" if tables.has_paper(gains) else ""

    def kept(system: str) -> str:
        found = tables.find_row(gains, system, tables.OURS, tables.RECOVERED)
        return tables.cell(found, signed=False, percent=True)

    return View(
        "summary",
        "The systems in short",
        f"Mean dev score in points, and gain over MT-DNN paired by seed{paper}.",
        tuple(broken),
        tables.summary(dev, gains, systems, **{tables.BESIDE[tables.RECOVERED]: kept}),
    )


def dev_views(dev: pd.DataFrame, broken: list[str]) -> list[View]:
    paper = tables.has_paper(dev)
    notes = [mean_note(dev), INTERVALS, *([PAPER_NOTE] if paper else []), *broken]
    if "glue" in set(dev["task"]):
        notes.append("Mean of 9: with WNLI answered by its majority class.")
    if set(STILTS) & set(dev["system"]):
        notes.append(
            f"{RELEASED[0].upper()}{RELEASED[1:]}: github.com/zphang/bert_on_stilts, "
            "after MNLI or without an intermediate task, as the authors chose by task."
        )
    table = View(
        "glue_dev",
        "Dev scores",
        "Every system on every task" + (", the paper's cells below ours." if paper else "."),
        tuple(notes),
        tables.printed(dev),
        dev,
    )
    plot = View(
        "dev_scores",
        "Dev scores, task by task",
        "The paper's comparison and the control. A dot is the mean over seeds, a bar its 95 % "
        "interval, a fine tick one seed."
        f"{PAPER_PANEL if paper else ''}",
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
    broken: dict[tuple[str, str, int], bool] = {}
    for record in records:
        for score in record.scores:
            if score.system in shown and score.task in tasks and is_dev(score.split):
                place = f"{system_title(score.system)} on {task_title(score.task)}"
                key = (place, score.split, record.seed)
                broken[key] = broken.get(key, False) or score.degenerate
    places = [place for (place, _, _), found in broken.items() if found]
    if not places:
        return []
    return [
        f"The predictions of {len(places)} of {len(broken)} evaluations are degenerate (constant "
        f"or not finite); their scores are included: {few(list(dict.fromkeys(places)))}."
    ]


def diverged_note(records: Iterable[Record]) -> list[str]:
    """Which trainings had a loss that was not finite."""
    finite = {
        f"{name}, seed {record.seed}": history.get("finite", True)
        for record in records
        for name, history in record.details.get("histories", {}).items()
    }
    names = [name for name, sound in finite.items() if not sound]
    if not names:
        return []
    return [
        f"{len(names)} of {len(finite)} trainings diverged: their loss was not finite. Their "
        f"scores mean nothing, and are included: {few(names)}."
    ]


def few(names: Sequence[str]) -> str:
    return "; ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def test_view(test: pd.DataFrame) -> View:
    words, notes = "Every system on the test sets", (mean_note(test), INTERVALS)
    if not tables.has_paper(test):
        return View("glue_test", "Test scores", f"{words}.", notes, tables.printed(test), test)
    return View(
        "glue_test",
        "Test scores",
        f"{words}, the paper's row under ours, published rows last.",
        (
            mean_note(test),
            "Mean of 9: the leaderboard's mean, with WNLI answered by its majority class, as it "
            "is in an upload. AX: three-class Matthews, not in any mean.",
            "Paper: Table 2 of arXiv:1904.09482, the leaderboard in 2019, its mean as printed. "
            "Rows marked (paper) without one of ours above are published numbers only.",
            INTERVALS,
        ),
        tables.printed(test),
        test,
    )


def gain_views(gains: pd.DataFrame, teacher_tasks: tuple[str, ...]) -> list[View]:
    plot = View(
        "gain",
        "What distillation gains",
        "MT-DNN-KD minus MT-DNN, paired by seed. Right of the line the student is better. Shaded "
        "tasks have a teacher; the others can gain through the shared encoder only.",
        figure=figures.gain(gains, teacher_tasks),
        section="gain",
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
        "gain",
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
            section="baselines",
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
            section="baselines",
        ),
        View(
            "slices",
            "Dev scores on slices",
            "Negation, and questions where a task has them; numbers of examples in parentheses.",
            (INTERVALS,),
            tables.printed(slices, {task: task for task in slices["task"]}),
            slices,
            section="baselines",
        ),
    ]


def training_views(results: Results) -> list[View]:
    """Curves, unless all trainings were looked at once, and what the teachers know, if any."""
    knowledge = teacher_knowledge(results)
    curves = figures.multi_task_curves(results.records)
    looks = max((len(line) for lines in curves.values() for line in lines), default=0)
    views = [
        View(
            "learning_curves",
            "How the models learn",
            "Mean dev score by epoch of the multi-task trainings. Thin lines are seeds, thick ones "
            "their mean.",
            figure=figures.learning_curves(curves) if looks > 1 else None,
            section="gain",
        ),
        View(
            "teacher_knowledge",
            "How sure the teachers are",
            "Entropy of the soft targets of training examples, where the given label is right and "
            "where it is wrong; where nobody knows that, where the teachers' most probable label "
            "is the given one and where it is another. Mass on the right means no idea.",
            figure=figures.teacher_knowledge(knowledge),
            section="teachers",
        ),
    ]
    return views if knowledge else views[:1]
