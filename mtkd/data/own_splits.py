"""Where the splits of a task of one's own are: in files, or cut from the training file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.own_files import HUB, SUFFIXES, Table, hub_splits, read_hub, read_table
from mtkd.data.own_settings import OwnTask, Shares
from mtkd.data.tasks import UNLABELLED

SYNONYMS = {
    "train": ("train", "training"),
    "dev": ("dev", "validation", "valid", "val", "development"),
    "test": ("test",),
    UNLABELLED: (UNLABELLED, "unlabeled", "unsupervised"),
}
Place = tuple[str, str]  # file, or hub name and its split


def split_files(name: str, spec: OwnTask) -> dict[str, Place]:
    """The place of each split that has one of its own; there is always one of "train"."""
    if isinstance(spec.data, str) and spec.data.startswith(HUB):
        found = {split: (spec.data, split) for split in hub_splits(spec.data)}
        return known_splits(name, found, spec.data)
    if isinstance(spec.data, dict):
        given = {split: (file, "") for split, file in spec.data.items()}
        return known_splits(name, given, "data")
    path = Path(spec.data)
    if not path.is_dir():
        return {"train": (spec.data, "")}
    files = [file for file in sorted(path.iterdir()) if file.suffix in SUFFIXES]
    folder: dict[str, Place] = {}
    for file in files:
        if file.stem.lower() in [word for words in SYNONYMS.values() for word in words]:
            if file.stem.lower() in folder:
                raise MtkdError(
                    f"{file}: another file of {file.stem!r} is beside it; expected one a split"
                )
            folder[file.stem.lower()] = (str(file), "")
    return known_splits(name, folder, str(path))


def known_splits(name: str, given: Mapping[str, Place], where: str) -> dict[str, Place]:
    """Places by the kit's names of splits."""
    found: dict[str, Place] = {}
    for split, place in given.items():
        ours = next((ours for ours, words in SYNONYMS.items() if split.lower() in words), None)
        if ours is None and not place[0].startswith(HUB):
            expected = ", ".join(SYNONYMS)
            raise MtkdError(f"tasks.{name}.{where}: split {split!r}; expected some of {expected}")
        if ours in found:
            raise MtkdError(f"tasks.{name}.{where}: two splits are {ours}; expected one")
        if ours is not None:
            found[ours] = place
    if "train" not in found:
        raise MtkdError(
            f"tasks.{name}: {where} has no training split; expected a file train with one of "
            f"{', '.join(SUFFIXES)}"
        )
    return found


def present(spec: OwnTask, splits: Mapping[str, Place]) -> list[str]:
    """The splits that a task has: those with files, and those cut from the training file."""
    return [
        split for split in ("train", "dev", "test") if split in splits or cut(spec, splits, split)
    ]


def cut(spec: OwnTask, splits: Mapping[str, Place], split: str) -> bool:
    """Whether a split is cut from the training file."""
    if split == "test":  # asked for only of a file that holds all there is
        return len(splits.keys() - {UNLABELLED}) == 1 and spec.split.test > 0
    return split == "dev" and "dev" not in splits


def stratified(
    rows: Sequence[tuple[str, str]], shares: Mapping[str, float], how: Shares
) -> dict[str, np.ndarray]:
    """Rows of each part: of every label its share, whole texts, drawn by `how.seed`."""
    groups: dict[str, list[int]] = {}
    for row, (_, text) in enumerate(rows):
        groups.setdefault(text, []).append(row)
    by_label: dict[str, list[list[int]]] = {}
    for group in groups.values():
        by_label.setdefault(rows[group[0]][0], []).append(group)
    parts: dict[str, list[int]] = {part: [] for part in shares}
    owed = dict.fromkeys(shares, 0.0)
    rng = np.random.default_rng(how.seed)
    for label in sorted(by_label):
        members = by_label[label]
        order, start = rng.permutation(len(members)), 0
        for part, share in shares.items():
            owed[part] += share * len(members)  # what rounding owes goes to the next label
            count = min(max(0, round(owed[part])), len(members) - 1 - start)
            owed[part] -= max(count, 0)
            for at in order[start : start + max(count, 0)]:
                parts[part] += members[at]
            start += max(count, 0)
    return {part: np.array(sorted(found), np.int64) for part, found in parts.items()}


def table_of(place: Place) -> Table:
    source, split = place
    return read_hub(source, split) if source.startswith(HUB) else read_table(source)


def stamp_of(spec: OwnTask) -> str:
    """What changes when a file of a task changes."""
    paths = [spec.data] if isinstance(spec.data, str) else list(spec.data.values())
    found = []
    for path in (Path(one) for one in paths if not one.startswith(HUB)):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            facts = file.stat() if file.exists() else None
            found.append([str(file), facts and facts.st_mtime_ns, facts and facts.st_size])
    return json.dumps(found)
