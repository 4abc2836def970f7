"""A recipe's studies as they are shown: one table and one figure each."""

from __future__ import annotations

from mtkd.analysis.results import Results
from mtkd.analysis.study_figures import curves, forest
from mtkd.analysis.study_tables import (
    study_costs,
    study_scores,
    study_table,
    study_tasks,
    study_values,
)
from mtkd.analysis.study_teachers import study_teachers
from mtkd.analysis.systems import task_title
from mtkd.analysis.views import View
from mtkd.experiments.studies.registry import studies, study_groups
from mtkd.experiments.studies.study import Study

READING = (
    "A gain is a mean difference paired by seed, in points, with its 95 % interval (Student's t); "
    "the verdict is a gain or a loss where that interval leaves out zero."
)
SELECTION = (
    "The best of many variants is biased upwards by selection; nothing is corrected for their "
    "number, and variants with one reference rise and fall with it."
)


def study_views(results: Results, group: str | None = None) -> list[View]:
    """The studies that have finished runs, of a group ("ablations", "open-questions") or all."""
    found = [s for s in studies(results.recipe) if group in (None, s.group)]
    views = [
        view
        for study in found
        for view in (
            study_view(results, study),
            study_teachers(results, study) if study.teachers else None,
        )
    ]
    return [view for view in views if view is not None]


def study_view(results: Results, study: Study) -> View | None:
    """A study's table and figure; None where no run is finished."""
    scores = study_scores(results, study)
    if scores.empty:
        return None
    values = study_values(study, scores, results.teacher_tasks)
    costs = study_costs(results, study) if study.costs else None
    tasks = ", ".join(map(task_title, study_tasks(study, values)))
    return View(
        name=f"study_{study.name.replace('-', '_')}",
        title=study.title,
        caption=f"{study.question} {study.see}",
        notes=(
            READING,
            f"Scores are means over the dev sets of {tasks}.",
            study.budget,
            SELECTION,
        ),
        table=study_table(study, values, costs),
        values=values,
        figure=curves(study, values, costs) if study.curve else forest(study, values),
        section="studies",
    )


def unfinished(results: Results, group: str) -> str:
    """Which studies of a group have no finished runs, and the command that makes them; or ""."""
    asked = {study.name: study for study in studies(results.recipe) if study.group == group}
    wanted = [name for name, own in study_groups().items() if own == group]
    rest = [n for n in wanted if n not in asked or study_scores(results, asked[n]).empty]
    command = f"./run reproduce --recipe {results.recipe.name} --with {' '.join(rest)}"
    return f"No finished runs of {', '.join(rest)}; they are made by `{command}`" if rest else ""
