"""The runs of a recipe: those of the main table, those of its studies, and one of them by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mtkd.common.errors import MtkdError
from mtkd.data.own_tasks import own_places
from mtkd.data.tasks import UNLABELLED
from mtkd.experiments.checks import SYSTEMS
from mtkd.experiments.data_identity import data_identity
from mtkd.experiments.runs import NOTEBOOKS, Outline, Run
from mtkd.experiments.settings import Recipe, Teachers
from mtkd.experiments.studies.registry import find_variant, studies, variant_recipe
from mtkd.experiments.studies.study import Study, Variant
from mtkd.experiments.systems import bert, metal, stilts  # noqa: F401 (they register themselves)
from mtkd.experiments.systems.baselines import BASELINES
from mtkd.experiments.systems.encoders import encoder_run, used_encoders
from mtkd.experiments.systems.few_labels import transfer_runs
from mtkd.experiments.systems.given import given_runs
from mtkd.experiments.systems.glue import data_run
from mtkd.experiments.systems.mtdnn import candidate_name, candidate_runs
from mtkd.experiments.systems.student import student_runs
from mtkd.experiments.systems.teachers import teachers_run
from mtkd.experiments.task_sets import (
    new_tasks,
    present_tasks,
    scored_only,
    selection_tasks,
    teacher_tasks,
)
from mtkd.experiments.validation import changed


def outline_of(recipe: Recipe, tasks: tuple[str, ...]) -> Outline:
    """What all runs on some tasks share."""
    apart = scored_only(recipe)
    data = {
        "data": data_identity(recipe.data, [recipe.task(name) for name in (*tasks, *apart)]),
        "tasks": list(tasks),
        "scored only": list(apart),
    }
    outline = Outline(recipe, tasks, data, {})
    return replace(
        outline, encoders={name: encoder_run(outline, name) for name in used_encoders(recipe)}
    )


def main_runs(recipe: Recipe) -> list[Run]:
    """The runs of the main table, parents before children."""
    outline = outline_of(recipe, present_tasks(recipe))
    given = given_runs(outline)
    runs = [data_run(outline), *outline.encoders.values(), *given]
    for seed in recipe.seeds:
        for name in recipe.baselines:
            baseline = BASELINES[name]
            runs += baseline.plan(outline, seed, baseline)
        models = candidate_runs(outline, seed)
        teachers = teachers_run(outline, models, given, seed)
        runs += [*models, teachers, *student_runs(outline, teachers, seed)]
    return runs


def few_label_runs(recipe: Recipe) -> list[Run]:
    """The runs that adapt the encoder, MT-DNN and the students to new tasks."""
    main, default = main_runs(recipe), candidate_name(recipe.encoder, recipe.dropout)
    named = {(run.stage, run.variant, run.seed): run for run in main}
    encoder = named["encoders", recipe.encoder, 0]
    starts = [("bert", seed, encoder) for seed in recipe.seeds]
    starts += [("mtdnn", seed, named["mtdnn", default, seed]) for seed in recipe.seeds]
    starts += [(run.variant, run.seed, run) for run in main if run.stage == "distill"]
    return transfer_runs(outline_of(recipe, new_tasks(recipe)), starts)


def runs_of(recipe: Recipe, stage: str) -> list[Run]:
    """All runs of a stage that the recipe may have."""
    every = few_label_runs(recipe) if stage == "transfer" else main_runs(recipe)
    return [run for run in every if run.stage == stage]


def find_run(recipe: Recipe, stage: str, variant: str | None, seed: int) -> Run:
    """The run of that stage, variant and seed; without `variant`, the stage's only one.

    Raises MtkdError naming what there is.
    """
    runs = runs_of(recipe, stage)
    if stage == "given" and not runs:
        raise MtkdError(
            f"recipe {recipe.name} has no given teachers; expected some under `teachers.given`"
        )
    for run in runs:
        if run.seed == seed and variant in (None, run.variant):
            return run
    known = ", ".join(sorted({f"{run.variant} (seed {run.seed})" for run in runs}))
    raise MtkdError(
        f"recipe {recipe.name} has no {stage} run {variant!r} with seed {seed}: {known}"
    )


def expand(recipe: Recipe) -> list[Run]:
    """All runs of a recipe, those of its studies last, parents before children.

    Raises MtkdError where one of its questions is of no system.
    """
    check_questions(recipe)
    found = {run.run_id: run for run in main_runs(recipe)}
    for study in studies(recipe):
        for variant in study.variants:
            for run in variant_runs(recipe, study, variant):
                for needed in (*run.ancestors, run):
                    asked = needed.parameters | {"variant": f"{study.name}/{variant.name}"}
                    found.setdefault(needed.run_id, replace(needed, parameters=asked))
    return list(found.values())


def check_questions(recipe: Recipe) -> None:
    """Raises MtkdError for a question of no system of the recipe, and no variant of its studies."""
    known = SYSTEMS | {*recipe.baselines, *recipe.students}
    known |= {f"{name}-ft" for name, student in recipe.students.items() if student.finetune}
    for place, question in enumerate(recipe.questions):
        for key, name in (("system", question.system), ("against", question.against)):
            found = find_variant(recipe, name)
            if found and found[0].name in recipe.studies:
                variant_recipe(recipe, name)  # which has to have runs
            elif found or name not in known:
                raise MtkdError(
                    f"recipe {recipe.name}: questions[{place}].{key}: {name!r} is no system; "
                    f"expected one of {', '.join(sorted(known))}, or <a study of the recipe>/"
                    "<variant>"
                )


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


def variant_runs(recipe: Recipe, study: Study, variant: Variant) -> list[Run]:
    """The runs whose scores answer for a variant, one per seed; none for a mean of others."""
    if variant.mean_of:
        return []
    runs = runs_of(changed(recipe, variant.changes), variant.stage)
    found = [run for run in runs if variant.run in (None, run.variant)]
    if len(found) != len(recipe.seeds):
        raise MtkdError(
            f"study {study.name}, variant {variant.name}: {len(found)} runs, expected one per seed"
        )
    return found


def upto(runs: list[Run], stage: str | None) -> list[Run]:
    """The runs of a stage and all that they rest on; all runs without a stage."""
    if stage is None:
        return runs
    if stage not in NOTEBOOKS:
        raise MtkdError(f"--until {stage!r}: expected one of {', '.join(NOTEBOOKS)}")
    last = [run for run in runs if run.stage == stage]
    wanted = {needed.run_id for run in last for needed in (*run.ancestors, run)}
    return [run for run in runs if run.run_id in wanted]


def notices(recipe: Recipe) -> list[str]:
    """What the recipe names and the data, or its own tasks, do not have: one line each."""
    present, where = present_tasks(recipe), recipe.data.path or recipe.data.hub
    glue = None in recipe.tasks.values()  # without any, defaults that name some mean nothing
    lines = []
    if missing := [name for name in recipe.tasks if name not in present]:
        lines.append(f"not in {where} and left out: {', '.join(missing)}")
    asked = recipe.taught if glue else recipe.teachers.tasks or ()
    if absent := [task for task in asked if task not in present]:
        taught = ", ".join(teacher_tasks(recipe, present)) or "nothing"
        lines.append(
            f"no soft targets for {', '.join(absent)}: not a task here; teachers teach {taught}"
        )
    if recipe.data.unlabelled_file and not uses_text(recipe):
        lines.append(
            "unlabelled text is not used: no student learns from it (students.*.unlabelled_ratio), "
            "and the study `unlabelled` is not asked for (--with unlabelled)"
        )
    taught_own = [task for task in recipe.taught if recipe.tasks.get(task)]
    if uses_text(recipe) and (
        bare := [task for task in taught_own if UNLABELLED not in own_places(recipe.task(task))]
    ):
        lines.append(
            f"no text without labels for {', '.join(bare)}: `unlabelled: FILE` in its `data` gives "
            "some"
        )
    if "few-labels" in recipe.studies:
        known = new_tasks(recipe)
        if absent := [task for task in recipe.few_labels.tasks if task not in known]:
            rest = f"only {', '.join(known)} is asked" if known else "the study is left out"
            lines.append(f"few labels: {', '.join(absent)} not in {where}; {rest}")
    by, asked_by = selection_tasks(recipe, present), recipe.teachers.selection_tasks
    said = glue or asked_by != Teachers().selection_tasks
    if recipe.teachers.choose and said and set(by) != set(asked_by):
        lines.append(f"teachers are chosen by {', '.join(by)}")
    return lines


def uses_text(recipe: Recipe) -> bool:
    """Whether any student learns from unlabelled text."""
    students = recipe.students.values()
    return "unlabelled" in recipe.studies or any(student.unlabelled_ratio for student in students)
