"""From files to a recipe that says all that was found in them, and a look at the data."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import MakeEncoder
from transformers import PreTrainedTokenizerFast

import mtkd
from mtkd.analysis import data_checks
from mtkd.app import cli
from mtkd.app.check import dev_it_may_know
from mtkd.app.init import tasks_of
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.data import metrics
from mtkd.data.digests import own_identity
from mtkd.data.tasks import GLUE, Examples, Task
from mtkd.experiments.plans import expand, notices
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.validation import validated

COUNT = 60


@pytest.fixture
def encoder(tmp_path: Path, make_encoder: MakeEncoder, tokenizer: PreTrainedTokenizerFast) -> str:
    """What names a tiny encoder of a folder, as `--set` takes it."""
    folder = tmp_path / "tiny"
    make_encoder().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return json.dumps({"minilm": {"path": str(folder)}})


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files of four tasks in one folder, where the command is given."""
    folder = tmp_path / "data"
    folder.mkdir()
    words = [f"word {n} of sentence {n % 7}" for n in range(COUNT)]
    intent = pd.DataFrame({"utterance": words, "intent": [f"i{n % 25}" for n in range(COUNT)]})
    intent.to_csv(folder / "intent_train.csv", index=False)
    intent.iloc[:30].assign(utterance=[f"new {n}" for n in range(30)]).to_csv(
        folder / "intent_valid.csv", index=False
    )
    pairs = [
        {"id": f"q{n}", "sentence1": words[n], "sentence2": "b", "label": n % 2 == 0}
        for n in range(COUNT)
    ]
    (folder / "same.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    scores = pd.DataFrame({"text": words, "score": np.linspace(0.05, 4.9, COUNT)})
    scores.to_parquet(folder / "urgency.parquet")
    tags = [
        {"text": one, "topics": ["no"] if n % 9 else ["no", "yes"]} for n, one in enumerate(words)
    ]
    (folder / "topics.jsonl").write_text("\n".join(map(json.dumps, tags)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path / "results"))
    return [str(path.relative_to(tmp_path)) for path in sorted(folder.iterdir())]


def test_a_recipe_says_all_that_was_found(
    files: list[str], encoder: str, tmp_path: Path, capsys: Any
) -> None:
    given = ["encoders=" + encoder, "seeds=[4]", "tasks.urgency.range=[0, 5]"]
    words = ["init", *files, "--output", "mine.yaml", "--set", *given]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert "written: mine.yaml; next: mtkd check mine.yaml" in printed
    recipe = load_recipe("mine.yaml")
    assert (recipe.name, recipe.seeds, list(recipe.tasks)) == (
        "mine",
        (4,),
        ["intent", "same", "topics", "urgency"],
    )
    tasks = {name: recipe.task(name) for name in recipe.tasks}
    kinds = ("classification", "classification", "multilabel", "regression")
    assert tuple(task.kind for task in tasks.values()) == kinds
    text = (tmp_path / "mine.yaml").read_text()
    assert "train: data/intent_train.csv" in text and "25 labels" in text and "i13" not in text
    assert "labels: ['no', 'yes']" in text and "id: id" in text and "range: [0.0, 5.0]" in text
    same = recipe.tasks["same"]
    assert same is not None and same.text == ("sentence1", "sentence2")
    # Nothing but what the files say by themselves: the same task, and the same runs.
    bare = mtkd.own_task("same", mtkd.OwnTask(str(tmp_path / "data/same.jsonl")))
    assert own_identity(tasks["same"]) == own_identity(bare)
    assert expand(recipe) and not notices(recipe)
    # About 1,000 steps, at most 20 epochs; the texts are short.
    assert recipe.training.epochs == 20 and recipe.max_length == 24
    assert recipe.students["no-teacher"].same_seed_as == "mtdnn-kd"


def test_a_look_at_that_recipe(files: list[str], encoder: str, capsys: Any) -> None:
    assert cli.main(["init", *files, "--set", "encoders=" + encoder, "max_length=10"]) == 0
    capsys.readouterr()
    assert cli.main(["check", "own.yaml"]) == 0
    printed = capsys.readouterr().out
    table = [line.split() for line in printed.splitlines()]
    assert ["intent", "train", "60", "25"] in [row[:4] for row in table]
    assert "100.0" in next(row for row in table if row[:2] == ["same", "dev"])
    assert "note: intent: dev has no example of" not in printed
    assert "note: same: of the 6 texts of dev" not in printed  # pairs, and no other task has any
    assert "some are in the train of" in printed  # of topics and urgency, which are cut alike
    assert "time left, from a few batches on this machine: about" in printed
    with Path("data/topics.jsonl").open("a") as file:
        file.write('\n{"text": "", "topics": ["no"]}\n{"text": "a", "topics": ["perhaps"]}\n')
    assert cli.main(["check", "own.yaml"]) == 1
    problems = [x for x in capsys.readouterr().out.splitlines() if x.startswith("problem")]
    assert len(problems) == 2 and "topics.jsonl:61: column 'text': empty" in problems[0]
    assert "topics.jsonl:62" in problems[1] and "expected one of no, yes" in problems[1]


def test_a_look_at_a_recipe_of_the_kit(capsys: Any) -> None:
    assert cli.main(["check", "smoke"]) == 0
    printed = capsys.readouterr().out
    assert "MNLI" in printed and "dev_mm" in printed and "problem" not in printed
    assert "time" in printed.splitlines()[-1]


def test_an_encoder_that_is_not_there_is_a_problem(files: list[str], capsys: Any) -> None:
    encoder = "encoders={minilm: {path: nowhere}}"
    assert cli.main(["init", files[0], "--set", "encoders={minilm: {hub: a/b}}"]) == 0
    capsys.readouterr()
    assert cli.main(["check", "own.yaml", "--set", encoder]) == 1
    said = (
        f"problem: encoder minilm: recipe own: encoder 'minilm': no folder '{Path.cwd()}/nowhere'"
    )
    assert said in capsys.readouterr().out


def test_a_given_teacher_that_says_too_little_is_a_problem(
    files: list[str], encoder: str, capsys: Any
) -> None:
    Path("said.jsonl").write_text('{"id": "q1", "scores": {"true": 0.9, "false": 0.1}}\n')
    given = "teachers.given=[{task: same, predictions: said.jsonl}]"
    assert cli.main(["init", "data/same.jsonl", "--set", "encoders=" + encoder]) == 0
    assert cli.main(["check", "own.yaml", "--set", given]) == 1
    printed = capsys.readouterr().out
    problem = next(x for x in printed.splitlines() if x.startswith("problem"))
    assert "said.jsonl: no row of" in problem and "examples of same train" in problem
    assert "with teachers.choose=0 these teach alone" in printed


def test_a_given_model_may_have_seen_a_dev_set_that_is_cut(files: list[str]) -> None:
    whole = mtkd.own_task("same", mtkd.OwnTask("data/same.jsonl"))
    both = {"train": "data/intent_train.csv", "dev": "data/intent_valid.csv"}
    teacher = mtkd.GivenTeacher("same", model="my-classifier")
    (told,) = dev_it_may_know(whole, teacher)
    assert "if same-my-classifier was fine-tuned on that file" in told
    assert not [*dev_it_may_know(mtkd.own_task("intent", mtkd.OwnTask(both)), teacher)]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["a.csv"], {"a": "a.csv"}),
        (["x/mood.csv", "b=a.csv"], {"mood": "x/mood.csv", "b": "a.csv"}),
        (
            ["a_test.csv", "a-train.jsonl", "a.validation.csv"],
            {"a": {"train": "a-train.jsonl", "dev": "a.validation.csv", "test": "a_test.csv"}},
        ),
        (["m/train.csv", "m/dev.csv"], {"m": {"train": "m/train.csv", "dev": "m/dev.csv"}}),
        (["m=train.csv", "m=dev.csv"], {"m": {"train": "train.csv", "dev": "dev.csv"}}),
        (["hf:me/moods/all@1a"], {"moods": "hf:me/moods/all@1a"}),
        (["how are you?.csv"], {"how-are-you": "how are you?.csv"}),
        (["contest.csv", "train_2.csv"], {"contest": "contest.csv", "train_2": "train_2.csv"}),
    ],
)
def test_names_of_files_say_which_task(sources: list[str], expected: dict[str, Any]) -> None:
    assert tasks_of(sources) == expected


