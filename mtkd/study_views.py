"""A recipe's studies as they are shown: their values, table and figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from mtkd.arms import Study
from mtkd.data import load_examples
from mtkd.ensemble_sizes import ensemble_sizes
from mtkd.plotting import Plot
from mtkd.question_figures import few_labels_figure, size_figure, unlabelled_figure
from mtkd.results import Results
from mtkd.runs import new_tasks
from mtkd.statistics import estimate, mean_score, score_matrix, task_order
from mtkd.studies import studies
from mtkd.study_figures import study_figure
from mtkd.study_tables import (
    reading,
    study_costs,
    study_scores,
    study_table,
    study_values,
    with_costs,
)
from mtkd.tables import OURS, row_of


@dataclass(frozen=True)
class StudyView:
    """A study that has finished runs."""

    study: Study
    values: pd.DataFrame  # of `study_values`
    table: pd.DataFrame  # as printed
    figure: Plot
    reading: str


def study_views(results: Results) -> Iterator[StudyView]:
    """The recipe's studies that have finished runs, one after the other."""
    for study in studies(results.recipe):
        scores = study_scores(results, study)
        if study.base in set(scores["system"]):
            yield study_view(results, study, scores)


def study_view(results: Results, study: Study, scores: pd.DataFrame) -> StudyView:
    values = study_values(study, scores, results.teacher_tasks)
    table, said = study_table(study, values), reading(study, values)
    if study.name == "sizes":
        costs = study_costs(results, study)
        figure = size_figure(study, values, costs, ensemble_row(results, scores))
        return StudyView(study, values, with_costs(study, table, costs), figure, said)
    if study.name == "few-labels":
        figure = few_labels_figure(study, values, label_counts(results))
        return StudyView(study, values, table, figure, said)
    if study.name == "unlabelled":
        return StudyView(study, values, table, unlabelled_figure(study, values), said)
    sizes = ensemble_sizes(results) if study.name == "ensembles" else None
    return StudyView(study, values, table, study_figure(study, values, sizes), said)


def ensemble_row(results: Results, scores: pd.DataFrame) -> dict[str, object]:
    """The teachers' own mean dev score, a row like those of `study_values`."""
    matrix = score_matrix(results.scores, "ensemble")
    mean = estimate(mean_score(matrix, task_order(scores)))
    return row_of("ensemble", OURS, "mean", mean) | {"members": results.recipe.teachers.choose}


def label_counts(results: Results) -> dict[str, int]:
    """Training examples of the tasks that the study `few-labels` asks for."""
    data = results.recipe.data
    return {task: len(load_examples(data, task, "train")) for task in new_tasks(results.recipe)}
