"""What a recipe shows: scores.csv, tables, figures and report.html, from its finished runs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from mtkd.analysis.ensemble_sizes import ensemble_views
from mtkd.analysis.main_views import main_views
from mtkd.analysis.results import Results
from mtkd.analysis.study_views import study_views
from mtkd.analysis.teacher_analysis import teacher_views
from mtkd.analysis.views import View, write
from mtkd.app.report import write_report
from mtkd.common.files import write_text


def publish(results: Results, shown: Mapping[str, View] | None = None) -> list[Path]:
    """Write scores.csv, tables/, figures/ and report.html of a recipe; returns the files.

    `shown` are its `main_views`, where they are there already. Raises MtkdError where stored
    predictions are missing.
    """
    scores, folder = results.scores, results.folder
    text = io.StringIO()
    scores.round({"value": 6}).to_csv(text, index=False, lineterminator="\n")
    written = [folder / "scores.csv"]
    write_text(written[0], text.getvalue())
    shown = main_views(results) if shown is None else shown
    more = [*study_views(results), *ensemble_views(results), *teacher_views(results)]
    for view in [*shown.values(), *more]:
        written += write(view, folder)
    return [*written, write_report(results, shown, written, more)]
