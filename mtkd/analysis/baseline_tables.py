"""Tables beside the main one: test scores, STILTs' intermediate tasks, QNLI both ways, slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtkd.analysis.markup import latex, markdown, values_csv
from mtkd.analysis.paper import read_paper
from mtkd.analysis.statistics import (
    Estimate,
    estimate,
    mean_score,
    paired,
    score_matrix,
    task_order,
)
from mtkd.analysis.system_names import PUBLISHED, majority, system_order, system_title
from mtkd.analysis.tables import OURS, columns_of, frame_of, printed, row_of, wnli_score
from mtkd.common.files import write_text
from mtkd.data.tasks import DIAGNOSTIC, GLUE
from mtkd.experiments.records import read_record

PRINTED = "paper"  # Table 2 of arXiv:1904.09482, GLUE's own test sets
NAMES = {"metal-ensemble": "metal", "metal": ""}  # the published MeTaL row is an ensemble
TEST_NOTES = (
    "Test sets. Mean: over the trained tasks. GLUE: the leaderboard's mean over nine tasks, with "
    "WNLI answered by its majority class, as it is in an upload. AX: three-class Matthews, not in "
    "any mean.",
    "Paper: Table 2 of arXiv:1904.09482, the leaderboard in 2019, GLUE as printed. Rows marked "
    "(paper) without one of ours above are published numbers only.",
)


def paper_test() -> pd.DataFrame:
    """The cells of the KD paper's Table 2, test sets."""
    paper = read_paper()
    return paper[(paper["table"] == "kd-2") & paper["split"].str.startswith("test")]


def glue_test_values(scores: pd.DataFrame) -> pd.DataFrame:
    """Test scores as numbers, columns as `tables.glue_dev_values`; empty without test labels.

    Tasks beside GLUE's own: "mean" over the trained tasks, "ax", and "glue" with WNLI.
    """
    tasks, cells = task_order(scores, "test"), paper_test()
    if not tasks:
        return frame_of([])
    wnli = wnli_score(scores, "test")
    rows = []
    for system in (*majority(scores, "test"), *system_order(scores, "test")):
        matrix = score_matrix(scores, system, "test")
        rows += [row_of(system, OURS, task, estimate(matrix[task])) for task in matrix.columns]
        mean = mean_score(matrix, tasks)
        rows.append(row_of(system, OURS, "mean", estimate(mean)))
        rows.append(row_of(system, OURS, "ax", estimate(_diagnostic(scores, system))))
        if wnli is not None and len(tasks) == 8:
            rows.append(row_of(system, OURS, "glue", estimate((8 * mean + wnli) / 9)))
        rows += _published(cells, NAMES.get(system, system), system, tasks)
    for system in PUBLISHED:
        rows += _published(cells, system, system, tasks)
    return frame_of(rows)


def glue_test(scores: pd.DataFrame) -> pd.DataFrame:
    """Test scores as printed, the paper's row under ours, published rows last."""
    extra = {DIAGNOSTIC: GLUE[DIAGNOSTIC].title, "glue": "GLUE"}
    cells = paper_test().replace({"system": {old: new for new, old in NAMES.items()}})
    return printed(glue_test_values(scores), columns_of(scores, "test") | extra, cells=cells)


def _diagnostic(scores: pd.DataFrame, system: str) -> pd.Series:
    """Scores of AX by seed."""
    wanted = (scores["task"] == DIAGNOSTIC) & (scores["system"] == system)
    return scores[wanted].groupby("seed")["value"].mean()


