"""How heads, models and trainings are set up: plain values, kept in records and checkpoints.

Apart from the code that uses them, so that reading a recipe does not import torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

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
