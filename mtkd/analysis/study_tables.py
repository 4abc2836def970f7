"""What a study found: scores by arm, its table, and a reading that states its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mtkd.analysis.markup import NOTHING
from mtkd.analysis.results import Results
from mtkd.analysis.statistics import estimate, mean_score, paired, score_matrix, task_order
from mtkd.analysis.systems import task_title
from mtkd.analysis.tables import (
    OURS,
    cell,
    find_row,
    frame_of,
    mean_title,
    row_of,
    said,
    seed_counts,
    verdict,
)
from mtkd.experiments import records
from mtkd.experiments.plans import arm_runs
from mtkd.experiments.records import run_folder
from mtkd.experiments.studies.arms import MEAN, PAPERS, TWIN, Arm, Study

COSTS = {  # of a student: title and decimals
    "parameters": ("Parameters", 0),
    "examples_per_second": ("Examples a second", 0),
    "latency_ms": ("Latency, ms", 1),
}
BESIDE = ("mean", "gain", "taught", "untaught")  # of the tasks, in a study's values
VERDICTS = (
    "A gain or a loss is said only where Student's t interval leaves out zero, too: with so few "
    "seeds the bootstrap's is too narrow. Nothing is corrected for the number of arms."
)


def study_scores(results: Results, study: Study) -> pd.DataFrame:
    """Tidy scores of a study's finished runs; `system` is the name of the arm."""
    found = []
    for arm in study.arms:
        for run in arm_runs(results.recipe, study, arm):
            folder = run_folder(results.folder, run.run_id)
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

    Beside the tasks: "mean"; "gain", the mean less that of the base arm, paired by seed; the same
    over the tasks that have a teacher in that arm ("taught") and over the others ("untaught"); and
    "over <others>", the mean less that of the arm of a contrast. The recipe's `teacher_tasks` have
    a teacher where an arm says nothing else.
    """
    tasks = task_order(scores)
    rows = []
    for arm in study.arms:
        matrix, base = (
            arm_scores(study, scores, arm.name),
            arm_scores(study, scores, arm.base or study.base),
        )
        rows += [row_of(arm.name, OURS, task, estimate(matrix[task])) for task in matrix.columns]
        rows.append(row_of(arm.name, OURS, "mean", estimate(mean_score(matrix, tasks))))
        if arm.name not in (study.base, arm.base):
            for name, group in gain_groups(arm, tasks, teacher_tasks).items():
                gain = paired(mean_score(matrix, group), mean_score(base, group))
                rows.append(row_of(arm.name, OURS, name, estimate(gain)))
        for contrast in study.own_contrasts:
            if arm.name in contrast.pairs:
                other = arm_scores(study, scores, contrast.pairs[arm.name])
                ahead = paired(mean_score(matrix, tasks), mean_score(other, tasks))
                rows.append(row_of(arm.name, OURS, f"over {contrast.title}", estimate(ahead)))
    return frame_of(rows)


def gain_groups(
    arm: Arm, tasks: Sequence[str], teacher_tasks: Sequence[str]
) -> dict[str, Sequence[str]]:
    """The tasks that an arm's gains are over: all; those with a teacher; the others."""
    having = teacher_tasks if arm.tasks is None else arm.tasks
    groups = {"gain": tasks, "taught": [task for task in tasks if task in having]}
    groups["untaught"] = [task for task in tasks if task not in having]
    return groups if groups["taught"] else {"gain": tasks}


def task_names(values: pd.DataFrame) -> list[str]:
    """The tasks in a study's values, without means and gains."""
    found = dict.fromkeys(values["task"])
    return [name for name in found if name not in BESIDE and not name.startswith("over ")]


