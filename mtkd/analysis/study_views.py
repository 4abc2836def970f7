"""A recipe's studies as they are shown: their values, table and figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtkd.analysis.ensemble_sizes import diversity_said, ensembles_by_size, size_table
from mtkd.analysis.markup import markdown, values_csv
from mtkd.analysis.plotting import Plot
from mtkd.analysis.question_figures import few_labels_figure, size_figure, unlabelled_figure
from mtkd.analysis.results import Results
from mtkd.analysis.statistics import estimate, mean_score, score_matrix, task_order
from mtkd.analysis.study_figures import ensembles_figure, study_figure
from mtkd.analysis.study_tables import (
    VERDICTS,
    arm_scores,
    file_stem,
    reading,
    study_costs,
    study_scores,
    study_table,
    study_values,
    task_names,
    with_costs,
)
from mtkd.analysis.systems import task_title
from mtkd.analysis.tables import OURS, row_of
from mtkd.common.files import write_text
from mtkd.data.loading import load_examples
from mtkd.experiments.studies.arms import Study
from mtkd.experiments.studies.registry import studies
from mtkd.experiments.task_sets import new_tasks


@dataclass(frozen=True)
class StudyView:
    """A study that has finished runs."""

    study: Study
    values: pd.DataFrame  # of `study_values`
    table: pd.DataFrame  # as printed
    figure: Plot
    reading: str
    beside: pd.DataFrame | None = None  # another table, as printed


def study_views(results: Results) -> Iterator[StudyView]:
    """The recipe's studies that have finished runs, one after the other."""
    for study in studies(results.recipe):
        scores = study_scores(results, study)
        if len(scores) and len(arm_scores(study, scores, study.base).dropna(how="all")):
            yield study_view(results, study, scores)


def study_view(results: Results, study: Study, scores: pd.DataFrame) -> StudyView:
    values = study_values(study, scores, results.teacher_tasks)
    table, said = study_table(study, values), reading(study, values)
    if study.name == "sizes":
        costs = study_costs(results, study)
        figure = size_figure(study, values, costs, ensemble_row(results, scores))
        return StudyView(study, values, with_costs(study, table, costs), figure, said)
    if study.name == "few-labels":
        counts = label_counts(results)
        figure = few_labels_figure(study, values, counts)
        return StudyView(study, values, table, figure, f"{said} {counts_said(results, counts)}")
    if study.name == "unlabelled":
        return StudyView(study, values, table, unlabelled_figure(study, values), said)
    if study.name == "ensembles" and len(found := ensembles_by_size(results)):
        size = results.recipe.teachers.choose
        figure = ensembles_figure(study, values, found, size)
        said = f"{said} {diversity_said(found, size)}".strip()
        return StudyView(study, values, table, figure, said, size_table(found))
    return StudyView(study, values, table, study_figure(study, values), said)


def ensemble_row(results: Results, scores: pd.DataFrame) -> dict[str, object]:
    """The teachers' own mean dev score, a row like those of `study_values`."""
    matrix = score_matrix(results.scores, "ensemble")
    mean = estimate(mean_score(matrix, task_order(scores)))
    return row_of("ensemble", OURS, "mean", mean) | {"members": results.recipe.teachers.choose}


def label_counts(results: Results) -> dict[str, int]:
    """Training examples of the tasks that the study `few-labels` asks for."""
    data = results.recipe.data
    return {task: len(load_examples(data, task, "train")) for task in new_tasks(results.recipe)}


def counts_said(results: Results, counts: Mapping[str, int]) -> str:
    """How many examples the shares of the labels are."""
    parts = []
    for share in results.recipe.few_labels.shares:
        numbers = [f"{max(1, round(share * n)):,} of {task_title(t)}" for t, n in counts.items()]
        parts.append(f"{100 * share:g} % is {' and '.join(numbers)}")
    return f"Labels: {'; '.join(parts)}."


def write_study(view: StudyView, folder: Path) -> list[Path]:
    """Write tables/study_<name>.{csv,md} in `folder`: numbers, the printed tables, the reading."""
    notes = [
        view.reading,
        f"Mean over {', '.join(map(task_title, task_names(view.values)))}, dev sets, in points; "
        f"gains are paired by seed, with the 95 % bootstrap interval. {view.study.budget}",
        f"{VERDICTS} Arms that are compared with one base arm share its runs, so their gains rise "
        "and fall together.",
    ]
    tables = [markdown(table) for table in (view.table, view.beside) if table is not None]
    text = "\n".join([f"{view.study.question}\n", *tables])
    text += "".join(f"\n- {note}" for note in notes) + "\n"
    stem = folder / "tables" / file_stem(view.study)
    written = []
    for kind, content in (("csv", values_csv(view.values)), ("md", text)):
        path = stem.with_suffix(f".{kind}")
        write_text(path, content)
        written.append(path)
    return written
