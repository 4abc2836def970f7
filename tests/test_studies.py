"""Studies: arms that share what they can, have one budget, and are read as their numbers say."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mtkd.experiments.systems.stages import drawn_units
from scipy.stats import ttest_1samp
from transformers import BertConfig, BertModel

from mtkd.analysis import ensemble_sizes, question_figures, study_figures, study_tables
from mtkd.analysis import teacher_analysis as learnt
from mtkd.analysis.evaluations import Outputs
from mtkd.analysis.markup import markdown
from mtkd.analysis.statistics import estimate, t_interval
from mtkd.analysis.tables import OURS, read_values, row_of, verdict
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE
from mtkd.experiments.context import open_run
from mtkd.experiments.plans import arm_runs, expand, notices
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.runs import main_runs
from mtkd.experiments.settings import Recipe, Teachers
from mtkd.experiments.studies.ablations import targets
from mtkd.experiments.studies.arms import ALONE, Study
from mtkd.experiments.studies.registry import ABLATIONS, STUDIES, arm_recipe, named
from mtkd.experiments.systems.few_labels import repeated_rows
from mtkd.experiments.systems.teachers import choose
from mtkd.experiments.validation import changed
from mtkd.method import losses
from mtkd.method.encoders import load_encoder
from mtkd.method.settings import Distillation, Training
from mtkd.method.targets import Predictions

TASKS = ("mnli", "rte", "stsb")


@pytest.fixture(scope="module")
def demo() -> Recipe:
    return load_recipe("demo", ["studies=[targets,ensembles,teacher-tasks,heads]"])


def test_every_name_is_a_study() -> None:
    assert named(["ablations", "targets"]) == ABLATIONS
    with pytest.raises(MtkdError, match="--with 'x': expected one of ablations, open-"):
        named(["x"])
    with pytest.raises(MtkdError, match="studies: unknown name 'x'; known: targets"):
        load_recipe("demo", ["studies=[x]"])
    with pytest.raises(
        MtkdError,
        match="study targets has no arm 'x'; it has none, none-1, none-2, none-3, alone, w",
    ):
        arm_recipe(load_recipe("demo"), "targets/x")


@pytest.mark.parametrize("name", ["smoke", "demo"])
@pytest.mark.parametrize("study", STUDIES)
def test_arms_are_valid_recipes_of_one_budget(name: str, study: str) -> None:
    recipe = load_recipe(name)
    found = STUDIES[study](recipe)
    names = [arm.name for arm in found.arms]
    assert len(set(names)) == len(names) and found.base in names
    assert found.paper is None or found.paper in names
    runs = [arm_runs(recipe, found, arm) for arm in found.arms]
    assert {run.seed for arm in runs for run in arm} == set(recipe.seeds)
    passes = {run.settings["training"]["epochs"] for arm in runs for run in arm}
    assert len(passes) == 1


def test_runs_in_common_are_made_once(demo: Recipe) -> None:
    main = {run.run_id: run for run in main_runs(demo)}
    runs = expand(demo)
    assert len({run.run_id for run in runs}) == len(runs)
    assert {r.run_id for r in runs[: len(main)]} == set(main)
    study = targets(demo)
    (paper, *_), (review, *_) = (arm_runs(demo, study, study.arm(n)) for n in ("w0.5-t1", "w0-t1"))
    assert (main[paper.run_id].what, main[review.run_id].what) == ("mtdnn-kd", "mtdnn-kd-soft")
    # No arm trains a candidate or an encoder again, but those with other heads or mixing.
    new = [run for run in runs if run.run_id not in main]
    assert {run.parameters["arm"].split("/")[0] for run in new if run.stage == "mtdnn"} == {"heads"}
    place = {run.run_id: number for number, run in enumerate(runs)}
    assert all(place[p.run_id] < place[run.run_id] for run in runs for p in run.parents)


def test_the_student_without_a_teacher_is_the_base_arm_of_the_studies(demo: Recipe) -> None:
    main = {run.run_id: run.what for run in main_runs(demo)}
    for name in ("targets", "ensembles", "sizes", "few-labels"):
        study = STUDIES[name](demo)
        arm = study.arm("none-0.1" if name == "few-labels" else "none")
        run = arm_runs(demo, study, arm)[0]
        run = run.parents[-1] if name == "few-labels" else run
        assert main[run.run_id] == "untaught"
        told = run.settings["distillation"]
        assert (told["hard_weight"], told["twin_of"]) == (1.0, "mtdnn-kd")
    for students, message in (
        ("a: {twin_of: b}, b: {}", r"students\.a\.twin_of: 'b' is no student above it"),
        ("a: {}, b: {twin_of: a}, c: {twin_of: b}", r"students\.c\.twin_of: 'b' has a twin itself"),
        ("a: {}, b: {twin_of: a, finetune: true}", r"students\.b: a twin is not fine-tuned"),
    ):
        with pytest.raises(MtkdError, match=message):
            load_recipe("demo", [f"students={{{students}}}"])
    # A student of another name has other random numbers, so the text says nothing of twins.
    other = STUDIES["generations"](load_recipe("demo", ["students={kd: {}, plain: {}}"]))
    assert other.arm("paper").what == "kd" and not other.contrasts[0].pairs
    assert STUDIES["generations"](demo).contrasts[0].pairs == {"paper": "none"}


def test_fields_of_later_versions_keep_older_identities(demo: Recipe) -> None:
    ids = [run.run_id for run in main_runs(demo)]
    # As in the committed scores of the demo, made before those fields were there.
    committed = pd.read_csv("results/reference/demo/scores.csv")["run_id"]
    assert set(committed) <= set(ids)
    other = replace(demo, students={"mtdnn-kd": Distillation(anneal=True)})
    assert not {r.run_id for r in main_runs(other) if r.stage == "distill"} & set(ids)


def test_an_arm_opens_with_its_own_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path))
    with pytest.raises(MtkdError, match="needs encoders-uncased"):
        open_run("smoke", "distill", "mtdnn-kd", 1, "targets/w0-t2")
    with pytest.raises(MtkdError, match="unknown study 'x'"):
        open_run("smoke", "distill", "mtdnn-kd", 1, "x/y")
    recipe, arm = arm_recipe(load_recipe("smoke"), "targets/w0-t2")
    assert recipe.students == {arm.system: Distillation(hard_weight=0, temperature=2)}


def test_changed_is_as_strict_as_a_file(demo: Recipe) -> None:
    assert changed(demo, []) == demo
    assert changed(demo, ["teachers.order=random"]).teachers.order == "random"
    with pytest.raises(MtkdError, match="did you mean 'order'"):
        changed(demo, ["teachers.oder=random"])


# ---------------------------------------------------------------------------- the losses


def test_mixed_targets_and_mixed_losses_are_one_at_temperature_one() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 3), torch.randint(3, (7,))
    soft = torch.softmax(torch.randn(7, 3), -1)
    for weight in (0.0, 0.3, 1.0):
        both = losses.mixed_loss(
            losses.hard_loss(logits, labels), losses.soft_loss(logits, soft), weight
        )
        target = losses.mixed_targets(labels, soft, weight)
        assert torch.allclose(target.sum(-1), torch.ones(7))
        assert losses.soft_loss(logits, target).item() == pytest.approx(both.item(), rel=1e-6)


def test_random_teachers_are_drawn_by_the_seed() -> None:
    ranking = [{"what": letter} for letter in "abcdef"]
    random = Teachers(choose=3, order="random")
    drawn = {tuple(c["what"] for c in choose(ranking, random, seed)) for seed in range(30)}
    assert len(drawn) > 10 and all(len(set(three)) == 3 for three in drawn)
    assert choose(ranking, random, 4) == choose(ranking, random, 4)
    assert [c["what"] for c in choose(ranking, Teachers(choose=2), 4)] == ["a", "b"]


# ---------------------------------------------------------------------------- tables and text


def made_up(study: Study, points: dict[str, list[float]]) -> pd.DataFrame:
    """Scores of every arm and task; STS-B a point lower. The four without teachers are alike."""
    if study.base == "alone":
        points = {f"none-{number}": points["none"] for number in (1, 2, 3)} | points
    rows = [
        {"system": arm, "task": task, "split": "dev", "metric": "m", "seed": seed}
        | {"value": value - (task == "stsb")}
        for arm, values in points.items()
        for seed, value in enumerate(values)
        for task in TASKS
    ]
    return pd.DataFrame(rows)


def test_table_by_hand_and_the_reading_that_follows_it(demo: Recipe) -> None:
    study = targets(demo)
    base = [60.0, 61.0, 62.0, 63.0, 64.0]
    points = {
        "none": base,
        "w0.5-t1": [value + 2 for value in base],
        "w0-t1": [value + gain for value, gain in zip(base, (-1, 1, -1, 1, 0), strict=True)],
        "annealed": [value + 3 for value in base],
    }
    values = study_tables.study_values(study, made_up(study, points), ("mnli", "rte"))
    table = study_tables.study_table(study, values).set_index("Arm")
    paper = table.loc["label weight 0.5, temperature 1 (the paper's)"]
    assert paper["Mean of 3"].startswith("63.7 [")  # 62 + 2 - 1/3
    gains = [name for name in table.columns if name.startswith("Gain")]
    assert paper[gains].tolist() == ["+2.0 [+2.0, +2.0]"] * 4  # the last one over its twin
    assert table["Seeds"].unique().tolist() == ["5"]

    text = study_tables.reading(study, values)
    assert "Largest gain of 3 arms: teacher annealing: label weight from 0 to 1, +3.0" in text
    assert "The paper's setting has +2.0 [+2.0, +2.0] points (n = 5)" in text
    assert "the first arm less it is +1.0 [+1.0, +1.0] points (n = 5), a gain" in text
    lowest = re.search(r"Smallest: label weight 0, temperature 1, 0.0 .*?; not told apart", text)
    assert lowest, text


def test_committed_tables_and_texts_state_their_own_numbers() -> None:
    folder = paths.home() / "results" / "demo" / "tables"
    recipe = load_recipe("demo")
    written = {study_tables.file_stem(make(recipe)): make(recipe) for make in STUDIES.values()}
    found = sorted(folder.glob("study_*.csv"))
    assert {STUDIES[name](recipe).name for name in ABLATIONS} <= {
        written[path.stem].name for path in found
    }
    for path in found:
        values = read_values(path)
        study, page = written[path.stem], path.with_suffix(".md").read_text(encoding="utf-8")
        assert study_tables.reading(study, values) in page
        rows = markdown(study_tables.study_table(study, values)).splitlines()
        lines = page.splitlines()
        for row in (rows[0], *rows[2:]):  # `sizes` has columns of costs beside
            assert any(line.startswith(row.removesuffix(" |")) for line in lines), row


def test_few_seeds_have_no_verdict(demo: Recipe) -> None:
    study = targets(demo)
    points = {"none": [60.0, 61.0], "w0.5-t1": [70.0, 71.0]}
    values = study_tables.study_values(study, made_up(study, points), ("mnli",))
    assert "+10.0 points (n = 2, too few for an interval)" in study_tables.reading(study, values)
    assert "a gain" not in study_tables.reading(study, values)
    nothing = values[values["system"] == "none"]
    assert "No arm" in study_tables.reading(study, nothing)


def test_smaller_students_are_measured_by_their_own_size(demo: Recipe) -> None:
    study = STUDIES["sizes"](demo)
    small = study.arm("l1-h16")
    assert small.base == "none-l1-h16" and study.arm(small.base).base == small.base
    assert "l2-h64" not in {arm.name for arm in study.arms}  # the whole size
    runs = arm_runs(demo, study, small)
    encoder = next(parent for parent in runs[0].parents if parent.stage == "encoders")
    assert (encoder.settings["layers"], encoder.settings["hidden"]) == (1, 16)
    # The teachers are those of the recipe: they speak through predictions.
    teachers = next(parent for parent in runs[0].parents if parent.stage == "teachers")
    assert teachers.run_id in {run.run_id for run in main_runs(demo)}

    points = {"none": [70.0, 71.0], "none-l1-h16": [60.0, 61.0], "l1-h16": [63.0, 64.0]}
    values = study_tables.study_values(study, made_up(study, points), ("mnli", "rte"))
    gain = values[(values["system"] == "l1-h16") & (values["task"] == "gain")]
    assert gain["value"].item() == pytest.approx(3)
    costs = pd.DataFrame(
        {"parameters": [164000, 20000, 20000], "examples_per_second": [3000, 9000, 9500]},
        index=["none", "none-l1-h16", "l1-h16"],
    ).assign(latency_ms=1.25)
    table = study_tables.with_costs(study, study_tables.study_table(study, values), costs)
    assert table.set_index("Arm").loc["1 layer, 16 wide", "Parameters"] == "20,000"
    figure = question_figures.size_figure(study, values, costs, {"value": 72.0, "members": 3})
    assert [axes.get_xscale() for axes in figure.axes] == ["log"] * 3


def test_a_loaded_encoder_keeps_its_first_layers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=8,
    )
    whole = BertModel(config, add_pooling_layer=False)
    whole.save_pretrained(tmp_path)
    part = load_encoder(str(tmp_path), layers=2)
    weights = part.state_dict()
    assert part.config.num_hidden_layers == 2 and len(part.encoder.layer) == 2
    assert all(torch.equal(whole.state_dict()[name], value) for name, value in weights.items())
    with pytest.raises(MtkdError, match="the width of a loaded encoder is given"):
        load_recipe("smoke", [f"encoders.uncased={{path: {tmp_path}, hidden: 4}}"])


def test_students_may_be_taught_by_students_above_them() -> None:
    recipe = load_recipe("smoke")
    runs = {run.what: run for run in main_runs(arm_recipe(recipe, "generations/third")[0])}
    assert {parent.what for parent in runs["third"].parents} == {
        "uncased",
        "second-1",
        "second-2",
        "second-3",
    }
    assert {parent.what for parent in runs["second-1"].parents} >= {"first-1", "first-2", "first-3"}
    with pytest.raises(MtkdError, match="taught_by: 'b' is no student above it"):
        load_recipe("smoke", ["students={a: {taught_by: [b]}, b: {}}"])


def test_text_is_compared_with_the_labels_again(demo: Recipe) -> None:
    study = STUDIES["unlabelled"](demo)
    teachers: dict[str, set[str]] = {}
    for arm in study.arms:
        run = arm_runs(demo, study, arm)[0]
        how = run.settings["distillation"]
        again = [contrast.pairs.get(arm.name) for contrast in study.contrasts[1:2]]
        for other in filter(None, (arm.base, *again)):
            against = arm_runs(demo, study, study.arm(other))[0]
            told = against.settings["distillation"]
            assert how.get("unlabelled") == told.get("unlabelled")  # as many examples
            assert against.settings["training"] == run.settings["training"]
            assert other == arm.name or told.get("again") or not how.get("unlabelled")
        found = next(parent for parent in run.parents if parent.stage == "teachers")
        teachers.setdefault(arm.name.split("-")[-2], set()).add(found.run_id)
    # With all labels and no text the teachers are the main table's.
    assert {share: len(ids) for share, ids in teachers.items()} == {"s0.1": 1, "s0.25": 1, "s1": 2}
    main = {run.run_id for run in main_runs(demo)}
    assert {run.run_id for run in arm_runs(demo, study, study.arm("s1-u0"))} <= main
    with pytest.raises(MtkdError, match=r"students.kd.unlabelled: expected at most data.pool, 1"):
        load_recipe("demo", ["students={kd: {unlabelled: 2}}", "data.pool=1"])
    with pytest.raises(MtkdError, match=r"unlabelled.amounts: expected 0 first"):
        load_recipe("demo", ["unlabelled.amounts=[0.5]"])
    with pytest.raises(MtkdError, match="ranking needs whole questions"):
        load_recipe("demo", ["heads.qnli=ranking", "data.share=0.5"])


@given(count=st.integers(1, 60), units=st.integers(1, 40))
def test_a_larger_amount_of_text_holds_the_smaller(count: int, units: int) -> None:
    lengths = np.full(units, 3)
    item = SimpleNamespace(unit_rows=None, encoded=lengths)
    drawn = [int(rows[0]) for rows in drawn_units(item, count)]  # type: ignore[arg-type]
    more = [int(rows[0]) for rows in drawn_units(item, count + 5)]  # type: ignore[arg-type]
    assert more[:count] == drawn and len(drawn) == count
    seen = np.bincount(drawn, minlength=units)
    assert seen.max() - seen.min() <= 1  # all again before any a third time


def test_teachers_that_label_text_are_told_apart_by_their_tasks(demo: Recipe) -> None:
    def ids(stage: str, *settings: str) -> list[str]:
        runs = main_runs(load_recipe("demo", list(settings)))
        return [run.run_id for run in runs if run.stage == stage]

    def teachers(*settings: str) -> str:
        return ids("teachers", *settings)[0]

    fewer = "teachers.tasks=[rte]"
    assert teachers() == teachers(fewer)  # they predict every task's own examples
    assert teachers("data.pool=1") not in (teachers(), teachers("data.pool=1", fewer))
    # Models that never see the text are the same whatever there is of it.
    for stage in ("baselines", "mtdnn"):
        assert ids(stage, "data.pool=1") == ids(stage)
    assert not set(ids("distill", "data.pool=1")) & set(ids("distill"))


def test_an_arm_may_be_the_mean_of_others(demo: Recipe) -> None:
    study = STUDIES["generations"](demo)
    base = [60.0, 61.0, 62.0, 63.0, 64.0]
    gains = {"none": [0, 0, 0, 0, 0], "paper": [4, 4, 4, 4, 4], "first-1": [0, 0, 0, 0, 4]}
    gains |= {"first-2": [0, 0, 0, 4, 0], "first-3": [0, 4, 0, 0, 0]}
    gains |= {"none-1": [2, 2, 2, 2, 2], "none-2": [0, 0, 0, 0, 0], "none-3": [0, 0, 0, 0, 0]}
    points = {arm: list(np.add(base, more)) for arm, more in gains.items()}
    values = study_tables.study_values(study, made_up(study, points), ("mnli", "rte"))
    row = values[(values["system"] == "draws") & (values["task"] == "gain")].iloc[0]
    assert row["value"] == pytest.approx(np.mean([1, 2, 2, 1, 2]) - 0.5) and row["n"] == 5
    nobody = values[values["system"] != "draws"]
    assert study_tables.teachers_alone(nobody) == ""
    said = study_tables.teachers_alone(values)
    assert "numbers, it is +4.0 [+4.0, +4.0] points (n = 5), a gain. What one draw" in said
    assert "that twin stands -0.5 [-0.5, -0.5] points (n = 5) over the mean" in said
    gain = "+1.1 [+0.7, +1.5] points (n = 5), a gain"  # the four without teachers are 0.5 ahead
    assert said.endswith(f"{gain}; tasks with a teacher {gain}; other tasks {gain}.")
    text = study_tables.reading(study, values)
    assert "Largest gain of 4 arms: taught by the ensemble, draw 1, +3.5" in text
    assert f"Taught by the ensemble, mean of the four: {gain}." in text
    assert not arm_runs(demo, study, study.arm("draws"))
    with pytest.raises(MtkdError, match="draws is a mean and has no run; open one of paper, f"):
        arm_recipe(demo, "generations/draws")


def test_gains_are_split_by_the_tasks_that_an_arm_has_teachers_for(demo: Recipe) -> None:
    study = STUDIES["teacher-tasks"](demo)
    scores = made_up(study, dict.fromkeys(("none", "rte", "paper", "all"), [60.0, 61.0] * 3))
    taller = scores["system"].isin(["rte", "all"]) & (scores["task"] == "rte")
    scores.loc[taller, "value"] += 6.0
    values = study_tables.study_values(study, scores, demo.teachers.tasks)
    table = study_tables.study_table(study, values).set_index("Arm")
    columns = [f"Gain over {ALONE}", "Gain, tasks with a teacher", "Gain, other tasks"]
    shown = table[columns].map(lambda text: text.split(" ")[0])
    assert shown.loc["RTE alone"].tolist() == ["+2.0", "+6.0", "0.0"]  # of MNLI, RTE and STS-B
    assert shown.loc["all 8 tasks"].tolist() == ["+2.0", "+2.0", "-"]
    study = STUDIES["heads"](demo)
    heads = made_up(study, {"recipe": [1.0] * 5, "linear": [2.0] * 5})
    heads = study_tables.study_values(study, heads, TASKS)
    assert set(heads["task"]) == {*TASKS, "mean", "gain"}  # nobody has a teacher there


def test_teacher_tasks_are_those_that_are_there(tmp_path: Path) -> None:
    for folder in ("CoLA", "RTE"):
        (tmp_path / folder).mkdir()
    recipe = load_recipe("demo", ["tasks=[cola,rte,mnli]"], str(tmp_path))
    titles = [arm.title for arm in STUDIES["teacher-tasks"](recipe).arms]
    assert titles[4:] == [ALONE, "RTE", "all 2 tasks"]
    nobody = load_recipe("demo", ["tasks=[cola]", "teachers.by=[mnli]"], str(tmp_path))
    study = STUDIES["teacher-tasks"](nobody)
    assert [arm.title for arm in study.arms[4:]] == [ALONE, "all 1 tasks"] and study.paper is None


def test_a_gain_is_said_where_the_wider_interval_has_it_too() -> None:
    points = (0.1, 0.2, 0.4, 1.9, 2.4)  # bootstrap about [0.2, 1.8], Student's t [-0.3, 2.3]
    row = row_of("a", OURS, "gain", estimate(pd.Series(points)))
    assert row["low"] > 0 and verdict(row) == "not told apart"
    known = ttest_1samp(points, 0).confidence_interval(0.95)
    assert t_interval(points) == pytest.approx((known.low, known.high))
    steady = row_of("a", OURS, "gain", estimate(pd.Series(points) + 2))
    assert verdict(steady) == "a gain"


def test_ensembles_by_size_by_hand() -> None:
    rows = [(1, 1, True, True, 60.0, 0.0, np.nan), (1, 1, False, True, 58.0, 0.0, np.nan)]
    rows += [(1, 2, True, False, 63.0, 4.0, 10.0)]
    rows += [(1, 2, False, True, 61.0, g, d) for g, d in ((1.0, 5.0), (2.0, 6.0), (3.0, 9.0))]
    names = ["seed", "size", "best", "drawn", "score", "gain", "disagreement"]
    found = pd.DataFrame(rows, columns=names)
    seeds = ensemble_sizes.by_seed(found).set_index("size")
    assert seeds.loc[1, ["best", "any"]].tolist() == [60.0, 59.0]
    assert seeds.loc[2, ["best", "any", "gain"]].tolist() == [63.0, 61.0, 2.0]
    assert seeds.loc[2, "disagreement"] == pytest.approx(20 / 3)
    assert ensemble_sizes.diversity(found, 2).tolist() == [1.0]
    said = ensemble_sizes.diversity_said(found, 2)
    assert "differ more gain too few seeds to tell: rank correlation +1.00 (n = 1)" in said
    table = ensemble_sizes.size_table(found)
    assert table["Any, less its members' mean"].tolist() == ["0.0", "+2.0"]
    assert len(ensemble_sizes.drawn(6, 3, 0)) == 20 and ensemble_sizes.drawn(3, 2, 0)[0] == (0, 1)


def test_ensembles_are_scored_from_stored_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    idx, gold = np.arange(4), np.array([0, 1, 0, 1])
    # Three members of RTE: right on 4, 3 and 2 of 4 examples; where they err they are less sure.
    sure, unsure = 4.0, 1.0
    wrong: tuple[list[int], ...] = ([], [1], [1, 2])
    members = {}
    for number, errors in enumerate(wrong):
        logits = np.where(gold[:, None] == np.arange(2), sure, 0.0).astype(np.float32)
        logits[errors] = logits[errors, ::-1] * unsure / sure
        labels = GLUE["rte"].labels
        found = Predictions("rte", "dev", labels, idx, logits, f"member {number}")
        members[f"run-{number}"] = {("rte", "dev"): found}
    record = SimpleNamespace(details={"members": [(name, "teacher") for name in members]})
    run = SimpleNamespace(seed=1, run_id="teachers")
    monkeypatch.setattr(ensemble_sizes, "widest_teachers", lambda results: [run])
    monkeypatch.setattr(ensemble_sizes.records, "read_record", lambda folder: record)
    monkeypatch.setattr(ensemble_sizes, "read_member", lambda results, name, *_: members[name])
    monkeypatch.setattr(ensemble_sizes, "dev_labels", lambda results: {("rte", "dev"): (idx, gold)})
    monkeypatch.setattr(ensemble_sizes, "run_folder", lambda *_: Path())
    found = ensemble_sizes.ensembles_by_size(SimpleNamespace(folder=Path()))  # type: ignore[arg-type]
    single = found[found["size"] == 1]
    assert single["score"].tolist() == [100.0, 75.0, 50.0] and single["best"].tolist() == [1, 0, 0]
    pairs = found[found["size"] == 2]  # members 0 and 1, 0 and 2, 1 and 2
    assert pairs["disagreement"].tolist() == [25.0, 50.0, 25.0]
    assert pairs["score"].tolist() == [100.0, 100.0, 75.0]  # the sure member wins
    assert pairs["gain"].tolist() == [12.5, 25.0, 12.5]
    assert found["drawn"].all() and len(found) == 3 + 3 + 1


def test_what_text_adds_is_read_beside_what_teachers_add(demo: Recipe) -> None:
    study = STUDIES["unlabelled"](demo)
    base = [60.0, 61.0, 62.0, 63.0, 64.0]
    gains = {"none-s0.1-u0": 0, "s0.1-u0": 2, "none-s0.1-u1": 1, "again-s0.1-u1": 2, "s0.1-u1": 6}
    points = {arm: [value + gain for value in base] for arm, gain in gains.items()}
    values = study_tables.study_values(study, made_up(study, points), ("mnli", "rte"))
    table = study_tables.study_table(study, values).set_index("Arm")
    row = table.loc["10 % of the labels, 1 x text"]
    assert row["Gain over no teacher"] == "+5.0 [+5.0, +5.0]"
    assert row["Gain over the labelled examples again"] == "+4.0 [+4.0, +4.0]"
    text = study_tables.reading(study, values)
    assert (
        "10 % of the labels, 1 x text: +4.0 [+4.0, +4.0] points (n = 5) over the labelled" in text
    )
    assert row["Gain over no text, the same labels"] == "+4.0 [+4.0, +4.0]"
    assert "1 x text: +4.0 [+4.0, +4.0] points (n = 5) over no text, the same labels, a g" in text
    figure = question_figures.unlabelled_figure(study, values)
    assert len(figure.axes[0].lines) == 3  # one share: text, labels again, no teacher


def test_few_labels_start_from_four_models(demo: Recipe, tmp_path: Path) -> None:
    study = STUDIES["few-labels"](demo)
    runs = {arm.name: arm_runs(demo, study, arm) for arm in study.arms}
    for start, stage in (("bert", "encoders"), ("mtdnn", "mtdnn"), ("mtdnn-kd", "distill")):
        first, *others = [runs[f"{start}-{share:g}"][0] for share in demo.few_labels.shares]
        assert all(run.run_id == first.run_id for run in others)  # one run answers for all shares
        assert first.parents[-1].stage == stage and first.parents[0].what == "uncased"
    untaught = runs["none-0.1"][0].parents[-1]
    assert untaught.settings["distillation"]["hard_weight"] == 1

    (tmp_path / "RTE").mkdir()
    recipe = load_recipe("demo", ["studies=[few-labels]", "teachers.by=[rte]"], str(tmp_path))
    assert not STUDIES["few-labels"](recipe).arms
    assert any("few labels: snli, scitail not in" in line for line in notices(recipe))


@given(count=st.integers(1, 500), steps=st.integers(1, 300), epochs=st.integers(1, 20))
def test_few_examples_are_seen_often_enough(count: int, steps: int, epochs: int) -> None:
    training = Training(epochs=epochs, batch_size=16)
    rows = np.concatenate(repeated_rows(count, training, steps))
    seen = np.bincount(rows, minlength=count)
    assert len(set(seen)) == 1 and len(seen) == count
    assert epochs * -(-len(rows) // 16) >= steps
    assert seen[0] == 1 or epochs * (len(rows) - count) < steps * 16  # and no more than that


# ---------------------------------------------------------------------------- what is learnt


def test_label_noise_and_habits_as_read(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = pd.DataFrame(
        [("rte", seed, 20.0, 40.0 + seed, 5.0) for seed in range(5)],
        columns=["task", "seed", "noisy", "corrected", "spoilt"],
    )
    habits = pd.DataFrame(
        [("mtdnn", s, 80.0, 5.0) for s in range(5)]
        + [("mtdnn-kd", s, 83.0, 3.0) for s in range(5)],
        columns=["system", "seed", "agreement", "calibration"],
    )
    text = learnt.reading(noise, habits)
    assert "42.0 [40.8, 43.2] % (n = 5) of the wrong training labels" in text
    # 0.8 of the labels are right, and the soft target for 0.95 of those and 0.42 of the others
    assert "right for 84.4 [84.2, 84.6] % (n = 5) of all, the label for 80.0 [80.0" in text
    assert "Student less MT-DNN: calibration error -2.0 [-2.0, -2.0] points (n = 5)" in text
    assert "as the ensemble answers them +3.0 [+3.0, +3.0] points (n = 5)" in text
    row = learnt.noise_table(noise).iloc[0]
    assert row["Wrong labels corrected, %"] == "42.0 [40.8, 43.2]" and row["Task"] == "RTE"
    one_seed = learnt.reading(noise[:1], habits[habits["seed"] == 0])  # there is no interval
    assert "40.0 % (n = 1, too few for an interval) of the wrong training labels" in one_seed
    assert learnt.reading(noise[:0], habits[:0]) == "No teachers or students are finished yet."


def test_the_committed_page_states_its_own_numbers() -> None:
    folder = paths.home() / "results" / "demo" / "tables"
    noise, habits = (pd.read_csv(folder / f"learnt_{n}.csv") for n in ("labels", "systems"))
    assert learnt.learnt_page(noise, habits) == (folder / "learnt.md").read_text(encoding="utf-8")


def test_agreement_by_hand() -> None:
    def outputs(task: str, answers: list[int]) -> Outputs:
        return Outputs(task, 1, np.eye(3, dtype=np.float32)[answers], np.zeros(len(answers)))

    teacher = {("mnli", 1): outputs("mnli", [0, 1, 2, 0]), ("rte", 1): outputs("rte", [0, 1])}
    mine = [outputs("mnli", [0, 1, 2, 1]), outputs("rte", [1, 1])]
    assert learnt.agreement(mine, teacher) == pytest.approx((75 + 50) / 2)
    assert np.isnan(learnt.agreement(mine, {}))


def test_figures_are_drawn_of_whatever_is_finished(demo: Recipe) -> None:
    found = pd.DataFrame(
        {"seed": 1, "size": [1, 2], "best": True, "drawn": True, "score": [60.0, 61.0]}
        | {"gain": [0.0, 0.5], "disagreement": [np.nan, 20.0]}
    )
    for name, make in STUDIES.items():
        study = make(demo)
        arms = (study.arms[0], study.arms[1], study.arms[-1])
        some = {study.base, *(arm.name for arm in arms), *(arm.base or study.base for arm in arms)}
        values = study_tables.study_values(
            study, made_up(study, {arm: [60.0 + len(arm)] * 5 for arm in some}), ("mnli",)
        )
        panels = {"targets": 2, "ensembles": 3, "few-labels": len(TASKS)}
        if name == "few-labels":
            figure = question_figures.few_labels_figure(study, values, dict.fromkeys(TASKS, 2000))
        elif name == "unlabelled":
            figure = question_figures.unlabelled_figure(study, values)
        elif name == "ensembles":
            figure = study_figures.ensembles_figure(study, values, found, 2)
        else:
            figure = study_figures.study_figure(study, values)
        assert len(figure.axes) == panels.get(name, 1)
