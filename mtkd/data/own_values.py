"""One cell of a file of one's own: a label, a score or an id."""

from __future__ import annotations

import hashlib
import math
from typing import Any


def missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN (pandas' word for it) or blank text."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def number_of(value: Any) -> float | None:
    """A finite number, or text that is one; else None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    underscored = isinstance(value, str) and "_" in value  # a number in Python alone
    return number if math.isfinite(number) and not underscored else None


def as_text(value: Any) -> str:
    """A value as a file of text has it: True is "true", 3 and 3.0 are "3"."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def label_name(value: Any) -> str:
    """A label as text. Raises ValueError for what is none: nothing, a date, a mapping."""
    if missing(value):
        raise ValueError("no label; expected one")
    if not isinstance(value, (str, bool, int, float)):
        raise ValueError(f"{value!r:.80}; expected a label: text, a number, true or false")
    return as_text(value)


def names_of(value: Any, separator: str) -> list[str]:
    """The labels of one text: a list, or text with separators; none if it is empty.

    Raises ValueError for what is no label.
    """
    if isinstance(value, (list, tuple)):
        return [label_name(one) for one in value]
    if missing(value):
        return []
    parts = value.split(separator) if isinstance(value, str) else [value]
    return [label_name(part) for part in parts if not missing(part)]


def example_id(value: Any) -> int:
    """An example's id as a number: whole numbers as they are, others by a digest of 62 bits."""
    text = as_text(value)
    if text.isascii() and text.isdigit() and len(text) < 18 and str(int(text)) == text:
        return int(text)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest) >> 2)  # below 0, so that no number is meant
