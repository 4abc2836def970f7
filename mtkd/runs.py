"""A recipe's runs: which there are, what each rests on, and what identifies it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mtkd.data import DataSource, find_task, missing_tasks
from mtkd.errors import MtkdError
from mtkd.glue_files import task_folders
from mtkd.recipes import Recipe, head_spec
from mtkd.tasks import GLUE
from mtkd.toy import TRAIN_SIZES

NOTEBOOKS = {
    "glue": "01_glue",
    "encoders": "02_encoders",
    "baselines": "03_baselines",
    "mtdnn": "04_mtdnn",
    "teachers": "05_teachers",
    "distill": "06_distill",
}
# Training examples of GLUE today (the hub's dataset card), for cost estimates only.
GLUE_SIZES = {
    "cola": 8551,
    "sst2": 67349,
    "mrpc": 3668,
    "stsb": 5749,
    "qqp": 363846,
    "mnli": 392702,
    "qnli": 104743,
    "rte": 2490,
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
    by = selection_tasks(recipe, present)
    if set(by) != set(recipe.teachers.by):
        lines.append(f"teachers are chosen by {', '.join(by)}")
    return lines


def teacher_tasks(recipe: Recipe, present: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks whose soft targets the student uses."""
    return tuple(task for task in present if task in recipe.teachers.tasks)


