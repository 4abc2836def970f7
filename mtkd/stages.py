"""One function per notebook stage: the seam between the notebooks and the library.

Each takes an open run and returns its record. A run that is done is not done again, its record is
read. A run that was interrupted continues: parts that are finished are kept, and the part in the
middle goes on at its last epoch.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtkd import metrics, paths, records, targets
from mtkd.batches import TaskData
from mtkd.data import encode, load_examples
from mtkd.encoders import load_tokenizer, pretrain
from mtkd.errors import MtkdError
from mtkd.heads import HeadSpec
from mtkd.model import MultiTaskModel, load_encoder
from mtkd.prediction import evaluate, predict
from mtkd.progress import Progress
from mtkd.recipes import Recipe, encoder_location, head_spec, load_recipe
from mtkd.records import Record, Score, Stopwatch
from mtkd.runs import Run, find_run, pool_of, present_tasks, selection_tasks, teacher_tasks
from mtkd.tasks import GLUE, Examples
from mtkd.toybench import toy_corpus
from mtkd.training import Distillation, Training, derive_seed, steps_per_epoch, train

Splits = dict[str, TaskData]


@dataclass(frozen=True)
class OpenRun:
    """A run and the folders it works in."""

    recipe: Recipe
    run: Run
    results: Path  # results/<recipe>
    tasks: tuple[str, ...]  # those that the data source has

    @property
    def folder(self) -> Path:
        return run_folder(self.results, self.run)

    @property
    def model_folder(self) -> Path:
        return self.results / "models" / self.run.run_id

    @property
    def done(self) -> bool:
        return (self.folder / "record.json").exists()


def run_folder(results: Path, run: Run) -> Path:
    return results / "runs" / run.run_id


def prediction_file(results: Path, run_id: str, system: str, task: str, split: str) -> Path:
    """Where the outputs of one system of one run on one split are stored."""
    return results / "predictions" / run_id / system / f"{task}.{split}.safetensors"


def open_recipe(name: str) -> tuple[Recipe, Path]:
    """A recipe and its results folder.

    `name` is a recipe's name or a file. A recipe that was reproduced before is read as it was
    then, with its data path and settings, from `results/<name>/recipe.yaml`.
    """
    saved = paths.RESULTS / name / "recipe.yaml"
    recipe = load_recipe(str(saved) if saved.is_file() else name)
    own = Path(name).resolve()
    results = own.parent if own.name == "recipe.yaml" else paths.RESULTS / recipe.name
    return recipe, results


def open_run(recipe: str, stage: str, what: str, seed: int) -> OpenRun:
    """The run of a notebook. Raises MtkdError if there is no such run or an input is missing."""
    resolved, results = open_recipe(recipe)
    run = find_run(resolved, stage, what, seed)
    opened = OpenRun(resolved, run, results, present_tasks(resolved)[0])
    for parent in run.parents:
        if not opened.done and not (run_folder(results, parent) / "record.json").exists():
            values = ", ".join(f"{k}={v!r}" for k, v in parent.parameters.items())
            raise MtkdError(
                f"{run.run_id} needs {parent.run_id}, which is not there: run "
                f"`mtkd reproduce --recipe {resolved.name} --until {parent.stage}`, or open "
                f"notebooks/{parent.notebook}.ipynb with {values}"
            )
    return opened


def read_examples(opened: OpenRun, task: str, split: str) -> Examples:
    """The text of one split, from the recipe's data source."""
    return load_examples(opened.recipe.data, GLUE[task], split)


def train_encoder(opened: OpenRun) -> Record:
    """Pre-train the shared layers on the toy corpus, or check those that the recipe names."""
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe, name = Stopwatch(), opened.recipe, opened.run.what
    details: dict[str, Any] = {}
    location = encoder_location(recipe, name)
    if location is None:
        lines = toy_corpus(recipe.data.seed, recipe.pretraining.sentences)
        lowercase = recipe.encoders[name].lowercase
        details["losses"] = pretrain(
            lines, recipe.pretraining, lowercase=lowercase, seed=0, folder=opened.model_folder
        )
        location = str(opened.model_folder)
    revision = recipe.encoders[name].revision
    tokenizer = load_tokenizer(location, revision)
    encoder = load_encoder(location, revision=revision)
    details |= {
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "vocabulary": len(tokenizer),
        "layers": getattr(encoder.config, "num_hidden_layers", None),
        "hidden": encoder.config.hidden_size,
    }
    return finish(opened, watch, [], details)


