"""Study `teacher-tasks`: which tasks have teachers, one alone, the recipe's, or all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import (
    Comparison,
    Study,
    Variant,
    register_study,
    replicates,
    same_seed_control,
    student,
)
from mtkd.experiments.task_sets import present_tasks


@register_study("teacher-tasks", group="ablations")
def teacher_tasks(recipe: Recipe) -> Study:
    present = present_tasks(recipe)
    own = tuple(task for task in recipe.taught if task in present)

    def taught(name: str, title: str, tasks: Sequence[str], *changes: str) -> Variant:
        factors = {"tasks with teachers": ", ".join(tasks)}
        made = student(recipe, name, title, *changes, factors=factors)
        return replace(made, tasks=tuple(tasks))

    variants = list(replicates(recipe))
    for task in own if len(own) > 1 else ():
        changes = [f"teachers.tasks={json.dumps([task])}"]
        if given := recipe.teachers.given:
            kept = [asdict(teacher) for teacher in given if teacher.task == task]
            changes.append(f"teachers.given={json.dumps(kept)}")
        variants.append(taught(task, f"{titles(recipe, [task])} alone", [task], *changes))
    if own:
        variants.append(taught("paper", titles(recipe, own), own))
    if recipe.teachers.choose and set(own) != set(present):
        change = f"teachers.tasks={json.dumps(list(present))}"
        variants.append(taught("all", f"all {len(present)} tasks", present, change))
    alone = {v.name: "paper" for v in variants if v.tasks and v.name != "paper" and own}
    return Study(
        "Which tasks have teachers",
        "Do tasks without a teacher gain, too, and would more teachers help?",
        "See in the table whether the tasks without teachers gain where others have them.",
        tuple(variants),
        reference="no-teacher",
        paper="paper" if own else None,
        comparisons=(
            same_seed_control(recipe, variants),
            Comparison("the paper's setting", alone),
        ),
    )


def titles(recipe: Recipe, tasks: Sequence[str]) -> str:
    return ", ".join(recipe.task(task).title for task in tasks)
