"""Cross-fitted teachers: folds, and that no soft target comes from a model that saw the example."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeData
from hypothesis import given
from hypothesis import strategies as st

from mtkd.analysis.results import Results
from mtkd.analysis.study_views import study_views
from mtkd.common.errors import MtkdError
from mtkd.data.folds import assign_folds, keys_of
from mtkd.data.loading import load_examples
from mtkd.data.tasks import GLUE, Examples
from mtkd.experiments import trainings
from mtkd.experiments.context import RunContext
from mtkd.experiments.inputs import ranking_rows
from mtkd.experiments.plans import main_runs
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.records import prediction_file
from mtkd.experiments.runs import Run
from mtkd.experiments.systems.crossfit import HELD
from mtkd.experiments.systems.teachers import soft_targets
from mtkd.experiments.task_sets import present_tasks
from mtkd.method.targets import average, read_predictions

K = 2
SMALL = [
    "tasks=[stsb,qnli]",
    "data.scale=0.03",
    "heads.qnli=ranking",
    "baselines=[]",
    "teachers={choose: 1, tasks: [stsb, qnli], selection_tasks: [stsb]}",
    "candidates={encoders: [uncased], dropout: [0.1]}",
    "training.epochs=1",
    "pretraining.sentences=100",
]
ON = f"teachers.crossfit={K}"

# ---------------------------------------------------------------------------- folds

words = st.sampled_from("a b c d e f".split())
text = st.lists(words, min_size=1, max_size=2).map(" ".join)
rows = st.lists(st.tuples(text, text, st.integers(0, 1)), min_size=1, max_size=60)


def pairs(name: str, given_rows: list[tuple[str, str, int]]) -> Examples:
    first, second, labels = map(list, zip(*given_rows, strict=True))
    return Examples.from_lists(GLUE[name], first, labels, second=second)


@given(one=rows, two=rows, seed=st.integers(0, 9), data=st.data())
def test_equal_texts_are_in_one_fold_whatever_their_order(
    one: list[Any], two: list[Any], seed: int, data: st.DataObject
) -> None:
    def folds(tasks: dict[str, list[Any]]) -> dict[str, list[int]]:
        examples = {name: pairs(name, found) for name, found in tasks.items()}
        return {n: found.tolist() for n, found in assign_folds(examples, 2, seed).items()}

    anchors = [("x", "y", 0), ("x", "z", 1)]  # so that there are texts enough
    tasks = {"rte": one + anchors, "mrpc": two + anchors}
    found, where = folds(tasks), dict[frozenset[str], int]()
    for name, examples in tasks.items():
        for (first, second, _), fold in zip(examples, found[name], strict=True):
            assert where.setdefault(frozenset([first, second]), fold) == fold
    # A file in another order, in other spaces and cases, is cut in the same way
    order = data.draw(st.permutations(range(len(tasks["rte"]))))
    tasks["rte"] = [tasks["rte"][row] for row in order]
    tasks["rte"] = [(f" {a.upper()}", b.replace(" ", "  "), label) for a, b, label in tasks["rte"]]
    again = folds(dict(reversed(tasks.items())))
    assert again["rte"] == [found["rte"][row] for row in order] and again["mrpc"] == found["mrpc"]


@given(labels=st.lists(st.integers(0, 2), min_size=7, max_size=80), seed=st.integers(0, 99))
def test_every_label_is_spread_evenly(labels: list[int], seed: int) -> None:
    texts = [f"text {number}" for number in range(len(labels))]
    examples = {
        "mnli": Examples.from_lists(GLUE["mnli"], texts, labels, second=texts),
        "stsb": Examples.from_lists(GLUE["stsb"], texts, labels, second=["b"] * len(texts)),
    }
    for count in (2, 7):
        for name, fold in assign_folds(examples, count, seed).items():
            for label in set(labels) if name == "mnli" else ():
                shares = np.bincount(fold[np.array(labels) == label], minlength=count)
                assert np.ptp(shares) <= 1
            assert np.ptp(np.bincount(fold, minlength=count)) <= 3


SCRIPT = """
from mtkd.data.folds import assign_folds
from mtkd.data.loading import DataSource, load_examples
examples = {task: load_examples(DataSource(scale=0.1), task, "train") for task in ("mnli", "stsb")}
print({task: found.tolist() for task, found in assign_folds(examples, 3, 7).items()})
"""


def test_folds_are_the_same_in_every_process() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1 and "mnli" in found.pop()


def test_too_few_texts_are_refused() -> None:
    few = pairs("rte", [("a", "b", 0), ("B", "a", 1)])
    with pytest.raises(MtkdError, match="RTE: 1 different training texts for 2 folds"):
        assign_folds({"rte": few}, 2, 0)


@pytest.mark.parametrize("ranking", [False, True])
def test_some_rows_are_those_rows(make_data: MakeData, ranking: bool) -> None:
    item = make_data("qnli", scale=0.05, ranking=ranking)
    chosen = np.array([4, 0, 7, 5, 6])
    some = item.some(chosen)
    np.testing.assert_array_equal(some.encoded.idx, item.encoded.idx[chosen])
    np.testing.assert_array_equal(some.encoded.label, item.encoded.label[chosen])
    for place, row in enumerate(chosen):
        for name in ("tokens", "segments"):
            start, end = item.encoded.offsets[row : row + 2]
            mine = slice(*some.encoded.offsets[place : place + 2])
            expected = getattr(item.encoded, name)[start:end]
            np.testing.assert_array_equal(getattr(some.encoded, name)[mine], expected)
    if ranking:  # the questions all of whose candidates are there
        whole = [set(rows) for rows in item.unit_rows if set(rows) <= set(chosen)]
        assert [set(chosen[rows]) for rows in some.unit_rows] == whole and whole


# ---------------------------------------------------------------------------- a whole run


def runs_of(*changes: str) -> dict[str, Run]:
    return {run.stage: run for run in main_runs(load_recipe("smoke", [*SMALL, *changes]))}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> RunContext:
    """The teachers of a sliver of the smoke recipe, all that they rest on finished."""
    return ready(tmp_path_factory.mktemp("results"), ON)


def ready(results: Path, *changes: str) -> RunContext:
    recipe = load_recipe("smoke", [*SMALL, *changes])
    found = next(run for run in main_runs(recipe) if run.stage == "teachers")
    for run in found.ancestors:
        RunContext(recipe, run, results, present_tasks(recipe)).execute()
    return RunContext(recipe, found, results, present_tasks(recipe))


@pytest.fixture(scope="module")
def seen(teachers: RunContext) -> dict[str, dict[str, set[int]]]:
    """The ids that each training of the finished teachers was given, by its name and the task."""
    found: dict[str, dict[str, set[int]]] = {}

    def recorded(model: Any, data: Any, *arguments: Any, **options: Any) -> Any:
        rows = {t: i.rows(np.arange(i.units)) for t, i in data.items()}
        ids = {task: set(item.encoded.idx[rows[task]].tolist()) for task, item in data.items()}
        assert options["checkpoint"].name not in found
        found[options["checkpoint"].name] = ids
        assert all(item.encoded.split == "train" for item in data.values())
        return train(model, data, *arguments, **options)

    train = trainings.train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainings, "train", recorded)
        teachers.execute()
    return found


def stored(context: RunContext, system: str, task: str, split: str) -> Any:
    path = prediction_file(context.results, context.run.run_id, system, task, split)
    return read_predictions(path)


def test_no_soft_target_comes_from_a_model_that_saw_the_example(
    teachers: RunContext, seen: dict[str, dict[str, set[int]]]
) -> None:
    tasks, system = teachers.tasks, "teacher-uncased-d0.1"
    texts = {task: load_examples(teachers.recipe.data, task, "train") for task in tasks}
    keys = {
        task: dict(zip(found.idx.tolist(), keys_of(found, question=task == "qnli"), strict=True))
        for task, found in texts.items()
    }
    # K models of their own: not even the default candidate, which has seen all, is a teacher
    names = {f"{system}-fold{number + 1}" for number in range(K)}
    assert {name[: len(system) + 6] for name in seen} == names
    assert len(seen) == K * (1 + len(tasks))
    for task in tasks:
        outputs = stored(teachers, system, task, "train")
        predicted: list[int] = []
        for name in sorted(names):
            held = stored(teachers, name, task, HELD)
            predicted += held.idx.tolist()
            # What the teacher says of these examples is what this model says ...
            rows = np.searchsorted(outputs.idx, held.idx)
            np.testing.assert_array_equal(outputs.logits[rows], held.logits)
            # ... which has met neither them nor their texts, in no training and no task
            mine = {keys[task][number] for number in held.idx.tolist()}
            for training, data in seen.items():
                if training.startswith(name):
                    assert not data.get(task, set()) & set(held.idx.tolist())
                    for other, ids in data.items():
                        assert not mine & {keys[other][number] for number in ids}
            # It has seen all the rest
            rest = set(texts[task].idx.tolist()) - set(held.idx.tolist())
            if task != "qnli":
                assert seen[f"{name}-noft"][task] == seen[f"{name}.{task}"][task] == rest
        assert sorted(predicted) == sorted(texts[task].idx.tolist())
        soft = soft_targets(teachers, task, texts[task].idx)
        np.testing.assert_array_equal(soft, average([outputs.logits]))


def test_questions_stay_whole(teachers: RunContext, seen: dict[str, dict[str, set[int]]]) -> None:
    examples = load_examples(teachers.recipe.data, "qnli", "train")
    for rows in ranking_rows(examples):
        question = set(examples.idx[rows].tolist())
        for data in seen.values():
            if "qnli" in data:
                assert question <= data["qnli"] or not question & data["qnli"]


def test_other_text_gets_the_mean_of_the_models(
    teachers: RunContext, seen: dict[str, dict[str, set[int]]]
) -> None:
    text = ["tasks=[stsb]", "heads.qnli=classification", "data.unlabelled_ratio=0.5"]
    more = ready(teachers.results, *text, ON)
    more.execute()
    system = "teacher-uncased-d0.1"
    for context, task, split in (
        (teachers, "stsb", "dev"),
        (teachers, "qnli", "test"),
        (more, "stsb", "unlabelled"),
    ):
        models = [stored(context, f"{system}-fold{n + 1}", task, split) for n in range(K)]
        found = stored(context, system, task, split)
        mean = average([one.logits for one in models])
        np.testing.assert_allclose(average([found.logits]), mean, atol=1e-6)
        np.testing.assert_array_equal(found.idx, models[0].idx)
    record = teachers.execute()
    assert {score.system for score in record.scores} == {system, "ensemble"}
    assert len(record.details["histories"]) == len(seen)


def test_an_interrupted_run_ends_with_the_same_bits(
    teachers: RunContext, seen: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, train, calls = teachers.execute(), trainings.train, list[str]()
    again = RunContext(teachers.recipe, teachers.run, tmp_path, teachers.tasks)
    for name in ("runs", "models", "predictions"):
        for run in teachers.run.ancestors:
            source = teachers.results / name / run.run_id
            if source.exists():
                (tmp_path / name).mkdir(exist_ok=True)
                (tmp_path / name / run.run_id).symlink_to(source)

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(options["checkpoint"].name)
        if len(calls) == 5:  # in the second fold, after its multi-task training
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(trainings, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again.execute()
    assert again.execute().result == record.result  # digest of scores and predictions
    assert len(calls) == len(seen) + 1 and not list(again.folder.glob("checkpoints"))


def test_what_teachers_say_stands_beside_the_study(
    teachers: RunContext, seen: dict[str, Any]
) -> None:
    ready(teachers.results).execute()  # in-sample: the default candidate as it is
    recipe = load_recipe("smoke", [*SMALL, ON, "studies=[crossfit]"])
    (view,) = study_views(Results(recipe, teachers.results, (), (), teachers.tasks))
    assert view.values is not None and view.table is not None
    found = view.values.set_index(["system", "task"])["value"]
    assert list(view.table["Teachers"]) == ["in-sample, QNLI", "cross-fitted, QNLI"]
    examples = load_examples(recipe.data, "qnli", "train")
    soft = np.exp(stored(teachers, "teacher-uncased-d0.1", "qnli", "train").logits)
    right = 100 * np.mean(soft.argmax(1) == examples.label)
    assert found["cross-fitted/qnli", "right train"] == pytest.approx(right)
    bits = -(soft * np.log2(soft)).sum(1).mean()
    assert found["cross-fitted/qnli", "entropy train"] == pytest.approx(100 * bits, rel=1e-3)


# ---------------------------------------------------------------------------- identity and plan


def test_off_is_as_if_there_were_no_cross_fitting() -> None:
    off, on = runs_of(), runs_of(ON)
    assert "crossfit" not in json.dumps([run.settings for run in off.values()])
    changed = {stage for stage, run in off.items() if run.config_id != on[stage].config_id}
    assert changed == {"teachers", "distill"}
    told = on["teachers"].settings["teachers"]
    assert told.pop("crossfit") == K and on["teachers"].settings == off["teachers"].settings
    assert runs_of("teachers.crossfit=4")["teachers"].run_id not in {
        run["teachers"].run_id for run in (off, runs_of(ON))
    }


def test_the_plan_knows_what_it_costs() -> None:
    for folds in (2, 5):
        runs = runs_of(f"teachers.crossfit={folds}")
        # As often as the default candidate, with its fine-tuning, less the fold
        assert runs["teachers"].cost == runs["mtdnn"].cost * (folds - 1)


def test_given_teachers_alone_have_no_folds() -> None:
    given_one = "{task: rte, predictions: x.csv}"
    teachers = f"teachers={{choose: 0, crossfit: 2, given: [{given_one}]}}"
    with pytest.raises(MtkdError, match=r"teachers\.crossfit: given teachers are heard as they"):
        load_recipe("smoke", [teachers])
    with pytest.raises(MtkdError, match=r"teachers\.crossfit: .*greater than or equal to 2"):
        load_recipe("smoke", ["teachers.crossfit=1"])
