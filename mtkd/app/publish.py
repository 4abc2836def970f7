"""What a recipe shows: scores.csv, tables, figures and report.html, from its finished runs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from mtkd.analysis import teacher_analysis as learnt
from mtkd.analysis.plotting import save
from mtkd.analysis.question_figures import learnt_figure
from mtkd.analysis.results import Results
from mtkd.analysis.study_tables import file_stem
from mtkd.analysis.study_views import study_views, write_study
from mtkd.analysis.views import View, main_views, write
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
    for view in shown.values():
        written += write(view, folder)
    noise, found = learnt.label_noise(results), learnt.habits(results)
    written += learnt.write_learnt(noise, found, folder)
    written += save(learnt_figure(noise, found), folder / "figures", "learnt")
    studies = list(study_views(results))
    for study in studies:
        written += write_study(study, folder)
        written += save(study.figure, folder / "figures", file_stem(study.study))
    return [*written, write_report(results, shown, written, studies)]
