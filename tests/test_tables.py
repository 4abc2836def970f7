"""Tables, views and figures: cells worked out by hand, the paper's cells, incomplete results."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtkd.analysis import (
    figures,
    inspection,
    main_views,
    plotting,
    run_figures,
    tables,
    views,
)
from mtkd.analysis import paper as published
from mtkd.analysis.results import taught_systems
from mtkd.analysis.systems import PARTS, SYSTEMS, find_system, system_order, with_headline
from mtkd.common.errors import MtkdError
from mtkd.common.paths import REFERENCE
from mtkd.data.tasks import GLUE, Examples
from mtkd.data.tasks import TASKS as EVERY
from mtkd.experiments.recipes import available, load_recipe
from mtkd.experiments.records import Record, Score, collect

GAINS = {"bert": -2, "mtdnn-noft": -1, "mtdnn": 0, "ensemble": 4, "mtdnn-kd": 3, "no-teacher": 2}
TASKS = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
APART = ("candidate-cased-d0.1", "teacher-cased-d0.1")
BASE = 70.0
NO_TEACHER = find_system("no-teacher").title
PAPER = "(paper, BERT-large on GLUE)"


def record(system: str, seed: int, tasks: Sequence[str] = TASKS) -> Record:
    """A run of one system: every metric is BASE + its gain + the seed, two epochs of history."""
    value = BASE + GAINS.get(system, 0) + seed
    splits = {task: ("dev", "dev_mm") if task == "mnli" else ("dev",) for task in tasks}
    found = tuple(
        Score(system, task, split, metric, value, 100, (system, task, seed) == ("bert", "rte", 2))
        for task in tasks
        for split in splits[task]
        for metric in EVERY[task].metrics
    )
    points = {task: dict.fromkeys(EVERY[task].metrics, value) for task in tasks}
    epochs = [
        {"epoch": 1, "loss": dict.fromkeys(tasks, 1.0)},  # an epoch without an evaluation
        {"epoch": 2, "loss": dict.fromkeys(tasks, 0.5), "score": value, "scores": points},
    ]
    details = {"systems": [system], "histories": {system: {"epochs": epochs}}}
    name = f"x-{system}"
    return Record(
        *(f"{name}-s{seed}", name, "t", "x", system, seed, {}, {}, ""),
        scores=found,
        details=details,
    )


def results(
    seeds: int, tasks: Sequence[str] = TASKS, systems: Sequence[str] = (*GAINS, *APART)
) -> list[Record]:
    return [record(system, seed, tasks) for system in systems for seed in range(seeds)]


FULL = results(5)
SCORES = collect(FULL)
DEV, CHANGES = tables.score_values(SCORES), tables.gain_values(SCORES, ["mtdnn-kd"])


def row(table: pd.DataFrame, title: str) -> dict[str, str]:
    return table[table["System"] == title].iloc[0].to_dict()


def gain_table(scores: pd.DataFrame) -> pd.DataFrame:
    return tables.printed_gains(tables.gain_values(scores, ["mtdnn-kd"]))


# ---------------------------------------------------------------------------- tables


def test_cells_by_hand() -> None:
    # Seeds 0 to 4 of MT-DNN: 70 to 74. t(4) = 2.776, times sqrt(2.5 / 5): 1.963.
    table = tables.printed(DEV)
    titles = [GLUE[task].title for task in TASKS]
    assert list(table.columns) == ["System", *titles, "Mean of 8", "Seeds"]
    assert table["System"].tolist()[-3:] == ["MT-DNN-KD", f"MT-DNN-KD {PAPER}", NO_TEACHER]
    ours = row(table, "MT-DNN")
    assert ours["RTE"] == ours["Mean of 8"] == "72.0 [70.0, 74.0]"
    assert ours["Seeds"] == "5"
    paper = row(table, f"MT-DNN-KD {PAPER}")
    assert paper["CoLA"] == "64.5" and paper["MNLI"] == "87.3 (87.3/87.3)"
    assert paper["QQP"] == "90.7 (91.9/89.4)"  # 90.65
    assert paper["Mean of 8"] == "87.7" and paper["Seeds"] == "-"


def test_paper_cells_equal_the_file() -> None:
    cells = published.read_paper().query("table == 'kd-3'")
    values = DEV[DEV["source"] == published.PAPER]
    for (system, task), rows in cells.groupby(["system", "task"]):
        found = values[(values["system"] == system) & (values["task"] == task)]
        assert found["value"].item() == pytest.approx(rows["value"].mean())
    assert len(values) == 4 * (8 + 1)


def test_wnli_and_the_released_stilts_models_by_hand() -> None:
    wnli = Score("majority", "wnli", "dev", "accuracy", 45.0, 40, False)
    majority = replace(record("bert", 0), run_id="glue-s0", scores=(wnli,))
    found = collect([*results(5, systems=["stilts-mnli", "mtdnn"]), majority])
    table = tables.printed(tables.score_values(found))
    # (8 * 72 + 45) / 9; WNLI's majority is the same for all seeds, so 8/9 of the width.
    assert row(table, "MT-DNN")["Mean of 9"] == "69.0 [67.3, 70.7]"
    released = row(table, f"BERT on STILTs, MNLI ({published.RELEASED})")
    names = ("CoLA", "MRPC", "MNLI", "RTE")
    assert [released[name] for name in names] == "65.3 90.4 86.7 84.1".split()
    assert released["Mean of 8"] == "86.7"  # (65.3+93.9+90.4+90.7+90.0+86.7+92.3+84.1) / 8 = 86.675
    assert released["Mean of 9"] == "-"


def test_gains_are_paired_by_seed_and_kept_by_the_taught_alone() -> None:
    table = gain_table(SCORES)
    kd = row(table, "MT-DNN-KD")
    # Every seed differs by 3.0, however much the seeds differ from each other.
    assert kd["RTE"] == kd["Mean of 8"] == "+3.0 [+3.0, +3.0]"
    assert kd["Ensemble's gain kept"] == "75 % [75, 75]"
    assert row(table, NO_TEACHER)["Ensemble's gain kept"] == "-"
    paper = row(table, f"MT-DNN-KD {PAPER}")
    assert paper["RTE"] == "+5.2" and paper["SST-2"] == "0.0"  # 88.6 - 83.4, 94.3 - 94.3
    assert paper["Ensemble's gain kept"] == "88 %"  # 1.25 of 1.4125
    assert "MT-DNN" not in set(table["System"])


def test_summary_is_the_mean_and_the_gains() -> None:
    table = tables.summary(DEV, CHANGES, ["mtdnn", "mtdnn-kd"], Named=str.upper)
    kd, base = row(table, "MT-DNN-KD"), row(table, "MT-DNN")
    assert kd["Mean of 8"] == "75.0 [73.0, 77.0]" and base["Gain over MT-DNN"] == "-"
    assert kd["Gain over MT-DNN"] == "+3.0 [+3.0, +3.0]" and kd["Paper's gain"] == "+1.3"
    assert kd["Named"] == "MTDNN-KD"
    view = main_views.summary_view(DEV, CHANGES, [])
    assert view.table is not None
    assert row(view.table, "MT-DNN-KD")["Ensemble's gain kept"] == "75 % [75, 75]"


def test_below_three_seeds_the_points() -> None:
    few = collect(results(2, ("mnli", "rte")))
    table = tables.printed(tables.score_values(few))
    assert list(table.columns) == ["System", "MNLI", "RTE", "Mean of 2", "Seeds"]
    assert row(table, "MT-DNN")["RTE"] == "70.5 (70.0, 71.0)"
    assert row(table, f"MT-DNN {PAPER}")["Mean of 2"] == "85.2"  # 86.9, 83.4
    assert row(gain_table(few), "MT-DNN-KD")["Ensemble's gain kept"] == "75 % (75, 75)"
    one = row(tables.printed(tables.score_values(collect(results(1)))), "MT-DNN-KD")
    assert one["RTE"] == "73.0"


def test_a_mean_needs_every_task() -> None:
    mixed = collect([record("mtdnn", 0), record("bert", 0, ("rte",))])
    bert = row(tables.printed(tables.score_values(mixed)), "BERT, one model per task")
    assert (bert["RTE"], bert["CoLA"], bert["Mean of 8"]) == ("68.0", "-", "-")
    assert row(gain_table(mixed), "BERT, one model per task")["Mean of 8"] == "-"


def test_degenerate_evaluations_are_counted() -> None:
    (line,) = main_views.degenerate_note(FULL, DEV)
    assert "1 of 270 evaluations" in line and line.endswith(": BERT, one model per task on RTE.")


# ---------------------------------------------------------------------------- systems


def test_unknown_systems_and_tasks_have_titles_and_colours() -> None:
    mine = find_system("my-student")
    assert mine.title == "my-student" and not mine.part_of
    assert plotting.colour("my-student") == plotting.colour("my-student") != "#000000"
    assert plotting.task_colour("my-task") and plotting.task_colour("scitail")
    known = [system.colour for system in SYSTEMS if not system.name.startswith("stilts-")]
    assert len(set(known[1:])) == len(known) - 1  # all but the majority class
    scores = collect(results(1, systems=("zebra", "mtdnn", *APART)))
    assert system_order(scores) == ["mtdnn", "zebra"]
    assert all(find_system(pattern).part_of for pattern in PARTS)


def test_the_headline_of_stilts_is_the_recipe_s_first_that_is_there() -> None:
    scores = collect(results(1, systems=("stilts-mnli", "stilts-qqp", "bert")))
    for intermediate, left in (
        (["qqp", "mnli"], "stilts-qqp"),
        (["rte", "mnli"], "stilts-mnli"),
        ([], "stilts-qqp"),
    ):
        assert system_order(with_headline(scores, intermediate)) == ["bert", left]


def test_who_had_teachers_is_read_from_the_records() -> None:
    def student(name: str, weight: float, parent: str, stage: str = "distill") -> Record:
        settings = {"distillation": {"hard_weight": weight}}
        return replace(record(name, 0), stage=stage, settings=settings, parents={parent: ""})

    teachers = replace(record("ensemble", 0), stage="teachers")
    encoder = replace(record("x", 0), run_id="e", stage="encoders", scores=())
    found = [
        teachers,
        encoder,
        student("mtdnn-kd", 0.5, teachers.run_id),
        student("mine", 0.0, "x-mtdnn-kd-s0"),  # taught by a student
        student("no-teacher", 1.0, teachers.run_id),
        student("alone", 0.5, "e"),
    ]
    assert taught_systems(found) == ("mtdnn-kd", "mine")


# ---------------------------------------------------------------------------- files


@pytest.mark.parametrize("systems", [("mtdnn-kd", "ensemble"), APART, (), ("mine", "mtdnn")])
def test_incomplete_results_give_what_there_is(systems: tuple[str, ...], tmp_path: Path) -> None:
    records = [*results(2, TASKS, systems), record("mtdnn-kd", 7, ("rte",))]
    some = collect(records)
    dev, gains = tables.score_values(some), tables.gain_values(some)
    assert set(dev["system"]) == {*systems, "mtdnn-kd"} - {*APART}
    found = [
        main_views.summary_view(dev, gains, []),
        *main_views.dev_views(dev, []),
        *main_views.gain_views(gains, ()),
    ]
    for view in found:
        assert all(path.stat().st_size > 0 for path in views.write(view, tmp_path))
        assert view.title in view._repr_html_()
    figures.learning_curves(figures.multi_task_curves(records))


def test_a_view_as_files(tmp_path: Path) -> None:
    shown, drawn = gain_table(SCORES), figures.ablation(CHANGES)
    view = views.View("short", "Title", "Caption & more.", ("Note.",), shown, CHANGES, drawn)
    written = {path.suffix: path for path in views.write(view, tmp_path)}
    assert set(written) == {".csv", ".md", ".png", ".svg"}
    assert len(pd.read_csv(written[".csv"])) == len(CHANGES)
    lines = written[".md"].read_text(encoding="utf-8").splitlines()
    assert {line.count("|") for line in lines if line.startswith("|")} == {13}
    assert (lines[0], lines[-1]) == ("Caption & more.", "- Note.")
    first = written[".png"].read_bytes(), written[".svg"].read_bytes()
    views.write(view, tmp_path)
    assert first == (written[".png"].read_bytes(), written[".svg"].read_bytes())


def test_the_committed_scores_give_whole_tables() -> None:
    scores = pd.read_csv(REFERENCE / "demo" / "scores.csv")
    dev, test = tables.score_values(scores), tables.score_values(scores, "test")
    for values, split in ((dev, "dev"), (test, "test")):
        ours = values[(values["source"] == tables.OURS) & (values["system"] != "majority")]
        assert set(ours["system"]) == set(system_order(scores, split))
        assert ours.groupby("system")["task"].agg(set).map({*TASKS, "mean", "glue"}.issubset).all()
        assert (ours["low"] <= ours["value"]).all() and (ours["value"] <= ours["high"]).all()


# ---------------------------------------------------------------------------- examples


def examples(task: str, labels: list[int], clean: list[int] | None = None) -> Examples:
    count = len(labels)
    pairs = [f"b{i}" for i in range(count)] if GLUE[task].pair else None
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
    assert set(frame["given label"]) == {"entailment"}
    assert frame["true label"].tolist() == ["not_entailment", "not_entailment", "entailment"]
    assert frame["P(entailment)"].tolist() == pytest.approx([0.05, 0.2, 0.52])
    assert frame.index.tolist() == [103, 101, 102]
    unsure = inspection.unsure_examples(some, SOFT, 2, by="unsure")
    assert unsure["sentence1"].tolist() == ["a2", "a1"]
    single = inspection.unsure_examples(examples("sst2", [0, 1, 1, 1]), SOFT)
    assert list(single.columns) == ["sentence", "given label", "P(negative)", "P(positive)"]
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
            figures.dev_scores(DEV),
            figures.gain(CHANGES, ("rte", "snli")),
            figures.ablation(CHANGES),
            run_figures.single_curve(FULL[0]),
            run_figures.single_curve(replace(FULL[0], details={})),
            figures.teacher_knowledge(KNOWLEDGE),
            run_figures.task_sizes(sizes),
            run_figures.lengths(lengths),
        ]
        for figure in drawn:
            assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_interval_drawn_is_the_one_printed() -> None:
    axes = figures.gain(CHANGES[CHANGES["task"].isin(["rte", "mean"])], ()).axes[0]
    bars = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    low, high = CHANGES.query("system == 'mtdnn-kd' and task == 'rte'")[["low", "high"]].iloc[0]
    assert [low, high] in [list(bar) for bar in bars]


def test_learning_curve_has_a_line_per_seed_and_a_mean() -> None:
    (axes,) = figures.learning_curves(figures.multi_task_curves(FULL)).axes
    assert len(axes.lines) == len(GAINS) * (5 + 1)
    assert axes.lines[5].get_ydata().tolist() == [70.0]  # BERT: 68 to 72, the second epoch only


def test_numbers_of_one_seed_say_so() -> None:
    def marks(seeds: int) -> list[str]:
        scores = collect([record(system, seed) for system in GAINS for seed in range(seeds)])
        gains = tables.gain_values(scores, ())
        return [text.get_text() for text in figures.ablation(gains).texts]

    assert "one seed" in marks(1) and "one seed" not in marks(2)


def test_settings_are_what_is_changed() -> None:
    assert repr(inspection.Settings(load_recipe("smoke"))) == "Recipe smoke, as it ships"
    seeds = inspection.Settings(load_recipe("smoke", ["seeds=[7]", "training.epochs=3"]))
    assert seeds.changed == {"seeds": (7,), "training.epochs": 3}
    own = load_recipe("smoke", ["name=own", "about=<b>"])
    assert (
        own.name not in available()
        and "<li>about: &lt;b&gt;</li>" in inspection.Settings(own)._repr_html_()
    )


def test_words_are_set_left_and_numbers_right() -> None:
    table = pd.DataFrame([["MT-DNN", "59.8 [58.6, 61.1]", "-"], ["BERT", "+1.2 (+1, +2)", "76 %"]])
    assert views.columns_of_words(table) == [True, False, False]


def test_beside_tasks_of_ones_own_there_is_nothing_in_print() -> None:
    for split in ("dev", "test"):
        scores = collect(results(3, ["rte"])).replace(
            {"task": {"rte": "intent"}, "split": {"dev": split}}
        )
        values = tables.score_values(scores, split)
        assert not values.empty and not tables.has_paper(values)
    view = main_views.test_view(values)
    assert view.table is not None and list(view.table.columns)[1:] == [
        "intent",
        "Mean of 1",
        "Seeds",
    ]
    assert "paper" not in repr(view)
    assert tables.has_paper(tables.score_values(collect(results(3, ["rte"]))))
