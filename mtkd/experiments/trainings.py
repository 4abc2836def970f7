"""The trainings that runs are made of: multi-task, single-task, per-task fine-tuning."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mtkd.common.errors import MtkdError
from mtkd.common.files import remove
from mtkd.common.objects import read_object, write_object
from mtkd.common.progress import Progress
from mtkd.common.seeds import derive_seed
from mtkd.data import metrics
from mtkd.data.batches import TaskData
from mtkd.data.tasks import Examples, check_labels, is_dev, scored_as
from mtkd.data.tokens import Encoded
from mtkd.experiments.context import RunContext
from mtkd.experiments.inputs import Splits, new_model, recipe_heads
from mtkd.experiments.records import Outcome, Score, output_digests, prediction_file
from mtkd.experiments.stored import stored_model
from mtkd.method import targets
from mtkd.method.calibration import fit_temperature
from mtkd.method.heads import objective_of
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import evaluate, predict
from mtkd.method.ranks import first_writes
from mtkd.method.settings import Distillation, HeadSpec, TaskAbout, Training
from mtkd.method.training import steps_per_epoch, train

if TYPE_CHECKING:
    from mtkd.experiments.runs import Run

Answer = Callable[..., np.ndarray]  # (model, task, item) -> outputs (N, C)


@dataclass(frozen=True)
class Setup:
    """What every training of a run needs."""

    context: RunContext
    tokenizer: Any
    progress: Progress


def multi_task(
    setup: Setup,
    system: str,
    encoder: str,
    dropout: float,
    data: dict[str, Splits],
    *,
    training: Training | None = None,
    distillation: Distillation | None = None,
    same_seed_as: str | None = None,
    extra: Mapping[str, TaskData] | None = None,
    with_train: bool = False,
    model: Path | None = None,
) -> dict[str, Any]:
    """Train one model on the tasks of `data`, save it, store its predictions on dev and test.

    A candidate for MT-DNN; with `distillation`, and a `training` of its own, a student, which may
    learn from `extra` text, too. `with_train` stores predictions on train as well. `model` is the
    folder to save to, the run's own unless given.
    """
    context = setup.context
    return train_part(
        setup,
        system,
        data,
        lambda: new_model(context, encoder, dropout, recipe_heads(context, tuple(data))),
        training or context.recipe.training,
        model=model or context.model_folder,
        distillation=distillation,
        same_seed_as=same_seed_as,
        extra=extra,
        with_train=with_train,
    )


def single_task(
    setup: Setup,
    system: str,
    task: str,
    splits: Splits,
    *,
    spec: HeadSpec | None = None,
    start: Path | None = None,
    same_seed_as: str | None = None,
) -> dict[str, Any]:
    """Train one task alone; `spec` is another head than the recipe's, `start` another model.

    The shared layers start from the recipe's encoder, or from those of the model in `start`. The
    random numbers are those of the system, or of the one that it has the same seed as.
    """
    context, recipe = setup.context, setup.context.recipe
    specs = {task: spec} if spec else recipe_heads(context, [task])

    def build() -> MultiTaskModel:
        if start is None:
            return new_model(context, recipe.encoder, recipe.dropout, specs)
        return MultiTaskModel(MultiTaskModel.from_pretrained(start).encoder, specs)

    alone = {task: splits}
    return train_part(setup, system, alone, build, recipe.single_stage, same_seed_as=same_seed_as)


def finetune(setup: Setup, parent: Run, system: str, task: str, splits: Splits) -> dict[str, Any]:
    """Fine-tune a run's multi-task model on one task; predictions on train are stored, too."""
    folder = stored_model(setup.context.results, parent.run_id)
    # The same candidate fine-tuned on the same task is the same training, whoever asks for it.
    return finetune_model(
        setup, folder, system, task, splits, with_train=True, same_seed_as=parent.variant
    )


def finetune_model(
    setup: Setup,
    folder: Path,
    system: str,
    task: str,
    splits: Splits,
    *,
    with_train: bool = False,
    same_seed_as: str | None = None,
) -> dict[str, Any]:
    """Fine-tune the multi-task model in a folder on one task."""
    recipe = setup.context.recipe

    def build() -> MultiTaskModel:
        model = MultiTaskModel.from_pretrained(folder)
        single = MultiTaskModel(model.encoder, {task: model.specs[task]})
        if not recipe.fresh_heads:
            single.heads[task] = model.heads[task]
        return single

    return train_part(
        setup,
        system,
        {task: splits},
        build,
        recipe.finetuning,
        with_train=with_train,
        same_seed_as=same_seed_as,
    )


