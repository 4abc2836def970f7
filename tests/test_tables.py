"""Tables and figures: cells worked out by hand, the paper's cells, and incomplete results."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtkd.analysis import figures, inspection, plotting, run_figures, table_files, tables
from mtkd.analysis import paper as published
from mtkd.analysis.statistics import estimate
from mtkd.analysis.systems import MAJORITY, SYSTEMS
from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE, Examples
from mtkd.experiments.records import Record, Score, collect

GAINS = {"bert": -2, "mtdnn-noft": -1, "mtdnn": 0, "ensemble": 4, "mtdnn-kd": 3, "mtdnn-kd-soft": 2}
TASKS = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
APART = ("candidate-cased-d0.1", "teacher-cased-d0.1")
BASE = 70.0


def record(system: str, seed: int, tasks: Sequence[str] = TASKS) -> Record:
    """A run of one system: every metric is BASE + its gain + the seed, two epochs of history."""
    value = BASE + GAINS.get(system, 0) + seed
    splits = {task: ("dev", "dev_mm") if task == "mnli" else ("dev",) for task in tasks}
    found = tuple(
        Score(system, task, split, metric, value, 100, (system, task, seed) == ("bert", "rte", 2))
        for task in tasks
        for split in splits[task]
        for metric in GLUE[task].metrics
    )
    points = {task: dict.fromkeys(GLUE[task].metrics, value) for task in tasks}
    epochs = [
        {"epoch": 1, "loss": dict.fromkeys(tasks, 1.0)},  # an epoch without an evaluation
        {"epoch": 2, "loss": dict.fromkeys(tasks, 0.5), "score": value, "scores": points},
    ]
    details = {"systems": [system], "histories": {system: {"epochs": epochs}}}
    name = f"x-{system}"
    return Record(f"{name}-s{seed}", name, "t", "x", system, seed, (), {}, found, details)


def results(
    seeds: int, tasks: Sequence[str] = TASKS, systems: Sequence[str] = (*GAINS, *APART)
) -> list[Record]:
    return [record(system, seed, tasks) for system in systems for seed in range(seeds)]


FULL = results(5)
SCORES = collect(FULL)


def row(table: pd.DataFrame, title: str) -> dict[str, str]:
    return table[table["System"] == title].iloc[0].to_dict()


# ---------------------------------------------------------------------------- tables


def test_rows_are_ours_with_the_paper_below() -> None:
    table = tables.glue_dev(SCORES)
    assert table["System"].tolist() == [
        "BERT, one model per task",
        "BERT, one model per task (paper, BERT-large on GLUE)",
        "MT-DNN, no fine-tuning",
        "MT-DNN",
        "MT-DNN (paper, BERT-large on GLUE)",
        "MT-DNN ensemble",
        "MT-DNN ensemble (paper, BERT-large on GLUE)",
        "MT-DNN-KD",
        "MT-DNN-KD (paper, BERT-large on GLUE)",
        "MT-DNN-KD, soft targets alone",
    ]
    titles = [GLUE[task].title for task in TASKS]
    assert list(table.columns) == ["System", *titles, "Mean of 8", "Seeds"]


def test_cells_by_hand() -> None:
    # Seeds 0 to 4 of MT-DNN: 70 to 74; resampled means lie in 72 +- 1.2, in steps of 0.2.
    ours = row(tables.glue_dev(SCORES), "MT-DNN")
    assert ours["RTE"] == ours["Mean of 8"] == "72.0 [70.8, 73.2]"
    assert ours["Seeds"] == "5"
    paper = row(tables.glue_dev(SCORES), "MT-DNN-KD (paper, BERT-large on GLUE)")
    assert paper["CoLA"] == "64.5"
    assert paper["MNLI"] == "87.3 (87.3/87.3)"
    assert paper["QQP"] == "90.7 (91.9/89.4)"  # 90.65
    assert paper["Mean of 8"] == "87.7"
    assert paper["Seeds"] == "-"


def test_wnli_and_the_released_stilts_models_by_hand() -> None:
    majority = record("stilts", 0)
    wnli = Score("majority", "wnli", "dev", "accuracy", 45.0, 40, False)
    majority = replace(majority, run_id="glue-s0", scores=(wnli,))
    table = tables.glue_dev(collect([*results(5, systems=["stilts", "mtdnn"]), majority]))
    # (8 * 72 + 45) / 9; WNLI's majority is the same for all seeds, so 8/9 of the width.
    assert row(table, "MT-DNN")["GLUE"] == "69.0 [67.9, 70.1]"
    released = row(table, f"BERT on STILTs ({tables.RELEASED})")
    assert [
        released[name] for name in ("CoLA", "MRPC", "MNLI", "RTE")
    ] == "65.3 90.4 86.7 84.1".split()
    assert released["Mean of 8"] == "86.7"  # (65.3+93.9+90.4+90.7+90.0+86.7+92.3+84.1) / 8 = 86.675
    assert released["GLUE"] == "-"


def test_paper_cells_equal_the_file() -> None:
    cells = published.read_paper().query("table == 'kd-3'")
    values = tables.glue_dev_values(SCORES).query("source == @tables.PAPER")
    for (system, task), rows in cells.groupby(["system", "task"]):
        found = values[(values["system"] == system) & (values["task"] == task)]
        assert found["value"].item() == pytest.approx(rows["value"].mean())
    assert len(values) == 4 * (8 + 1)
    means = values.query("task == 'mean'").set_index("system")["value"].round(2).to_dict()
    assert means == {"bert": 83.96, "mtdnn": 86.43, "ensemble": 87.84, "mtdnn-kd": 87.68}


def test_ablation_is_paired_by_seed() -> None:
    table = tables.ablation(SCORES)
    kd = row(table, "MT-DNN-KD")
    # Every seed differs by 3.0, however much the seeds differ from each other.
    assert kd["RTE"] == kd["Mean of 8"] == "+3.0 [+3.0, +3.0]"
    assert kd["Ensemble's gain kept"] == "75 % [75, 75]"
    assert row(table, "BERT, one model per task")["Ensemble's gain kept"] == "-"
    paper = row(table, "MT-DNN-KD (paper, BERT-large on GLUE)")
    assert paper["RTE"] == "+5.2" and paper["SST-2"] == "0.0"  # 88.6 - 83.4, 94.3 - 94.3
    assert paper["Ensemble's gain kept"] == "88 %"  # 1.25 of 1.4125
    assert row(table, "BERT, one model per task (paper, BERT-large on GLUE)")["MNLI"] == "-0.7"
    assert "MT-DNN" not in set(table["System"])


def test_subset_of_tasks_and_one_seed() -> None:
    some = collect(results(1, ("mnli", "rte"), ("mtdnn", "mtdnn-kd")))
    table = tables.glue_dev(some)
    assert list(table.columns) == ["System", "MNLI", "RTE", "Mean of 2", "Seeds"]
    assert row(table, "MT-DNN-KD")["Mean of 2"] == "73.0"
    assert row(table, "MT-DNN (paper, BERT-large on GLUE)")["Mean of 2"] == "85.2"  # 86.9, 83.4
    assert row(tables.ablation(some), "MT-DNN-KD")["RTE"] == "+3.0"
    assert "over MNLI, RTE" in table_files.notes(some)[0]


def test_below_five_seeds_the_points() -> None:
    few = collect(results(3, ("rte",)))
    assert row(tables.glue_dev(few), "MT-DNN")["RTE"] == "71.0 (70.0, 71.0, 72.0)"
    assert row(tables.ablation(few), "MT-DNN-KD")["Ensemble's gain kept"] == "75 % (75, 75, 75)"


def test_a_mean_needs_every_task() -> None:
    mixed = collect([record("mtdnn", 0), record("bert", 0, ("rte",))])
    bert = row(tables.glue_dev(mixed), "BERT, one model per task")
    assert (bert["RTE"], bert["CoLA"], bert["Mean of 8"]) == ("68.0", "-", "-")


@pytest.mark.parametrize(
    "systems", [("bert",), ("mtdnn-kd", "ensemble"), ("mtdnn",), APART, (), ("mine", "mtdnn")]
)
def test_missing_systems_are_absent_rows(systems: tuple[str, ...], tmp_path: Path) -> None:
    records = results(2, TASKS, systems)
    some = collect(records)
    table_files.write_tables(some, tmp_path, records)
    ours = {system for system in systems if system not in APART}
    assert set(tables.glue_dev_values(some)["system"]) == ours
    assert tables.ablation(some).empty == ("mine" not in systems)
    for path in figures.write_figures(some, records, tmp_path):
        assert path.stat().st_size > 0


def test_seeds_or_tasks_in_common_are_needed(tmp_path: Path) -> None:
    other_seed = [record("mtdnn", 0), record("mtdnn-kd", 1)]
    assert tables.ablation(collect(other_seed)).empty
    figures.write_figures(collect(other_seed), other_seed, tmp_path)
    partial = [record("mtdnn", 0), record("mtdnn-kd", 0, ("rte",))]
    kd = row(tables.ablation(collect(partial)), "MT-DNN-KD")
    assert (kd["RTE"], kd["CoLA"], kd["Mean of 8"]) == ("+3.0", "-", "-")
    figures.write_figures(collect(partial), partial, tmp_path)
    other_task = [record("mtdnn", 0, ("cola",)), record("mtdnn-kd", 0, ("rte",))]
    figures.write_figures(collect(other_task), other_task, tmp_path)
    table_files.write_tables(collect(other_task), tmp_path)


def test_degenerate_evaluations_are_counted() -> None:
    assert table_files.degenerate(FULL)["run_id"].tolist() == ["x-bert-s2"]
    (line,) = (line for line in table_files.notes(SCORES, FULL) if line.startswith("Degenerate"))
    assert "1 of 270 evaluations" in line and "on RTE (dev), seed 2" in line
    assert not any(line.startswith("Degenerate") for line in table_files.notes(SCORES))


def test_summary_is_the_mean_and_the_gains() -> None:
    table = tables.summary(SCORES)
    assert table["System"].tolist() == [SYSTEMS[name] for name in GAINS]
    kd, base = row(table, "MT-DNN-KD"), row(table, "MT-DNN")
    assert kd["Mean of 8"] == "75.0 [73.8, 76.2]" and base["Mean gain"] == "-"
    assert kd["Mean gain"] == kd["RTE gain"] == "+3.0 [+3.0, +3.0]"
    assert kd["RTE gain, paper"] == "+5.2" and kd["Ensemble's gain kept"] == "75 % [75, 75]"
    alone = tables.summary(collect(results(1, ("mnli",), ("bert",))))
    assert alone.to_dict("records")[0]["Mean gain"] == "-" and "RTE gain" not in alone


def test_files(tmp_path: Path) -> None:
    written = table_files.write_tables(SCORES, tmp_path, FULL)
    kinds = ("csv", "md", "tex")
    names = ["summary.md", *(f"{n}.{kind}" for n in ("glue_dev", "ablation") for kind in kinds)]
    assert [path.relative_to(tmp_path / "tables").as_posix() for path in written] == names
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == sorted(names)
    text = dict(zip(names, (path.read_text(encoding="utf-8") for path in written), strict=True))
    values = pd.read_csv(StringIO(text["glue_dev.csv"]))
    assert list(values.columns) == tables.VALUES
    mean = values.query("system == 'mtdnn' and source == 'this run' and task == 'mean'").iloc[0]
    assert (mean["value"], mean["n"]) == (72.0, 5)
    assert mean["points"] == "70.0000 71.0000 72.0000 73.0000 74.0000"
    lines = text["glue_dev.md"].splitlines()
    assert {line.count("|") for line in lines[:12]} == {12}
    assert r"75 \% [75, 75]" in text["ablation.tex"] and "$-$2.0 [$-$2.0" in text["ablation.tex"]
    assert text["ablation.tex"].count(r"\\") == 1 + len(tables.ablation(SCORES))


# ---------------------------------------------------------------------------- examples


def examples(task: str, labels: list[int], clean: list[int] | None = None) -> Examples:
    count = len(labels)
    pairs = [f"b{i}" for i in range(count)] if GLUE[task].kind == "pair" else None
    known = None if clean is None else np.array(clean)
    ids = np.arange(100, 100 + count)
    texts = [f"a{i}" for i in range(count)]
    return Examples(GLUE[task], "train", ids, texts, pairs, np.array(labels), known)


SOFT = np.array([[0.9, 0.1], [0.2, 0.8], [0.52, 0.48], [0.05, 0.95]], np.float32)


def test_unsure_examples_order() -> None:
    some = examples("rte", [0, 0, 0, 0], [0, 1, 0, 1])
    frame = inspection.unsure_examples(some, SOFT, 3)
    assert frame["sentence1"].tolist() == ["a3", "a1", "a2"]
    assert frame["sentence2"].tolist() == ["b3", "b1", "b2"]
    assert set(frame["gold"]) == {"entailment"}
    assert frame["true"].tolist() == ["not_entailment", "not_entailment", "entailment"]
    assert frame["P(entailment)"].tolist() == pytest.approx([0.05, 0.2, 0.52])
    assert frame.index.tolist() == [103, 101, 102]
    unsure = inspection.unsure_examples(some, SOFT, 2, by="unsure")
    assert unsure["sentence1"].tolist() == ["a2", "a1"]
    single = inspection.unsure_examples(examples("sst2", [0, 1, 1, 1]), SOFT)
    assert list(single.columns) == ["sentence", "gold", "P(negative)", "P(positive)"]


def test_unsure_examples_refuses() -> None:
    with pytest.raises(MtkdError, match=r"shape \(4, 2\); expected \(3, 2\)"):
        inspection.unsure_examples(examples("rte", [0, 0, 0]), SOFT)
    with pytest.raises(MtkdError, match="STS-B train: no class labels"):
        inspection.unsure_examples(examples("stsb", [0, 0, 0, 0]), SOFT[:, :1])


def test_entropy_is_a_share() -> None:
    soft = np.array([[1.0, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]])
    assert inspection.entropy(soft) == pytest.approx([0, 1, np.log(2) / np.log(3)])


# ---------------------------------------------------------------------------- figures


KNOWLEDGE = {
    "rte": (SOFT, np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1])),
    "qqp": (SOFT, np.array([0, 1, 0, 1]), None),
    "stsb": (SOFT[:, :1], np.array([0.0, 1.0, 2.0, 3.0]), None),
}


def test_figures_build_without_warnings() -> None:
    sizes = pd.DataFrame({"task": ["cola", "rte"], "train": [800, 300]})
    lengths = {"cola": np.array([5, 9, 9]), "rte": np.array([20, 64])}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = [
            figures.dev_scores(SCORES),
            figures.gain(SCORES, ("rte",)),
            figures.ablation(SCORES),
            figures.learning_curves(FULL),
            run_figures.single_curve(FULL[0]),
            run_figures.single_curve(record("mtdnn", 0, ("rte",)), "bert"),
            figures.teacher_knowledge(KNOWLEDGE),
            run_figures.task_sizes(sizes),
            run_figures.lengths(lengths),
        ]
        for figure in drawn:
            assert figure._repr_png_().startswith(b"\x89PNG")


def test_figures_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    first = plotting.save(figures.gain(SCORES), tmp_path / "a", "gain")
    again = plotting.save(figures.gain(SCORES), tmp_path / "b", "gain")
    assert [path.name for path in first] == ["gain.png", "gain.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["gain.png", "gain.svg"]


def test_a_colour_for_every_system() -> None:
    hues = [plotting.colour(system) for system in SYSTEMS if system != MAJORITY]
    assert len(set(hues)) == len(hues) == 11


def test_learning_curve_has_a_line_per_seed_and_a_mean() -> None:
    (axes,) = figures.learning_curves(FULL).axes
    assert len(axes.lines) == 3 * (5 + 1)
    assert axes.lines[5].get_ydata().tolist() == [71.0]  # noft: 69 to 73, the second epoch only


def test_directions_beside_the_paper_s() -> None:
    def rows(system: str, points: tuple[float, ...], paper: float) -> list[dict[str, object]]:
        ours = tables.row_of(system, tables.OURS, "mean", estimate(pd.Series(points)))
        theirs = ours | {"source": tables.PAPER, "value": paper, "n": None, "points": ()}
        return [ours, theirs]

    gains = [*rows("bert", (-1.0, 1.0, 0.5, -0.5, 0.1), -2.5), *rows("mtdnn-kd", (2.0,) * 5, 1.3)]
    gains += rows("ensemble", (-1.0, -1.1, -1.2, -0.9, -1.0), 1.4)
    told = tables.directions(tables.frame_of(gains))
    assert [line.split(" (")[0].removeprefix("Mean gain over MT-DNN ") for line in told] == [
        "not told apart: BERT, one model per task",
        "as in the paper: MT-DNN-KD",
        "other than in the paper: MT-DNN ensemble",
    ]
    assert "(paper +1.3, here +2.0 [+2.0, +2.0] points (n = 5))." in told[1]
