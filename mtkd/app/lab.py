"""JupyterLab on the notebooks: a checkout's own, or copies of those inside the package."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mtkd.common import paths
from mtkd.common.files import whole


def open_lab(arguments: Sequence[str] = ()) -> NoReturn:
    """Become JupyterLab with these arguments."""
    folder = paths.NOTEBOOKS if paths.CHECKOUT else copied(paths.NOTEBOOKS, Path("notebooks"))
    # Kernels work in the notebooks' folder; their results belong where the command was given.
    environment = os.environ | {paths.RESULTS_VARIABLE: str(paths.results())}
    command = [sys.executable, "-P", "-m", "jupyter", "lab", str(folder), *arguments]
    os.chdir(paths.home())
    os.execve(sys.executable, command, environment)  # so that Ctrl-C asks it, and nobody kills it


def copied(source: Path, target: Path) -> Path:
    """Copy the notebooks that `target` does not have yet; returns `target`."""
    for notebook in sorted(source.glob("*.ipynb")):
        if not (mine := target / notebook.name).exists():
            with whole(mine) as part:
                shutil.copyfile(notebook, part)
    return target
