"""JSON objects on disk, and texts: whole, in UTF-8, and as they were written, or one line says why.

An object that the kit writes for itself holds a digest of all else in it, so that a file that has
rotted, or was edited, is never taken for what a run has found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd.common.errors import Damaged, MtkdError
from mtkd.common.files import write_text

DIGEST = "sha256"  # key of the digest; an object without it is taken as it is


def read_text(path: Path, todo: str) -> str:
    """The text of a UTF-8 file. Raises Damaged (not there: MtkdError), with what is `todo`."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Damaged(f"{path}: byte {error.start + 1} is not UTF-8 text; {todo}") from None
    except OSError as error:
        kind = Damaged if isinstance(error, IsADirectoryError) else MtkdError
        raise kind(f"{path}: {error.strerror}; {todo}") from None


def read_object(path: Path, todo: str) -> dict[str, Any]:
    """The object in a JSON file, as it was written. Raises Damaged that ends with `todo`."""
    try:
        found = json.loads(read_text(path, todo))
    except json.JSONDecodeError as error:
        raise Damaged(f"{path}:{error.lineno}: not valid JSON ({error.msg}); {todo}") from None
    except ValueError as error:  # an integer of too many digits
        raise Damaged(f"{path}: not valid JSON ({error}); {todo}") from None
    except RecursionError:
        raise Damaged(f"{path}: nested too deeply; {todo}") from None
    if not isinstance(found, dict):
        raise Damaged(f"{path}: JSON of another kind; expected an object; {todo}")
    if DIGEST in found and found.pop(DIGEST) != digest(found):
        raise Damaged(f"{path}: has changed since it was written; {todo}")
    return found


def write_object(path: Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    """Write an object as JSON with its digest, whole or not at all."""
    content = {key: value for key, value in content.items() if key != DIGEST}
    text = json.dumps(content | {DIGEST: digest(content)}, indent=indent)
    write_text(path, text + "\n")


def digest(content: Mapping[str, Any]) -> str:
    """Of an object's JSON, 16 hexadecimal digits; the same once it was written and read."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
