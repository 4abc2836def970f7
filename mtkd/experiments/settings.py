"""What a recipe says: plain values, read from YAML, kept in records."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from mtkd.data.loading import DataSource
from mtkd.method.settings import Distillation, Pretraining, Training


@dataclass(frozen=True)
class EncoderSource:
    """Where an encoder comes from: exactly one of pretrain, path, package and hub."""

    pretrain: bool = False  # made in the kit by masked LM on the toy corpus
    lowercase: bool = True  # of a pre-trained one: uncased
    path: str | None = None  # folder with config.json, model.safetensors, tokenizer files
    package: str | None = None  # installed package that carries a model, "name/folder"
    hub: str | None = None  # hub name
    revision: str | None = None  # pinned commit of the hub name
    layers: int | None = None  # of a pre-trained one, its depth; of a loaded one, its first layers
    hidden: int | None = None  # of a pre-trained one: its width


@dataclass(frozen=True)
class Heads:
    """Which head a task gets; single sentences are linear, similarity is a regression."""

    pair: Literal["san", "linear"] = "san"
    qnli: Literal["classification", "ranking"] = "classification"
    san_steps: int = 5
    san_step_dropout: float = 0.1


@dataclass(frozen=True)
class Candidates:
    """Single MT-DNNs that compete to be teachers: encoders x dropout rates (KD paper 4.1)."""

    encoders: tuple[str, ...] = ("cased", "uncased")
    dropout: tuple[float, ...] = (0.1, 0.2, 0.3)  # on the shared layers


@dataclass(frozen=True)
class Teachers:
    """Which candidates teach, and what."""

    choose: int = 3
    order: Literal["best", "random"] = "best"  # which of the candidates are chosen
    by: tuple[str, ...] = ("mnli", "rte")  # the best by the mean of these tasks' dev scores
    tasks: tuple[str, ...] = ("mnli", "qqp", "rte", "qnli")  # tasks whose soft targets are used
    average: Literal["probabilities", "logits"] = "probabilities"


@dataclass(frozen=True)
class Sizes:
    """Smaller students of the study `sizes`: every depth with every width."""

    layers: tuple[int, ...] = (1, 2, 3)
    hidden: tuple[int, ...] = ()  # empty: the encoder's own; others only where it is pre-trained


@dataclass(frozen=True)
class Unlabelled:
    """Text without labels in the study `unlabelled`: every amount with every share of labels."""

    shares: tuple[float, ...] = (0.1, 0.25, 1.0)  # of the labels
    # None first, then rising multiples of a task's training examples, or all the text that is there
    amounts: tuple[float, ...] = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class FewLabels:
    """Tasks that no model has seen, in the study `few-labels`: each with some of its labels."""

    tasks: tuple[str, ...] = ("snli", "scitail")
    shares: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)  # of the labels
    steps: int = 100  # optimiser steps at the least: few examples are seen that much more often


@dataclass(frozen=True)
class Recipe:
    """A whole experiment. `mtkd plan` shows the runs that it expands into."""

    name: str
    about: str = ""
    data: DataSource = field(default_factory=DataSource)
    tasks: tuple[str, ...] = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
    max_length: int = 512
    encoders: dict[str, EncoderSource] = field(default_factory=dict)
    encoder: str = "uncased"  # the default encoder: single models and students start from it
    dropout: float = 0.1  # on the shared layers of single models and students
    pretraining: Pretraining = field(default_factory=Pretraining)
    heads: Heads = field(default_factory=Heads)
    # What the multi-task models are compared with: bert, stilts, metal (all single-stage budgets)
    baselines: tuple[Literal["bert", "stilts", "metal"], ...] = ("bert", "stilts", "metal")
    intermediate: tuple[str, ...] = ("mnli",)  # STILTs: tasks trained on first, one at a time
    training: Training = field(
        default_factory=Training
    )  # single-task and multi-task training, students too
    finetuning: Training = field(
        default_factory=Training
    )  # per-task fine-tuning of a multi-task model
    candidates: Candidates = field(default_factory=Candidates)
    teachers: Teachers = field(default_factory=Teachers)
    students: dict[str, Distillation] = field(
        default_factory=lambda: {
            "mtdnn-kd": Distillation(hard_weight=0.5, finetune=True),
            "mtdnn-kd-soft": Distillation(hard_weight=0.0),
        }
    )
    # True: single-task models and students train for the passes of both stages of `mtdnn`
    # together, so that every system sees each example equally often
    equal_passes: bool = False
    fresh_heads: bool = False  # fine-tune with new heads rather than the multi-task ones
    seeds: tuple[int, ...] = (1,)
    extensions: tuple[str, ...] = ()  # importable modules: losses, heads, baselines, studies
    # Questions to answer beside the main table, see mtkd/experiments/studies/registry.py
    studies: tuple[str, ...] = ()
    sizes: Sizes = field(default_factory=Sizes)
    unlabelled: Unlabelled = field(default_factory=Unlabelled)
    few_labels: FewLabels = field(default_factory=FewLabels)

    @property
    def single_stage(self) -> Training:
        """How a system without a second, fine-tuning stage is trained: `bert` and the students."""
        more = self.finetuning.epochs if self.equal_passes else 0
        return replace(self.training, epochs=self.training.epochs + more)
