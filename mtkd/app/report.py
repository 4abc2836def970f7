"""The report of a recipe: its views on one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from mtkd.analysis.main_views import data_title
from mtkd.analysis.paper import SOURCES
from mtkd.analysis.plotting import colour
from mtkd.analysis.recipe_views import cost_views
from mtkd.analysis.results import Results
from mtkd.analysis.views import SECTIONS, View, columns_of_words
from mtkd.common import paths
from mtkd.common.files import write_text
from mtkd.experiments.recipes import as_yaml

FOLDED = {"studies", "cost"}  # sections whose views open with a click
PUBLISHED = tuple(f"({source})" for cells in SOURCES.values() for source in cells.values())


@dataclass(frozen=True)
class Sheet:
    """A table as the page lays it out: a cell is what counts and what stands small below it."""

    headers: tuple[str, ...]
    text: tuple[bool, ...]  # columns of words, which are set left
    rows: tuple[tuple[tuple[str, str], ...], ...]
    published: tuple[bool, ...]  # rows of the papers, set apart from ours


def write_report(results: Results, views: Sequence[View]) -> Path:
    """Write report.html of views whose figures are written already; returns its path."""
    path = results.folder / "report.html"
    write_text(path, render(results, views))
    return path


def render(results: Results, views: Sequence[View]) -> str:
    """The page as HTML. The same views and records give the same text."""
    recipe = results.recipe
    headline = [view for view in views if view.name == "headline"]
    rest = [*(view for view in views if view.name != "headline"), *cost_views(results)]
    repeated = repeated_notes(rest)
    top = " ".join(text for view in headline for text in (view.caption, *view.notes))
    templates = Environment(
        loader=PackageLoader("mtkd.app"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["sheet"] = sheet
    templates.filters["picture"] = partial(picture, results.folder)
    return templates.get_template("report.html.j2").render(
        style=own_file("report.css"),
        script=own_file("report.js"),
        recipe=recipe,
        data=data_title(recipe),
        toy=recipe.data.kind == "toy",
        paper=None in recipe.tasks.values(),  # which has numbers of GLUE's tasks
        headline=headline,
        hues=[colour(name) for view in headline for name in systems_of(view)],
        shared=[note for note in repeated if note not in top],
        said={*repeated, *(note for view in headline for note in view.notes)},
        sections=sections(rest),
        folded=FOLDED,
        settings=as_yaml(replace(recipe, data=replace(recipe.data, path=None))),
        deviations=deviations(paths.home() / "DEVIATIONS.md"),
    )


def own_file(name: str) -> Markup:
    """A file of ours that goes into the page as it is."""
    return Markup((files("mtkd.app") / "templates" / name).read_text(encoding="utf-8"))


def sections(views: Iterable[View]) -> list[tuple[str, str, list[View]]]:
    """Name, title and views of the sections that have any, in their order."""
    order = list(SECTIONS)
    found = sorted(views, key=lambda view: order.index(view.section))
    grouped = groupby(found, key=lambda view: view.section)
    return [(name, SECTIONS[name], list(members)) for name, members in grouped]


def repeated_notes(views: Iterable[View]) -> list[str]:
    """Notes of more than one view, which the page says once."""
    notes = [note for view in views for note in view.notes]
    return [note for note in dict.fromkeys(notes) if notes.count(note) > 1]


def systems_of(view: View) -> list[str]:
    return [] if view.values is None else list(dict.fromkeys(view.values["system"]))


def picture(folder: Path, view: View) -> str:
    """A view's figure, as it was written, as a data URI."""
    content = (folder / "figures" / f"{view.name}.svg").read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(content).decode('ascii')}"


def sheet(table: pd.DataFrame) -> Sheet:
    """A frame of printed cells; an interval, or single seeds, go below the number."""
    cells = [[str(cell) for cell in row] for row in table.to_numpy().tolist()]
    text = columns_of_words(table)
    published = [row[0].endswith(PUBLISHED) for row in cells]
    rows = [
        tuple(
            (cell, "") if words and not paper else split_cell(cell)
            for cell, words in zip(row, text, strict=True)
        )
        for row, paper in zip(cells, published, strict=True)
    ]
    return Sheet(tuple(map(str, table.columns)), tuple(text), tuple(rows), tuple(published))


def split_cell(cell: str) -> tuple[str, str]:
    """ "81.2 [80.1, 82.3]" as 81.2 and [80.1, 82.3]; the same for parentheses."""
    number, *detail = re.split(r" (?=[\[(])", cell, maxsplit=1)
    return number, "".join(detail)


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
