"""The report of a recipe: one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from mtkd.analysis import tables
from mtkd.analysis.calibration import BINS
from mtkd.analysis.evaluations import Outputs, confusion, dev_labels, dev_outputs
from mtkd.analysis.main_views import main_views
from mtkd.analysis.markup import NOTHING
from mtkd.analysis.results import Results, open_teachers, times
from mtkd.analysis.statistics import task_order
from mtkd.analysis.systems import system_order, system_title, task_title
from mtkd.analysis.views import View
from mtkd.app import report_figures
from mtkd.app.report_parts import (
    Picture,
    Sheet,
    calibrations,
    chosen_teachers,
    cost,
    cost_facts,
    doubts,
    environment,
    facts,
    headline,
    metric_names,
    picture,
    sheet,
    sizes,
)
from mtkd.common import paths
from mtkd.common.files import write_text
from mtkd.data.tasks import GLUE
from mtkd.experiments.recipes import as_yaml

PLOTS = {
    "dev_scores": "Dev score of the main systems on every task, this run left and the paper right",
    "gain": "Gain of MT-DNN-KD over MT-DNN on every task, this run left and the paper right",
    "ablation": "Mean difference of every system from MT-DNN, this run and the paper",
    "learning_curves": "Mean dev score by epoch of the multi-task trainings, a line per seed",
    "teacher_knowledge": "Histograms of the entropy of the teachers' soft targets, by task",
}


@dataclass(frozen=True)
class TaskPart:
    """One task's section."""

    name: str
    title: str
    about: str
    scores: Picture
    curve: Picture
    judged: Picture | None  # confusion matrix, or predicted against gold similarity
    judged_caption: str


def write_report(
    results: Results,
    shown: Mapping[str, View],
    drawn: Sequence[Path],
    views: Sequence[View] = (),
) -> Path:
    """Write report.html in the recipe's results folder, with the figures `drawn` for it
    and its studies.

    Raises MtkdError where stored predictions are missing.
    """
    path = results.folder / "report.html"
    write_text(path, render(results, shown, drawn, views))
    return path


