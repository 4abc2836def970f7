"""Tables as text: CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

NOTHING = "-"  # an empty cell


def values_csv(values: pd.DataFrame) -> str:
    """The numeric form as CSV, points apart by blanks."""
    points = [" ".join(f"{point:.4f}" for point in found) for found in values["points"]]
    text = values.assign(points=points).to_csv(
        index=False, float_format="%.4f", lineterminator="\n"
    )
    return str(text)


def markdown(frame: pd.DataFrame) -> str:
    """A text frame as a Markdown table, first column left and the others right."""
    names = [str(name) for name in frame.columns]
    rule = [":--", *["--:"] * (len(names) - 1)]
    rows = [[str(cell).replace("|", "\\|") for cell in row] for row in frame.to_numpy()]
    return "".join(f"| {' | '.join(row)} |\n" for row in [names, rule, *rows])


def latex(frame: pd.DataFrame, caption: str, label: str, lines: Sequence[str] = ()) -> str:
    """A text frame as a LaTeX table; needs \\usepackage{booktabs,graphicx}."""
    rows = [" & ".join(map(_tex, row)) + r" \\" for row in frame.to_numpy().tolist()]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_tex(' '.join([caption, *lines]))}}}",
            rf"\label{{{label}}}",
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * (len(frame.columns) - 1)}}}",
            r"\toprule",
            " & ".join(map(_tex, frame.columns)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _tex(text: object) -> str:
    escaped = str(text)
    for sign in "&%_#":
        escaped = escaped.replace(sign, f"\\{sign}")
    # A minus before a digit is a minus sign, not a hyphen (the one in 1904-09482 is none).
    for before in ("[", "(", ", "):
        escaped = escaped.replace(f"{before}-", f"{before}$-$")
    return f"$-${escaped[1:]}" if escaped[:1] == "-" and escaped != NOTHING else escaped
