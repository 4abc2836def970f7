"""Tables as text: CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

NOTHING = "-"  # an empty cell


def values_csv(values: pd.DataFrame) -> str:
    """The numeric form as CSV, points separated by blanks; other columns as they are."""
    if "points" in values:
        points = [" ".join(f"{point:.4f}" for point in found) for found in values["points"]]
        values = values.assign(points=points)
    return str(values.to_csv(index=False, float_format="%.4f", lineterminator="\n"))


def markdown(frame: pd.DataFrame, notes: Sequence[str] = ()) -> str:
    """A text frame as a Markdown table, first column left and the others right; notes below."""
    names = [str(name) for name in frame.columns]
    rule = [":--", *["--:"] * (len(names) - 1)]
    rows = [[_plain(str(cell)) for cell in row] for row in frame.to_numpy()]
    table = "".join(f"| {' | '.join(row)} |\n" for row in [names, rule, *rows])
    return table + "".join(f"\n- {note}" for note in notes) + ("\n" if notes else "")


def _plain(cell: str) -> str:
    """Text as one cell: no other column, line or element of HTML."""
    return " ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;")
