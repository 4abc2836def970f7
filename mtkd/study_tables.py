"""What a study found: scores by arm, its table, and a reading that states its numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtkd import records
from mtkd.arms import Arm, Study
from mtkd.markup import NOTHING, markdown, values_csv
from mtkd.plans import arm_runs
from mtkd.results import Results
from mtkd.statistics import (
    FEW,
    estimate,
    mean_score,
    paired,
    score_matrix,
    task_order,
)
from mtkd.systems import task_title
from mtkd.tables import OURS, cell, find_row, frame_of, mean_title, row_of, said, seed_counts
from mtkd.workbench import run_folder

GAINS = ("gain", "taught", "untaught")  # of the mean over all and some tasks, over the base arm
COSTS = {  # of a student: title and decimals
    "parameters": ("Parameters", 0),
    "examples_per_second": ("Examples a second", 0),
    "latency_ms": ("Latency, ms", 1),
}
BESIDE = ("mean", *GAINS, "ahead")  # of the tasks, in a study's values


def study_scores(results: Results, study: Study) -> pd.DataFrame:
    """Tidy scores of a study's finished runs; `system` is the name of the arm."""
    found = []
    for arm in study.arms:
        for run in arm_runs(results.recipe, study, arm):
            folder = run_folder(results.folder, run)
            if (folder / "record.json").exists():
                record = records.read_record(folder)
                own = (replace(s, system=arm.name) for s in record.scores if s.system == arm.system)
                found.append(replace(record, scores=tuple(own)))
    return records.collect(found)


def arm_scores(study: Study, scores: pd.DataFrame, name: str) -> pd.DataFrame:
    """Score matrix of an arm; seeds that one of its `of` has not are missing."""
    found = [score_matrix(scores, each) for each in study.arm(name).of or (name,)]
    return sum(found[1:], start=found[0]) / len(found)


def study_values(study: Study, scores: pd.DataFrame, teacher_tasks: Sequence[str]) -> pd.DataFrame:
    """Dev scores as numbers, one row per arm and task, columns as `tables.glue_dev_values`.

    Beside the tasks: "mean"; "gain", the mean less that of the base arm, paired by seed; and the
    same over the tasks in `teacher_tasks` ("taught") and over the others ("untaught"); "ahead",
    the mean less that of the arm's rival, mostly the paper's arm.
    """
    tasks = task_order(scores)
    groups = {"gain": tasks}
    taught = [task for task in tasks if task in teacher_tasks]
    if taught and len(taught) < len(tasks):
        groups |= {"taught": taught, "untaught": [t for t in tasks if t not in taught]}
    rows = []
    for arm in study.arms:
        matrix = arm_scores(study, scores, arm.name)
        base = arm_scores(study, scores, arm.base or study.base)
        rows += [row_of(arm.name, OURS, task, estimate(matrix[task])) for task in matrix.columns]
        rows.append(row_of(arm.name, OURS, "mean", estimate(mean_score(matrix, tasks))))
        for name, group in groups.items():
            if arm.name not in (study.base, arm.base):
                gain = paired(mean_score(matrix, group), mean_score(base, group))
                rows.append(row_of(arm.name, OURS, name, estimate(gain)))
        rival = arm.rival or study.paper
        if rival not in (None, arm.name, *arm.of):
            other = arm_scores(study, scores, str(rival))
            ahead = paired(mean_score(matrix, tasks), mean_score(other, tasks))
            rows.append(row_of(arm.name, OURS, "ahead", estimate(ahead)))
    return frame_of(rows)


def study_table(study: Study, values: pd.DataFrame) -> pd.DataFrame:
    """The study as printed, one row per finished arm."""
    named = [task for task in dict.fromkeys(values["task"]) if task not in BESIDE]
    titles = {
        "gain": f"Gain over {study.compared}",
        "taught": "Gain, tasks with a teacher",
        "untaught": "Gain, other tasks",
    }
    shown = [name for name in GAINS if name in set(values["task"])]
    table = []
    for arm in study.arms:
        rows = values[values["system"] == arm.name]
        if rows.empty:
            continue
        line = {"Arm": arm_title(study, arm)}
        for task in named if 1 < len(named) <= 3 else ():
            line[task_title(task)] = cell(find_row(values, arm.name, OURS, task), signed=False)
        line[mean_title(named)] = cell(find_row(values, arm.name, OURS, "mean"), signed=False)
        for name in shown:
            line[titles[name]] = cell(find_row(values, arm.name, OURS, name), signed=True)
        if study.rivals:
            ahead = find_row(values, arm.name, OURS, "ahead")
            line[f"Gain over {study.rivals}"] = cell(ahead, signed=True)
        line["Seeds"] = seed_counts(rows["n"].dropna())
        table.append(line)
    return pd.DataFrame(table)


