"""What all settings have in common: they are pydantic dataclasses that guess nothing."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, ConfigDict

# "5" is not 5, True is not 1, an unknown key is an error; a whole number will do for a float.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Item = TypeVar("Item", bound=Hashable)


def different(values: tuple[Item, ...]) -> tuple[Item, ...]:
    """The values, if none comes twice; else ValueError."""
    if len(set(values)) < len(values):
        raise ValueError("expected different values")
    return values


def at_least_one(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if not values:
        raise ValueError("expected different values, at least one")
    return values


Different = Annotated[tuple[Item, ...], AfterValidator(different)]  # Different[int] is a type
Several = Annotated[Different[Item], AfterValidator(at_least_one)]