def train_baselines(opened: OpenRun) -> Record:
    """Single-task BERT: one model per task, no sharing (row `bert`)."""
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe = Stopwatch(), opened.recipe
    tokenizer, data = load_data(opened, recipe.encoder)
    parts = []
    with Progress(total_steps(data, recipe.training, alone=True), "bert") as progress:
        for task in opened.tasks:

            def build(task: str = task) -> MultiTaskModel:
                return new_model(opened, recipe.encoder, recipe.dropout, [task])

            parts.append(
                single_task(opened, "bert", task, data[task], build, recipe.training, tokenizer, progress)
            )
    return finish(opened, watch, *combine(parts))


def train_mtdnn(opened: OpenRun) -> Record:
    """Algorithm 1 for one candidate; the default one is then fine-tuned per task.

    The default candidate's rows are `mtdnn-noft` and `mtdnn`, the others' `candidate-<what>`.
    """
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe, settings = Stopwatch(), opened.recipe, opened.run.settings
    name, dropout = settings["encoder"], settings["dropout"]
    default = (name, dropout) == (recipe.encoder, recipe.dropout)
    system = "mtdnn-noft" if default else f"candidate-{opened.run.what}"
    tokenizer, data = load_data(opened, name)
    steps = total_steps(data, recipe.training)
    steps += total_steps(data, recipe.finetuning, alone=True) if default else 0
    with Progress(steps, system) as progress:
        parts = [multi_task(opened, system, name, dropout, data, tokenizer, progress)]
        if default:
            for task in opened.tasks:
                parts.append(
                    finetune(opened, opened.run, "mtdnn", task, data[task], tokenizer, progress)
                )
    return finish(opened, watch, *combine(parts))


def train_teachers(opened: OpenRun) -> Record:
    """Choose the best candidates, fine-tune each on every task, average them (row `ensemble`)."""
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe = Stopwatch(), opened.recipe
    ranking = rank_candidates(opened)
    chosen = ranking[: recipe.teachers.choose]
    parts, members = [], []
    default = f"{recipe.encoder}-d{recipe.dropout:g}"
    loaded = {c["encoder"]: load_data(opened, c["encoder"]) for c in chosen}
    work = [c for c in chosen if c["what"] != default]
    steps = sum(total_steps(loaded[c["encoder"]][1], recipe.finetuning, alone=True) for c in work)
    with Progress(max(steps, 1), "teachers") as progress:
        for candidate in chosen:
            # The default candidate was fine-tuned as the system `mtdnn`, in the same way.
            if candidate["what"] == default:
                members.append((candidate["run_id"], "mtdnn"))
                continue
            tokenizer, data = loaded[candidate["encoder"]]
            parent = next(p for p in opened.run.parents if p.what == candidate["what"])
            system = f"teacher-{candidate['what']}"
            for task in opened.tasks:
                parts.append(
                    finetune(opened, parent, system, task, data[task], tokenizer, progress)
                )
            members.append((opened.run.run_id, system))
    scores, details = combine(parts)
    details |= {"ranking": ranking, "members": members}
    details["by"] = list(selection_tasks(recipe, opened.tasks))
    # Every candidate sees the same examples, so any tokenizer's data gives ids and labels.
    scores += ensemble_scores(opened, members, next(iter(loaded.values()))[1])
    return finish(opened, watch, scores, details)


def train_student(opened: OpenRun) -> Record:
    """Distil the teachers' averaged soft targets into one multi-task student."""
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe, system = Stopwatch(), opened.recipe, opened.run.what
    distillation = recipe.students[system]
    tokenizer, data = load_data(opened, recipe.encoder)
    for task in teacher_tasks(recipe, opened.tasks):
        train_data = data[task]["train"]
        soft = soft_targets(
            opened, task, train_data.encoded.idx, temperature=distillation.temperature
        )
        data[task]["train"] = TaskData(train_data.encoded, soft, train_data.unit_rows)
    with Progress(total_steps(data, recipe.training), system) as progress:
        part = multi_task(
            opened, system, recipe.encoder, recipe.dropout, data, tokenizer, progress, distillation
        )
    return finish(opened, watch, *combine([part]))


