"""Teachers: chosen among the candidates, fine-tuned, heard through their stored predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mtkd.common.progress import Progress
from mtkd.experiments.context import RunContext
from mtkd.experiments.data_identity import text_identity
from mtkd.experiments.inputs import Splits, load_data, total_steps
from mtkd.experiments.records import Outcome, Score, prediction_file, read_record, run_folder
from mtkd.experiments.settings import Teachers
from mtkd.experiments.systems.averages import average_scores, member_predictions
from mtkd.experiments.systems.crossfit import (
    Folds,
    crossfit_steps,
    crossfit_teacher,
    folds_of,
)
from mtkd.experiments.systems.given import system_of
from mtkd.experiments.systems.mtdnn import candidate_name, teacher_pool
from mtkd.experiments.task_sets import selection_tasks, teacher_tasks
from mtkd.experiments.trainings import Setup, combine, finetune
from mtkd.method import targets

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run


def teachers_run(outline: Outline, models: Sequence[Run], given: Sequence[Run], seed: int) -> Run:
    """The choice among a seed's candidates, their fine-tuning, and their average with given ones.

    What is given is in the identity of the runs `given`.
    """
    recipe, count = outline.recipe, outline.recipe.teachers.choose
    settings = outline.multi | outline.tuning
    settings["teachers"] = recipe.teachers.identity | {"tasks": None}
    settings["pool"] = [candidate_name(*candidate) for candidate in teacher_pool(recipe)]
    # Of all models the teachers alone, and who learns from them, need to know of more text.
    if recipe.data.unlabelled_ratio:
        taught = [recipe.task(name) for name in teacher_tasks(recipe, outline.present)]
        settings["text"] = text_identity(recipe.data, taught)
    # The default candidate, a member in about half of the cases, is fine-tuned already, unless
    # there is text to label.
    tuned = max(0, count - (0 if recipe.data.unlabelled_ratio else 0.5))
    cost = outline.examples(recipe.finetuning) * tuned
    if folds := recipe.teachers.crossfit:  # every example is left out once
        both = outline.examples(recipe.training) + outline.examples(recipe.finetuning)
        cost = both * count * (folds - 1)
    variant = f"{recipe.teachers.selection}{count}" if count else "given"
    parents = [*(models if count else [outline.encoders[recipe.encoder]]), *given]
    return outline.run("teachers", variant, seed, train_teachers, settings, parents, cost)


def train_teachers(context: RunContext) -> Outcome:
    """Choose the best candidates, fine-tune each on every task, average them (row `ensemble`).

    With `teachers.crossfit` they are made anew, fold by fold (`crossfit_teacher`).
    Given teachers are heard with them on the tasks that they know.
    """
    recipe = context.recipe
    ranking = rank_candidates(context) if recipe.teachers.choose else []
    chosen = choose(ranking, recipe.teachers, context.run.seed)
    parts, members, folds = [], [], folds_of(context)
    loaded = {c["encoder"]: load_data(context, c["encoder"], text=True) for c in chosen}
    parents = {parent.run_id: parent for parent in context.run.parents}
    # The default candidate was fine-tuned as the system `mtdnn`, in the same way; but that run
    # knows nothing of text without labels, so that it serves all amounts of it.
    text = recipe.data.unlabelled_ratio > 0
    work = [c for c in chosen if text or folds or not parents[c["run_id"]].settings["default"]]
    steps = sum(teacher_steps(context, loaded[c["encoder"]][1], folds) for c in work)
    with Progress(max(steps, 1), "teachers") as progress:
        for candidate in chosen:
            if candidate not in work:
                members.append((candidate["run_id"], "mtdnn"))
                continue
            tokenizer, data = loaded[candidate["encoder"]]
            setup = Setup(context, tokenizer, progress)
            parent, system = parents[candidate["run_id"]], teacher_system(candidate["variant"])
            members.append((context.run.run_id, system))
            if folds:
                model = candidate["encoder"], candidate["dropout"]
                parts += crossfit_teacher(setup, system, *model, data, folds)
                continue
            parts += [finetune(setup, parent, system, task, data[task]) for task in context.tasks]
    scores, details = combine(parts)
    details |= {"ranking": ranking, "members": members}
    details["by"] = list(selection_tasks(recipe, context.tasks))
    if given := given_members(context):
        details["given"] = given
    # Every candidate sees the same examples, so any tokenizer's data gives ids and labels.
    encoder = next(iter(loaded), recipe.encoder)
    _, data = loaded.get(encoder) or load_data(context, encoder, text=True)
    for task, splits in data.items():
        teaching = [*members, *((run, system) for run, system, of in given if of == task)]
        spoken = {
            split: item for split, item in splits.items() if heard(context, given, task, split)
        }
        if teaching:
            average = recipe.teachers.average
            scores += average_scores(context, "ensemble", teaching, {task: spoken}, average)
    return scores, details


def teacher_system(candidate: str) -> str:
    """The system that a fine-tuned candidate is."""
    return f"teacher-{candidate}"


def teacher_steps(context: RunContext, data: dict[str, Splits], folds: Folds) -> int:
    """Optimiser steps from a candidate to a teacher."""
    if folds:
        return crossfit_steps(context.recipe, data, folds)
    return total_steps(data, context.recipe.finetuning, alone=True)


def given_members(context: RunContext) -> list[tuple[str, str, str]]:
    """The given teachers: run, system and task."""
    teachers = {teacher.name: teacher for teacher in context.recipe.teachers.given}
    return [
        (parent.run_id, system_of(teachers[parent.variant]), teachers[parent.variant].task)
        for parent in context.run.parents
        if parent.stage == "given"
    ]


def heard(
    context: RunContext, given: Sequence[tuple[str, str, str]], task: str, split: str
) -> bool:
    """Whether all given teachers of a task have spoken of a split: of a test split, some have not.

    The ensemble is the average of all teachers or it is nothing.
    """
    return all(
        prediction_file(context.results, run_id, system, task, split).is_file()
        for run_id, system, known in given
        if known == task
    )


def choose(ranking: list[dict[str, Any]], teachers: Teachers, seed: int) -> list[dict[str, Any]]:
    """The candidates that become teachers: the best, or as many drawn at random."""
    if teachers.selection == "random":
        drawn = np.random.default_rng((seed, len(ranking))).permutation(len(ranking))
        ranking = [ranking[number] for number in drawn]
    return ranking[: teachers.choose]


def rank_candidates(context: RunContext) -> list[dict[str, Any]]:
    """Candidates, the best first, by the mean dev score of the selection tasks (KD paper 4.1)."""
    by = selection_tasks(context.recipe, context.tasks)
    pool = [candidate_name(*candidate) for candidate in teacher_pool(context.recipe)]
    ranking = []
    for parent in context.run.parents:
        if parent.variant not in pool:
            continue
        record = read_record(run_folder(context.results, parent.run_id))
        system = record.details["systems"][0]
        found = {
            task: dev_score([s for s in record.scores if s.system == system and s.task == task])
            for task in by
        }
        ranking.append(
            {
                "variant": parent.variant,
                "run_id": parent.run_id,
                "encoder": parent.settings["encoder"],
                "dropout": parent.settings["dropout"],
                "score": float(np.mean(list(found.values()))),
                **found,
            }
        )
    return sorted(ranking, key=lambda row: -row["score"])


def dev_score(scores: Sequence[Score]) -> float:
    """A task's dev score in points: the mean over its metrics (and over MNLI's two dev sets)."""
    values = [score.value for score in scores if score.split.startswith("dev")]
    return float(np.mean(values))


def members_of(context: RunContext, task: str) -> list[tuple[str, str]]:
    """Who teaches a task, (run, system): a teachers run's members, or students above a student."""
    if students := [parent for parent in context.run.parents if parent.stage == "distill"]:
        return [(parent.run_id, parent.variant) for parent in students]
    runs = [run for run in (context.run, *context.run.parents) if run.stage == "teachers"]
    record = read_record(run_folder(context.results, runs[0].run_id))
    given = record.details.get("given", [])
    return [
        *((run_id, system) for run_id, system in record.details["members"]),
        *((run_id, system) for run_id, system, known in given if known == task),
    ]


def soft_targets(
    context: RunContext, task: str, idx: np.ndarray, *, split: str = "train", temperature: float = 1
) -> np.ndarray:
    """The teachers' averaged soft targets (N, C) for the examples `idx` of a split."""
    known = context.recipe.task(task)
    return targets.average_predictions(
        member_predictions(context, task, split, members_of(context, task)),
        idx,
        known.labels,
        temperature=temperature,
        of=context.recipe.teachers.average,
        objective=known.kind,
    )
