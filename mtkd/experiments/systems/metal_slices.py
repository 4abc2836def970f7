"""Auxiliary signals of the MeTaL-style system: word overlap of sentence pairs, and named slices.

After what the released code of Snorkel MeTaL has (HazyResearch/metal, auxiliary_tasks.py and
glue_slices.py): unigram BLEU for pairs, and groups of examples that deserve a head of their own.
"""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np

from mtkd.data.tasks import Examples

SLICES = {
    "question": re.compile(r"\?\s*$"),  # a text that ends with a question mark
    "negation": re.compile(r"\b(?:not?|never|nobody|nothing|none|cannot)\b|n['\u2019]t\b", re.I),
}
SMALLEST = 16  # examples below which a slice gets no head and no score
WORD = re.compile(r"\w+")


def overlap(first: str, second: str) -> float:
    """Unigram BLEU of `second` against `first`, 0 to 1 (Papineni et al. 2002, section 2).

    Clipped unigram precision times the brevity penalty exp(1 - len(first) / len(second)), which
    is 1 when `second` is at least as long. 0 if either text has no word.
    """
    reference, candidate = (WORD.findall(text.lower()) for text in (first, second))
    if not reference or not candidate:
        return 0.0
    matches = sum((Counter(candidate) & Counter(reference)).values())
    brevity = min(0.0, 1 - len(reference) / len(candidate))
    return math.exp(brevity) * matches / len(candidate)


def overlaps(examples: Examples) -> np.ndarray:
    """Word overlap of each pair, float32 (N,)."""
    seconds = examples.text_b or []
    pairs = zip(examples.text_a, seconds, strict=True)
    return np.array([overlap(first, second) for first, second in pairs], np.float32)


def slice_rows(examples: Examples, name: str) -> np.ndarray:
    """Rows of the examples in a slice, int64: those where any of the texts matches."""
    pattern = SLICES[name]
    texts = [examples.text_a] + ([examples.text_b] if examples.text_b is not None else [])
    found = np.array([[bool(pattern.search(text)) for text in column] for column in texts])
    return np.flatnonzero(found.any(axis=0))


def slices_of(*parts: Examples) -> dict[str, np.ndarray]:
    """Rows of each slice that says something: neither too few examples nor nearly all.

    Rows are counted through all parts, in their order.
    """
    starts = np.cumsum([0, *map(len, parts)])
    found = {
        name: np.concatenate(
            [slice_rows(part, name) + start for part, start in zip(parts, starts[:-1], strict=True)]
        )
        for name in SLICES
    }
    most = 0.9 * starts[-1]
    return {name: rows for name, rows in found.items() if SMALLEST <= len(rows) <= most}
