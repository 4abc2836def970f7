"""One function per notebook stage: the seam between the notebooks and the library.

Each takes an open run and returns its record. A run that is done is not done again, its record is
read. A run that was interrupted continues: parts that are finished are kept, and the part in the
middle goes on at its last epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mtkd import records, targets
from mtkd.batches import TaskData
from mtkd.encoders import load_tokenizer, pretrain
from mtkd.model import MultiTaskModel, load_encoder
from mtkd.progress import Progress
from mtkd.recipes import encoder_location
from mtkd.records import Record, Score, Stopwatch
from mtkd.runs import Run, pool_of, selection_tasks
from mtkd.settings import Distillation, Training
from mtkd.tasks import GLUE
from mtkd.toy import toy_corpus
from mtkd.workbench import (
    OpenRun,
    Splits,
    combine,
    finish,
    load_data,
    new_model,
    prediction_file,
    read_examples,
    run_folder,
    store,
    total_steps,
    train_part,
)


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
    with Progress(total_steps(data, recipe.single_stage, alone=True), "bert") as progress:
        for task in opened.tasks:

            def build(task: str = task) -> MultiTaskModel:
                return new_model(opened, recipe.encoder, recipe.dropout, [task])

            parts.append(
                single_task(
                    opened,
                    "bert",
                    task,
                    data[task],
                    build,
                    recipe.single_stage,
                    tokenizer,
                    progress,
                )
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
        parts = [
            multi_task(opened, system, name, dropout, data, tokenizer, progress, recipe.training)
        ]
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
    for task in opened.teacher_tasks:
        train_data = data[task]["train"]
        soft = soft_targets(
            opened, task, train_data.encoded.idx, temperature=distillation.temperature
        )
        data[task]["train"] = TaskData(train_data.encoded, soft, train_data.unit_rows)
    with Progress(total_steps(data, recipe.single_stage), system) as progress:
        part = multi_task(
            opened,
            system,
            recipe.encoder,
            recipe.dropout,
            data,
            tokenizer,
            progress,
            recipe.single_stage,
            distillation,
        )
    return finish(opened, watch, *combine([part]))


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


def multi_task(
    opened: OpenRun,
    system: str,
    encoder: str,
    dropout: float,
    data: dict[str, Splits],
    tokenizer: Any,
    progress: Progress,
    settings: Training,
    distillation: Distillation | None = None,
) -> dict[str, Any]:
    """Train one multi-task model, save it, store its predictions on dev and test."""

    def build() -> MultiTaskModel:
        return new_model(opened, encoder, dropout, list(opened.tasks))

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