def render(
    results: Results,
    shown: Mapping[str, View] | None = None,
    drawn: Sequence[Path] = (),
    views: Sequence[View] = (),
) -> str:
    """The page as HTML. The same records, predictions and figures give the same text."""
    scores, gold = results.main_scores, dev_labels(results)
    shown = main_views(results) if shown is None else shown
    outputs = {system: dev_outputs(results, system, gold) for system in system_order(scores)}
    teachers = open_teachers(results)
    doubted = {task_title(t): found for t in results.teacher_tasks if (found := doubts(results, t))}
    templates = Environment(
        loader=PackageLoader("mtkd.app"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("report.html.j2").render(
        nothing=NOTHING,
        style=own_file("report.css"),
        script=own_file("report.js"),
        recipe=results.recipe,
        facts=facts(results),
        sizes=sizes(results),
        headline=headline(scores, shown, results.taught),
        mean_title=tables.mean_title(task_order(scores)),
        summary=view_sheet(shown, "summary"),
        dev=view_sheet(shown, "glue_dev"),
        ablation=view_sheet(shown, "ablation"),
        notes=shown["glue_dev"].notes if "glue_dev" in shown else (),
        differences=shown["ablation"].notes[0] if "ablation" in shown else "",
        studies=[study_part(view) for view in views],
        plots=main_plots(drawn),
        teacher_seed=teachers.run.seed if teachers else None,
        chosen=chosen_teachers(results),
        doubts=doubted,
        truth_known=any(b.true for found in doubted.values() for d in found for b in d.bars),
        tasks=task_parts(results, scores, shown, outputs),
        calibration=calibrations(outputs),
        bins=BINS,
        cost=cost(times(results)),
        cost_facts=cost_facts(results.records),
        environment=environment(results.records),
        settings=as_yaml(results.recipe),
        deviations=deviations(paths.home() / "DEVIATIONS.md"),
    )


def view_sheet(shown: Mapping[str, View], name: str) -> Sheet:
    """A view's table; an empty one where there is none."""
    view = shown.get(name)
    return (
        Sheet(name, (), ()) if view is None or view.table is None else sheet(view.table, view.title)
    )


def own_file(name: str) -> Markup:
    """A file of ours that goes into the page as it is."""
    return Markup((files("mtkd.app") / "templates" / name).read_text(encoding="utf-8"))


def main_plots(drawn: Iterable[Path]) -> dict[str, Picture]:
    """The figures that were written as SVG, by name."""
    files = {path.stem: path for path in drawn if path.suffix == ".svg"}
    return {
        name: picture(files[name], alt, wide=True) for name, alt in PLOTS.items() if name in files
    }


# ---------------------------------------------------------------------------- studies


@dataclass(frozen=True)
class StudyPart:
    """One study's section."""

    view: View
    sheet: Sheet
    picture: Picture


def study_part(view: View) -> StudyPart:
    assert view.table is not None and view.figure is not None
    plot = picture(view.figure, view.title, wide=True)
    return StudyPart(view, sheet(view.table, view.title), plot)


# ---------------------------------------------------------------------------- tasks


def task_parts(
    results: Results,
    scores: pd.DataFrame,
    shown: Mapping[str, View],
    outputs: dict[str, list[Outputs]],
) -> list[TaskPart]:
    """A section for every task that has dev scores."""
    systems = system_order(scores)
    view = shown.get("glue_dev")
    values = tables.frame_of([]) if view is None or view.values is None else view.values
    named = named_system(systems, results.taught)
    parts = []
    for task in task_order(scores):
        title, mine = task_title(task), [one for one in outputs.get(named, []) if one.task == task]
        parts.append(
            TaskPart(
                name=task,
                title=title,
                about=about_task(task, scores),
                scores=picture(
                    report_figures.task_scores(values, task, systems),
                    f"Dev scores of all systems on {title}",
                ),
                curve=picture(
                    report_figures.task_curve(results.records, task),
                    f"Dev score of MT-DNN on {title} by epoch",
                ),
                judged=judged_picture(task, mine, system_title(named)) if mine else None,
                judged_caption=judged_caption(task, mine, system_title(named)),
            )
        )
    return parts


def named_system(systems: list[str], taught: Collection[str]) -> str:
    """The system whose predictions are looked at: the first student, else the last system.

    "" where only candidates are finished, which are no systems of the tables.
    """
    students = [system for system in systems if system in taught]
    return [*students[:1], *systems[-1:], ""][0]


def about_task(task: str, scores: pd.DataFrame) -> str:
    """How a task is scored, and on how many examples."""
    rows = scores[(scores["task"] == task) & scores["split"].str.startswith("dev")]
    count = int(rows.groupby("split")["n_examples"].max().sum())
    sets = rows["split"].nunique()
    many = f", {sets} dev sets together" if sets > 1 else ""
    return f"Scored by {metric_names(task)} on {count:,} dev examples{many}."


def judged_picture(task: str, mine: list[Outputs], system: str) -> Picture:
    """What a system's predictions look like beside the gold labels, mean over seeds."""
    title, labels = task_title(task), GLUE[task].labels
    if labels:
        plot = report_figures.confusion(confusion(mine), labels)
        return picture(plot, f"Confusion matrix of {system} on {title}")
    mean = np.mean([one.values[:, 0] for one in mine], axis=0)
    plot = report_figures.similarity(mean, mine[0].label)
    return picture(plot, f"Similarity predicted by {system} on {title} against gold")


def judged_caption(task: str, mine: list[Outputs], system: str) -> str:
    seeds = f"mean of {len(mine)} seeds" if len(mine) > 1 else "one seed"
    if GLUE[task].labels:
        return f"{system}: % of each gold label's dev examples (count), {seeds}"
    return f"{system}: predicted against gold, {seeds}; the line is perfect"


# ---------------------------------------------------------------------------- deviations


def deviations(path: Path) -> Markup | None:
    """A Markdown file as HTML below the report's headings; None if it is not there.

    Raw HTML in it is shown as text, and its wide tables scroll in boxes of their own.
    """
    if not path.is_file():
        return None
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(path.read_text(encoding="utf-8"))
    if tokens and tokens[0].tag == "h1":
        tokens = tokens[3:]  # the section has a title of its own
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h3"
    html = str(parser.renderer.render(tokens, parser.options, {}))
    box = '<div class="scroll prose" tabindex="0" role="region" aria-label="Deviations"><table>'
    return Markup(html.replace("<table>", box).replace("</table>", "</table></div>"))
