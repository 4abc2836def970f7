"""The verdict on a student: its sentences from made-up answers, and from stored predictions."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtkd.analysis import verdict as judged
from mtkd.analysis.comparisons import Comparison
from mtkd.analysis.paired_examples import Difference, mean_difference
from mtkd.analysis.results import Results
from mtkd.analysis.statistics import mean_score, paired, score_matrix
from mtkd.analysis.verdict_views import verdict_view
from mtkd.app.publish import publish
from mtkd.data import metrics
from mtkd.data.loading import load_examples
from mtkd.data.tasks import Examples
from mtkd.experiments.plans import main_runs
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.records import Record, Score, prediction_file, run_folder, write_record
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe, Student
from mtkd.experiments.systems.teachers import teacher_system
from mtkd.experiments.task_sets import present_tasks
from mtkd.method import targets

TASKS = ("rte", "stsb", "mnli")


def made_up(values: Mapping[int, float], error: float, n: int = 1000) -> Difference:
    """A difference of these values by seed, so sure over examples."""
    return Difference({seed: (80 + value, 80.0) for seed, value in values.items()}, error, n)


def comparison(other: str, *tasks: Difference) -> Comparison:
    mean = mean_difference(tasks)
    assert mean is not None
    return Comparison(other, dict(zip(TASKS, tasks, strict=False)), mean)


def told(ensemble: Difference, control: Difference | None = None, margin: float = 1.0) -> str:
    alone = comparison("no-teacher", control) if control else None
    return str(judged.Verdict("mtdnn-kd", comparison("ensemble", ensemble), alone, margin))


# ---------------------------------------------------------------------------- sentences


def test_ship_keep_and_open_are_by_the_interval_and_the_margin() -> None:
    near = made_up({1: -0.3}, 0.25)  # -0.3 +- 0.5
    assert told(near).startswith(
        "Ship the student. Against the ensemble the student is at -0.3 [-0.8, +0.2]"
    )
    assert told(near, margin=0.5).startswith("The data cannot tell: about ")
    assert told(made_up({1: -3.0}, 0.5)).startswith(
        "Keep the ensemble. Against the ensemble the st"
    )
    # An interval that ends at the margin, as printed, does not leave it out.
    assert told(near, margin=0.8).startswith("The data cannot tell")
    # Worse for sure, and yet within the margin.
    assert told(made_up({1: -0.5}, 0.1)).startswith("Ship the student")


def test_how_many_more_examples_by_hand() -> None:
    # The distance to the margin is 1 point, a standard error of 1 on 1,000 examples: (2.802)^2
    # times as many make it 1 / 2.802, so that 6,850 more are needed.
    words = told(made_up({1: 0.0}, 1.0), margin=1.0)
    found = re.search(r"about ([\d,]+) more dev examples would", words)
    assert found and int(found[1].replace(",", "")) == pytest.approx(6850, rel=0.03)
    assert "not even 100 times as many" in told(made_up({1: -0.99}, 1.0))
    unsteady = made_up({1: -4.0, 2: 4.0, 3: 0.0, 4: 0.5}, 0.5)
    assert "add seeds" in told(unsteady)


def test_what_the_teachers_added() -> None:
    ensemble = made_up({1: -0.2, 2: -0.3, 3: -0.1}, 0.2)
    gain = told(ensemble, made_up({1: 2.0, 2: 2.4, 3: 2.2}, 0.3))
    assert "Its teachers added +2.2 [" in gain and "over seeds alone +2.2 [+1.7, +2.7]" in gain
    assert "not clear: +0.2 [" in told(ensemble, made_up({1: 0.2}, 0.3))
    assert "Its teachers did harm" in told(ensemble, made_up({1: -2.0, 2: -2.2, 3: -2.4}, 0.3))
    assert "same_seed_as: mtdnn-kd" in told(ensemble)


def test_a_task_that_loses_is_named_though_the_mean_is_well() -> None:
    tasks = made_up({1: -3.0}, 0.5), made_up({1: 2.0}, 0.5), made_up({1: 1.0}, 0.5)
    found = judged.Verdict("mtdnn-kd", comparison("ensemble", *tasks), None, 1.0)
    assert found.decision == judged.SHIP
    assert "But the ensemble is better on RTE (-3.0 [-4.0, -2.0])." in str(found)


def test_words_of_tasks_are_adjusted_for_their_number() -> None:
    # p of 1.2, 1.1 and 1.0 points at a standard error of 0.5: 0.016, 0.028, 0.046, adjusted 0.05
    # and more, though every interval leaves out zero.
    found = comparison("ensemble", *(made_up({1: value}, 0.5) for value in (1.2, 1.1, 1.0)))
    assert all(one.interval[0] > 0 for one in found.tasks.values())
    assert [found.words[task] for task in TASKS] == ["gain", *["no clear difference"] * 2]


# ---------------------------------------------------------------------------- stored predictions


def outputs_of(examples: Examples, seed: int, wrong: float) -> np.ndarray:
    """Outputs that are right but for a share of the examples, or for as much noise."""
    label, count = examples.label, len(examples.task.labels)
    assert label is not None
    random = np.random.default_rng([seed, len(label), round(100 * wrong)])
    if not count:
        return np.float32(label + random.normal(scale=10 * wrong, size=len(label)))[:, None]
    other = (label + random.integers(1, count, len(label))) % count
    answer = np.where(random.random(len(label)) < wrong, other, label)
    return np.float32(4 * np.eye(count)[answer])


def store(
    folder: Path, data: Sequence[Examples], system: str, run: Run, wrong: float
) -> tuple[Score, ...]:
    """Store a run's predictions, and return their scores."""
    scores: list[Score] = []
    for one in data:
        outputs = outputs_of(one, run.seed, wrong)
        stored = (one.task.name, one.split, one.task.labels, one.idx, outputs, run.run_id)
        path = prediction_file(folder, run.run_id, system, one.task.name, one.split)
        targets.write_predictions(path, targets.Predictions(*stored))
        if one.split == "train":
            continue
        found = metrics.compute(one.task, outputs, one.label)
        about = (system, one.task.name, one.split)
        scores += [Score(*about, metric, value, len(one)) for metric, value in found.items()]
    return tuple(scores)


