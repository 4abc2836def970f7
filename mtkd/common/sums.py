"""Digests of the pages, tables and figures of a folder: what a person reads is what was written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from mtkd.common.errors import Damaged, MtkdError
from mtkd.common.files import digest_of
from mtkd.common.objects import read_object, write_object

NAME = "sums.json"


def write_sums(folder: Path, files: Iterable[Path]) -> None:
    """Remember the files of a folder as they are now."""
    sums = {file.relative_to(folder).as_posix(): digest_of(file) for file in files}
    write_object(folder / NAME, {"files": sums}, indent=1)


def sums_of(folder: Path) -> dict[str, str]:
    """The digests by name of file. Raises MtkdError."""
    path, again = folder / NAME, "`mtkd report` writes it again"
    sums = read_object(path, again).get("files")
    if not isinstance(sums, dict) or not all(map(is_inside, sums)):
        raise Damaged(f"{path}: no digests of files of this folder; {again}")
    return sums


def is_inside(name: str) -> bool:
    """Whether a name is that of a file below a folder, wherever the folder is."""
    path = PurePath(name)
    return not path.is_absolute() and ".." not in path.parts


def altered(folder: Path) -> list[str]:
    """The names of files that have changed or are gone since; that of the list, if that has."""
    try:
        sums = sums_of(folder)
    except MtkdError:
        return [NAME]
    return [
        name
        for name, digest in sums.items()
        if not (folder / name).is_file() or digest_of(folder / name) != digest
    ]


def check_sum(path: Path, todo: str) -> None:
    """Raise Damaged, ending with `todo`, if a file is not as its folder remembers it."""
    if (path.parent / NAME).is_file() and sums_of(path.parent).get(path.name) != digest_of(path):
        raise Damaged(f"{path}: has changed since it was written; {todo}")


def noted(mark: str, file: Path) -> str:
    """What is noted of a file that something of this mark has made."""
    return f"{mark} {digest_of(file)}"
