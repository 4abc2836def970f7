"""What all settings have in common: they are pydantic dataclasses that guess nothing."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ConfigDict

# "5" is not 5, True is not 1, an unknown key is an error; a whole number will do for a float.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Item = TypeVar("Item", bound=Hashable)


def different(values: tuple[Item, ...]) -> tuple[Item, ...]:
    """The values, if there is at least one and none comes twice; else ValueError."""
    if not values or len(set(values)) < len(values):
        raise ValueError("expected different values, at least one")
    return values


Several = Annotated[tuple[Item, ...], AfterValidator(different)]  # Several[int] is a field's type
