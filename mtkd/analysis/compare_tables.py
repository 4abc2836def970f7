"""A comparison as text: tables for the terminal, the notebook and comparison.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mtkd.analysis.compare import (
    BEYOND,
    ONE_NUMBER,
    PAIRED,
    SAME,
    UNPAIRED,
    WITHIN,
    Pair,
    all_cells,
    points,
    verdict,
)
from mtkd.analysis.markup import NOTHING, markdown
from mtkd.analysis.system_names import system_title, task_title
from mtkd.analysis.tables import PAPER, mean_title
from mtkd.common.files import write_text


def _with_interval(value: float, low: float | None, high: float | None, signed: bool) -> str:
    if low is None or high is None or pd.isna(low):
        return points(value, signed)
    return f"{points(value, signed)} [{points(low, signed)}, {points(high, signed)}]"


def _difference(row: Mapping[Any, Any]) -> str:
    return _with_interval(row["difference"], row["low"], row["high"], True)


def title(pair: Pair) -> str:
    return f"{pair.second.label} less {pair.first.label}"


def printed_cells(pair: Pair, differing: bool = False) -> pd.DataFrame:
    """The cells as text; `differing` leaves those out that are the same."""
    cells = pair.cells[pair.cells["outcome"] != SAME] if differing else pair.cells
    table = [
        {
            "System": system_title(row["system"]),
            "Task": mean_title(pair.tasks) if row["task"] == "mean" else task_title(row["task"]),
            pair.first.label: points(row["value_first"]),
            pair.second.label: points(row["value_second"]),
            "Difference": _difference(row),
            "Seeds": _seeds(row),
            "Outcome": row["outcome"],
        }
        for row in cells.to_dict("records")
    ]
    names = ["System", "Task", pair.first.label, pair.second.label, "Difference"]
    return pd.DataFrame(table, columns=[*names, "Seeds", "Outcome"])


def _seeds(row: Mapping[Any, Any]) -> str:
    if row["pairing"] == PAIRED:
        return f"{row['n_first']} {PAIRED}"
    count = f"{row['n_first']} and {row['n_second']}"
    return f"{count} {UNPAIRED}" if row["pairing"] == UNPAIRED else ONE_NUMBER


def printed_summary(pair: Pair) -> pd.DataFrame:
    """One row per system as text: mean over the tasks, P(second > first), cells by outcome."""
    table = []
    for system in dict.fromkeys(pair.cells["system"]):
        cells = pair.cells[pair.cells["system"] == system]
        mean = cells[cells["task"] == "mean"].to_dict("records")
        outcomes = cells.loc[cells["task"] != "mean", "outcome"]
        better = pair.improvement.get(system)
        table.append(
            {
                "System": system_title(system),
                pair.first.label: points(mean[0]["value_first"]) if mean else NOTHING,
                pair.second.label: points(mean[0]["value_second"]) if mean else NOTHING,
                "Difference": _difference(mean[0]) if mean else NOTHING,
                f"P({pair.second.label} > {pair.first.label})": (
                    _with_interval(better.value, better.low, better.high, False)
                    if better
                    else NOTHING
                ),
                "Same / within / beyond": " / ".join(
                    str((outcomes == outcome).sum()) for outcome in (SAME, WITHIN, BEYOND)
                ),
            }
        )
    return pd.DataFrame(table)


def notes(pairs: Sequence[Pair]) -> list[str]:
    """How to read the tables: outcomes, pairing, and what chance alone would do."""
    cells = all_cells(pairs)
    lines = [
        "Dev scores in points, means over seeds. Same: every seed, metric and set behind the cell "
        "is equal. Within: it differs, and the 95 % bootstrap interval of the difference holds 0. "
        "Beyond: it does not, or there is only one seed and so no interval.",
        "Paired: both have the same seeds, and the differences by seed are resampled. Unpaired: "
        "the seeds of each are resampled by themselves. One number: a cell without seeds, taken "
        "as it stands.",
    ]
    if (cells["outcome"] != SAME).any():
        # By simulation with normal scores: 16 and 13 % at five seeds, 10 and 8 % at ten.
        lines.append(
            "Chance alone puts some cells beyond, for such intervals are too narrow with few "
            "seeds: at five about one cell in six (paired) or one in eight (unpaired), at ten one "
            "in ten, with many seeds one in twenty. A few small ones are no sign of a fault."
        )
    if any(pair.improvement for pair in pairs):
        lines.append(
            "P(B > A): how probable it is that a seed of B beats a seed of A on a task, over all "
            "tasks, ties one half (arXiv:2108.13264); 0.5 is no difference."
        )
    if any(pair.first.printed or pair.second.printed for pair in pairs):
        lines.append(
            f"{PAPER[0].upper()}{PAPER[1:]}: Table 3 of arXiv:1904.09482, another encoder and "
            "benchmark; compare directions and orders, not levels."
        )
    return [*lines, *(line for pair in pairs for line in _settings(pair))]


def _settings(pair: Pair) -> list[str]:
    if pair.first.printed or pair.second.printed:
        return []
    configs = [set(source.scores["config_id"]) for source in (pair.first, pair.second)]
    apart, every = configs[0] ^ configs[1], configs[0] | configs[1]
    if not apart:
        return []
    return [
        f"{pair.first.label} and {pair.second.label} were not run with the same settings: "
        f"{len(apart)} of {len(every)} config_ids are in one alone."
    ]


def write_comparison(pairs: Sequence[Pair], folder: Path) -> list[Path]:
    """Write comparison.csv (the cells as numbers) and comparison.md; returns the files."""
    text = [f"**{verdict(pairs)}**"]
    for pair in pairs:
        text += [f"## {title(pair)}", f"By system, {mean_title(pair.tasks).lower()} tasks:"]
        text += [markdown(printed_summary(pair)).strip(), "By cell:"]
        text += [markdown(printed_cells(pair)).strip()]
    text.append("\n".join(f"- {line}" for line in notes(pairs)))
    csv = all_cells(pairs).to_csv(index=False, float_format="%.6f", lineterminator="\n")
    written = [folder / "comparison.csv", folder / "comparison.md"]
    for path, content in zip(written, (csv, "\n\n".join(text) + "\n"), strict=True):
        write_text(path, content)
    return written
