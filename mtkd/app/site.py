"""The documentation as a small site: README, docs, committed results and notebooks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from mtkd.app.freshness import REPORTS
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import remove
from mtkd.experiments.plans import expand
from mtkd.experiments.recipes import open_recipe

CONTENTS = """
```{toctree}
:hidden:
:caption: mtkd
:glob:

docs/guide
docs/own-tasks
docs/teachers
docs/*
```

```{toctree}
:hidden:
:caption: Results
:glob:

results/README
results/reference/*/report
DEVIATIONS
```

```{toctree}
:hidden:
:caption: Notebooks
:glob:

notebooks/*
```
"""


def build_site(root: Path, recipe: str = "demo") -> Path:
    """Build the site of the checkout `root`; returns its first page.

    Notebooks are shown as they ran for the recipe here, or else for its committed results. Raises
    MtkdError for a link that leads nowhere.
    """
    source, site = root / ".cache" / "site-source", root / ".cache" / "site"
    remove(source)
    shutil.copytree(root / "docs", source / "docs")
    shutil.copytree(root / "notebooks", source / "notebooks")
    shutil.copytree(root / "results" / "reference", source / "results" / "reference")
    for name in ("DEVIATIONS.md", "LICENSE", "results/README.md"):
        shutil.copy(root / name, source / name)
    start = (root / "README.md").read_text(encoding="utf-8")
    (source / "index.md").write_text(start + CONTENTS, encoding="utf-8")
    for folder in (root / "results" / "reference").glob(f"{recipe}/notebooks"):
        shutil.copytree(folder, source / "notebooks", dirs_exist_ok=True)
    for name, copy in executed_copies(recipe).items():
        shutil.copy(copy, source / "notebooks" / f"{name}.ipynb")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    if subprocess.run([*command, "-c", str(root / "docs"), str(source), str(site)]).returncode:
        raise MtkdError(f"{site}: the lines above say what is wrong with the documentation")
    return site / "index.html"


def executed_copies(recipe: str) -> dict[str, Path]:
    """An executed copy of each notebook that the recipe has run, by the notebook's name."""
    asked, results = open_recipe(recipe)
    names = {name: name for name in REPORTS}
    for run in expand(asked):
        names.setdefault(run.notebook, run.run_id)
    copies = {name: paths.executed_copy(results, copy) for name, copy in names.items()}
    return {name: copy for name, copy in copies.items() if copy.is_file()}