def study_costs(results: Results, study: Study) -> pd.DataFrame:
    """What the students of a study's arms cost where they are used, mean over seeds.

    Index: arms; columns: parameters, examples_per_second, latency_ms.
    """
    rows = []
    for arm in study.arms:
        for run in arm_runs(results.recipe, study, arm):
            folder = run_folder(results.folder, run)
            if (folder / "record.json").exists():
                found = records.read_record(folder).details.get("deployed")
                rows += [{"arm": arm.name, **found}] if found else []
    return pd.DataFrame(rows, columns=["arm", *COSTS]).groupby("arm", sort=False).mean()


def with_costs(study: Study, table: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """A study's table with what its students cost."""
    names = {arm_title(study, arm): arm.name for arm in study.arms}
    rows = costs.reindex([names[title] for title in table["Arm"]])
    return table.assign(
        **{
            title: [NOTHING if np.isnan(v) else f"{v:,.{digits}f}" for v in rows[name]]
            for name, (title, digits) in COSTS.items()
        }
    )


def arm_title(study: Study, arm: Arm) -> str:
    return arm.title + (" (the paper's)" if arm.name == study.paper else "")


def reading(study: Study, values: pd.DataFrame) -> str:
    """What the numbers say, in sentences made from them."""
    means = [arm for arm in study.arms if arm.of]
    gains = values[(values["task"] == "gain") & ~values["system"].isin([a.name for a in means])]
    gains = gains.sort_values("value", ascending=False, kind="stable")
    if gains.empty:
        return "No arm has a seed in common with the base arm yet."
    rows = gains.to_dict("records")
    best, last = rows[0], rows[-1]
    text = (
        f"Largest gain of {len(rows)} arms: {study.arm(best['system']).title}, {said(best)} over "
        f"{study.compared}; {verdict(best)}. Smallest: {study.arm(last['system']).title}, "
        f"{said(last)}; {verdict(last)}."
    )
    for row in rows:
        if row["system"] == study.paper and row is not best:
            text += f" The paper's setting has {said(row)}"
            ahead = find_row(values, str(best["system"]), OURS, "ahead")
            text += f"; the first arm less it is {said(ahead)}, {verdict(ahead)}." if ahead else "."
    for arm in means:
        if gain := find_row(values, arm.name, OURS, "gain"):
            text += f" {arm.title[0].upper()}{arm.title[1:]}: {said(gain)}, {verdict(gain)}."
    for arm in study.arms if study.rivals else ():
        if ahead := find_row(values, arm.name, OURS, "ahead"):
            text += f" {arm.title}: {said(ahead)} over {study.rivals}, {verdict(ahead)}."
    return text + " The largest of many gains is flattered by having been picked."


def teachers_alone(values: Mapping[str, pd.DataFrame]) -> str:
    """What the paper's student gains over itself without a teacher; `values` by study.

    With the study `generations`, over several draws of that student, too.
    """
    row = find_row(values["targets"], "w0.5-t1", OURS, "gain") if "targets" in values else None
    if row is None:
        return ""
    text = (
        "How much of the student's gain over MT-DNN is the teachers'? Over the same student, "
        f"trained as long without them, it is {said(row)}."
    )
    again = values.get("generations", frame_of([]))
    if draws := find_row(again, "draws", OURS, "gain"):
        text += (
            " Of four such students a seed, which differ in their random numbers alone, against "
            f"that one without teachers: {said(draws)}, {verdict(draws)}"
        )
        for name, where in (("taught", "tasks with a teacher"), ("untaught", "other tasks")):
            if part := find_row(again, "draws", OURS, name):
                text += f"; {where} {said(part)}, {verdict(part)}"
        text += "."
    return text


def verdict(row: Mapping[Hashable, Any]) -> str:
    if row["n"] < FEW:
        return "too few seeds to tell"
    if row["low"] > 0:
        return "a gain"
    return "a loss" if row["high"] < 0 else "not told apart"


def file_stem(study: Study) -> str:
    """Name of a study's table and figure, without its ending."""
    return f"study_{study.name.replace('-', '_')}"


def write_study(
    study: Study, values: pd.DataFrame, table: pd.DataFrame, folder: Path
) -> list[Path]:
    """Write tables/study_<name>.{csv,md} in `folder`: numbers, and the printed `table`."""
    tasks = [task for task in dict.fromkeys(values["task"]) if task not in BESIDE]
    notes = [
        reading(study, values),
        f"Mean over {', '.join(map(task_title, tasks))}, dev sets, in points; gains are paired by "
        f"seed, with the 95 % bootstrap interval. {study.budget}",
    ]
    text = f"{study.question}\n\n{markdown(table)}"
    text += "".join(f"\n- {note}" for note in notes) + "\n"
    stem = folder / "tables" / file_stem(study)
    written = []
    for kind, content in (("csv", values_csv(values)), ("md", text)):
        path = stem.with_suffix(f".{kind}")
        records.write_text(path, content)
        written.append(path)
    return written
