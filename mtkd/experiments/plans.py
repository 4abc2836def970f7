"""The runs to make for a recipe: those of its studies too, up to a stage, the urgent ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mtkd.common.errors import MtkdError
from mtkd.experiments.runs import (
    NOTEBOOKS,
    Run,
    ancestors,
    main_runs,
    new_tasks,
    present_tasks,
    runs_of,
    selection_tasks,
    teacher_tasks,
)
from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.arms import Arm, Study
from mtkd.experiments.studies.registry import studies
from mtkd.experiments.validation import changed


def expand(recipe: Recipe) -> list[Run]:
    """All runs of a recipe, those of its studies last, parents before children."""
    found = {run.run_id: run for run in main_runs(recipe)}
    for study in studies(recipe):
        for arm in study.arms:
            for run in arm_runs(recipe, study, arm):
                for needed in (*ancestors(run), run):
                    asked = needed.parameters | {"arm": f"{study.name}/{arm.name}"}
                    found.setdefault(needed.run_id, replace(needed, parameters=asked))
    return list(found.values())


def urgency(runs: Sequence[Run]) -> dict[str, int]:
    """Cost of the longest way from each run to the end, its own included, by run id.

    What a scheduler should start first. `runs` have parents before children.
    """
    after: dict[str, float] = {}
    found = {}
    for run in reversed(runs):
        found[run.run_id] = round(run.cost + after.get(run.run_id, 0))
        for parent in run.parents:
            after[parent.run_id] = max(after.get(parent.run_id, 0), found[run.run_id])
    return found


def arm_runs(recipe: Recipe, study: Study, arm: Arm) -> list[Run]:
    """The runs whose scores answer for an arm, one per seed; none for a mean of other arms."""
    if arm.of:
        return []
    runs = runs_of(changed(recipe, arm.changes), arm.stage)
    found = [run for run in runs if arm.what in (None, run.what)]
    if len(found) != len(recipe.seeds):
        raise MtkdError(
            f"study {study.name}, arm {arm.name}: {len(found)} runs, expected one a seed"
        )
    return found


def upto(runs: list[Run], stage: str | None) -> list[Run]:
    """The runs of a stage and all that they rest on; all runs without a stage."""
    if stage is None:
        return runs
    if stage not in NOTEBOOKS:
        raise MtkdError(f"--until {stage!r}: expected one of {', '.join(NOTEBOOKS)}")
    wanted: dict[str, Run] = {}

    def add(run: Run) -> None:
        for parent in run.parents:
            add(parent)
        wanted[run.run_id] = run

    for run in runs:
        if run.stage == stage:
            add(run)
    return list(wanted.values())


def notices(recipe: Recipe) -> list[str]:
    """What the recipe names and the data, or its own tasks, do not have: one line each."""
    present, missing = present_tasks(recipe)
    lines = []
    if missing:
        where = recipe.data.path or recipe.data.hub
        lines.append(f"not in {where} and left out: {', '.join(missing)}")
    if untaught := [task for task in recipe.teachers.tasks if task not in present]:
        taught = ", ".join(teacher_tasks(recipe, present)) or "nothing"
        lines.append(
            f"no soft targets for {', '.join(untaught)}: not a task here; teachers teach {taught}"
        )
    if recipe.data.unlabelled and not uses_text(recipe):
        lines.append(
            "unlabelled text is not used: no student learns from it (students.*.unlabelled), and "
            "the study `unlabelled` is not asked for (--with unlabelled)"
        )
    if "few-labels" in recipe.studies:
        known = new_tasks(recipe)
        if absent := [task for task in recipe.few_labels.tasks if task not in known]:
            where, rest = recipe.data.path or recipe.data.hub, ", ".join(known)
            lines.append(
                f"few labels: {', '.join(absent)} not in {where}; "
                + (f"only {rest} is asked" if rest else "the study is left out")
            )
    by = selection_tasks(recipe, present)
    if set(by) != set(recipe.teachers.by):
        lines.append(f"teachers are chosen by {', '.join(by)}")
    return lines


def uses_text(recipe: Recipe) -> bool:
    """Whether any student learns from unlabelled text."""
    students = recipe.students.values()
    return "unlabelled" in recipe.studies or any(student.unlabelled for student in students)