WRONG = {"ensemble": 0.2, "mtdnn-kd": 0.22, "no-teacher": 0.4}


def made_of(recipe: Recipe, folder: Path) -> Results:
    """Finished runs whose student is near the ensemble, its twin without teachers far behind."""
    twin = Student(hard_weight=1.0, same_seed_as="mtdnn-kd")
    students = {"mtdnn-kd": recipe.students["mtdnn-kd"], "no-teacher": twin}
    recipe = replace(recipe, students=students)
    runs, tasks = tuple(main_runs(recipe)), present_tasks(recipe)
    splits = [(task, split) for task in map(recipe.task, tasks) for split in task.splits]
    data = [load_examples(recipe.data, *one) for one in splits if not one[1].startswith("test")]
    records = []
    for run in runs:
        system = {"teachers": "ensemble", "distill": run.variant}.get(run.stage, "")
        if system in WRONG:
            scores = store(folder, data, system, run, WRONG[system])
            about = (run.run_id, run.config_id, recipe.name, run.stage, run.variant, run.seed)
            settings = {"distillation": {"hard_weight": 0.5}}
            member = teacher_system("one")
            store(folder, data, member, run, WRONG[system])
            chosen = {"variant": "one", "encoder": "uncased", "dropout": 0.1, "score": 70.0}
            details = {"members": [(run.run_id, member)], "ranking": [chosen]}
            records.append(Record(*about, {}, settings, "", scores=scores, details=details))
            write_record(run_folder(folder, run.run_id), records[-1])
    return Results(recipe, folder, runs, tuple(records), tasks)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Three seeds on three toy tasks."""
    changes = ["tasks=[rte,stsb,mnli]", "seeds=[1,2,3]", "baselines=[bert]"]
    return made_of(load_recipe("smoke", changes), tmp_path_factory.mktemp("verdict"))


@pytest.fixture(scope="module")
def found(made: Results) -> judged.Verdict:
    verdict = judged.judge(made)
    assert verdict is not None
    return verdict


def test_differences_are_those_of_the_scores(made: Results, found: judged.Verdict) -> None:
    assert found.control is not None
    for one, other in ((found.ensemble, "ensemble"), (found.control, "no-teacher")):
        ours, theirs = (score_matrix(made.scores, name) for name in ("mtdnn-kd", other))
        for task, difference in one.tasks.items():
            assert difference.points == pytest.approx(paired(ours[task], theirs[task]).to_dict())
        means = paired(mean_score(ours, TASKS), mean_score(theirs, TASKS)).to_dict()
        assert one.other == other and one.mean.points == pytest.approx(means)
    assert found.control.words["mean"] == "gain" and set(found.control.rows) == {*TASKS, "mean"}


def test_two_dev_sets_are_as_sure_as_both_together(made: Results, found: judged.Verdict) -> None:
    """MNLI's score is the mean of two sets, which are drawn from apart: half of both errors."""
    first = judged.judge(replace(made, records=tuple(map(without_second, made.records))))
    assert first is not None
    two, one = (each.ensemble.tasks["mnli"] for each in (found, first))
    assert two.n == 2 * one.n and two.examples == pytest.approx(one.examples / 2**0.5, rel=0.25)


