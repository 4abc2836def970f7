"""What is learnt beside the score: corrected labels, agreement with the teachers, calibration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from mtkd.analysis.calibration import calibration_error
from mtkd.analysis.evaluations import Outputs, dev_labels, dev_outputs, pooled_reliability
from mtkd.analysis.markup import markdown
from mtkd.analysis.results import Results, training_targets
from mtkd.analysis.statistics import estimate
from mtkd.analysis.systems import system_order, system_title, task_title
from mtkd.analysis.tables import OURS, cell, row_of, said
from mtkd.common.files import write_text
from mtkd.data.tasks import GLUE
from mtkd.experiments.context import RunContext

TEACHER = "ensemble"
DIGITS = 4  # of the numbers in files, so that a text made from the files is the same


def label_noise(results: Results) -> pd.DataFrame:
    """What the soft targets say of wrong training labels, where the right ones are known.

    One row per seed and task with teachers: task, seed, `noisy` (wrong labels, % of all),
    `corrected` (% of the wrong labels whose soft target is highest at the right one), `spoilt` (%
    of the right labels whose soft target is highest elsewhere).
    """
    rows = []
    for opened in finished_teachers(results):
        for task in results.teacher_tasks:
            if not GLUE[task].labels:
                continue
            examples, soft = training_targets(opened, task)
            if examples.clean is None or examples.label is None:
                continue
            wrong = examples.label != examples.clean
            said = soft.argmax(axis=1) == examples.clean
            if wrong.any() and not wrong.all():
                shares = {"noisy": wrong.mean(), "corrected": said[wrong].mean()}
                shares["spoilt"] = 1 - said[~wrong].mean()
                percent = {name: 100 * float(share) for name, share in shares.items()}
                rows.append({"task": task, "seed": opened.run.seed, **percent})
    columns = ["task", "seed", "noisy", "corrected", "spoilt"]
    return pd.DataFrame(rows, columns=columns).round(DIGITS)


def finished_teachers(results: Results) -> Iterator[RunContext]:
    """The teachers of every seed that has them."""
    finished = {record.run_id for record in results.records}
    for run in results.runs:
        if run.stage == "teachers" and run.run_id in finished:
            yield RunContext(results.recipe, run, results.folder, results.tasks)


def habits(results: Results) -> pd.DataFrame:
    """Agreement with the ensemble and calibration of every system, by seed.

    Columns: system, seed, `agreement` (% of dev examples answered as the ensemble answers, mean
    over classification tasks; empty for the ensemble itself), `calibration` (expected calibration
    error of all class predictions on dev, in %).
    """
    gold = dev_labels(results)
    found = {s: dev_outputs(results, s, gold) for s in system_order(results.scores)}
    teacher = {(one.task, one.seed): one for one in found.get(TEACHER, [])}
    rows = []
    for system, outputs in found.items():
        for seed in sorted({one.seed for one in outputs}):
            mine = [one for one in outputs if one.seed == seed]
            found_bins = pooled_reliability(mine)
            row = {"system": system, "seed": seed, "agreement": np.nan, "calibration": np.nan}
            if system != TEACHER:
                row["agreement"] = agreement(mine, teacher)
            if found_bins is not None:
                row["calibration"] = 100 * calibration_error(found_bins)
            rows.append(row)
    return pd.DataFrame(rows, columns=["system", "seed", "agreement", "calibration"]).round(DIGITS)


def agreement(outputs: list[Outputs], teacher: dict[tuple[str, int], Outputs]) -> float:
    """Mean over tasks of the share of examples, in %, that both answer alike; NaN for none."""
    shares = [
        100 * float(np.mean(one.values.argmax(axis=1) == other.values.argmax(axis=1)))
        for one in outputs
        if GLUE[one.task].labels and (other := teacher.get((one.task, one.seed))) is not None
    ]
    return float(np.mean(shares)) if shares else float("nan")


def noise_table(noise: pd.DataFrame) -> pd.DataFrame:
    """Wrong labels by task as printed: means over seeds with their intervals, in %."""
    titles = {
        "noisy": "Wrong labels",
        "corrected": "Wrong labels corrected",
        "spoilt": "Right labels contradicted",
    }
    return _printed(noise, "task", {t: task_title(t) for t in noise["task"].unique()}, titles)


def habit_table(found: pd.DataFrame) -> pd.DataFrame:
    """Agreement and calibration by system as printed, in %."""
    titles = {"agreement": "Answers as the ensemble", "calibration": "Calibration error"}
    names = {system: system_title(system) for system in found["system"].unique()}
    return _printed(found, "system", names, titles)


def _printed(
    frame: pd.DataFrame, key: str, names: dict[str, str], titles: dict[str, str]
) -> pd.DataFrame:
    rows = []
    for name, title in names.items():
        mine = frame[frame[key] == name]
        line = {key.capitalize(): title}
        for column, head in titles.items():
            found = estimate(mine[column])
            row = row_of(name, OURS, column, found) if found.n else None
            line[f"{head}, %"] = cell(row, signed=False)
        line["Seeds"] = str(mine["seed"].nunique())
        rows.append(line)
    return pd.DataFrame(rows)


def reading(noise: pd.DataFrame, found: pd.DataFrame) -> str:
    """What the numbers say, in sentences made from them."""
    sentences = []
    if len(noise):
        by_seed = noise.groupby("seed")[["corrected", "spoilt"]].mean()
        sentences.append(
            f"On the tasks with teachers the soft target is highest at the right label for "
            f"{in_percent(by_seed['corrected'])} of the wrong training labels, and elsewhere "
            f"for {in_percent(by_seed['spoilt'])} of the right ones."
        )
        kept = (100 - noise["noisy"]) * (100 - noise["spoilt"])
        right = (kept + noise["noisy"] * noise["corrected"]) / 100
        shares = noise.assign(right=right).groupby("seed")[["noisy", "right"]].mean()
        sentences.append(
            f"Taken by its highest entry alone it is right for {in_percent(shares['right'])} of "
            f"all, the label for {in_percent(100 - shares['noisy'])}."
        )
    errors = found.pivot(index="seed", columns="system", values="calibration")
    alike = found.pivot(index="seed", columns="system", values="agreement")
    for other, words in (("untaught", "the same student without a teacher"), ("mtdnn", "MT-DNN")):
        if {other, "mtdnn-kd"} <= set(errors):
            change = in_points(errors["mtdnn-kd"] - errors[other])
            closer = in_points(alike["mtdnn-kd"] - alike[other])
            sentences.append(
                f"Student less {words}: calibration error {change}, share of the examples answered "
                f"as the ensemble answers them {closer}."
            )
    return " ".join(sentences) or "No teachers or students are finished yet."


def in_percent(values: pd.Series) -> str:
    """Mean of one value per seed, in words."""
    return said(row_of("", OURS, "", estimate(values)), signed=False, unit="%")


def in_points(changes: pd.Series) -> str:
    """Mean of one difference per seed, in words."""
    return said(row_of("", OURS, "", estimate(changes)))


def write_learnt(noise: pd.DataFrame, found: pd.DataFrame, folder: Path) -> list[Path]:
    """Write tables/learnt.md in `folder`, and what it rests on, learnt_{labels,systems}.csv."""
    written = []
    for name, text in (
        ("learnt_labels.csv", noise.to_csv(index=False, lineterminator="\n")),
        ("learnt_systems.csv", found.to_csv(index=False, lineterminator="\n")),
        ("learnt.md", learnt_page(noise, found)),
    ):
        written.append(folder / "tables" / name)
        write_text(written[-1], text)
    return written


def learnt_page(noise: pd.DataFrame, found: pd.DataFrame) -> str:
    """Both tables and the reading as Markdown."""
    parts = [markdown(noise_table(noise))] if len(noise) else []
    parts += [markdown(habit_table(found)), f"{reading(noise, found)}\n"]
    return "\n".join(parts)