def test_what_is_seldom_is_not_scored_by_accuracy(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame(
        {"text": [f"t {n}" for n in range(40)], "label": ["no"] * 30 + ["yes"] * 10}
    )
    rows.to_csv("rare.csv", index=False)
    rows.iloc[10:].to_csv("even.csv", index=False)
    assert cli.main(["init", "rare.csv", "even.csv", "--set", "encoders={minilm: {hub: a/b}}"]) == 0
    recipe = load_recipe("own.yaml")
    assert [recipe.task(one).metrics for one in ("rare", "even")] == [("macro_f1",), ("accuracy",)]


def test_what_the_text_on_own_tasks_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (paths.home() / "docs" / "own-tasks.md").read_text(encoding="utf-8")
    (recipe,) = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S))
    found = validated(
        {"name": "shown"}
        | recipe
        | {"encoders": {"uncased": {"pretrain": True}}, "candidates": {"encoders": ["uncased"]}},
        "docs",
    )
    assert list(found.tasks) == ["rte", "intent", "same", "topics", "urgency"]
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))
    exec(re.findall(r"```python\n(# my_metric.*?)```", text, re.S)[0], {})
    task = Task("mood", labels=tuple("abcd"), metrics=("top3",))
    outputs = np.array([[4.0, 3, 2, 1], [4, 3, 2, 1]])
    assert metrics.compute(task, outputs, np.array([2, 3])) == {"top3": 50}
    named = set(re.findall(r"`(\w+)`", text[text.index("## Kinds") : text.index("What leaves")]))
    assert set(metrics.METRICS) - {"top3"} <= named


