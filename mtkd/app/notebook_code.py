"""The code of the notebooks, kept where Snakemake can see when it changes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from mtkd.common import paths
from mtkd.common.errors import MtkdError


def keep_sources(results: Path, notebooks: Iterable[str]) -> None:
    """Keep the code of notebooks as `.sources/<notebook>.txt`, whose age Snakemake looks at.

    A file is written when its text has changed, and is as old as the notebook when it is new.
    """
    for name in notebooks:
        notebook, saved = paths.NOTEBOOKS / f"{name}.ipynb", results / ".sources" / f"{name}.txt"
        text, known = notebook_code(notebook), saved.exists()
        if known and saved.read_text(encoding="utf-8") == text:
            continue
        saved.parent.mkdir(parents=True, exist_ok=True)
        part = saved.with_name(f"{name}.{os.getpid()}.part")  # runs on a cluster write it, too
        part.write_text(text, encoding="utf-8")
        if not known:
            age = notebook.stat().st_mtime_ns
            os.utime(part, ns=(age, age))
        os.replace(part, saved)


def notebook_code(notebook: Path) -> str:
    """The code cells, blank ones left out: nothing that running a notebook changes in it."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except FileNotFoundError:
        raise MtkdError(f"{notebook}: no such notebook") from None
    except (ValueError, KeyError, TypeError):
        raise MtkdError(
            f"{notebook}: not a notebook; expected JSON with cells: bring it back with "
            f"`git checkout notebooks/{notebook.name}`"
        ) from None
    return "".join(f"# %%\n{source}\n" for source in code if source.strip())
