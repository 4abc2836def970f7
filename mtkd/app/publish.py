"""What a recipe shows: scores.csv, tables, figures and report.html, from its finished runs."""

from __future__ import annotations

import io
from pathlib import Path

from mtkd.analysis import baseline_tables as comparisons
from mtkd.analysis import figures, table_files
from mtkd.analysis.ensemble_sizes import ensemble_views
from mtkd.analysis.evaluations import slice_scores
from mtkd.analysis.results import Results, teacher_knowledge
from mtkd.analysis.study_views import study_views
from mtkd.analysis.teacher_analysis import teacher_views
from mtkd.analysis.views import write
from mtkd.app.report import write_report
from mtkd.common.files import write_text


def publish(results: Results) -> list[Path]:
    """Write scores.csv, tables/, figures/ and report.html of a recipe; returns the files.

    Raises MtkdError where stored predictions are missing.
    """
    scores, folder = results.scores, results.folder
    text = io.StringIO()
    scores.round({"value": 6}).to_csv(text, index=False, lineterminator="\n")
    written = [folder / "scores.csv"]
    write_text(written[0], text.getvalue())
    written += table_files.write_tables(scores, folder, results.records)
    written += comparisons.write_comparisons(scores, slice_scores(results), folder)
    drawn = figures.write_figures(
        scores,
        results.records,
        folder,
        teacher_tasks=results.teacher_tasks,
        knowledge=teacher_knowledge(results),
    )
    views = [*study_views(results), *ensemble_views(results), *teacher_views(results)]
    for view in views:
        written += write(view, folder)
    return [*written, *drawn, write_report(results, drawn, views)]
