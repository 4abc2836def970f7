"""Labels as files have them: names, numbers, or names of numbers."""

from __future__ import annotations

import json

import pyarrow as pa

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import Task

LABEL_WORDS = {"scitail": {"entailment": "entails"}}  # as SciTail's SNLI format has it


def class_places(task: Task) -> dict[object, int]:
    """Place in `task.labels` by all that a file may have for a class: its name or its number."""
    places: dict[object, int] = {str(at): at for at in range(len(task.labels))}
    places |= {at: at for at in range(len(task.labels))}
    places |= {name: at for at, name in enumerate(task.labels)}
    return places | {word: places[name] for word, name in LABEL_WORDS.get(task.name, {}).items()}


def class_names(task: Task, table: pa.Table, column: str, source: str) -> dict[int, str]:
    """Name of each class by its number, as `datasets` keeps them beside a table; else empty.

    Raises MtkdError for other names than the task's.
    """
    try:
        facts = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
        feature = (((facts.get("info") or {}).get("features") or {}).get(column)) or {}
        names: list[str] = feature.get("names") or []
    except (ValueError, AttributeError):
        raise MtkdError(
            f"{source}: the metadata that `datasets` keeps in a Parquet file cannot be read; "
            "write the file again"
        ) from None
    if not task.labels or names == [str(at) for at in range(len(task.labels))]:
        return {}  # numbers in place of names are those of the hub
    words = LABEL_WORDS.get(task.name, {})
    if names and sorted(words.get(name, name) for name in names) != sorted(task.labels):
        raise MtkdError(
            f"{source}: column {column} has classes {', '.join(names)}; expected "
            f"{', '.join(task.labels)}, in any order: is it a file of {task.title}?"
        )
    return dict(enumerate(names))