def study_table(study: Study, values: pd.DataFrame) -> pd.DataFrame:
    """The study as printed, one row per finished arm."""
    named = task_names(values)
    titles = {
        "gain": f"Gain over {study.compared}",
        "taught": "Gain, tasks with a teacher",
        "untaught": "Gain, other tasks",
    }
    titles |= {f"over {c.title}": f"Gain over {c.title}" for c in study.contrasts if c.column}
    shown = [name for name in titles if name in set(values["task"])]
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
        line["Seeds"] = seed_counts(rows["n"].dropna())
        table.append(line)
    return pd.DataFrame(table)


def study_costs(results: Results, study: Study) -> pd.DataFrame:
    """What the students of a study's arms cost where they are used.

    Index: arms; columns: parameters, examples_per_second, latency_ms. Students of one size do the
    same work, with teachers or without, and what else the machine does only ever slows them down:
    each has the best that any student of its size reached in any seed.
    """
    rows = []
    for arm in study.arms:
        for run in arm_runs(results.recipe, study, arm):
            folder = run_folder(results.folder, run.run_id)
            if (folder / "record.json").exists():
                found = records.read_record(folder).details.get("deployed")
                size = run.settings["encoder"]
                rows += [{"arm": arm.name, "size": size, **found}] if found else []
    frame = pd.DataFrame(rows, columns=["arm", "size", *COSTS])
    sizes = frame.groupby("size")
    frame["examples_per_second"] = sizes["examples_per_second"].transform("max")
    frame["latency_ms"] = sizes["latency_ms"].transform("min")
    return frame.groupby("arm", sort=False)[list(COSTS)].first()


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
    single = [arm.name for arm in study.arms if not arm.of]
    gains = values[(values["task"] == "gain") & values["system"].isin(single)]
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
    paper = find_row(values, str(study.paper), OURS, "gain")
    if paper and study.paper != best["system"]:
        text += f" The paper's setting has {said(paper)}, {verdict(paper)}"
        ahead = find_row(values, str(best["system"]), OURS, f"over {PAPERS}")
        text += f"; the first arm less it is {said(ahead)}, {verdict(ahead)}." if ahead else "."
    for arm in study.arms:
        gain = find_row(values, arm.name, OURS, "gain")
        if arm.of and gain:
            text += f" {sentence(arm.title)}: {said(gain)}, {verdict(gain)}."
    for contrast in study.contrasts:
        for name in contrast.told:
            if ahead := find_row(values, name, OURS, f"over {contrast.title}"):
                text += f" {sentence(study.arm(name).title)}: {said(ahead)} over {contrast.title}, "
                text += f"{verdict(ahead)}."
    other = find_row(values, str(study.paper), OURS, "untaught")
    if study.name == "teacher-tasks" and other:
        text += " In the paper's setting, tasks without a teacher: "
        text += f"{said(other)}, {verdict(other)}."
    return text + " The largest of many gains is flattered by having been picked."


def sentence(words: str) -> str:
    """Words as the beginning of a sentence."""
    return words[0].upper() + words[1:]


def teachers_alone(found: pd.DataFrame) -> str:
    """What the teachers add to the paper's student, from the values of the study `generations`."""
    twin, draws = (
        find_row(found, "paper", OURS, f"over {TWIN}"),
        find_row(found, "draws", OURS, "gain"),
    )
    luck = find_row(found, "none", OURS, f"over {MEAN}")
    if not (twin and draws and luck):
        return ""
    text = (
        "How much of the student's gain over MT-DNN is the teachers'? Over its twin without "
        f"teachers, which has the same random numbers, it is {said(twin)}, {verdict(twin)}. What "
        f"one draw of random numbers weighs: that twin stands {said(luck)} over {MEAN}. Four "
        f"students a seed with teachers against four without: {said(draws)}, {verdict(draws)}"
    )
    for name, where in (("taught", "tasks with a teacher"), ("untaught", "other tasks")):
        if part := find_row(found, "draws", OURS, name):
            text += f"; {where} {said(part)}, {verdict(part)}"
    return f"{text}."


def file_stem(study: Study) -> str:
    """Name of a study's table and figure, without its ending."""
    return f"study_{study.name.replace('-', '_')}"
