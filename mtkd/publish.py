"""What a recipe shows: scores.csv, tables, figures and report.html, from its finished runs."""

from __future__ import annotations

import io
from pathlib import Path

from mtkd import comparisons, figures, records, tables
from mtkd.ensemble_sizes import ensemble_sizes
from mtkd.evaluations import slice_scores
from mtkd.plotting import save
from mtkd.report import write_report
from mtkd.results import Results, teacher_knowledge
from mtkd.study_figures import study_figure
from mtkd.study_tables import file_stem, finished_studies, write_study


def publish(results: Results) -> list[Path]:
    """Write scores.csv, tables/, figures/ and report.html of a recipe; returns the files.

    Raises MtkdError where stored predictions are missing.
    """
    scores, folder = results.scores, results.folder
    text = io.StringIO()
    scores.round({"value": 6}).to_csv(text, index=False, lineterminator="\n")
    path = folder / "scores.csv"
    records.write_text(path, text.getvalue())
    written = tables.write_tables(scores, folder, results.records)
    written += comparisons.write_comparisons(scores, slice_scores(results), folder)
    drawn = figures.write_figures(
        scores,
        results.records,
        folder,
        teacher_tasks=results.teacher_tasks,
        knowledge=teacher_knowledge(results),
    )
    for study, values in finished_studies(results):
        written += write_study(study, values, folder)
        sizes = ensemble_sizes(results) if study.name == "ensembles" else None
        drawn += save(study_figure(study, values, sizes), folder / "figures", file_stem(study))
    return [path, *written, *drawn, write_report(results, drawn)]