def train_part(
    setup: Setup,
    system: str,
    data: dict[str, Splits],
    build: Callable[[], MultiTaskModel],
    settings: Training,
    *,
    model: Path | None = None,
    distillation: Distillation | None = None,
    with_train: bool = False,
    same_seed_as: str | None = None,
    extra: Mapping[str, TaskData] | None = None,
    answer: Answer = predict,
) -> dict[str, Any]:
    """One training: skip it if done, resume it if begun; returns its history and scores.

    `model` is the folder to save to, `extra` are auxiliary tasks, trained on and not scored,
    `answer` gives the outputs of a split. What other code has begun or finished is made again. The
    random numbers are those of the system, or of the one that it has the same seed as.
    """
    context, run = setup.context, setup.context.run
    alone = "" if len(data) > 1 or model else f".{next(iter(data))}"
    name = system + alone
    path = context.folder / "parts" / f"{name}.json"
    items = {task: splits["train"] for task, splits in data.items()} | dict(extra or {})
    if part := finished_part(path, run.stamp, context.results):
        setup.progress.advance(sum(steps_per_epoch(items, settings)))
        return part
    seed = derive_seed(run.seed, zlib.crc32(((same_seed_as or system) + alone).encode()))
    torch.manual_seed(seed)
    network = build()
    network.tokenizer = setup.tokenizer
    setup.progress.what = f"{run.variant} seed {run.seed}: {name}"
    dev = {task: {s: d for s, d in splits.items() if is_dev(s)} for task, splits in data.items()}
    checkpoint = context.folder / "checkpoints" / name
    latest: dict[tuple[str, str], np.ndarray] = {}  # outputs of the last look at dev
    history = train(
        network,
        items,
        settings,
        seed=seed,
        distillation=distillation,
        evaluate=lambda: evaluate(network, dev, outputs=latest),
        checkpoint=checkpoint,
        stamp=run.stamp,
        progress=setup.progress,
    )
    if history.kept_epoch != settings.epochs or answer is not predict:
        latest.clear()  # another epoch's, or given by other means
    if model:
        for task, items in dev.items():
            for split, item in items.items():
                if (task, split) not in latest:
                    latest[task, split] = predict(network, task, item)
            network.about[task] = about(network, task, items, latest)
        first_writes(partial(network.save_pretrained, model))
    scores, files = [], [] if model is None else [p for p in sorted(model.iterdir()) if p.is_file()]
    for task, splits in data.items():
        for split, item in splits.items():
            if split != "train" or with_train:
                outputs = latest.get((task, split)) if answer is predict else None
                if outputs is None:
                    outputs = answer(network, task, item)
                labels = network.specs[task].labels
                scores += store(context, system, task, split, item.encoded, outputs, labels)
                files.append(prediction_file(context.results, run.run_id, system, task, split))
    names = [file.relative_to(context.results).as_posix() for file in files]
    part = {
        "stamp": run.stamp,
        "name": name,
        "system": system,
        "history": asdict(history) | {"finite": history.finite},
        "scores": [asdict(score) for score in scores],
        "files": dict(zip(names, output_digests(context.results, names), strict=True)),
    }
    first_writes(partial(write_object, path, part))
    first_writes(partial(remove, checkpoint))
    return part


def about(
    network: MultiTaskModel,
    task: str,
    dev: Mapping[str, TaskData],
    outputs: Mapping[tuple[str, str], np.ndarray],
) -> TaskAbout:
    """What a saved model tells of a task; its temperature is fitted on all dev examples."""
    items = [item.encoded for item in dev.values()]
    logits = np.concatenate([outputs[task, split] for split in dev])
    labels = np.concatenate([item.label for item in items if item.label is not None])
    temperature = fit_temperature(logits, labels, objective_of(network.specs[task]))
    known = items[0].task
    return TaskAbout(known.columns, temperature, known.bounds)


def finished_part(path: Path, stamp: str, results: Path) -> dict[str, Any] | None:
    """What a finished training has left, if the code of this stamp made it and all is as it was."""
    if not path.exists():
        return None
    again = "that training is made again"
    try:
        part = read_object(path, again)
        if part.get("stamp") != stamp:
            print(f"{path}: other code made it; {again}", flush=True)
            return None
        if tuple(part["files"].values()) == output_digests(results, part["files"]):
            return part
        print(f"{path}: a file of its predictions or model has changed; {again}", flush=True)
    except MtkdError as error:
        print(error, flush=True)
        remove(path)
    return None


def store(
    context: RunContext,
    system: str,
    task: str,
    split: str,
    examples: Examples | Encoded,
    outputs: np.ndarray,
    labels: Sequence[str] | None = None,
) -> list[Score]:
    """Write outputs as stored predictions; score them if the split is an evaluation with labels.

    `labels` are the names that a head gave its outputs, None where they are the task's already.
    Raises MtkdError if they are others than the task's.
    """
    run_id = context.run.run_id
    task, split = scored_as(task, split)
    known = context.recipe.task(task)
    if labels is not None:
        check_labels(known, labels, f"{run_id}, {system}")
    path = prediction_file(context.results, run_id, system, task, split)
    found = targets.Predictions(task, split, known.labels, examples.idx, outputs, run_id)
    first_writes(partial(targets.write_predictions, path, found))
    if examples.label is None or split == "train":
        return []
    flag = metrics.is_degenerate(outputs, known.kind)
    values = metrics.compute(known, outputs, examples.label)
    return [Score(system, task, split, m, v, len(examples), flag) for m, v in values.items()]


def combine(parts: Sequence[dict[str, Any]]) -> Outcome:
    """Scores and histories of a run's parts."""
    scores = [Score(**score) for part in parts for score in part["scores"]]
    details = {
        "systems": list(dict.fromkeys(part["system"] for part in parts)),
        "histories": {part["name"]: part["history"] for part in parts},
    }
    return scores, details
