"""A recipe's runs: which there are, and what each rests on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mtkd.common.errors import MtkdError
from mtkd.data.digests import encoder_files
from mtkd.data.loading import missing_tasks
from mtkd.data.tasks import GLUE
from mtkd.experiments.identities import data_identity, identity, text_identity, train_size
from mtkd.experiments.settings import Recipe
from mtkd.method.settings import Training

NOTEBOOKS = {
    "glue": "01_glue",
    "encoders": "02_encoders",
    "baselines": "03_baselines",
    "mtdnn": "04_mtdnn",
    "teachers": "05_teachers",
    "distill": "06_distill",
    "transfer": "11_few_labels",
}


@dataclass(frozen=True)
class Run:
    """One notebook executed for one setting and one seed."""

    stage: str
    what: str
    seed: int
    settings: dict[str, Any]  # scientific fields only: no paths, devices, workers
    parents: tuple[Run, ...]
    parameters: dict[str, Any]  # of the notebook, beside the recipe
    cost: float  # training examples passed through the model, for estimates

    @cached_property
    def config_id(self) -> str:
        """`<stage>-<what>-<hash8>`: the same for all seeds."""
        content = {
            "settings": self.settings,
            "parents": sorted({parent.config_id for parent in self.parents}),
        }
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.stage}-{self.what}-{digest[:8]}"

    @property
    def run_id(self) -> str:
        return f"{self.config_id}-s{self.seed}"

    @property
    def notebook(self) -> str:
        return NOTEBOOKS[self.stage]


def present_tasks(recipe: Recipe) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The recipe's tasks that its data source has, and those that it has not."""
    missing = tuple(missing_tasks(recipe.data, recipe.tasks))
    present = tuple(task for task in recipe.tasks if task not in missing)
    if not present:
        raise MtkdError(
            f"recipe {recipe.name}: none of its tasks ({', '.join(recipe.tasks)}) is in "
            f"{recipe.data.path or recipe.data.hub}; expected folders as GLUE names them: CoLA, RTE"
        )
    return present, missing