def selection_tasks(recipe: Recipe, present: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks whose dev scores choose the teachers; all that are there if none of them is."""
    return tuple(task for task in recipe.teachers.by if task in present) or present


def expand(recipe: Recipe) -> list[Run]:
    """All runs of a recipe, parents before children."""
    present, _ = present_tasks(recipe)
    data = {"data": data_identity(recipe.data, present), "tasks": list(present)}
    runs = [Run("glue", "data", 0, data, (), {}, 0)]
    encoders = {name: encoder_run(recipe, name) for name in used_encoders(recipe)}
    runs += encoders.values()
    for seed in recipe.seeds:
        runs += baseline_runs(recipe, present, data, encoders, seed)
        candidates = candidate_runs(recipe, present, data, encoders, seed)
        teachers = teachers_run(recipe, present, data, candidates, seed)
        students = student_runs(recipe, present, data, encoders[recipe.encoder], teachers, seed)
        runs += [*candidates, teachers, *students]
    return runs


def shared_settings(
    recipe: Recipe, present: tuple[str, ...], data: dict[str, Any]
) -> dict[str, Any]:
    """What the identity of every trained run holds."""
    heads = {task: head_spec(GLUE[task], recipe.heads).as_dict() for task in present}
    return data | {"heads": heads, "max_length": recipe.max_length}


def single_settings(
    recipe: Recipe, present: tuple[str, ...], data: dict[str, Any]
) -> dict[str, Any]:
    """Identity of the systems without a second stage: baselines and students."""
    shared = shared_settings(recipe, present, data)
    own = {"training": asdict(recipe.single_stage)}
    return shared | own | {"encoder": recipe.encoder, "dropout": recipe.dropout}


def examples_of(recipe: Recipe, tasks: tuple[str, ...]) -> int:
    return sum(train_size(recipe.data, task) for task in tasks)


def baseline_runs(
    recipe: Recipe,
    present: tuple[str, ...],
    data: dict[str, Any],
    encoders: dict[str, Run],
    seed: int,
) -> list[Run]:
    settings = single_settings(recipe, present, data)
    first = encoders[recipe.encoder]
    cost = examples_of(recipe, present) * recipe.single_stage.epochs
    runs = []
    if "bert" in recipe.baselines:
        own = settings | {"qnli_ranking": recipe.heads.qnli != "ranking"}
        runs.append(Run("baselines", "bert", seed, own, (first,), {"system": "bert"}, cost))
    if "stilts" in recipe.baselines:
        for task in (task for task in recipe.intermediate if task in present):
            own = settings | {"intermediate": task, "before": asdict(recipe.training)}
            more = examples_of(recipe, (task,)) * recipe.training.epochs
            what = f"stilts-{task}"
            runs.append(Run("baselines", what, seed, own, (first,), {"system": what}, cost + more))
    if "metal" in recipe.baselines:
        # Auxiliary heads: about as many examples again.
        cost *= 2 * len(encoders)
        parents = tuple(encoders.values())
        runs.append(Run("baselines", "metal", seed, settings, parents, {"system": "metal"}, cost))
    return [replace(run, parameters=run.parameters | {"seed": seed}) for run in runs]


def candidate_runs(
    recipe: Recipe,
    present: tuple[str, ...],
    data: dict[str, Any],
    encoders: dict[str, Run],
    seed: int,
) -> list[Run]:
    """One multi-task model per candidate; the default one is fine-tuned in the same run."""
    shared = shared_settings(recipe, present, data) | {"training": asdict(recipe.training)}
    size, runs = examples_of(recipe, present), []
    for name, dropout in candidates(recipe):
        settings = shared | {"encoder": name, "dropout": dropout}
        cost = size * recipe.training.epochs
        if (name, dropout) == (recipe.encoder, recipe.dropout):
            settings |= tuning(recipe)
            cost += size * recipe.finetuning.epochs
        parameters = {"encoder": name, "dropout": dropout, "seed": seed}
        what = f"{name}-d{dropout:g}"
        runs.append(Run("mtdnn", what, seed, settings, (encoders[name],), parameters, cost))
    return runs


def tuning(recipe: Recipe) -> dict[str, Any]:
    """Identity of fine-tuning per task."""
    return {"finetuning": asdict(recipe.finetuning), "fresh_heads": recipe.fresh_heads}


def teachers_run(
    recipe: Recipe,
    present: tuple[str, ...],
    data: dict[str, Any],
    candidates: list[Run],
    seed: int,
) -> Run:
    settings = shared_settings(recipe, present, data) | tuning(recipe)
    settings |= {"training": asdict(recipe.training)}
    settings["teachers"] = {**asdict(recipe.teachers), "tasks": None}
    settings["pool"] = [f"{name}-d{dropout:g}" for name, dropout in pool_of(recipe)]
    count = recipe.teachers.choose
    # The default candidate is fine-tuned already, and is a member in about half of the cases.
    cost = examples_of(recipe, present) * recipe.finetuning.epochs * (count - 0.5)
    return Run("teachers", f"best{count}", seed, settings, tuple(candidates), {"seed": seed}, cost)


def student_runs(
    recipe: Recipe,
    present: tuple[str, ...],
    data: dict[str, Any],
    encoder: Run,
    teachers: Run,
    seed: int,
) -> list[Run]:
    size, runs = examples_of(recipe, present), []
    for name, distillation in recipe.students.items():
        settings = single_settings(recipe, present, data) | {
            "distillation": asdict(distillation),
            "teacher_tasks": list(teacher_tasks(recipe, present)),
            "average": recipe.teachers.average,
        }
        cost = size * recipe.single_stage.epochs
        if distillation.finetune:
            settings |= tuning(recipe)
            cost += size * recipe.finetuning.epochs
        parameters = {"student": name, "seed": seed}
        runs.append(Run("distill", name, seed, settings, (encoder, teachers), parameters, cost))
    return runs


def pool_of(recipe: Recipe) -> list[tuple[str, float]]:
    """The candidates that may become teachers."""
    grid = recipe.candidates
    return [(name, dropout) for name in grid.encoders for dropout in grid.dropout]


def candidates(recipe: Recipe) -> list[tuple[str, float]]:
    """All multi-task models to train: the pool, and the default model if it is not in it."""
    default = (recipe.encoder, recipe.dropout)
    pool = pool_of(recipe)
    return pool if default in pool else [default, *pool]


def used_encoders(recipe: Recipe) -> list[str]:
    return list(dict.fromkeys(name for name, _ in candidates(recipe)))


def encoder_run(recipe: Recipe, name: str) -> Run:
    """The run that pre-trains an encoder or checks one that is loaded."""
    source = recipe.encoders[name]
    settings: dict[str, Any] = {"package": source.package, "hub": source.hub}
    settings |= {"revision": source.revision, "pretrain": source.pretrain}
    cost = 0.0
    if source.path:
        # Names and sizes of its files: the same model elsewhere is the same encoder.
        settings["path"] = sorted(
            (file.name, file.stat().st_size)
            for file in Path(source.path).glob("*")
            if file.suffix in (".json", ".safetensors", ".txt")
        )
    if source.pretrain:
        settings |= asdict(recipe.pretraining) | {"lowercase": source.lowercase}
        settings["corpus_seed"] = recipe.data.seed
        # A line costs nearly as much as a training example (measured in the demo).
        cost = 0.85 * recipe.pretraining.sentences * recipe.pretraining.epochs
    return Run("encoders", name, 0, settings, (), {"encoder": name}, cost)


def train_size(source: DataSource, task: str) -> int:
    """Training examples of a task, about: for estimates, without reading any file."""
    if source.kind == "toy":
        return round(TRAIN_SIZES[task] * source.scale)
    return min(GLUE_SIZES[task], source.limit or GLUE_SIZES[task])


def data_identity(source: DataSource, tasks: tuple[str, ...]) -> dict[str, Any]:
    """What tells one data source from another, wherever it lies.

    For a folder: names and sizes of the files, so that a copy elsewhere is the same source and
    another version of a file is not.
    """
    if source.kind == "toy":
        return {"kind": "toy", "seed": source.seed, "scale": source.scale, "limit": source.limit}
    if source.kind == "hub":
        chosen = {"limit": source.limit, "seed": source.seed}
        return {"kind": "hub", "hub": source.hub, "revision": source.revision} | chosen
    files = sorted(
        (f"{folder.name}/{file.name}", file.stat().st_size)
        for task in tasks
        for folder in task_folders(find_task(task), Path(source.path or ""))
        for file in folder.iterdir()
        if file.suffix in (".tsv", ".parquet")
    )
    return {"kind": "folder", "files": files, "limit": source.limit, "seed": source.seed}


def find_run(recipe: Recipe, stage: str, what: str, seed: int) -> Run:
    """The run of that stage, what and seed. Raises MtkdError naming what there is."""
    runs = [run for run in expand(recipe) if run.stage == stage]
    for run in runs:
        if (run.what, run.seed) == (what, seed):
            return run
    known = ", ".join(sorted({f"{run.what} (seed {run.seed})" for run in runs}))
    raise MtkdError(f"recipe {recipe.name} has no {stage} run {what!r} with seed {seed}: {known}")


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
