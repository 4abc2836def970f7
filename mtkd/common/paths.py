"""Where things lie: in a checkout beside the library, in an installed package inside it."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
# The folder of the repository; None where the library came as a wheel.
CHECKOUT = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None
NOTEBOOKS = (CHECKOUT or PACKAGE) / "notebooks"
SNAKEFILE = PACKAGE / "app" / "Snakefile"
# Committed results, renewed by `mtkd publish` alone; a wheel has none, and no such folder.
REFERENCE = (CHECKOUT or PACKAGE) / "results" / "reference"
# An environment variable, since notebooks have no command line.
RESULTS_VARIABLE = "MTKD_RESULTS"


def home() -> Path:
    """Where results/ stands unless it is put elsewhere: the checkout, else the working folder."""
    return CHECKOUT or Path.cwd()


def results() -> Path:
    """Folder of the recipes' results: what MTKD_RESULTS says, else results/ in `home`."""
    given = os.environ.get(RESULTS_VARIABLE)
    return Path(given).resolve() if given else home() / "results"


def executed_copy(folder: Path, name: str) -> Path:
    """Where a notebook that was executed for a results folder lies, by its run's id or own name."""
    return folder / "executed" / f"{name}.ipynb"
