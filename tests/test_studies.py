"""Studies: variants that share runs and budget, tables with golden numbers, figures of all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from mtkd.analysis import ensemble_sizes, study_tables
from mtkd.analysis import teacher_analysis as teachers
from mtkd.analysis.evaluations import Outputs
from mtkd.analysis.study_figures import curves, forest
from mtkd.analysis.study_tables import GAIN, MEAN, ON_OTHERS, ON_TAUGHT
from mtkd.analysis.views import View, write
from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE
from mtkd.experiments.opening import open_run
from mtkd.experiments.plans import expand, main_runs, notices, variant_runs
from mtkd.experiments.recipes import available, load_recipe
from mtkd.experiments.settings import Recipe, Teachers
from mtkd.experiments.studies.registry import (
    make_study,
    named,
    studies,
    study_groups,
    variant_recipe,
)
from mtkd.experiments.studies.study import REGISTERED, Study, register_study, student
from mtkd.experiments.systems.few_labels import repeated_rows
from mtkd.experiments.systems.student import drawn_units
from mtkd.experiments.systems.teachers import choose
from mtkd.experiments.validation import changed
from mtkd.method.settings import Training
from mtkd.method.targets import Predictions

TASKS = ("mnli", "rte", "stsb")
BASE = [60.0, 61.0, 62.0, 63.0, 64.0]


@pytest.fixture(scope="module")
def demo() -> Recipe:
    return load_recipe("demo", [f"studies=[{','.join(study_groups())}]"])


def ids(runs: object) -> list[str]:
    return [run.run_id for run in runs]  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------- definitions


@pytest.mark.parametrize("recipe_name", available())
@pytest.mark.parametrize("name", study_groups())
def test_every_study_of_every_recipe_expands(recipe_name: str, name: str) -> None:
    recipe = load_recipe(recipe_name, ["data.kind=toy"])
    study = make_study(recipe, name)
    names = [variant.name for variant in study.variants]
    assert len(set(names)) == len(names)
    factors = [frozenset(v.factors.items()) for v in study.variants if not v.mean_of]
    assert len(set(factors)) == len(factors)
    references = {study.reference_of(variant) for variant in study.variants} - {None}
    means = {name for variant in study.variants for name in variant.mean_of}
    pairs = {n for c in study.comparisons for pair in c.pairs.items() for n in pair}
    assert references and (references | means | pairs | {study.paper or names[0]}) <= set(names)
    for variant in study.variants:
        runs = variant_runs(recipe, study, variant)
        assert sorted(run.seed for run in runs) == sorted(recipe.seeds) or variant.mean_of
    if study.curve and not study.costs:
        drawn = {study.curve.factor, study.curve.lines}
        assert all(drawn <= set(variant.factors) for variant in study.variants)


def test_runs_in_common_are_made_once(demo: Recipe) -> None:
    main = {run.run_id: run for run in main_runs(demo)}
    runs = expand(demo)
    assert len(set(ids(runs))) == len(runs) and set(ids(runs)[: len(main)]) == set(main)
    place = {run_id: number for number, run_id in enumerate(ids(runs))}
    assert all(place[p.run_id] < place[run.run_id] for run in runs for p in run.parents)
    study = make_study(demo, "targets")
    (paper, *_), (soft, *_) = (
        variant_runs(demo, study, study.variant(name)) for name in ("w0.5-t1", "w0-t1")
    )
    assert {paper.run_id, soft.run_id} <= set(main)
    # No variant trains a candidate or an encoder again, but those with other heads or mixing
    alone = [run.run_id for run in expand(changed(demo, ["studies=[targets,generations]"]))]
    new = [run for run in runs if run.run_id in set(alone) - set(main)]
    assert {run.stage for run in new} == {"distill"}


def test_the_same_seed_control_is_one_student_of_the_main_table(demo: Recipe) -> None:
    main, found = set(ids(main_runs(demo))), set()
    for name in ("targets", "ensembles", "sizes", "generations"):
        study = make_study(demo, name)
        found |= set(ids(variant_runs(demo, study, study.variant("none"))))
    assert len(found) == len(demo.seeds) and found <= main
    # A student of another name has other random numbers, so it is no control
    other = make_study(load_recipe("demo", ["students={kd: {}, plain: {}}"]), "generations")
    assert other.variant("paper").run == "kd" and not other.comparisons[0].pairs
    assert make_study(demo, "generations").comparisons[0].pairs == {"paper": "none"}


def test_counterparts_differ_in_one_factor(demo: Recipe) -> None:
    study = make_study(demo, "unlabelled")
    again = study.comparisons[1].pairs
    assert {study.variant(name).factors["more"] for name in again} == {"unlabelled text"}
    for name, other in again.items():
        one, two = (variant_runs(demo, study, study.variant(n))[0].settings for n in (name, other))
        assert one["distillation"] == two["distillation"] | {"repeat_labelled": False}
        assert one["training"] == two["training"]
    sizes = make_study(demo, "sizes")
    pairs = [(v, sizes.variant(r)) for v in sizes.variants if (r := sizes.reference_of(v))]
    assert all({**one.factors, "teachers": False} == two.factors for one, two in pairs)


def test_the_teachers_of_an_amount_of_text_are_shared(demo: Recipe) -> None:
    study = make_study(demo, "unlabelled")
    found: dict[float, set[str]] = {}
    for variant in study.variants:
        fraction = float(variant.factors["fraction of labels"])
        parents = variant_runs(demo, study, variant)[0].parents
        teachers = ids(run for run in parents if run.stage == "teachers")
        assert bool(teachers) == (variant.factors["more"] != "labels again, no teacher")
        found.setdefault(fraction, set()).update(teachers)
    # With all labels and no text they are the main table's
    assert {fraction: len(runs) for fraction, runs in found.items()} == {0.1: 1, 0.25: 1, 1: 2}


def test_a_study_from_outside_is_registered(demo: Recipe) -> None:
    def mine(recipe: Recipe) -> Study:
        variants = (student(recipe, "none", "no teacher", hard_weight=1.0),)
        return Study("Mine", "Is it?", "See.", variants, reference="none")

    register_study("mine")(mine)
    try:
        assert [s.name for s in studies(changed(demo, ["studies=[mine]"]))] == ["mine"]
        assert "mine" in named(["open-questions"])
        with pytest.raises(MtkdError, match="study 'mine'"):
            register_study("mine")(lambda recipe: mine(recipe))
    finally:
        del REGISTERED["mine"]


def test_unknown_names_are_refused(
    demo: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong, expected in (
        (lambda: named(["x"]), "--with 'x': expected one of ablations, open-questions, targets"),
        (lambda: make_study(demo, "x"), "unknown study 'x'"),
        (lambda: variant_recipe(demo, "targets/x"), "study targets has no variant 'x'"),
        (lambda: variant_recipe(demo, "targets/no-teacher"), "is a mean and has no run"),
    ):
        with pytest.raises(MtkdError, match=expected):
            wrong()
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path))
    with pytest.raises(MtkdError, match="needs encoders-uncased"):
        open_run("smoke", "distill", "mtdnn-kd", 1, "targets/w0-t2")


def test_studies_of_the_tasks_that_are_there(tmp_path: Path) -> None:
    for folder in ("CoLA", "RTE"):
        (tmp_path / folder).mkdir()
    recipe = load_recipe("demo", ["tasks=[cola,rte,mnli]", "studies=[few-labels]"], str(tmp_path))
    tasks = [v.tasks for v in make_study(recipe, "teacher-tasks").variants if v.tasks]
    assert tasks == [("rte",), ("cola", "rte")]
    assert not make_study(recipe, "few-labels").variants and not list(studies(recipe))
    assert any("few labels: snli, scitail not in" in line for line in notices(recipe))


# ---------------------------------------------------------------------------- tables


def made_up(points: dict[str, list[float]]) -> pd.DataFrame:
    """Scores of variants on three tasks, one value per seed; STS-B a point lower."""
    return pd.DataFrame(
        {"system": name, "task": task, "split": "dev", "metric": "m", "seed": seed}
        | {"value": value - (task == "stsb")}
        for name, values in points.items()
        for seed, value in enumerate(values)
        for task in TASKS
    )


def found(values: pd.DataFrame, variant: str, measure: str) -> pd.Series:
    rows = values[(values["system"] == variant) & (values["task"] == measure)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_gains_and_verdicts_agree_with_scipy(demo: Recipe) -> None:
    study = make_study(demo, "heads")
    gains = {"linear": [1.0, 1.2, 0.9, 1.4, 1.1], "san-1": [-2.0, -1.0, -1.5, -1.2, -1.8]}
    gains |= {"san-2": [0.1, 0.2, 0.4, 1.9, 2.4]}  # all above zero, and yet no clear difference
    points = {name: list(np.add(BASE, more)) for name, more in gains.items()} | {"recipe": BASE}
    values = study_tables.study_values(study, made_up(points), demo.teachers.tasks)
    for name, more in gains.items():
        golden = ttest_1samp(more, 0).confidence_interval(0.95)
        row = found(values, name, GAIN)
        assert (row["low"], row["high"]) == pytest.approx((golden.low, golden.high))
    table = study_tables.study_table(study, values).set_index("Variant")
    assert table["Verdict"].tolist() == ["-", "gain", "loss", "no clear difference"]
    assert table.loc["linear heads", "Mean of 3"].startswith("62.8 [")  # 62 + 1.12 - 1/3
    assert ON_TAUGHT not in set(values["task"])  # no teacher takes part


def test_few_seeds_have_no_verdict(demo: Recipe) -> None:
    study = make_study(demo, "heads")
    scores = made_up({"recipe": [60.0, 61.0], "linear": [70.0, 71.0]})
    table = study_tables.study_table(study, study_tables.study_values(study, scores, ()))
    assert table["Verdict"].tolist() == ["-", "-"] and table["Seeds"].tolist() == ["2", "2"]


def test_a_mean_of_replicates_is_seed_by_seed(demo: Recipe) -> None:
    study = make_study(demo, "generations")
    gains = {"none": [0.0] * 5, "none-1": [2.0] * 5, "none-2": [0.0] * 5, "none-3": [0.0] * 5}
    gains |= {"paper": [4.0] * 5, "first-1": [0.0, 0, 0, 0, 4], "first-2": [0.0, 0, 0, 4, 0]}
    gains |= {"first-3": [0.0, 4, 0, 0, 0]}
    scores = made_up({name: list(np.add(BASE, more)) for name, more in gains.items()})
    values = study_tables.study_values(study, scores, ("mnli", "rte"))
    golden = ttest_1samp(np.array([1, 2, 1, 2, 2]) - 0.5, 0).confidence_interval(0.95)
    row = found(values, "taught", GAIN)
    assert row["value"] == pytest.approx(1.1)
    assert (row["low"], row["high"]) == pytest.approx((golden.low, golden.high))
    control, noise = study.comparisons[0].title, found(values, "none-1", GAIN)
    assert found(values, "paper", control)["value"] == pytest.approx(4)
    assert noise["value"] == pytest.approx(1.5)


def test_gains_are_split_by_the_tasks_with_teachers(demo: Recipe) -> None:
    study = make_study(demo, "teacher-tasks")
    names = ("none", "none-1", "none-2", "none-3", "rte", "paper", "all")
    scores = made_up(dict.fromkeys(names, BASE))
    scores.loc[scores["system"].isin(["rte", "all"]) & (scores["task"] == "rte"), "value"] += 6.0
    values = study_tables.study_values(study, scores, demo.teachers.tasks)
    rte = [found(values, "rte", measure)["value"] for measure in (GAIN, ON_TAUGHT, ON_OTHERS)]
    assert rte == pytest.approx([2, 6, 0])  # of MNLI, RTE and STS-B
    assert found(values, "all", ON_TAUGHT)["value"] == pytest.approx(2)
    assert "all" not in set(values.loc[values["task"] == ON_OTHERS, "system"])


@pytest.mark.parametrize("name", study_groups())
def test_every_study_has_a_table_and_a_figure(demo: Recipe, name: str, tmp_path: Path) -> None:
    study = make_study(demo, name)
    variants = [variant for variant in study.variants if not variant.mean_of]
    scores = made_up({v.name: [60.0 + at % 7, 61.0, 62.0] for at, v in enumerate(variants)})
    values = study_tables.study_values(study, scores, demo.teachers.tasks)
    costs = pd.DataFrame(
        {"parameters": 20000.0, "examples_per_second": 9e3, "latency_ms": 1.25},
        index=[variant.name for variant in variants],
    )
    table = study_tables.study_table(study, values, costs if study.costs else None)
    assert len(table) == len(study.variants) and ("Parameters" in table) == study.costs
    figure = curves(study, values, costs) if study.curve else forest(study, values)
    if study.curve is None:
        gains = values[values["task"] == GAIN]
        assert len(figure.axes[0].get_yticklabels()) == len(gains)
    else:
        panels = {"sizes": 1, "unlabelled": 3, "few-labels": len(TASKS)}
        assert len(figure.axes) == panels[name]
    written = write(View("x", "X", "A study.", ("Note.",), table, values, figure), tmp_path)
    assert all(path.stat().st_size for path in written)


def test_the_papers_scores_stand_beside_the_same_fraction(demo: Recipe) -> None:
    study = make_study(demo, "few-labels")
    one = made_up({"bert-0.001": BASE, "none-0.001": BASE}).query("task == 'rte'")
    scores = one.assign(task="snli")
    values = study_tables.study_values(study, scores, ())
    paper = values[values["source"] != "this run"]
    assert paper[["system", "task", "value"]].values.tolist() == [["bert-0.001", "snli", 52.5]]
    drawn = curves(study, values).axes[0].lines
    assert len(drawn) == 3 and MEAN not in {axes.get_title() for axes in drawn[0].figure.axes}  # type: ignore[union-attr]


# ---------------------------------------------------------------------------- from predictions


def test_ensembles_are_scored_from_stored_predictions() -> None:
    idx, gold = np.arange(4), np.array([0, 1, 0, 1])
    # Three members of RTE: right on 4, 3 and 2 of 4 examples; where they err they are less sure
    wrong: tuple[list[int], ...] = ([], [1], [1, 2])
    members = []
    for errors in wrong:
        logits = np.where(gold[:, None] == np.arange(2), 4.0, 0.0).astype(np.float32)
        logits[errors] = logits[errors, ::-1] / 4
        members.append(
            {("rte", "dev"): Predictions("rte", "dev", GLUE["rte"].labels, idx, logits, "")}
        )
    found = list(
        ensemble_sizes.scores_by_size(
            members, {("rte", "dev"): (idx, gold)}, 1, load_recipe("smoke")
        )
    )
    assert found[:2] == [("1", "best", 100), ("1", "any", 75)]
    # Members 0 and 1, 0 and 2, 1 and 2: 100, 100 and 75, for the sure member wins
    assert found[2:4] == [("2", "best", 100), ("2", "any", pytest.approx(275 / 3))]
    assert len(ensemble_sizes.drawn([{}] * 6, 3, 0)) == 20


def test_agreement_by_hand() -> None:
    def outputs(task: str, answers: list[int]) -> Outputs:
        return Outputs(GLUE[task], 1, np.eye(3, dtype=np.float32)[answers], np.zeros(len(answers)))

    ensemble = [outputs("mnli", [0, 1, 2, 0]), outputs("rte", [0, 1])]
    mine = [outputs("mnli", [0, 1, 2, 1]), outputs("rte", [1, 1])]
    assert teachers.agreement(mine, ensemble) == pytest.approx((75 + 50) / 2)
    assert np.isnan(teachers.agreement(mine, []))


# ---------------------------------------------------------------------------- what variants train


def test_random_teachers_are_drawn_by_the_seed() -> None:
    ranking = [{"variant": letter} for letter in "abcdef"]
    random = Teachers(choose=3, selection="random")
    drawn = {tuple(c["variant"] for c in choose(ranking, random, seed)) for seed in range(30)}
    assert len(drawn) > 10 and all(len(set(three)) == 3 for three in drawn)
    assert choose(ranking, random, 4) == choose(ranking, random, 4)
    assert [c["variant"] for c in choose(ranking, Teachers(choose=2), 4)] == ["a", "b"]


def test_students_are_taught_by_students_above_them() -> None:
    third, _ = variant_recipe(load_recipe("smoke"), "generations/third")
    runs = {run.variant: run for run in main_runs(third)}
    for name, before in (("third", "second"), ("second-1", "first")):
        names = {parent.variant for parent in runs[name].parents}
        assert names == {"uncased", *(f"{before}-{n}" for n in (1, 2, 3))}


@given(count=st.integers(1, 60), units=st.integers(1, 40))
def test_a_larger_amount_of_text_holds_the_smaller(count: int, units: int) -> None:
    item = SimpleNamespace(unit_rows=None, encoded=np.full(units, 3))
    drawn = [int(rows[0]) for rows in drawn_units(item, count)]  # type: ignore[arg-type]
    more = [int(rows[0]) for rows in drawn_units(item, count + 5)]  # type: ignore[arg-type]
    assert more[:count] == drawn and len(drawn) == count
    seen = np.bincount(drawn, minlength=units)
    assert seen.max() - seen.min() <= 1  # all again before any a third time


@given(count=st.integers(1, 500), steps=st.integers(1, 300), epochs=st.integers(1, 20))
def test_few_examples_are_seen_often_enough(count: int, steps: int, epochs: int) -> None:
    training = Training(epochs=epochs, batch_size=16)
    rows = np.concatenate(repeated_rows(count, training, steps))
    seen = np.bincount(rows, minlength=count)
    assert len(set(seen)) == 1 and len(seen) == count
    assert epochs * -(-len(rows) // 16) >= steps
    assert seen[0] == 1 or epochs * (len(rows) - count) < steps * 16  # and no more than that
