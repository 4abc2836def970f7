"""The committed results, renewed on purpose alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat

from mtkd.analysis.results import open_results
from mtkd.app.freshness import due_trainings
from mtkd.app.gallery import update_pages
from mtkd.app.publish import publish
from mtkd.app.site import executed_copies
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import whole, write_text
from mtkd.experiments.plans import expand


def renew_reference(name: str) -> Path:
    """Write a recipe's tables, figures and report anew and copy them, with its scores, there.

    Texts of examples go with them from the toy benchmark alone: others' are not ours to copy.
    Raises MtkdError where runs are missing, studies' included; models may be, a cluster's say. A
    README.md there stays. Executed notebooks go there, too, of the toy benchmark.
    """
    if paths.CHECKOUT is None:
        raise MtkdError("committed results are in a checkout of the repository, not in the package")
    results = open_results(name)
    runs = expand(results.recipe)
    if missing := list(due_trainings(runs, results.folder, models=False)):
        raise MtkdError(
            f"{results.folder}: {len(missing)} of {len(runs)} runs are missing, "
            f"{missing[0]} first; run `mtkd reproduce --recipe {name}`"
        )
    target = paths.REFERENCE / results.recipe.name
    ours = results.recipe.data.kind == "toy" and not any(results.recipe.tasks.values())
    written = publish(results, quotes=ours)
    with whole(target) as part:
        for file in written:
            copy = part / file.relative_to(results.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        for note in target.glob("README.md"):
            shutil.copy(note, part)
        for title, copy in executed_copies(name).items() if ours else ():
            write_text(part / "notebooks" / f"{title}.ipynb", shown(copy))
    update_pages(paths.CHECKOUT, paths.REFERENCE)
    return target


def shown(notebook: Path) -> str:
    """An executed notebook as text, without times of its run and paths of this machine."""
    book = nbformat.read(notebook, as_version=4)
    for part in (book, *book.cells):
        for name in ("papermill", "execution"):
            part.metadata.pop(name, None)
    return nbformat.writes(book).replace(f"{paths.home()}/", "") + "\n"
