"""The trainings that runs are made of: multi-task, single-task, per-task fine-tuning."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtkd.common.files import write_text
from mtkd.common.progress import Progress
from mtkd.data import metrics
from mtkd.data.batches import TaskData
from mtkd.data.tasks import TASKS, check_labels, is_dev, scored_as
from mtkd.experiments.context import OpenRun, Splits, new_model, prediction_file, recipe_heads
from mtkd.experiments.records import Score
from mtkd.experiments.runs import Run
from mtkd.method import targets
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import evaluate, predict
from mtkd.method.settings import Distillation, HeadSpec, Training
from mtkd.method.training import derive_seed, steps_per_epoch, train

Answer = Callable[..., np.ndarray]  # (model, task, item) -> outputs (N, C)


@dataclass(frozen=True)
class Bench:
    """What every training of a run needs."""

    opened: OpenRun
    tokenizer: Any
    progress: Progress


def multi_task(
    bench: Bench,
    system: str,
    encoder: str,
    dropout: float,
    data: dict[str, Splits],
    *,
    training: Training | None = None,
    distillation: Distillation | None = None,
    extra: Mapping[str, TaskData] | None = None,
    with_train: bool = False,
) -> dict[str, Any]:
    """Train one multi-task model, save it, store its predictions on dev and test (and train).

    A candidate for MT-DNN; with `distillation`, and a `training` of its own, a student, which may
    learn from `extra` text, too.
    """
    opened, recipe = bench.opened, bench.opened.recipe
    return train_part(
        opened,
        system,
        data,
        lambda: new_model(opened, encoder, dropout, recipe_heads(opened, opened.tasks)),
        training or recipe.training,
        bench.tokenizer,
        bench.progress,
        opened.model_folder,
        distillation=distillation,
        twin=distillation.twin_of if distillation else None,
        extra=extra,
        with_train=with_train,
    )


def single_task(
    bench: Bench,
    system: str,
    task: str,
    splits: Splits,
    spec: HeadSpec | None = None,
    start: Path | None = None,
    twin: str | None = None,
) -> dict[str, Any]:
    """Train one task alone; `spec` is another head than the recipe's, `start` another model.

    The shared layers start from the recipe's encoder, or from those of the model in `start`. The
    random numbers are those of the system, or of its `twin`.
    """
    opened, recipe = bench.opened, bench.opened.recipe
    specs = {task: spec} if spec else recipe_heads(opened, [task])

    def build() -> MultiTaskModel:
        if start is None:
            return new_model(opened, recipe.encoder, recipe.dropout, specs)
        return MultiTaskModel(MultiTaskModel.from_pretrained(start).encoder, specs)

    settings = recipe.single_stage
    return train_part(
        opened,
        system,
        {task: splits},
        build,
        settings,
        bench.tokenizer,
        bench.progress,
        twin=twin,
    )


def finetune(bench: Bench, parent: Run, system: str, task: str, splits: Splits) -> dict[str, Any]:
    """Fine-tune a run's multi-task model on one task; predictions on train are stored, too."""
    opened, recipe = bench.opened, bench.opened.recipe
    folder = opened.results / "models" / parent.run_id

    def build() -> MultiTaskModel:
        model = MultiTaskModel.from_pretrained(folder)
        single = MultiTaskModel(model.encoder, {task: model.specs[task]})
        if not recipe.fresh_heads:
            single.heads[task] = model.heads[task]
        return single

    return train_part(
        opened,
        system,
        {task: splits},
        build,
        recipe.finetuning,
        bench.tokenizer,
        bench.progress,
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
    twin: str | None = None,
    extra: Mapping[str, TaskData] | None = None,
    answer: Answer = predict,
) -> dict[str, Any]:
    """One training: skip it if done, resume it if begun; returns its history and scores.

    `extra` are auxiliary tasks, trained on and not scored. `answer` gives the outputs of a split.
    The random numbers are those of the system, or of its `twin`.
    """
    alone = "" if len(data) > 1 or model_folder else f".{next(iter(data))}"
    name = system + alone
    path = opened.folder / "parts" / f"{name}.json"
    item = {task: splits["train"] for task, splits in data.items()} | dict(extra or {})
    if path.exists():
        progress.advance(sum(steps_per_epoch(item, settings)))
        return json.loads(path.read_text())
    # The same candidate fine-tuned on the same task is the same training, whoever asks for it.
    key = f"{origin}.{next(iter(data))}" if origin else (twin or system) + alone
    seed = derive_seed(opened.run.seed, zlib.crc32(key.encode()))
    torch.manual_seed(seed)
    model = build()
    progress.what = f"{opened.run.what} seed {opened.run.seed}: {name}"
    dev = {task: {s: d for s, d in splits.items() if is_dev(s)} for task, splits in data.items()}
    checkpoint = opened.folder / "checkpoints" / name
    latest: dict[tuple[str, str], np.ndarray] = {}  # outputs of the last look at dev
    history = train(
        model,
        item,
        settings,
        seed=seed,
        distillation=distillation,
        evaluate=lambda: evaluate(model, dev, outputs=latest),
        checkpoint=checkpoint,
        progress=progress,
    )
    if model_folder:
        model.tokenizer = tokenizer
        model.save_pretrained(model_folder)
    if history.kept_epoch != settings.epochs or answer is not predict:
        latest.clear()  # another epoch's, or given by other means
    scores = []
    for task, splits in data.items():
        for split, one in splits.items():
            if split != "train" or with_train:
                outputs = latest.get((task, split))
                if outputs is None:
                    outputs = answer(model, task, one)
                labels = model.specs[task].labels
                scores += store(opened, system, task, split, one, outputs, labels)
    part = {
        "name": name,
        "system": system,
        "history": asdict(history) | {"finite": history.finite},
        "scores": [asdict(score) for score in scores],
    }
    write_text(path, json.dumps(part))
    shutil.rmtree(checkpoint, ignore_errors=True)
    return part


def store(
    opened: OpenRun,
    system: str,
    task: str,
    split: str,
    item: TaskData,
    outputs: np.ndarray,
    labels: Sequence[str] | None = None,
) -> list[Score]:
    """Write outputs as stored predictions; score them if the split is an evaluation with labels.

    `labels` are the names that a head gave its outputs, None where they are the task's already.
    Raises MtkdError if they are others than the task's.
    """
    encoded = item.encoded
    run_id = opened.run.run_id
    task, split = scored_as(task, split)
    if labels is not None:
        check_labels(task, labels, f"{run_id}, {system}")
    targets.write_predictions(
        prediction_file(opened.results, run_id, system, task, split),
        targets.Predictions(task, split, TASKS[task].labels, encoded.idx, outputs, run_id),
    )
    if encoded.label is None or split == "train":
        return []
    flag = metrics.is_degenerate(outputs)
    found = metrics.compute(TASKS[task], outputs, encoded.label)
    return [Score(system, task, split, m, v, len(encoded), flag) for m, v in found.items()]


def combine(parts: Sequence[dict[str, Any]]) -> tuple[list[Score], dict[str, Any]]:
    """Scores and histories of a run's parts, for its record."""
    scores = [Score(**score) for part in parts for score in part["scores"]]
    details = {
        "systems": list(dict.fromkeys(part["system"] for part in parts)),
        "histories": {part["name"]: part["history"] for part in parts},
    }
    return scores, details
