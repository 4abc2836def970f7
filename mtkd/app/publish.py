"""What a recipe shows: scores.csv, tables, figures and report.html, from its finished runs."""

from __future__ import annotations

import io
from pathlib import Path

from mtkd.analysis import baseline_tables as comparisons
from mtkd.analysis import figures, table_files
from mtkd.analysis import teacher_analysis as learnt
from mtkd.analysis.evaluations import slice_scores
from mtkd.analysis.plotting import save
from mtkd.analysis.question_figures import learnt_figure
from mtkd.analysis.results import Results, teacher_knowledge
from mtkd.analysis.study_tables import file_stem
from mtkd.analysis.study_views import study_views, write_study
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
    noise, found = learnt.label_noise(results), learnt.habits(results)
    written += learnt.write_learnt(noise, found, folder)
    drawn += save(learnt_figure(noise, found), folder / "figures", "learnt")
    views = list(study_views(results))
    for view in views:
        written += write_study(view, folder)
        drawn += save(view.figure, folder / "figures", file_stem(view.study))
    return [*written, *drawn, write_report(results, drawn, views)]
