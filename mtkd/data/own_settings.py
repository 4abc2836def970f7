"""What a recipe says of a task of one's own: where its examples are, and what they mean."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from mtkd.common.settings import STRICT
from mtkd.data.own_values import label_name

Kind = Literal["classification", "multilabel", "regression", "ranking"]
Share = Annotated[float, Field(ge=0, le=0.9)]


def texts(names: Any) -> Any:
    """Labels as text: a recipe may write 1, 2 and true, false for the labels of those names."""
    if not isinstance(names, (list, tuple)):
        return names
    return tuple(label_name(one) if isinstance(one, (int, float)) else one for one in names)


def whole(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names) or not all(names):
        raise ValueError("expected different names, none of them empty")
    return names


def one_or_two(columns: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if not isinstance(columns, str) and (len(whole(columns)) != 2):
        raise ValueError("expected the name of one column, or two different names for pairs")
    return columns


def rising(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    if bounds and not bounds[0] < bounds[1]:
        raise ValueError("expected [low, high], the low one first")
    return bounds


@dataclass(frozen=True, config=STRICT)
class Shares:
    """How examples are divided where there is no file of a split."""

    dev: Share = 0.1
    test: Share = 0.1  # of a task with one file alone; other tasks have the test file or none
    seed: Annotated[int, Field(ge=0, le=10**9)] = 0

    def __post_init__(self) -> None:
        if self.dev + self.test > 0.9:
            raise ValueError(
                f"dev and test are {self.dev + self.test:g} of all; expected at most 0.9"
            )


@dataclass(frozen=True, config=STRICT)
class OwnTask:
    """One task of one's own. What is not said is inferred where the file leaves no doubt.

    `data` is a file (.csv, .tsv, .jsonl, .parquet), a folder with one file a split, a mapping of
    split to file, or "hf:owner/name" of the hub, with "/configuration" and "@commit" behind it or
    not. A file's first row or its keys name the columns.
    """

    data: str | dict[str, str]
    text: Annotated[str | tuple[str, ...], AfterValidator(one_or_two)] = ""  # column, or a pair's
    label: str = ""  # the column of the label or score
    id: str = ""  # the column of the example's own id; none: the row's number
    kind: Kind | None = None
    # In the order of the outputs; none: as the data declares them, else those of train, sorted.
    # The second of two is the one that F1 and the like are of; of a ranking, the first is right.
    labels: Annotated[tuple[str, ...], BeforeValidator(texts), AfterValidator(whole)] = ()
    range: Annotated[tuple[float, float] | None, AfterValidator(rising)] = None  # of scores
    metrics: tuple[str, ...] = ()  # their mean is the task's score; none: usual ones of the kind
    weights: Literal["balanced"] | dict[str, float] | None = None  # of the labels in the loss
    split: Shares = field(default_factory=Shares)
    separator: Annotated[str, Field(min_length=1)] = "|"  # between a text's labels in one string
    dropout: Annotated[float, Field(ge=0, le=0.99)] = 0.1  # of the task's head

    def __post_init__(self) -> None:
        kind = self.kind or ("regression" if self.range else None)
        if self.labels and kind == "regression":
            raise ValueError("expected either `labels` or scores (`range`, `kind: regression`)")
        if self.range and kind != "regression":
            raise ValueError(f"expected no `range`: {kind} has labels and no scores")
        if self.weights is not None and kind not in (None, "classification"):
            raise ValueError(f"expected no `weights`: {kind} has none")
        if kind == "ranking" and isinstance(self.text, str) and self.text:
            raise ValueError("expected `text: [question, candidate]`: ranking is of pairs")