def split(task: Task, name: str, *rows: tuple[str, str]) -> Examples:
    return Examples.from_lists(task, [row[0] for row in rows], [row[1] for row in rows], split=name)


def test_texts_that_come_twice_by_hand() -> None:
    task, other = (Task(name, labels=("a", "b")) for name in ("one", "two"))
    train = split(task, "train", ("x", "a"), ("X ", "b"), ("y", "a"), ("z", "b"))
    dev = split(task, "dev", ("x", "a"), ("y", "b"), ("w", "a"))
    test = Examples.from_lists(task, ["w", "y"], split="test")
    alone = {"train": split(other, "train", ("w", "a"), ("w", "a"))}
    found = list(
        data_checks.texts_twice({"one": {"train": train, "dev": dev, "test": test}, "two": alone})
    )
    assert found == [
        "one: 1 examples of train repeat a text of it, 1 texts have different labels",
        "one: 2 texts of dev are in train, too, 1 of them with another label",
        "one: 1 texts of test are in train, too",
        "one: 2 texts of test are in dev, too",
        "two: 1 examples of train repeat a text of it",
        "one: of the 3 texts of dev, some are in the train of two (1): multi-task models have read "
        "them, with that task's labels",
        "one: of the 2 texts of test, some are in the train of two (1): multi-task models have "
        "read them, with that task's labels",
    ]
    assert list(
        data_checks.absent_labels({"train": train, "dev": split(task, "dev", ("x", "a"))})
    ) == ["one: dev has no example of b"]


def test_a_split_in_one_row() -> None:
    task = Task("one", labels=("a", "b", "c"))
    row = data_checks.split_row(split(task, "train", ("x", "a"), ("y", "a"), ("z", "c")))
    assert row["labels"] == "2" and row["of each"] == "0 (b) to 2 (a)"
    scores = Examples.from_lists(GLUE["stsb"], ["a", "b"], [1.0, 4.0], second=["c", "d"])
    assert data_checks.split_row(scores)["of each"] == "mean 2.5"


def test_a_fault_in_a_file_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mtkd.app.init import init

    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text,label\na,b\n,c\n" + "".join(f"{n},b\n" for n in range(30)))
    with pytest.raises(MtkdError, match=r"a.csv:3: column 'text': empty"):
        init(["a.csv"], None, None, ["encoders={minilm: {hub: a/b}}"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
