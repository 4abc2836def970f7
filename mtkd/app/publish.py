"""What a recipe shows: scores.csv, tables, figures and report, from its finished runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mtkd.analysis.ensemble_sizes import ensemble_views
from mtkd.analysis.main_views import main_views
from mtkd.analysis.recipe_views import run_views
from mtkd.analysis.results import Results
from mtkd.analysis.study_views import study_views
from mtkd.analysis.teacher_analysis import teacher_views
from mtkd.analysis.verdict_views import verdict_view
from mtkd.analysis.views import View, write
from mtkd.app.gallery import write_gallery
from mtkd.app.report import write_report
from mtkd.app.summary import write_summary
from mtkd.common.errors import MtkdError
from mtkd.common.files import remove, write_text
from mtkd.common.sums import sums_of, write_sums


def publish(
    results: Results, main: Mapping[str, View] | None = None, *, quotes: bool = True
) -> list[Path]:
    """Write what a recipe shows into its results folder; returns the files, report.html last.

    These are scores.csv, tables/, figures/, one page in summary.md, and all views together as
    report.md and report.html; and their digests, for `reproduce` to see what has changed.
    `main` are its `main_views`, where they are there already; without `quotes` no view that has
    texts of examples. Raises MtkdError where stored predictions are missing.
    """
    scores, folder = results.scores.round({"value": 6}), results.folder
    write_text(folder / "scores.csv", scores.to_csv(index=False, lineterminator="\n"))
    views = [*(main_views(results) if main is None else main).values(), *run_views(results)]
    views += [*teacher_views(results), *study_views(results), *ensemble_views(results)]
    if any(results.recipe.tasks.values()):  # tasks of one's own: is the student worth shipping?
        views += [view for view in [verdict_view(results)] if view is not None]
    views = [view for view in views if quotes or not view.quotes]
    written = [path for view in views for path in write(view, folder)]
    named = {view.name: view for view in views}
    pages = [
        write_summary(results, named),
        write_gallery(results, views),
        write_report(results, views),
    ]
    files = [folder / "scores.csv", *written, *pages]
    with suppress(MtkdError):  # no list of before
        for name in sums_of(folder):  # of a study that is asked for no more, say
            if folder / name not in files:
                remove(folder / name)
    write_sums(folder, files)
    return files