def without_second(record: Record) -> Record:
    return replace(record, scores=tuple(one for one in record.scores if one.split != "dev_mm"))


def test_the_view_says_what_the_numbers_say(made: Results, found: judged.Verdict) -> None:
    view = verdict_view(made)  # a second time, with the same draws
    assert view is not None and view.caption == str(found)
    assert view.table is not None and len(view.table) == 8
    row = view.table[view.table["Task"] == "Mean of 3"].iloc[0]
    assert row["Difference"] in view.caption and row["Verdict"] == found.ensemble.words["mean"]
    assert view.figure is not None and len(view.figure.axes) == 2


def test_without_students_teachers_or_runs_there_is_no_verdict(made: Results) -> None:
    no_teachers = {"no-teacher": Student(hard_weight=1.0)}
    assert judged.judge(replace(made, recipe=replace(made.recipe, students=no_teachers))) is None
    unfinished = tuple(one for one in made.records if one.stage != "teachers")
    assert verdict_view(replace(made, records=unfinished)) is None
    twin = tuple(one for one in made.records if one.variant != "no-teacher")
    alone = judged.judge(replace(made, records=twin))
    assert alone is not None and alone.control is None and "is not known" in str(alone)


# ---------------------------------------------------------------------------- the page

RECIPE = """
name: own
data: {kind: toy, scale: 0.1}
tasks:
  colour: {data: colour.csv}
  rating: {data: rating.csv, kind: regression, label: score}
encoders:
  cased: {pretrain: true, lowercase: false}
  uncased: {pretrain: true}
teachers: {choose: 1, selection_tasks: [colour]}
baselines: [bert]
seeds: [1, 2, 3]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Three seeds on two tasks of one's own."""
    folder, random = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    colours, ratings = random.integers(0, 3, 900), random.integers(0, 9, 900)
    for name, label, values in (("colour", "label", colours), ("rating", "score", ratings)):
        words = [
            f"text {row},{'abc'[v] if label == 'label' else v}" for row, v in enumerate(values)
        ]
        (folder / f"{name}.csv").write_text("\n".join([f"text,{label}", *words]), encoding="utf-8")
    (folder / "own.yaml").write_text(RECIPE, encoding="utf-8")
    return made_of(load_recipe(str(folder / "own.yaml")), folder)


def test_the_page_of_own_tasks_ends_in_the_verdict(own: Results) -> None:
    written = publish(own)
    page, text = (path.read_text(encoding="utf-8") for path in (written[-1], written[-2]))
    said = str(judged.judge(own))
    sections = re.findall(r'<section id="(\w+)">', page)
    assert sections[sections.index("verdict") + 1 :] == ["deviations", "settings"]
    assert said in text and said in html.unescape(page)