# ---------------------------------------------------------------------------- teachers


def rank_candidates(opened: OpenRun) -> list[dict[str, Any]]:
    """Candidates, the best first, by the mean dev score of the selection tasks (KD paper 4.1)."""
    by = selection_tasks(opened.recipe, opened.tasks)
    pool = {f"{name}-d{dropout:g}" for name, dropout in pool_of(opened.recipe)}
    ranking = []
    for parent in opened.run.parents:
        if parent.what not in pool:
            continue
        record = records.read_record(run_folder(opened.results, parent))
        system = record.details["systems"][0]
        found = {
            task: dev_score([s for s in record.scores if s.system == system and s.task == task])
            for task in by
        }
        ranking.append(
            {
                "what": parent.what,
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


def teachers_run(opened: OpenRun) -> Run:
    """The run whose members teach this one: itself, or its parent."""
    if opened.run.stage == "teachers":
        return opened.run
    return next(parent for parent in opened.run.parents if parent.stage == "teachers")


def member_predictions(
    opened: OpenRun, task: str, split: str, members: Sequence[Sequence[str]] | None = None
) -> list[targets.Predictions]:
    """Each teacher's stored outputs on one split."""
    if members is None:
        record = records.read_record(run_folder(opened.results, teachers_run(opened)))
        members = record.details["members"]
    return [
        targets.read_predictions(prediction_file(opened.results, run_id, system, task, split))
        for run_id, system in members
    ]


def soft_targets(
    opened: OpenRun, task: str, idx: np.ndarray, *, split: str = "train", temperature: float = 1.0
) -> np.ndarray:
    """The teachers' averaged soft targets (N, C) for the examples `idx` of a split."""
    return targets.average(
        member_predictions(opened, task, split),
        idx,
        GLUE[task].labels,
        temperature=temperature,
        of=opened.recipe.teachers.average,
    )


def ensemble_scores(
    opened: OpenRun, members: Sequence[tuple[str, str]], data: dict[str, Splits]
) -> list[Score]:
    """Store and score the average of the members on every task's dev and test splits."""
    scores = []
    for task in opened.tasks:
        for split, item in data[task].items():
            if split == "train":
                continue
            mean = targets.average(
                member_predictions(opened, task, split, members),
                item.encoded.idx,
                GLUE[task].labels,
                of=opened.recipe.teachers.average,
            )
            outputs = np.log(mean.clip(1e-9)) if GLUE[task].labels else mean
            scores += store(opened, "ensemble", task, split, item, outputs)
    return scores


# ---------------------------------------------------------------------------- parts of a run


def multi_task(
    opened: OpenRun,
    system: str,
    encoder: str,
    dropout: float,
    data: dict[str, Splits],
    tokenizer: Any,
    progress: Progress,
    distillation: Distillation | None = None,
) -> dict[str, Any]:
    """Train one multi-task model, save it, store its predictions on dev and test."""

    def build() -> MultiTaskModel:
        return new_model(opened, encoder, dropout, list(opened.tasks))

    settings = opened.recipe.training
    arguments = (system, data, build, settings, tokenizer, progress, opened.model_folder)
    return train_part(opened, *arguments, distillation=distillation)


def single_task(
    opened: OpenRun,
    system: str,
    task: str,
    splits: Splits,
    build: Callable[[], MultiTaskModel],
    settings: Training,
    tokenizer: Any,
    progress: Progress,
    with_train: bool = False,
    origin: str = "",
) -> dict[str, Any]:
    """Train a model on one task and store its predictions; the model itself is not kept."""
    return train_part(
        opened,
        system,
        {task: splits},
        build,
        settings,
        tokenizer,
        progress,
        with_train=with_train,
        origin=origin,
    )


def finetune(
    opened: OpenRun,
    parent: Run,
    system: str,
    task: str,
    splits: Splits,
    tokenizer: Any,
    progress: Progress,
) -> dict[str, Any]:
    """Fine-tune a multi-task model on one task; predictions on train are kept where it teaches."""
    folder = opened.results / "models" / parent.run_id

    def build() -> MultiTaskModel:
        model = MultiTaskModel.from_pretrained(folder)
        fresh = opened.recipe.fresh_heads
        specs = {task: model.specs[task]}
        single = MultiTaskModel(model.encoder, specs)
        if not fresh:
            single.heads[task] = model.heads[task]
        return single

    return single_task(
        opened,
        system,
        task,
        splits,
        build,
        opened.recipe.finetuning,
        tokenizer,
        progress,
        with_train=True,
        origin=parent.what,
    )


def train_part(
    opened: OpenRun,
    system: str,
    data: dict[str, Splits],
    build: Callable[[], MultiTaskModel],
    settings: Training,
    tokenizer: Any,
    progress: Progress,
    model_folder: Path | None = None,
    *,
    distillation: Distillation | None = None,
    with_train: bool = False,
    origin: str = "",
) -> dict[str, Any]:
    """One training: skip it if done, resume it if begun; returns its history and scores."""
    name = system if len(data) > 1 or model_folder else f"{system}.{next(iter(data))}"
    path = opened.folder / "parts" / f"{name}.json"
    item = {task: splits["train"] for task, splits in data.items()}
    if path.exists():
        progress.advance(sum(steps_per_epoch(item, settings)))
        return json.loads(path.read_text())
    # The same candidate fine-tuned on the same task is the same training, whoever asks for it.
    key = f"{origin}.{next(iter(data))}" if origin else name
    seed = derive_seed(opened.run.seed, zlib.crc32(key.encode()))
    torch.manual_seed(seed)
    model = build()
    progress.what = f"{opened.run.what} seed {opened.run.seed}: {name}"
    dev = {task: {s: d for s, d in splits.items() if is_dev(s)} for task, splits in data.items()}
    checkpoint = opened.folder / "checkpoints" / name
    history = train(
        model,
        item,
        settings,
        seed=seed,
        pad=tokenizer.pad_token_id,
        distillation=distillation,
        evaluate=lambda: evaluate(model, dev, pad=tokenizer.pad_token_id),
        checkpoint=checkpoint,
        progress=progress,
    )
    if model_folder:
        model.save_pretrained(model_folder, tokenizer)
    scores = []
    for task, splits in data.items():
        for split, one in splits.items():
            if split != "train" or with_train:
                outputs = predict(model, task, one, pad=tokenizer.pad_token_id)
                scores += store(opened, system, task, split, one, outputs)
    part = {
        "name": name,
        "system": system,
        "history": asdict(history) | {"finite": history.finite},
        "scores": [asdict(score) for score in scores],
    }
    records.write_text(path, json.dumps(part))
    shutil.rmtree(checkpoint, ignore_errors=True)
    return part


def store(
    opened: OpenRun, system: str, task: str, split: str, item: TaskData, outputs: np.ndarray
) -> list[Score]:
    """Write outputs as stored predictions; score them if the split is an evaluation with labels."""
    encoded = item.encoded
    run_id = opened.run.run_id
    targets.write_predictions(
        prediction_file(opened.results, run_id, system, task, split),
        targets.Predictions(task, split, GLUE[task].labels, encoded.idx, outputs, run_id),
    )
    if encoded.label is None or split == "train":
        return []
    flag = metrics.is_degenerate(outputs)
    found = metrics.compute(GLUE[task], outputs, encoded.label)
    return [Score(system, task, split, m, v, len(encoded), flag) for m, v in found.items()]


def finish(
    opened: OpenRun, watch: Stopwatch, scores: list[Score], details: dict[str, Any]
) -> Record:
    """Write the run's record, which marks it as done, and clear what was kept for a resume."""
    histories = details.get("histories", {})
    seconds = sum(e["seconds"] for history in histories.values() for e in history["epochs"])
    record = Record(
        run_id=opened.run.run_id,
        config_id=opened.run.config_id,
        recipe=opened.recipe.name,
        stage=opened.run.stage,
        what=opened.run.what,
        seed=opened.run.seed,
        parents=tuple(parent.run_id for parent in opened.run.parents),
        settings=opened.run.settings,
        scores=tuple(scores),
        details=details | {"cost": opened.run.cost},
        wall_seconds=watch.seconds(),
        training_seconds=round(seconds, 2),
        peak_memory_mib=records.peak_memory_mib(),
        environment=records.environment(),
    )
    records.write_record(opened.folder, record)
    shutil.rmtree(opened.folder / "checkpoints", ignore_errors=True)
    shutil.rmtree(opened.folder / "parts", ignore_errors=True)
    return record


def combine(parts: Sequence[dict[str, Any]]) -> tuple[list[Score], dict[str, Any]]:
    """Scores and histories of a run's parts, for its record."""
    scores = [Score(**score) for part in parts for score in part["scores"]]
    details = {
        "systems": list(dict.fromkeys(part["system"] for part in parts)),
        "histories": {part["name"]: part["history"] for part in parts},
    }
    return scores, details


# ---------------------------------------------------------------------------- data and models


def load_data(opened: OpenRun, encoder: str) -> tuple[Any, dict[str, Splits]]:
    """Tokenizer of an encoder, and every split of every task in its tokens."""
    location, revision = located(opened, encoder)
    tokenizer = load_tokenizer(location, revision)
    cache = opened.results / "cache"
    data: dict[str, Splits] = {}
    for task in opened.tasks:
        data[task] = {}
        for split in GLUE[task].splits:
            examples = read_examples(opened, task, split)
            encoded = encode(examples, tokenizer, opened.recipe.max_length, cache)
            spec = head_spec(GLUE[task], opened.recipe.heads)
            rows = candidate_groups(examples, spec) if spec.kind == "ranking" else None
            data[task][split] = TaskData(encoded, None, rows)
    return tokenizer, data


def candidate_groups(examples: Examples, spec: HeadSpec) -> tuple[np.ndarray, ...]:
    """Rows of each question's candidates, for a ranking head.

    A question can be ranked in training only if exactly one of its candidates is right.
    """
    groups: dict[str, list[int]] = {}
    for row, question in enumerate(examples.text_a):
        groups.setdefault(question, []).append(row)
    rows = [np.array(group) for group in groups.values()]
    if examples.split != "train" or examples.label is None:
        return tuple(rows)
    kept = [r for r in rows if len(r) > 1 and (examples.label[r] == 0).sum() == 1]
    if not kept:
        raise MtkdError(
            f"{examples.task.title}: no question has one right and one wrong candidate, so nothing "
            "can be ranked; use `heads.qnli: classification`"
        )
    return tuple(kept)


def located(opened: OpenRun, encoder: str) -> tuple[str, str | None]:
    """Folder or hub name and revision of an encoder that is ready to load."""
    source = opened.recipe.encoders[encoder]
    location = encoder_location(opened.recipe, encoder)
    if location is None:
        runs = [r for r in ancestors(opened.run) if r.stage == "encoders" and r.what == encoder]
        location = str(opened.results / "models" / runs[0].run_id)
    return location, source.revision


def ancestors(run: Run) -> list[Run]:
    return [*run.parents, *(older for parent in run.parents for older in ancestors(parent))]


def new_model(
    opened: OpenRun, encoder: str, dropout: float, tasks: Sequence[str]
) -> MultiTaskModel:
    """Pre-trained shared layers under new heads for the given tasks."""
    location, revision = located(opened, encoder)
    specs = {task: head_spec(GLUE[task], opened.recipe.heads) for task in tasks}
    return MultiTaskModel(load_encoder(location, revision=revision, dropout=dropout), specs)


def total_steps(data: dict[str, Splits], settings: Training, *, alone: bool = False) -> int:
    """Optimiser steps of one multi-task training, or of one training per task (`alone`)."""
    sets = {task: splits["train"] for task, splits in data.items()}
    if alone:
        return sum(sum(steps_per_epoch({task: item}, settings)) for task, item in sets.items())
    return sum(steps_per_epoch(sets, settings))


def is_dev(split: str) -> bool:
    return split.startswith("dev")


def describe_data(opened: OpenRun) -> Record:
    """Sizes, label shares and word counts of every split (Table 1 of the paper)."""
    if opened.done:
        return records.read_record(opened.folder)
    watch = Stopwatch()
    sizes: dict[str, dict[str, Any]] = {}
    for task in opened.tasks:
        sizes[task] = {"skipped": 0}
        for split in GLUE[task].splits:
            examples = read_examples(opened, task, split)
            sizes[task][split] = len(examples)
            sizes[task]["skipped"] += examples.skipped
    return finish(opened, watch, [], {"sizes": sizes})
