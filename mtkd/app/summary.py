"""One page on a recipe, in the sections of a reproducibility report, from its records alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mtkd.analysis import tables
from mtkd.analysis.main_views import data_title, over_control
from mtkd.analysis.markup import markdown
from mtkd.analysis.paper import PAPER
from mtkd.analysis.plotting import counted
from mtkd.analysis.recipe_views import cost_views
from mtkd.analysis.results import Results, finished
from mtkd.analysis.systems import STUDENT, system_title
from mtkd.analysis.tables import (
    AGAINST_PAPER,
    AS_PAPER,
    OURS,
    UNCLEAR,
    cell,
    direction,
    find_row,
    gain_values,
)
from mtkd.analysis.views import View
from mtkd.common.files import write_text
from mtkd.experiments.plans import expand

NAME = "summary.md"
SCOPE = (
    "The method is that of Liu, He, Chen and Gao 2019 (arXiv:1904.09482): a multi-task network "
    "(MT-DNN), an ensemble of such networks, and one student of the ensemble's averaged soft "
    "targets."
)
REPRODUCED = {
    AS_PAPER: "Reproduced in direction",
    AGAINST_PAPER: "Not reproduced: the difference goes the other way",
    UNCLEAR: "Not reproduced: no clear difference here",
    "": "Too few seeds for a verdict",
}


def write_summary(results: Results, views: Mapping[str, View]) -> Path:
    """Write summary.md of a recipe's views by name; returns its path."""
    parts = [f"# Recipe `{results.recipe.name}`, {data_title(results.recipe)}: one page"]
    sections = {
        "Scope": scope(results),
        "What was run": as_text(views["run"]),
        "What came out": as_text(views.get("headline")),
        "Held against the paper": "\n".join(against_the_paper(results)),
        "What it cost": cost(results),
    }
    for title, text in sections.items():
        parts += [f"## {title}", text] if text else []
    path = results.folder / NAME
    write_text(path, "\n\n".join(parts) + "\n")
    return path


def scope(results: Results) -> str:
    """The method, and what the recipe asks of it."""
    asked = [f"- {question.ask}" for question in results.recipe.questions]
    if not asked:
        return SCOPE
    return "\n".join(
        [f"{SCOPE} What is asked of it stood in the recipe before its runs:", "", *asked]
    )


def as_text(view: View | None) -> str:
    """A view's words and table."""
    if view is None or view.table is None:
        return ""
    return f"{view.caption.strip()}\n\n{markdown(view.table, view.notes)}".strip()


def against_the_paper(results: Results) -> Iterator[str]:
    """Each gain over MT-DNN that the paper has, too: does it go the same way here?"""
    gains = gain_values(results.main_scores, results.taught)
    for system in dict.fromkeys(gains["system"]):
        ours, paper = (find_row(gains, system, source, "mean") for source in (OURS, PAPER))
        if ours and paper and ours["n"]:
            word = REPRODUCED[direction(ours, paper["value"])]
            yield (
                f"- {system_title(system)} minus MT-DNN: {cell(ours, signed=True)} here "
                f"({counted(ours['n'], 'seed')}), {cell(paper, signed=True)} in the paper. {word}."
            )
    tasks = tables.tasks_of(tables.score_values(results.main_scores))
    control = over_control(results.main_scores, STUDENT, tasks)
    if control["n"]:
        seeds = counted(control["n"], "seed")
        yield (
            f"- {system_title(STUDENT)} minus the identical student without teachers: "
            f"{cell(control, signed=True)} here ({seeds}); the paper has no such student. Only "
            "this difference is due to the teachers."
        )


def cost(results: Results) -> str:
    """Hours of all runs, those of the main table by stage, and the machine's."""
    done = list(finished(results.folder, expand(results.recipe)))
    hours = sum(record.wall_seconds for record in done) / 3600
    said = (
        f"{counted(len(done), 'run')}, those of the studies included, would take {hours:.1f} hours "
        "one after the other. Those of the main table, by stage:"
    )
    return "\n\n".join([said, *map(as_text, cost_views(results))])
