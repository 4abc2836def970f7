"""The views as Markdown: all of a recipe's, and what the README files show of committed results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mtkd.analysis.main_views import data_title
from mtkd.analysis.markup import markdown
from mtkd.analysis.results import Results
from mtkd.analysis.views import View
from mtkd.app.report import sections
from mtkd.common.files import write_text

MADE = "(made by `mtkd publish`)"
BLOCK = (f"<!-- results:begin {MADE} -->", "<!-- results:end -->")
SHOWN = {  # the README's recipes: a heading, a figure and what it shows
    "realtext": ("On real text", "questions", "What was asked of real text, and what came out"),
    "demo": ("On the embedded toy benchmark", "dev_scores", "Dev scores of the main systems"),
}
FILES = {  # of a folder of committed results
    "summary.md": "one page: scope, what was run, what came out, what it cost",
    "README.md": "how it was made",
    "report.md": "every table and figure",
    "report.html": "the same as one page for a browser (download it)",
    "scores.csv": "every score",
}


def write_gallery(results: Results, views: Sequence[View]) -> Path:
    """Write report.md of views whose figures are written already; returns its path."""
    parts = [f"# Recipe `{results.recipe.name}`, {data_title(results.recipe)}"]
    for _, title, members in sections(views):
        parts.append(f"## {title}")
        for view in members:
            parts += [f"### {view.title}", view.caption]
            if view.figure is not None:
                parts.append(f"![{view.title}](figures/{view.name}.svg)")
            if view.table is not None:
                parts.append(markdown(view.table, view.notes).strip())
    path = results.folder / "report.md"
    write_text(path, "\n\n".join(parts) + "\n")
    return path


def headline(folder: Path) -> str:
    """The headline's caption, table and verdicts, as committed; "" where there is none."""
    path = folder / "tables" / "headline.md"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def results_page(reference: Path) -> str:
    """results/README.md: the recipes whose results are committed, what they say and where."""
    parts = ["# Committed results", f"One recipe each {MADE}. Compare yours: `mtkd compare`."]
    others = sorted(path.name for path in reference.iterdir() if path.is_dir())
    for folder in (reference / name for name in dict.fromkeys([*SHOWN, *others])):
        links = [
            f"- [{name}]({reference.name}/{folder.name}/{name}): {words}"
            for name, words in FILES.items()
            if (folder / name).is_file()
        ]
        if links:
            parts += [f"## `{folder.name}`", headline(folder), "\n".join(links)]
    return "\n\n".join(part for part in parts if part) + "\n"


def readme_block(reference: Path, root: Path) -> str:
    """What the README, in `root`, shows of committed results."""
    parts = [BLOCK[0]]
    for name, (title, figure, shows) in SHOWN.items():
        image = reference / name / "figures" / f"{figure}.png"
        if image.is_file():
            parts += [
                f"### {title}",
                headline(reference / name),
                f"![{shows}]({image.relative_to(root).as_posix()})",
            ]
    more = "Every task, figure and study: [results](results/README.md)."
    return "\n\n".join([*parts, more, BLOCK[1]])


def update_pages(root: Path, reference: Path) -> None:
    """Write results/README.md and the README's block anew."""
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    marks = f"{re.escape(BLOCK[0])}.*{re.escape(BLOCK[1])}"
    block = readme_block(reference, root)
    write_text(readme, re.sub(marks, lambda _: block, text, flags=re.DOTALL))
    write_text(root / "results" / "README.md", results_page(reference))
