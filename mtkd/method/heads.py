"""Task heads of MT-DNN: what turns the encoder's states into one task's outputs.

Every head maps `(states (B, T, H), segments (B, T))` to outputs `(B, C)`. Segments mark each
position: -1 padding, 0 special token, 1 first text, 2 second text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from mtkd.common.errors import MtkdError
from mtkd.method.settings import SAN_STEPS, HeadSpec

Objective = Literal["classification", "multilabel", "regression", "ranking"]
Kind = TypeVar("Kind", bound=type[nn.Module])
HEADS: dict[str, type[nn.Module]] = {}


def head(name: str) -> Callable[[Kind], Kind]:
    """Register a module class as the head `name`, as in `HeadSpec(kind=name)`.

    It is made by `Class(hidden, spec, **spec.options)`, `hidden` the encoder's width, and its
    `forward(states, segments)` is as above; of the options, `weights` are the loss's alone. Its
    attribute `objective` says how outputs are trained: "classification" (logits (B, C)),
    "multilabel" (logits (B, C), a sigmoid each), "regression" (a score (B, 1)) or "ranking"
    (relevance (B, 1) among a question's candidates).
    """

    def register(kind: Kind) -> Kind:
        objective = getattr(kind, "objective", None)
        if objective not in get_args(Objective):
            expected = ", ".join(get_args(Objective))
            raise MtkdError(f"head {name!r}: objective {objective!r}; expected one of {expected}")
        HEADS[name] = kind
        return kind

    return register


def find_head(name: str) -> type[nn.Module]:
    """The registered head class of that name. Raises MtkdError if there is none."""
    if name not in HEADS:
        raise MtkdError(f"unknown head {name!r}; expected one of {', '.join(HEADS)}")
    return HEADS[name]


def objective_of(spec: HeadSpec) -> Objective:
    """How a head's outputs are trained."""
    objective: Objective = getattr(find_head(spec.kind), "objective")  # noqa: B009
    return objective


def build_head(spec: HeadSpec, hidden: int) -> nn.Module:
    """Head for a specification; `hidden` is the encoder's width.

    Raises MtkdError if there is no such kind of head, or it has not these options.
    """
    options = {name: value for name, value in spec.options.items() if name != "weights"}
    try:
        return find_head(spec.kind)(hidden, spec, **options)
    except (TypeError, ValueError) as error:
        raise MtkdError(f"head {spec.kind!r} with options {spec.options}: {error}") from error


@head("linear")
class LinearHead(nn.Module):
    """Softmax classifier on the [CLS] state. MT-DNN Eq. 1."""

    objective: Objective = "classification"

    def __init__(self, hidden: int, spec: HeadSpec) -> None:
        super().__init__()
        self.dropout = nn.Dropout(spec.dropout)
        self.output = nn.Linear(hidden, max(len(spec.labels), 1))

    def forward(self, states: Tensor, segments: Tensor) -> Tensor:
        return self.output(self.dropout(states[:, 0]))


@head("multilabel")
class SeveralHead(LinearHead):
    """A sigmoid for each label on the [CLS] state: a text has none, one or several of them."""

    objective = "multilabel"


@head("similarity")
class SimilarityHead(LinearHead):
    """A score from the [CLS] state: unbounded, MT-DNN Eq. 2.

    With the `range` (low, high) of a task's scores it is low + (high - low) * x, x unbounded.
    """

    objective = "regression"

    def __init__(self, hidden: int, spec: HeadSpec, range: Sequence[float] = ()) -> None:
        super().__init__(hidden, replace(spec, labels=()))
        self.range = tuple(range)

    def forward(self, states: Tensor, segments: Tensor) -> Tensor:
        score = super().forward(states, segments)
        if not self.range:
            return score
        low, high = self.range
        return low + (high - low) * score.float()


@head("ranking")
class RankingHead(LinearHead):
    """Relevance of a candidate answer to its question, from the [CLS] state. MT-DNN Eq. 5."""

    objective = "ranking"

    def __init__(self, hidden: int, spec: HeadSpec) -> None:
        if len(spec.labels) != 2:
            raise ValueError("its labels are two, that of the right candidate first")
        super().__init__(hidden, replace(spec, labels=()))


@head("san")
class SanHead(nn.Module):
    """Stochastic answer network for sentence pairs (MT-DNN Eq. 3 and 4).

    The state starts as a summary of the second text (hypothesis). In each of K steps it attends
    to the first text (premise), predicts the classes, and is updated by a GRU cell. Returns
    log(mean over steps of softmax), shape (B, C): log-probabilities, which serve as logits.
    While training, whole steps are dropped at random, at least one per example is kept.
    Its defaults are those of the paper's released code; the paper does not name them.
    """

    objective: Objective = "classification"

    def __init__(
        self, hidden: int, spec: HeadSpec, steps: int = SAN_STEPS, step_dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.steps, self.step_dropout = steps, step_dropout
        self.dropout = nn.Dropout(spec.dropout)
        self.query = nn.Linear(hidden, 1, bias=False)
        self.bilinear = nn.Linear(hidden, hidden, bias=False)
        self.update = nn.GRUCell(hidden, hidden)
        self.output = nn.Linear(4 * hidden, len(spec.labels))

    def forward(self, states: Tensor, segments: Tensor) -> Tensor:
        return average_steps(self.step_logits(states, segments), self.keep_mask(states))

    def step_logits(self, states: Tensor, segments: Tensor) -> Tensor:
        """Logits of every step, shape (B, K, C)."""
        premise, hypothesis = segments == 1, segments == 2
        states = self.dropout(states)
        state = attend(self.query(states).squeeze(-1), states, hypothesis)
        features = []
        for step in range(self.steps):
            scores = torch.bmm(states, self.bilinear(state).unsqueeze(-1)).squeeze(-1)
            context = attend(scores, states, premise)
            features.append(
                torch.cat([state, context, (state - context).abs(), state * context], -1)
            )
            if step + 1 < self.steps:
                state = self.update(context, self.dropout(state))
        return self.output(self.dropout(torch.stack(features, 1)))

    def keep_mask(self, states: Tensor) -> Tensor | None:
        """Which steps count, (B, K) bool; None when all do (evaluation)."""
        if not self.training or self.step_dropout == 0:
            return None
        shape = (states.shape[0], self.steps)
        keep = torch.rand(shape, device=states.device) >= self.step_dropout
        forced = torch.randint(self.steps, (shape[0], 1), device=states.device)
        return keep.scatter(1, forced, True)


def attend(scores: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    """Weighted sum of states (B, T, H) with softmax(scores (B, T)) over the masked positions."""
    # A finite floor, not -inf: a text that was cut to nothing then gives a mean and not NaN.
    scores = scores.float().masked_fill(~mask, torch.finfo(torch.float32).min)
    weights = torch.softmax(scores, -1).to(states.dtype)
    return torch.bmm(weights.unsqueeze(1), states).squeeze(1)


def average_steps(step_logits: Tensor, keep: Tensor | None) -> Tensor:
    """Log of the mean of the kept steps' probabilities: (B, K, C) -> (B, C)."""
    log_probs = torch.log_softmax(step_logits.float(), -1)
    if keep is None:
        return torch.logsumexp(log_probs, 1) - math.log(log_probs.shape[1])
    log_probs = log_probs.masked_fill(~keep.unsqueeze(-1), float("-inf"))
    return torch.logsumexp(log_probs, 1) - keep.sum(1, keepdim=True).log()
