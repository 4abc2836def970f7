"""The main tables as files: CSV, Markdown and LaTeX, with the notes that belong under them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mtkd.analysis.markup import latex, markdown, values_csv
from mtkd.analysis.statistics import FEW, split_rows, task_order
from mtkd.analysis.system_names import system_order, system_title, task_title
from mtkd.analysis.tables import (
    PAPER,
    RELEASED,
    ablation,
    ablation_values,
    glue_dev,
    glue_dev_values,
    summary,
    wnli_score,
)
from mtkd.common.files import write_text
from mtkd.experiments.records import Record

DIFFERENCES = (
    "Dev score less that of MT-DNN with the same seed. Ensemble's gain kept: the student's mean "
    "gain over MT-DNN as a share of the ensemble's; its interval is left out where resampled seeds "
    "leave the ensemble without a gain."
)


def degenerate(records: Iterable[Record]) -> pd.DataFrame:
    """Evaluations whose predictions were constant or not finite: system, task, split, seed, run."""
    columns = ["system", "task", "split", "seed", "run_id"]
    rows = [
        (score.system, score.task, score.split, record.seed, record.run_id)
        for record in records
        for score in record.scores
        if score.degenerate
    ]
    return pd.DataFrame(list(dict.fromkeys(rows)), columns=columns)


def notes(scores: pd.DataFrame, records: Iterable[Record] = ()) -> list[str]:
    """What a reader must know beside the tables: the mean's tasks, the intervals, broken runs."""
    tasks = task_order(scores)
    lines = [
        f"Mean of {len(tasks)}: over {', '.join(map(task_title, tasks)) or 'no task'}. "
        "Dev sets, in points; a task's score is the mean of its metrics, and of MNLI's two sets.",
        f"Mean over seeds with the 95 % bootstrap interval in brackets; below {FEW} seeds the "
        "single seeds are in parentheses. With so few seeds the intervals are rather too narrow.",
        f"{PAPER[0].upper()}{PAPER[1:]}: Table 3 of arXiv:1904.09482, one number per cell, another "
        "benchmark and encoder; compare directions and orders, not levels.",
    ]
    main = split_rows(scores)[["system", "task", "split", "seed"]].drop_duplicates()
    main = main[main["system"].isin(system_order(scores))]
    broken = degenerate(records).merge(main, on=["system", "task", "split", "seed"])
    if len(broken):
        rows = broken[["system", "task", "split", "seed"]].head(5).to_numpy().tolist()
        first = "; ".join(
            f"{system_title(system)} on {task_title(task)} ({split}), seed {seed}"
            for system, task, split, seed in rows
        )
        more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
        lines.append(
            f"Degenerate, that is constant or not finite, are the predictions of {len(broken)} of "
            f"{len(main)} evaluations; they are counted in, not dropped: {first}{more}."
        )
    return lines


def dev_notes(scores: pd.DataFrame) -> list[str]:
    """What a reader must know of the dev table alone."""
    lines = []
    if wnli_score(scores, "dev") is not None and len(task_order(scores)) == 8:
        lines.append("GLUE: mean over nine tasks, with WNLI answered by its majority class.")
    if "stilts" in system_order(scores):
        lines.append(
            f"{RELEASED[0].upper()}{RELEASED[1:]}: github.com/zphang/bert_on_stilts, after MNLI or "
            "without an intermediate task, as the authors chose by task."
        )
    return lines


def write_tables(scores: pd.DataFrame, folder: Path, records: Iterable[Record] = ()) -> list[Path]:
    """Write tables/{glue_dev,ablation}.{csv,md,tex} and summary.md in `folder`; returns the files.

    CSV holds numbers (`glue_dev_values`), Markdown and LaTeX the printed tables and their notes.
    """
    lines = notes(scores, records)
    below_tables = {"glue_dev": [*lines, *dev_notes(scores)], "ablation": [DIFFERENCES, *lines]}
    captions = {
        "glue_dev": "GLUE-shaped dev scores",
        "ablation": "Which part does what",
    }
    tables = {
        "glue_dev": (glue_dev_values(scores), glue_dev(scores)),
        "ablation": (ablation_values(scores), ablation(scores)),
    }
    short = folder / "tables" / "summary.md"
    write_text(short, markdown(summary(scores)))
    written = [short]
    for name, (values, printed) in tables.items():
        below = "".join(f"\n- {line}" for line in below_tables[name])
        texts = {
            "csv": values_csv(values),
            "md": f"{markdown(printed)}{below}\n",
            "tex": latex(
                printed, f"{captions[name]}.", f"tab:{name.replace('_', '-')}", below_tables[name]
            ),
        }
        for kind, text in texts.items():
            path = folder / "tables" / f"{name}.{kind}"
            write_text(path, text)
            written.append(path)
    return written
