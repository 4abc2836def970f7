"""One result as it is shown anywhere: in a notebook, on the report page, in the gallery."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from mtkd.analysis.markup import markdown, values_csv
from mtkd.analysis.plotting import Plot, image, save
from mtkd.common.files import write_text

SECTIONS = {  # what belongs together on a page, in its order
    "results": "Results",
    "gain": "Gain and ablation",
    "teachers": "What the teachers know",
    "studies": "Studies",
    "baselines": "Baselines taken apart",
    "recipe": "What was run",
    "cost": "What it cost",
    "verdict": "The verdict",
}
NUMBER = re.compile(r"[+-]?\d[\d.,]*( %)?( [\[(].*| to \d+)?|-")  # a cell that is no text


@dataclass(frozen=True, repr=False)
class View:
    """One table or figure, or both, with its words; a notebook shows it by itself."""

    name: str  # of its files
    title: str
    caption: str  # what is shown and what to look for
    notes: tuple[str, ...] = ()  # what a careful reader must know
    table: pd.DataFrame | None = None  # as printed
    values: pd.DataFrame | None = None  # as numbers
    figure: Plot | None = None
    section: str = "results"  # one of SECTIONS
    quotes: bool = False  # texts of examples, which may not be ours to publish

    def __repr__(self) -> str:
        """As text: what there is but the figure."""
        table = [] if self.table is None else [self.table.to_string(index=False)]
        return "\n\n".join([self.title, self.caption, *table, *self.notes])

    def _repr_html_(self) -> str:
        parts = [f"<h4>{html.escape(self.title)}</h4><p>{as_html(self.caption)}</p>"]
        if self.figure is not None:
            data = base64.b64encode(image(self.figure, "png", dpi=110)).decode("ascii")
            parts.append(
                f'<img src="data:image/png;base64,{data}" alt="{html.escape(self.title)}">'
            )
        if self.table is not None:
            sheet = Styler(self.table, uuid=self.name, cell_ids=False).hide(axis="index")
            left: list[Any] = [
                {"selector": f".col{place}", "props": "text-align: left"}
                for place, words in enumerate(columns_of_words(self.table))
                if words
            ]
            parts.append(sheet.format(escape="html").set_table_styles(left).to_html())
        parts += [f"<p><small>{as_html(note)}</small></p>" for note in self.notes]
        return "\n".join(parts)


def columns_of_words(table: pd.DataFrame) -> list[bool]:
    """For each column whether it holds words, which are set left, and not numbers."""
    columns = zip(*table.to_numpy().tolist(), strict=True)
    return [not all(NUMBER.fullmatch(str(cell)) for cell in column) for column in columns]


def as_html(text: str) -> str:
    """Plain words, with names in `backticks`."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def write(view: View, folder: Path) -> list[Path]:
    """Write tables/<name>.{csv,md} and figures/<name>.{png,svg} of what the view has."""
    stem = folder / "tables" / view.name
    texts = {}
    if view.values is not None:
        texts["csv"] = values_csv(view.values)
    if view.table is not None:
        texts["md"] = f"{view.caption}\n\n{markdown(view.table, view.notes)}"
    for kind, text in texts.items():
        write_text(stem.with_suffix(f".{kind}"), text)
    drawn = [] if view.figure is None else save(view.figure, folder / "figures", view.name)
    return [*(stem.with_suffix(f".{kind}") for kind in texts), *drawn]
