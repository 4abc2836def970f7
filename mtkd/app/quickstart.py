"""The whole story on two toy tasks, in memory: what notebook 00 calls."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mtkd.analysis import inspection
from mtkd.common.progress import Progress
from mtkd.data import metrics
from mtkd.data.batches import TaskData
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.tasks import GLUE, Examples
from mtkd.data.tokens import encode
from mtkd.data.toy.corpus import toy_corpus
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.settings import Heads
from mtkd.method import encoders, targets
from mtkd.method.model import MultiTaskModel, load_encoder
from mtkd.method.prediction import evaluate, predict
from mtkd.method.settings import Distillation, Pretraining, Training
from mtkd.method.training import steps_per_epoch, train

TASKS = ("mnli", "rte")
STUDENT_SEED = 11


@dataclass
class Setting:
    """Data, encoder and settings of the quickstart; a temporary folder holds the encoder."""

    training: Training
    pretraining: Pretraining
    folder: Path
    source: DataSource = field(default_factory=DataSource)
    tokenizer: Any = None
    data: dict[str, dict[str, TaskData]] = field(default_factory=dict)

    def read(self, task: str, split: str) -> Examples:
        return load_examples(self.source, task, split)

    def examples(self, task: str, count: int = 5) -> pd.DataFrame:
        return inspection.show_examples(self.read(task, "train"), count)


@dataclass(frozen=True)
class Trained:
    """A model's dev scores, and its outputs by task and split."""

    scores: dict[str, float]
    outputs: dict[str, dict[str, np.ndarray]]


def prepare(epochs: int = 8) -> Setting:
    """Settings of the demo recipe, with a shorter pre-training."""
    torch.set_num_threads(max(1, min(4, torch.get_num_threads())))
    recipe = load_recipe("demo")
    pretraining = replace(recipe.pretraining, epochs=max(2, recipe.pretraining.epochs // 3))
    training = replace(recipe.training, epochs=epochs, keep="last")
    folder = Path(tempfile.mkdtemp(prefix="mtkd-quickstart-"))
    return Setting(training, pretraining, folder, recipe.data)


def pretrain(setting: Setting) -> list[float]:
    """Pre-train the encoder, tokenise the tasks; returns the loss of each epoch."""
    lines = toy_corpus(setting.source.seed, setting.pretraining.sentences)
    encoder = setting.folder / "encoder"
    losses = encoders.pretrain(lines, setting.pretraining, lowercase=True, seed=0, folder=encoder)
    setting.tokenizer = encoders.load_tokenizer(str(encoder))
    for task in TASKS:
        setting.data[task] = {
            split: TaskData(
                encode(setting.read(task, split), setting.tokenizer, 64, setting.folder / "cache")
            )
            for split in GLUE[task].splits
            if not split.startswith("test")
        }
    return losses


def train_teacher(setting: Setting, seed: int) -> Trained:
    """A multi-task model trained on labels alone."""
    return fit(setting, {task: setting.data[task]["train"] for task in TASKS}, seed, None)


def train_student(
    setting: Setting, soft: dict[str, np.ndarray], *, hard_weight: float, temperature: float
) -> Trained:
    """The student: the same model with soft targets beside the labels."""
    data = {task: replace(setting.data[task]["train"], soft=soft[task]) for task in TASKS}
    return fit(setting, data, STUDENT_SEED, Distillation(hard_weight, temperature))


def fit(
    setting: Setting, data: dict[str, TaskData], seed: int, distillation: Distillation | None
) -> Trained:
    torch.manual_seed(seed)
    specs = {task: Heads().spec(GLUE[task]) for task in TASKS}
    model = MultiTaskModel(load_encoder(str(setting.folder / "encoder"), dropout=0.1), specs)
    pad = setting.tokenizer.pad_token_id
    what = "student" if distillation else f"model with seed {seed}"
    with Progress(sum(steps_per_epoch(data, setting.training)), what) as progress:
        train(
            model,
            data,
            setting.training,
            seed=seed,
            pad=pad,
            distillation=distillation,
            progress=progress,
        )
    dev = {
        t: {s: d for s, d in splits.items() if s != "train"} for t, splits in setting.data.items()
    }
    outputs = {
        task: {split: predict(model, task, item, pad=pad) for split, item in splits.items()}
        for task, splits in setting.data.items()
    }
    return Trained(titled(evaluate(model, dev, pad=pad)), outputs)


def titled(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Task scores in points by printed name."""
    return {
        GLUE[task].title: metrics.task_score(GLUE[task], found) for task, found in scores.items()
    }


def soft_targets(
    setting: Setting, teachers: Sequence[Trained], *, split: str = "train", temperature: float = 1.0
) -> dict[str, np.ndarray]:
    """Mean of the teachers' probabilities by task, (N, C)."""
    return {
        task: averaged(setting, teachers, task, split, temperature)
        for task in TASKS
        if split in setting.data[task]
    }


def averaged(
    setting: Setting, teachers: Sequence[Trained], task: str, split: str, temperature: float
) -> np.ndarray:
    idx, labels = setting.data[task][split].encoded.idx, GLUE[task].labels
    members = [
        targets.Predictions(task, split, labels, idx, teacher.outputs[task][split], f"teacher {n}")
        for n, teacher in enumerate(teachers, 1)
    ]
    return targets.average(members, idx, labels, temperature=temperature)


def surprises(
    setting: Setting, soft: dict[str, np.ndarray], task: str, count: int = 6
) -> pd.DataFrame:
    """Training examples whose label the teachers doubt most."""
    return inspection.unsure_examples(setting.read(task, "train"), soft[task], count)


def disagreements(setting: Setting, soft: dict[str, np.ndarray]) -> pd.DataFrame:
    """Training examples where the soft target is highest at another label than the given one.

    One row per task: their share, and for how many of them which of the two is the true label.
    """
    rows = {}
    for task, given in soft.items():
        examples, choice = setting.read(task, "train"), given.argmax(axis=1)
        assert examples.label is not None and examples.clean is not None  # of the toy benchmark
        differ = choice != examples.label
        rows[GLUE[task].title] = {
            "they differ, %": differ.mean(),
            "the teachers are right, %": (choice == examples.clean)[differ].mean(),
            "the annotator is right, %": (examples.label == examples.clean)[differ].mean(),
        }
    return (100 * pd.DataFrame(rows).T).round(1)


def ensemble_scores(setting: Setting, teachers: Sequence[Trained]) -> dict[str, float]:
    """Dev scores of the averaged teachers."""
    scores: dict[str, dict[str, float]] = {}
    for task in TASKS:
        for split, item in setting.data[task].items():
            if split != "train":
                mean = averaged(setting, teachers, task, split, 1.0)
                found = metrics.compute(GLUE[task], mean, item.encoded.label)
                suffix = split.removeprefix("dev")
                scores.setdefault(task, {}).update({m + suffix: v for m, v in found.items()})
    return titled(scores)
