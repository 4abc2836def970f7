"""What a recipe says of a teacher that is there already."""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mtkd.common.settings import STRICT

Format = Literal["probabilities", "logits", "top-k", "votes", "label"]


@dataclass(frozen=True, config=STRICT)
class GivenTeacher:
    """A teacher from elsewhere: a Hugging Face classifier, or what any teacher has said of a task.

    Exactly one of `model` and `predictions` is given. Without a `format`, a file's probabilities
    are expected to be complete and to sum to 1; "top-k" spreads what is left evenly over the labels
    that a row does not name, "votes" are counts, "label" is the most likely label alone.
    """

    task: str
    model: str | None = None  # folder, or hub name, of a sequence classifier in safetensors
    revision: str | None = None  # pinned commit of the hub name
    # Tokens at which it cuts a text; none: as many as the model can read
    max_length: Annotated[int, Field(ge=8, le=100_000)] | None = None
    predictions: str | dict[str, str] | None = None  # file of all splits, or split -> file
    format: Format | None = None  # none: what the file's keys say, else probabilities
    id: str = ""  # the file's column of ids; none: the task's, "id" or "idx", where it is there
    # Its label -> the task's, where their names differ; several of its labels may be one of ours
    labels: dict[str, str | int | bool] = field(default_factory=dict)
    name: str = ""  # of its run; none: the task and the name of the folder or file

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.predictions):
            raise ValueError("expected exactly one of `model` and `predictions`")
        if self.model is not None and (self.format or self.id):
            raise ValueError("expected no `format` and no `id`: they are of `predictions`")
        if self.model is None and (self.revision or self.max_length):
            raise ValueError("expected no `revision` and no `max_length`: they are of a `model`")
        if not self.name:
            own = Path(self.model).name if self.model else Path(self.files[0]).stem
            object.__setattr__(self, "name", re.sub(r"[^\w.-]", "-", f"{self.task}-{own}"))
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError("expected a `name` of letters, digits, '.', '-' and '_' only")

    @property
    def files(self) -> list[str]:
        """Its files of predictions."""
        given = self.predictions
        return [given] if isinstance(given, str) else list((given or {}).values())