def _published(
    cells: pd.DataFrame, name: str, system: str, tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """The paper's test cells of one row as numbers; its mean where it has every task."""
    mine = cells[cells["system"] == name]
    known = mine.groupby("task")["value"].mean()
    wanted = [task for task in (*tasks, DIAGNOSTIC, "glue") if task in known]
    found = {task: float(known[task]) for task in wanted}
    if found and all(task in found for task in tasks):
        found["mean"] = float(np.mean([found[task] for task in tasks]))
    single = {task: Estimate(value, None, None, ()) for task, value in found.items()}
    return [row_of(system, PRINTED, task, one) | {"n": None} for task, one in single.items()]


def stilts(scores: pd.DataFrame) -> pd.DataFrame:
    """Gain over BERT by intermediate task (rows) and target (columns), paired by seed, as printed.

    The row of the first intermediate task is the system `stilts`. Empty without such runs.
    """
    base = score_matrix(scores, "bert")
    names = sorted({s for s in scores["system"] if s == "stilts" or s.startswith("stilts-")})
    rows = []
    for system in names:
        matrix = score_matrix(scores, system)
        gains = {
            task: paired(matrix[task], base[task])
            for task in task_order(scores)
            if task in matrix and task in base
        }
        rows += [row_of(system, OURS, task, estimate(gain)) for task, gain in gains.items()]
        tasks = list(gains)
        mean = paired(mean_score(matrix, tasks), mean_score(base, tasks))
        rows.append(row_of(system, OURS, "mean", estimate(mean)))
    return printed(frame_of(rows), columns_of(scores), signed=True)


QNLI = {
    "bert": "classification",
    "qnli-ranking": "ranking of a question's candidates",
    "qnli-merged": "both merged: mean of their probabilities",
}


def qnli(scores: pd.DataFrame) -> pd.DataFrame:
    """QNLI's dev and test accuracy by classification, by ranking, and by both, as printed."""
    rows = []
    for system in QNLI:
        for split in ("dev", "test"):
            matrix = score_matrix(scores, system, split)
            if "qnli" in matrix:
                rows.append(row_of(system, OURS, split, estimate(matrix["qnli"])))
    table = printed(frame_of(rows), {"dev": "Dev", "test": "Test"})
    titles = {system_title(system): how for system, how in QNLI.items()}
    return table.replace({"System": titles}).rename(columns={"System": "QNLI, single task"})


def torn_questions(scores: pd.DataFrame, folder: Path) -> str:
    """A note on how few questions `data.limit` or `data.share` left to the ranking, else empty."""
    for run in scores.loc[scores["system"] == "qnli-ranking", "run_id"].unique():
        if (folder / "runs" / run / "record.json").is_file():
            record = read_record(folder / "runs" / run)
            data, count = record.settings["data"], record.details["qnli_questions"]
            if data["limit"] or data.get("share", 1) < 1:  # the same questions for every seed
                return (
                    "\n- `data.limit` or `data.share` tears questions apart: the ranking was "
                    f"trained on the {count:,} that still have one right and a wrong candidate.\n"
                )
    return ""


def slices(found: pd.DataFrame) -> pd.DataFrame:
    """Dev scores on named slices as printed: a row per system, a column per task and slice.

    `found` has columns system, seed, task, slice, n and value, as `results.slice_scores` gives.
    """
    table = []
    for system, rows in found.groupby("system", sort=False):
        line = {"System": system_title(str(system))}
        for (task, name), cell in rows.groupby(["task", "slice"], sort=False):
            values = cell.groupby("seed")["value"].mean()
            title = f"{GLUE[str(task)].title} {name} ({int(cell['n'].max())})"
            line[title] = f"{values.mean():.1f}"
        table.append(line)
    return pd.DataFrame(table).fillna("-")


def write_comparisons(scores: pd.DataFrame, found: pd.DataFrame, folder: Path) -> list[Path]:
    """Write tables/{glue_test,stilts,qnli,slices}.*, those that have rows; returns the files."""
    values = glue_test_values(scores)
    texts = {}
    if len(values):
        test = glue_test(scores)
        below = "".join(f"\n- {line}" for line in TEST_NOTES)
        texts["glue_test.csv"] = values_csv(values)
        texts["glue_test.md"] = f"{markdown(test)}{below}\n"
        texts["glue_test.tex"] = latex(
            test, "GLUE-shaped test scores.", "tab:glue-test", TEST_NOTES
        )
    notes = {"stilts": "", "qnli": torn_questions(scores, folder)}
    for name, table in (("stilts", stilts(scores)), ("qnli", qnli(scores))):
        if len(table):
            texts[f"{name}.md"] = markdown(table) + notes[name]
    if len(found):
        texts["slices.csv"] = found.round({"value": 4}).to_csv(index=False, lineterminator="\n")
        texts["slices.md"] = markdown(slices(found))
    for name, text in texts.items():
        write_text(folder / "tables" / name, text)
    return [folder / "tables" / name for name in texts]
