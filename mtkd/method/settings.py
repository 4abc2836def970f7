"""How heads, models and trainings are set up: plain values, kept in records and checkpoints.

Apart from the code that uses them, so that reading a recipe does not import torch. A value out of
its bounds is a pydantic ValidationError, which is a ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from mtkd.common.settings import STRICT
from mtkd.data.tasks import Task

Count = Annotated[int, Field(ge=1, le=10**9)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Dropout = Annotated[float, Field(ge=0, le=0.99)]
LearningRate = Annotated[float, Field(gt=0, le=10)]  # at 0 nothing is learnt
KINDS = {"classification": "linear", "regression": "similarity"}  # others are heads' names, too
SAN_STEPS = 5  # of a SAN head, where its options name no other; not in the paper, code's default


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))  # from JSON, labels are a list
class HeadSpec:
    """All that is needed to rebuild a head; it travels with checkpoints and predictions."""

    kind: str  # name in the registry of heads: linear, san, similarity, ranking or one's own
    labels: tuple[str, ...] = ()  # class names in output order, () for a regression
    dropout: Dropout = 0.1  # on the head's input; MT-DNN section 4.2: MNLI 0.3, CoLA 0.05
    options: dict[str, Any] = field(default_factory=dict, hash=False)  # of this kind of head

    @classmethod
    def for_task(
        cls, task: Task, pair: str = "san", options: Mapping[str, Any] | None = None
    ) -> HeadSpec:
        """The paper's head for a task; classes of a pair get the kind `pair` with its `options`."""
        own: dict[str, Any] = {}
        if task.weights:
            own["weights"] = list(task.weights)
        if task.range:
            own["range"] = list(task.range)
        if task.kind == "classification" and task.pair:
            return cls(pair, task.labels, task.dropout, dict(options or {}) | own)
        return cls(KINDS.get(task.kind, task.kind), task.labels, task.dropout, own)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; `HeadSpec(**found)` is the same head."""
        return asdict(self) | {"labels": list(self.labels)}


@dataclass(frozen=True, config=STRICT)
class Pretraining:
    """Size of a small BERT and of its masked-language-model training."""

    layers: Count = 2
    hidden: Count = 128
    attention_heads: Count = 4
    vocabulary: Count = 1200  # word pieces, at most
    sentences: Count = 20000  # lines of the toy corpus
    epochs: Count = 6
    batch_size: Count = 64
    learning_rate: LearningRate = 2e-3  # AdamW, peak
    # Fraction of the tokens to predict; BERT section 3.1
    masked: Annotated[float, Field(ge=0.01, le=0.99)] = 0.15
    # Fraction of the second texts that come from another line; BERT section 3.1
    swapped: Fraction = 0.5


@dataclass(frozen=True, config=STRICT)
class Training:
    """How a model is trained; the defaults are the paper's (KD paper section 4.1)."""

    epochs: Annotated[int, Field(ge=0, le=100_000)] = 5  # 0: no training
    batch_size: Annotated[int, Field(ge=1, le=100_000)] = 32  # examples per optimiser step
    learning_rate: LearningRate = 5e-5  # Adamax, peak
    warmup: Fraction = 0.1  # fraction of the steps
    clip: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0  # largest global gradient norm
    task_sampling: Literal["proportional", "power", "uniform", "annealed"] = "proportional"
    power: Annotated[float, Field(ge=0, le=10)] = 0.5  # exponent of `task_sampling: power`
    group_by_length: bool = True  # batches of similar length inside a task
    # A batch is computed in that many pieces: the same gradient in less memory
    accumulation: Annotated[int, Field(ge=1, le=100_000)] = 1
    # Of matrix products. tf32: on a GPU that has it, of float32 all the same; elsewhere as fp32
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    keep: Literal["best", "last"] = "best"  # epoch kept: best mean dev score, or the last one
    # Epochs between dev scores; the last epoch always has them
    evaluate_every: Annotated[int, Field(ge=1, le=100_000)] = 1


@dataclass(frozen=True, config=STRICT)
class Distillation:
    """How soft targets enter the loss of a task that has them. KD paper, section 3.

    `hard_weight` is the weight w of the labels, 0 to 1; the soft targets have 1 - w. The KD paper
    averages the two; 0 means soft targets alone. `temperature` T is the student's, and the one that
    the soft targets were made at. `loss` names a way of mixing: "cross-entropy" (two losses),
    "mixed-targets" (one loss of mixed targets), "annealed" (w grows from 0 to 1, whatever
    `hard_weight` says), or one's own (`mtkd.distillation_loss`). Raises ValueError out of bounds.
    """

    hard_weight: Fraction = 0.5
    temperature: Annotated[float, Field(ge=0.01, le=1000)] = 1.0
    loss: str = "cross-entropy"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))  # from JSON, columns are a list
class TaskAbout:
    """What whoever uses a saved model must know of a task beside its head."""

    columns: tuple[str, ...] = ()  # its text columns, two for a pair; () where nobody said
    temperature: Annotated[float, Field(gt=0)] = 1.0  # that its scores are calibrated with
    bounds: tuple[float, float] | None = None  # of a regression's answers
