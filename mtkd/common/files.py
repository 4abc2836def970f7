"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
# What `whole` has a process of a machine write to, beside the name.
PART = re.compile(r".+\.([0-9a-f]{8})-(\d+)\.part")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file or a folder to; it takes its place when all went well.

    What was at `path` stays until then, and after an error. A reader never sees a part of it. A
    link stays one: what it leads to is replaced.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{HOST}-{os.getpid()}.part")
    remove(part)
    try:
        yield part
        if part.is_dir() and path.is_dir():
            shutil.rmtree(path)  # a folder cannot replace one that has files; a file replaces none
        os.replace(part, path)
    finally:
        remove(part)


def parts(folder: Path) -> list[Path]:
    """What processes of this machine that are gone had begun to write below a folder."""
    found = ((path, PART.fullmatch(path.name)) for path in folder.rglob("*.part"))
    return [path for path, name in found if name and name[1] == HOST and is_gone(int(name[2]))]


def is_gone(process: int) -> bool:
    """Whether no process of this machine has that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        return False
    return False


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
