"""Where the splits of a task of one's own are: in files, or cut from the training file."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.own_files import HUB, SUFFIXES, Table, hub_splits, hub_table, read_table
from mtkd.data.own_settings import OwnTask, Shares
from mtkd.data.tasks import UNLABELLED

SYNONYMS = {
    "train": ("train", "training"),
    "dev": ("dev", "validation", "valid", "val", "development"),
    "test": ("test", "testing"),
    UNLABELLED: (UNLABELLED, "unlabeled", "unsupervised"),
}
ONE_SHARD = re.compile("-0+-of-0*1$")  # as the hub names a split in one file
Place = tuple[str, str]  # file, or hub name and its split
Item = TypeVar("Item")


@dataclass(frozen=True)
class Example:
    """What decides where a row goes: its labels, and a text that is in one split alone."""

    labels: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Part:
    """Rows of a table that are a split, in the table's order."""

    table: Table
    rows: np.ndarray  # int64 (N,)


def our_split(name: str, known: Collection[str] = ()) -> str | None:
    """A split's name as `known` or the kit has it; None where it is none of them."""
    if name in known:
        return name
    return next((ours for ours, words in SYNONYMS.items() if name.lower() in words), None)


def split_places(name: str, spec: OwnTask) -> dict[str, Place]:
    """The place of each split that has one of its own; there is always one of "train"."""
    if isinstance(spec.data, dict):
        if hub := [file for file in spec.data.values() if file.startswith(HUB)]:
            raise MtkdError(
                f"tasks.{name}.data: {hub[0]} as a split; expected files, or a data set of the hub "
                f"as a whole: `data: {hub[0]}`"
            )
        given = {split: (file, "") for split, file in spec.data.items()}
        return known_splits(given, f"tasks.{name}.data")
    if spec.data.startswith(HUB):
        found = {split: (spec.data, split) for split in hub_splits(spec.data) if our_split(split)}
        return known_splits(found, spec.data)
    path = Path(spec.data)
    if not path.is_dir():
        return {"train": (spec.data, "")}
    folder: dict[str, Place] = {}
    for file in sorted(path.iterdir()):
        split = our_split(ONE_SHARD.sub("", file.stem))
        if split is None or file.suffix.lower() not in SUFFIXES:
            continue
        if split in folder:
            raise MtkdError(
                f"{file}: {folder[split][0]} is a {split} split, too; expected one file a split"
            )
        folder[split] = (str(file), "")
    return known_splits(folder, str(path))


def known_splits(given: Mapping[str, Item], where: str) -> dict[str, Item]:
    """What belongs to each split, by the kit's names of splits. Raises MtkdError."""
    found: dict[str, Item] = {}
    for split, item in given.items():
        ours = our_split(split)
        if ours is None:
            expected = ", ".join(SYNONYMS)
            raise MtkdError(f"{where}: split {split!r}; expected some of {expected}")
        if ours in found:
            raise MtkdError(f"{where}: {split!r} is a second {ours} split; expected one")
        found[ours] = item
    if "train" not in found:
        have = ", ".join(given) or "none"
        raise MtkdError(
            f"{where}: no training split (found {have}); expected `train: FILE`, or a file train "
            f"with one of {', '.join(SUFFIXES)}"
        )
    return found


def split_tables(name: str, spec: OwnTask) -> dict[str, Table]:
    """The table of each split that has one of its own."""

    def table(source: str, split: str) -> Table:
        return hub_table(source, split) if source.startswith(HUB) else read_table(source)

    return {split: table(*place) for split, place in split_places(name, spec).items()}


def stamp_of(spec: OwnTask) -> str:
    """What changes when a file of a task changes."""
    paths = [spec.data] if isinstance(spec.data, str) else list(spec.data.values())
    found = []
    for path in (Path(one) for one in paths if not one.startswith(HUB)):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            facts = file.stat() if file.exists() else None
            found.append([str(file), facts and facts.st_mtime_ns, facts and facts.st_size])
    return json.dumps(found)


def cut_shares(present: Sequence[str], how: Shares) -> dict[str, float]:
    """What is cut from the training file: dev where there is none, test where there is nothing."""
    shares = {} if "dev" in present else {"dev": how.dev}
    if how.test and not {"dev", "test"} & set(present):
        shares["test"] = how.test
    return shares


def same_text(*texts: object) -> str:
    """What texts have in common that a model reads alike: words, not spaces and capitals."""
    return "\n".join(" ".join(str(text).split()).casefold() for text in texts)


def divided(
    table: Table, examples: Sequence[Example], shares: Mapping[str, float], seed: int
) -> dict[str, Part]:
    """The rows of "train" and of each share: of every label its share, by `seed`.

    A text with all its rows is in one part, and every label is in train. The order of the rows
    decides nothing: texts are drawn by a digest. Raises MtkdError where a part gets no row.
    """
    groups: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        groups.setdefault(example.text, []).append(row)
    counts = Counter(label for example in examples for label in example.labels)
    strata: dict[str, list[str]] = {}  # by the rarest label: of sets of labels there are too many
    kept: set[str] = set()  # the first text with a label stays in train
    known: set[str] = set()
    for text in sorted(groups, key=lambda text: digest(seed, text)):
        labels = {label for row in groups[text] for label in examples[row].labels}
        rarest = min(labels, key=lambda label: (counts[label], label), default="")
        strata.setdefault(rarest, []).append(text)
        if not labels <= known:
            kept.add(text)
        known |= labels
    part_of: dict[str, str] = {}
    owed = dict.fromkeys(shares, 0.0)
    for _, texts in sorted(strata.items()):
        free = [text for text in texts if text not in kept]
        for part, share in shares.items() if free else ():
            owed[part] += share * len(texts)
            count = max(round(owed[part]), 0)
            part_of |= dict.fromkeys(free[:count], part)
            # What rounding owes goes to the next label, and no more than that.
            owed[part] = min(owed[part] - len(free[:count]), 1.0)
            free = free[count:]
    rows: dict[str, list[int]] = {part: [] for part in ("train", *shares)}
    for row, example in enumerate(examples):
        rows[part_of.get(example.text, "train")].append(row)
    if empty := [part for part, found in rows.items() if not found]:
        raise MtkdError(
            f"{table.source}: {len(groups)} different texts leave none to {empty[0]}; expected "
            f"more, or a file of that split, or another share in `split: {{{empty[0]}: ...}}`"
        )
    return {part: Part(table, np.array(found, np.int64)) for part, found in rows.items()}


def digest(seed: int, text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16, key=str(seed).encode()).digest()
