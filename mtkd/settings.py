"""What an experiment is made from: plain values, read from recipes, kept in records.

Apart from the code that uses them, so that reading a recipe does not import torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from mtkd.data import DataSource

KINDS = ("linear", "san", "similarity", "ranking")


@dataclass(frozen=True)
class HeadSpec:
    """All that is needed to rebuild a head; it travels with checkpoints and predictions."""

    kind: str  # linear | san | similarity | ranking
    labels: tuple[str, ...]  # class names in output order, () for similarity
    dropout: float = 0.1  # on the head's input; MT-DNN section 4.2: MNLI 0.3, CoLA 0.05
    san_steps: int = 5  # K; not in the paper, the released code's default
    san_step_dropout: float = 0.1  # stochastic prediction dropout over the K steps

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"head kind {self.kind!r}: expected one of {', '.join(KINDS)}")
        if self.kind == "ranking" and self.labels != ("entailment", "not_entailment"):
            raise ValueError("a ranking head answers entailment / not_entailment only")

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {"labels": list(self.labels)}


@dataclass(frozen=True)
class Pretraining:
    """Size of a small BERT and of its masked-language-model training."""

    layers: int = 2
    hidden: int = 128
    attention_heads: int = 4
    vocabulary: int = 1200  # word pieces, at most
    sentences: int = 20000  # lines of the toy corpus
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 2e-3  # AdamW, peak
    masked: float = 0.15  # share of the tokens to predict; BERT section 3.1
    swapped: float = 0.5  # share of the second texts that come from another line; BERT section 3.1


@dataclass(frozen=True)
class Training:
    """How a model is trained; the defaults are the paper's (KD paper section 4.1)."""

    epochs: int = 5
    batch_size: int = 32  # examples per optimiser step
    learning_rate: float = 5e-5  # Adamax, peak
    warmup: float = 0.1  # share of the steps
    clip: float = 1.0  # largest global gradient norm
    mixing: Literal["proportional", "power", "uniform", "annealed"] = "proportional"
    power: float = 0.5  # exponent of `mixing: power`
    group_by_length: bool = True  # batches of similar length inside a task
    accumulation: int = 1  # a batch is computed in that many pieces; same gradient, less memory
    precision: Literal["fp32", "bf16"] = "fp32"
    # Rows of the embedding matrix that a step updates. "read": those that its batch read, the
    # others when a batch reads them; the same numbers to rounding, sooner where the vocabulary is
    # large and the encoder small. On a CPU alone; elsewhere as "all"
    embedding_rows: Literal["all", "read"] = "all"
    # Who draws what dropout drops. "bits": sixteen bits an element, four elements to a draw, in a
    # third of the time; other random numbers. On a CPU alone; elsewhere as "torch"
    dropout_masks: Literal["torch", "bits"] = "torch"
    keep: Literal["best", "last"] = "best"  # epoch kept: best mean dev score, or the last one
    evaluate_every: int = 1  # epochs between dev scores; the last epoch always has them


@dataclass(frozen=True)
class Distillation:
    """How soft targets enter the loss of a task that has them."""

    hard_weight: float = 0.5  # the KD paper averages hard and soft loss; 0: soft targets alone
    temperature: float = 1.0
    finetune: bool = False  # also fine-tune the student per task: the system `<student>-ft`
    mix: Literal["losses", "targets"] = "losses"  # what the weight mixes; the same at temperature 1
    # Teacher annealing (BAM, arXiv:1907.04829, section 2): the hard weight grows from 0 to 1 over
    # training, whatever `hard_weight` says
    anneal: bool = False
    encoder: str | None = None  # the student starts from this one; None: the recipe's default
    taught_by: tuple[str, ...] = ()  # students above this one in the recipe; none: the ensemble
    # A student above this one whose random numbers it has, so that they differ in nothing else
    twin_of: str | None = None
    # Text without labels that the student learns from by soft targets alone, as a multiple of each
    # teacher task's training examples; `data.pool` is how much the teachers have labelled
    unlabelled: float = 0.0
    again: bool = False  # in place of that text, as many of the task's training examples once more


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
    # Questions to answer beside the main table, see mtkd/studies.py
    studies: tuple[str, ...] = ()
    sizes: Sizes = field(default_factory=Sizes)
    unlabelled: Unlabelled = field(default_factory=Unlabelled)
    few_labels: FewLabels = field(default_factory=FewLabels)

    @property
    def single_stage(self) -> Training:
        """How a system without a second, fine-tuning stage is trained: `bert` and the students."""
        more = self.finetuning.epochs if self.equal_passes else 0
        return replace(self.training, epochs=self.training.epochs + more)
