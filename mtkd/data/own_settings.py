"""What a recipe says of a task of one's own: where its examples are, and what they mean."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mtkd.common.settings import STRICT

Kind = Literal["classification", "multilabel", "regression", "ranking"]
Share = Annotated[float, Field(ge=0, le=0.9)]


@dataclass(frozen=True, config=STRICT)
class Shares:
    """How examples are divided where there is no file of a split."""

    dev: Share = 0.1
    test: Share = 0.1  # of a task with one file alone; other tasks have the test file or none
    seed: Annotated[int, Field(ge=0, le=10**9)] = 0


@dataclass(frozen=True, config=STRICT)
class OwnTask:
    """One task of one's own. What is not said is inferred where the file leaves no doubt.

    `data` is a file (.csv, .tsv, .jsonl, .parquet), a folder with one file a split, a mapping of
    split to file, or "hf:name/configuration". A file's first row or its keys name the columns.
    """

    data: str | dict[str, str]
    text: str | tuple[str, ...] = ""  # the column of the text, or two of a pair
    label: str = ""  # the column of the label or score
    id: str = ""  # the column of the example's own id; none: the row's number
    kind: Kind | None = None
    labels: tuple[str, ...] = ()  # in the order of the outputs; none: those of the data, sorted
    range: tuple[float, float] | None = None  # of a regression's scores
    metrics: tuple[str, ...] = ()  # their mean is the task's score; none: usual ones of the kind
    weights: Literal["balanced"] | dict[str, float] | None = None  # of the labels in the loss
    split: Shares = field(default_factory=Shares)
    separator: str = "|"  # between the labels of a text, where they are one string
    dropout: Annotated[float, Field(ge=0, le=0.99)] = 0.1  # of the task's head