def teacher_tasks(recipe: Recipe, present: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks whose soft targets the student uses."""
    return tuple(task for task in present if task in recipe.teachers.tasks)


def selection_tasks(recipe: Recipe, present: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks whose dev scores choose the teachers; all that are there if none of them is."""
    return tuple(task for task in recipe.teachers.by if task in present) or present


@dataclass(frozen=True)
class Outline:
    """What the runs of all seeds share."""

    recipe: Recipe
    present: tuple[str, ...]  # tasks that the data source has
    data: dict[str, Any]  # identity of the data
    encoders: dict[str, Run]

    @property
    def shared(self) -> dict[str, Any]:
        """Identity that every trained run holds."""
        recipe = self.recipe
        heads = {task: recipe.heads.spec(GLUE[task]).as_dict() for task in self.present}
        return self.data | {"heads": heads, "max_length": recipe.max_length}

    @property
    def single(self) -> dict[str, Any]:
        """Identity of the systems without a second stage: baselines and students."""
        recipe = self.recipe
        own = {"training": identity(recipe.single_stage), "dropout": recipe.dropout}
        return self.shared | own | {"encoder": recipe.encoder}

    @property
    def multi(self) -> dict[str, Any]:
        """Identity of multi-task training."""
        return self.shared | {"training": identity(self.recipe.training)}

    @property
    def tuning(self) -> dict[str, Any]:
        """Identity of fine-tuning per task."""
        recipe = self.recipe
        return {"finetuning": identity(recipe.finetuning), "fresh_heads": recipe.fresh_heads}

    def examples(self, settings: Training) -> float:
        """Training examples that pass through a model when all tasks are trained."""
        sizes = (train_size(self.recipe.data, task) for task in self.present)
        return sum(sizes) * settings.epochs

    def full_size(self, tasks: Sequence[str]) -> int:
        """Training examples of some tasks, were all labels there."""
        source = replace(self.recipe.data, share=1.0)
        return sum(train_size(source, task) for task in tasks)


def ancestors(run: Run) -> list[Run]:
    """All runs that a run rests on, the oldest first."""
    found = {r.run_id: r for parent in run.parents for r in (*ancestors(parent), parent)}
    return list(found.values())


def main_runs(recipe: Recipe) -> list[Run]:
    """The runs of the main table, parents before children."""
    present, _ = present_tasks(recipe)
    data = {"data": data_identity(recipe.data, present), "tasks": list(present)}
    encoders = {name: encoder_run(recipe, name) for name in used_encoders(recipe)}
    outline = Outline(recipe, present, data, encoders)
    runs = [Run("glue", "data", 0, data, (), {}, 0), *encoders.values()]
    for seed in recipe.seeds:
        models = candidate_runs(outline, seed)
        teachers = teachers_run(outline, models, seed)
        runs += [*baseline_runs(outline, seed), *models, teachers]
        runs += student_runs(outline, teachers, seed)
    return runs


def baseline_runs(outline: Outline, seed: int) -> list[Run]:
    """The systems that MT-DNN is compared with."""
    recipe, first = outline.recipe, outline.encoders[outline.recipe.encoder]
    cost = outline.examples(recipe.single_stage)

    def run(what: str, parents: tuple[Run, ...], cost: float, **own: Any) -> Run:
        parameters = {"system": what, "seed": seed}
        return Run("baselines", what, seed, outline.single | own, parents, parameters, cost)

    runs = []
    if "bert" in recipe.baselines:
        runs.append(run("bert", (first,), cost, qnli_ranking=recipe.heads.qnli != "ranking"))
    if "stilts" in recipe.baselines:
        before = identity(recipe.training)
        for task in (task for task in recipe.intermediate if task in outline.present):
            more = train_size(recipe.data, task) * recipe.training.epochs
            own = {"intermediate": task, "before": before}
            runs.append(run(f"stilts-{task}", (first,), cost + more, **own))
    if "metal" in recipe.baselines:
        # Its auxiliary heads see about as many examples again, and every encoder has a model.
        parents = tuple(outline.encoders[name] for name in candidate_encoders(recipe))
        runs.append(run("metal", parents, cost * 2 * len(parents)))
    return runs


def candidate_runs(outline: Outline, seed: int) -> list[Run]:
    """One multi-task model per candidate; the default one is fine-tuned in the same run."""
    recipe, runs = outline.recipe, []
    for name, dropout in candidates(recipe):
        settings = outline.multi | {"encoder": name, "dropout": dropout}
        cost = outline.examples(recipe.training)
        if (name, dropout) == (recipe.encoder, recipe.dropout):
            settings |= outline.tuning
            cost += outline.examples(recipe.finetuning)
        parents, what = (outline.encoders[name],), f"{name}-d{dropout:g}"
        parameters = {"encoder": name, "dropout": dropout, "seed": seed}
        runs.append(Run("mtdnn", what, seed, settings, parents, parameters, cost))
    return runs


def teachers_run(outline: Outline, models: list[Run], seed: int) -> Run:
    """The choice among a seed's candidates, their fine-tuning and their average."""
    recipe, count = outline.recipe, outline.recipe.teachers.choose
    settings = outline.multi | outline.tuning
    settings["teachers"] = identity(recipe.teachers) | {"tasks": None}
    settings["pool"] = [f"{name}-d{dropout:g}" for name, dropout in pool_of(recipe)]
    # Of all models the teachers alone, and who learns from them, need to know of more text.
    if text := text_identity(recipe.data, teacher_tasks(recipe, outline.present)):
        settings["text"] = text
    cost = outline.examples(recipe.finetuning) * tuned_teachers(recipe)
    what = f"{recipe.teachers.order}{count}"
    return Run("teachers", what, seed, settings, tuple(models), {"seed": seed}, cost)


def tuned_teachers(recipe: Recipe) -> float:
    """How many models the teachers' run fine-tunes, about.

    The default candidate, a member in about half of the cases, is fine-tuned already, unless there
    is text to label.
    """
    return recipe.teachers.choose - (0 if recipe.data.pool else 0.5)


def student_runs(outline: Outline, teachers: Run, seed: int) -> list[Run]:
    """The students of a seed's teachers, or of other students."""
    recipe, runs = outline.recipe, list[Run]()
    taught = teacher_tasks(recipe, outline.present)
    for name, distillation in recipe.students.items():
        start = distillation.encoder or recipe.encoder
        settings = outline.single | {
            "encoder": start,
            "distillation": identity(distillation),
            "teacher_tasks": list(taught),
            "average": recipe.teachers.average,
        }
        cost = outline.examples(recipe.single_stage)
        cost += outline.full_size(taught) * distillation.unlabelled * recipe.single_stage.epochs
        if any(name in other.taught_by for other in recipe.students.values()):
            settings["pupils"] = True  # so its predictions on the training examples are stored
        if distillation.finetune:
            settings |= outline.tuning
            cost += outline.examples(recipe.finetuning)
        above = [run for run in runs if run.what in distillation.taught_by]
        parents = (outline.encoders[start], *(above or [teachers]))
        parameters = {"student": name, "seed": seed}
        runs.append(Run("distill", name, seed, settings, parents, parameters, cost))
    return runs


def transfer_runs(recipe: Recipe) -> list[Run]:
    """The runs that adapt each of `starts` to tasks that it has not seen."""
    asked, data, tasks = recipe.few_labels, recipe.data, new_tasks(recipe)
    if not tasks:
        raise MtkdError(
            f"recipe {recipe.name}: none of {', '.join(asked.tasks)} is in {data.path or data.hub}"
        )
    settings = {
        "data": data_identity(data, tasks),
        "few_labels": asdict(asked) | {"tasks": list(tasks), "shares": list(asked.shares)},
        "training": identity(recipe.single_stage),
        "dropout": recipe.dropout,
        "max_length": recipe.max_length,
    }
    epochs, batch = recipe.single_stage.epochs, recipe.single_stage.batch_size
    sizes = [train_size(data, task) * share for task in tasks for share in asked.shares]
    cost = sum(max(size * epochs, asked.steps * batch) for size in sizes)
    runs = []
    for name, seed, start in starts(recipe):
        parents = (start.parents[0], start) if start.parents else (start,)  # an encoder comes first
        parameters = {"start": name, "seed": seed}
        own = settings | {"encoder": parents[0].what}
        runs.append(Run("transfer", name, seed, own, parents, parameters, cost))
    return runs


def new_tasks(recipe: Recipe) -> tuple[str, ...]:
    """The tasks of the study few-labels that the data source has."""
    missing = missing_tasks(recipe.data, recipe.few_labels.tasks)
    return tuple(task for task in recipe.few_labels.tasks if task not in missing)


def few_system(start: str, share: float) -> str:
    """Name of a model that has seen a share of a new task's labels: "mtdnn@0.01"."""
    return f"{start}@{share:g}"


def starts(recipe: Recipe) -> list[tuple[str, int, Run]]:
    """What new tasks may be learnt from, with seed and run: the encoder, MT-DNN, the students."""
    main, default = main_runs(recipe), f"{recipe.encoder}-d{recipe.dropout:g}"
    found = [
        ("bert", seed, run)
        for seed in recipe.seeds
        for run in main
        if (run.stage, run.what) == ("encoders", recipe.encoder)
    ]
    found += [
        ("mtdnn", run.seed, run) for run in main if (run.stage, run.what) == ("mtdnn", default)
    ]
    return found + [(run.what, run.seed, run) for run in main if run.stage == "distill"]


def runs_of(recipe: Recipe, stage: str) -> list[Run]:
    """All runs of a stage that the recipe may have."""
    every = transfer_runs(recipe) if stage == "transfer" else main_runs(recipe)
    return [run for run in every if run.stage == stage]


def pool_of(recipe: Recipe) -> list[tuple[str, float]]:
    """The candidates that may become teachers."""
    grid = recipe.candidates
    return [(name, dropout) for name in grid.encoders for dropout in grid.dropout]


def candidates(recipe: Recipe) -> list[tuple[str, float]]:
    """All multi-task models to train: the pool, and the default model if it is not in it."""
    default = (recipe.encoder, recipe.dropout)
    pool = pool_of(recipe)
    return pool if default in pool else [default, *pool]


def candidate_encoders(recipe: Recipe) -> list[str]:
    return list(dict.fromkeys(name for name, _ in candidates(recipe)))


def used_encoders(recipe: Recipe) -> list[str]:
    """Those of the candidates, and those that students start from."""
    students = [student.encoder for student in recipe.students.values() if student.encoder]
    return list(dict.fromkeys([*candidate_encoders(recipe), *students]))


def encoder_run(recipe: Recipe, name: str) -> Run:
    """The run that pre-trains an encoder or checks one that is loaded."""
    source = recipe.encoders[name]
    settings: dict[str, Any] = {"package": source.package, "hub": source.hub}
    settings |= {"revision": source.revision, "pretrain": source.pretrain}
    cost = 0.0
    if source.path:
        settings["path"] = encoder_files(Path(source.path))
    if source.pretrain:
        settings |= asdict(recipe.pretraining_of(name)) | {"lowercase": source.lowercase}
        settings["corpus_seed"] = recipe.data.seed
        # A line costs nearly as much as a training example (measured in the demo).
        cost = 0.85 * recipe.pretraining.sentences * recipe.pretraining.epochs
    elif source.layers:
        settings["layers"] = source.layers
    return Run("encoders", name, 0, settings, (), {"encoder": name}, cost)


def find_run(recipe: Recipe, stage: str, what: str | None, seed: int) -> Run:
    """The main run of that stage, what and seed; without `what`, the stage's only one.

    Raises MtkdError naming what there is.
    """
    runs = runs_of(recipe, stage)
    for run in runs:
        if run.seed == seed and what in (None, run.what):
            return run
    known = ", ".join(sorted({f"{run.what} (seed {run.seed})" for run in runs}))
    raise MtkdError(f"recipe {recipe.name} has no {stage} run {what!r} with seed {seed}: {known}")
