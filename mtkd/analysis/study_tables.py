"""What a study found: numbers by variant, and the table of any study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from mtkd.analysis.markup import NOTHING
from mtkd.analysis.paper import PAPER, read_paper
from mtkd.analysis.results import Results, finished
from mtkd.analysis.statistics import (
    estimate,
    mean_score,
    paired,
    score_matrix,
    task_order,
)
from mtkd.analysis.systems import task_title
from mtkd.analysis.tables import (
    OURS,
    find_row,
    frame_of,
    mean_title,
    printed,
    row_of,
    single,
    verdict,
)
from mtkd.experiments import records
from mtkd.experiments.plans import variant_runs
from mtkd.experiments.records import Record
from mtkd.experiments.studies.study import Study, Variant

MEAN, GAIN, ON_TAUGHT, ON_OTHERS = "mean", "gain", "gain, taught tasks", "gain, other tasks"
COSTS = {  # of a student where it is used: title and decimals
    "parameters": ("Parameters", 0),
    "examples_per_second": ("Examples per second", 0),
    "latency_ms": ("Latency, ms", 1),
}


def study_scores(results: Results, study: Study) -> pd.DataFrame:
    """Tidy scores of a study's finished runs; `system` is the name of the variant."""
    found = []
    for variant, record in variant_records(results, study):
        own = [s for s in record.scores if s.system == variant.system]
        scores = tuple(replace(score, system=variant.name) for score in own)
        found.append(replace(record, scores=scores))
    return records.collect(found)


def variant_records(results: Results, study: Study) -> Iterator[tuple[Variant, Record]]:
    """The records of a study's finished runs, one per variant and seed."""
    for variant in study.variants:
        runs = variant_runs(results.recipe, study, variant)
        yield from ((variant, record) for record in finished(results.folder, runs))


def variant_scores(study: Study, scores: pd.DataFrame, name: str) -> pd.DataFrame:
    """Score matrix of a variant; of a mean, the seeds that every one of its variants has."""
    found = [score_matrix(scores, each) for each in study.variant(name).mean_of or (name,)]
    return sum(found[1:], start=found[0]) / len(found)


def study_values(study: Study, scores: pd.DataFrame, teacher_tasks: Sequence[str]) -> pd.DataFrame:
    """Numbers by variant ("system") and measure ("task"), columns as `tables.frame_of`.

    Measures are dev scores in points by task and their mean; the gain over the variant's
    reference, paired by seed, over all tasks, those with teachers and the others; and the gain
    over the variants of each comparison. The recipe's `teacher_tasks` have a teacher where a
    variant says nothing else.
    """
    tasks, rows = task_order(scores), []
    for variant in study.variants:
        matrix = variant_scores(study, scores, variant.name)
        found = {task: estimate(matrix[task]) for task in matrix.columns}
        found[MEAN] = estimate(mean_score(matrix, tasks))
        for measure, other, group in differences(study, variant, tasks, teacher_tasks):
            base = mean_score(variant_scores(study, scores, other), group)
            found[measure] = estimate(paired(mean_score(matrix, group), base))
        rows += [row_of(variant.name, OURS, measure, one) for measure, one in found.items()]
        rows += published_rows(variant, tasks) if found[MEAN].n else []
    return frame_of(rows)


def differences(
    study: Study, variant: Variant, tasks: Sequence[str], teacher_tasks: Sequence[str]
) -> Iterator[tuple[str, str, Sequence[str]]]:
    """What a variant is compared with: measure, other variant, and the tasks that count."""
    if reference := study.reference_of(variant):
        yield GAIN, reference, tasks
        having = teacher_tasks if variant.tasks is None else variant.tasks
        if taught := [task for task in tasks if task in having]:
            yield ON_TAUGHT, reference, taught
            yield ON_OTHERS, reference, [task for task in tasks if task not in having]
    for comparison in study.comparisons:
        if other := comparison.pairs.get(variant.name):
            yield comparison.title, other, tasks


def published_rows(variant: Variant, tasks: Sequence[str]) -> list[dict[str, object]]:
    """The paper's scores of the same setting, on its own data and encoder."""
    if variant.published is None:
        return []
    system, ending = variant.published
    paper = read_paper()
    paper = paper[(paper["system"] == system) & (paper["split"] == "dev")]
    known = paper.set_index("task")["value"]
    return [
        single(variant.name, PAPER, task, known[name])
        for task in tasks
        if (name := f"{task}@{ending}") in known
    ]


def study_table(
    study: Study, values: pd.DataFrame, costs: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Any study as printed, one row per finished variant; `costs` as `study_costs`."""
    tasks = study_tasks(study, values)
    gains = {GAIN: f"Gain over {study.measured_against}"}
    gains |= {ON_TAUGHT: "Gain, tasks with teachers", ON_OTHERS: "Gain, other tasks"}
    gains |= {each.title: f"Gain over {each.title}" for each in study.comparisons}
    shown = {task: task_title(task) for task in (tasks if len(tasks) <= 3 else ())}
    shown |= ({MEAN: mean_title(tasks)} if len(tasks) > 1 else {}) | gains
    titles = {v.name: title_of(study, v) for v in study.variants}
    values = values[values["source"] == OURS]
    table = printed(values, shown, names=titles, first="Variant", signed=gains)
    names = list(dict.fromkeys(values["system"]))
    found = [find_row(values, name, OURS, GAIN) for name in names]
    verdicts = [(verdict(row) if row else "") or NOTHING for row in found]
    if gains[GAIN] in table:
        table.insert(list(table).index(gains[GAIN]) + 1, "Verdict", verdicts)
    if costs is not None:
        for name, (title, digits) in COSTS.items():
            known = costs[name].reindex(names)
            text = [NOTHING if np.isnan(value) else f"{value:,.{digits}f}" for value in known]
            table.insert(len(table.columns) - 1, title, text)
    return table


def study_tasks(study: Study, values: pd.DataFrame) -> list[str]:
    """The tasks that a study has scores of."""
    other = {MEAN, GAIN, ON_TAUGHT, ON_OTHERS, *(each.title for each in study.comparisons)}
    return [task for task in dict.fromkeys(values["task"]) if task not in other]


def title_of(study: Study, variant: Variant) -> str:
    return variant.title + (" (the paper's)" if variant.name == study.paper else "")


def study_costs(results: Results, study: Study) -> pd.DataFrame:
    """What the students of a study's variants cost where they are used; index: variants.

    Columns are those of COSTS. Students of one size do the same work, with teachers or without,
    and what else the machine does only ever slows them down: each has the best value that any
    student of its size reached in any seed.
    """
    rows = [
        {"variant": variant.name, "size": record.settings["encoder"], **found}
        for variant, record in variant_records(results, study)
        if (found := record.details.get("deployed"))
    ]
    frame = pd.DataFrame(rows, columns=["variant", "size", *COSTS])
    sizes = frame.groupby("size")
    frame["examples_per_second"] = sizes["examples_per_second"].transform("max")
    frame["latency_ms"] = sizes["latency_ms"].transform("min")
    return frame.groupby("variant", sort=False)[list(COSTS)].first()
