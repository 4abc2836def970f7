"""Studies: arms that share what they can, have one budget, and are read as their numbers say."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mtkd import losses, study_figures, study_tables
from mtkd.ensembles import choose
from mtkd.errors import MtkdError
from mtkd.recipes import STUDY_NAMES, Recipe, Teachers, changed, load_recipe
from mtkd.runs import arm_runs, expand, main_runs
from mtkd.settings import Distillation
from mtkd.studies import ABLATIONS, STUDIES, Study, arm_recipe, named, targets
from mtkd.workbench import open_run

TASKS = ("mnli", "rte", "stsb")


@pytest.fixture(scope="module")
def demo() -> Recipe:
    return load_recipe("demo", ["studies=[targets,ensembles,teacher-tasks,heads]"])


def test_every_name_is_a_study() -> None:
    assert tuple(STUDIES) == STUDY_NAMES
    assert named(["ablations", "targets"]) == ABLATIONS
    with pytest.raises(MtkdError, match="--with 'x': expected one of ablations, targets"):
        named(["x"])
    with pytest.raises(MtkdError, match="studies: 'x': expected different ones of targets"):
        load_recipe("demo", ["studies=[x]"])
    with pytest.raises(MtkdError, match="study targets has no arm 'x'; it has none, w0-t1"):
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


def test_fields_of_later_versions_keep_older_identities(demo: Recipe) -> None:
    ids = [run.run_id for run in main_runs(demo)]
    # As in the committed scores of the demo, made before those fields were there.
    committed = pd.read_csv("results/demo/scores.csv")["run_id"]
    assert set(committed) <= set(ids)
    other = replace(demo, students={"mtdnn-kd": Distillation(anneal=True)})
    assert not {r.run_id for r in main_runs(other) if r.stage == "distill"} & set(ids)


def test_an_arm_opens_with_its_own_recipe(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtkd.paths.RESULTS", tmp_path)
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


def test_annealing_goes_from_the_teacher_to_the_labels() -> None:
    assert [Distillation(anneal=True).weight(done) for done in (0, 0.25, 1)] == [0, 0.25, 1]
    assert [Distillation(hard_weight=0.3).weight(done) for done in (0, 1)] == [0.3, 0.3]


def test_random_teachers_are_drawn_by_the_seed() -> None:
    ranking = [{"what": letter} for letter in "abcdef"]
    random = Teachers(choose=3, order="random")
    drawn = {tuple(c["what"] for c in choose(ranking, random, seed)) for seed in range(30)}
    assert len(drawn) > 10 and all(len(set(three)) == 3 for three in drawn)
    assert choose(ranking, random, 4) == choose(ranking, random, 4)
    assert [c["what"] for c in choose(ranking, Teachers(choose=2), 4)] == ["a", "b"]


# ---------------------------------------------------------------------------- tables and text


def made_up(study: Study, points: dict[str, list[float]]) -> pd.DataFrame:
    """Scores of every arm and task; STS-B a point lower."""
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
    assert paper[gains].tolist() == ["+2.0 [+2.0, +2.0]"] * 3
    assert table["Seeds"].unique().tolist() == ["5"]

    text = study_tables.reading(study, values)
    assert "Highest of 3 arms: teacher annealing: label weight from 0 to 1, +3.0" in text
    assert "The paper's setting has +2.0 [+2.0, +2.0] points (n = 5)" in text
    assert "the highest less it is +1.0 [+1.0, +1.0] points (n = 5), a gain" in text
    lowest = re.search(r"Lowest: label weight 0, temperature 1, \+0.0 .*?; not told apart", text)
    assert lowest, text


def test_few_seeds_have_no_verdict(demo: Recipe) -> None:
    study = targets(demo)
    points = {"none": [60.0, 61.0], "w0.5-t1": [70.0, 71.0]}
    values = study_tables.study_values(study, made_up(study, points), ("mnli",))
    assert "+10.0 points (n = 2, too few for an interval)" in study_tables.reading(study, values)
    assert "a gain" not in study_tables.reading(study, values)
    nothing = values[values["system"] == "none"]
    assert "No arm" in study_tables.reading(study, nothing)


def test_figures_are_drawn_of_whatever_is_finished(demo: Recipe) -> None:
    sizes = pd.DataFrame(
        {"seed": 1, "size": [1, 2], "best": [60.0, 61.0], "any": [59.0, 60.5]}
        | {"disagreement": [np.nan, 20.0]}
    )
    for name, make in STUDIES.items():
        study = make(demo)
        some = [study.base, study.arms[1].name, study.arms[-1].name]
        values = study_tables.study_values(
            study, made_up(study, {arm: [60.0 + len(arm)] * 5 for arm in some}), ("mnli",)
        )
        figure = study_figures.study_figure(study, values, sizes if name == "ensembles" else None)
        assert len(figure.axes) == (2 if name in ("targets", "ensembles") else 1)
