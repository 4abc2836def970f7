"""A project from Python: tasks in memory, teachers from elsewhere, one student."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard

import mtkd
from mtkd.analysis.verdict import judge
from mtkd.common.errors import MtkdError
from mtkd.runtime import Student

SMALL = {
    "max_length": 16,
    "encoders": {"tiny": {"pretrain": True}},
    "encoder": "tiny",
    "pretraining": {
        "layers": 1, "hidden": 16, "attention_heads": 2, "vocabulary": 300, "sentences": 200,
        "epochs": 1,
    },
    "training": {"epochs": 2, "learning_rate": 0.01, "precision": "fp32"},
    "finetuning": {"epochs": 1, "precision": "fp32"},
    "candidates": {"encoders": ["tiny"], "dropout": [0.1]},
    "teachers": {"choose": 1},
    "baselines": [],
    "seeds": [1],
}  # fmt: skip


def frame(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    moods = rng.choice(["glad", "sad"], rows)
    nouns = rng.choice(["dog", "cat", "child", "teacher"], rows)
    texts = [
        f"the {n} number {i} is {m}" for i, (n, m) in enumerate(zip(nouns, moods, strict=True))
    ]
    labels = np.where(moods == "glad", "good", "bad")
    return pd.DataFrame({"id": range(rows), "text": texts, "label": labels})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path / "results"))
    return tmp_path


def test_a_project_gives_the_student_of_its_recipe(here: Path) -> None:
    """Tasks in a DataFrame and in a file, a file of probabilities; the same runs as a recipe's."""
    frame().to_csv(here / "second.csv", index=False)
    project = mtkd.Project({"mood": frame(), "second": here / "second.csv"}, **SMALL)
    said = [{"id": row, "scores": {"good": 0.75, "bad": 0.25}} for row in range(60)]
    (here / "llm.jsonl").write_text("\n".join(map(json.dumps, said)))
    project.add_teachers("mood", here / "llm.jsonl")
    student = project.distill()
    answer = student.predict("the dog is glad")
    assert set(answer) == {"mood", "second"} and answer["mood"]["label"] in ("good", "bad")
    recipe = mtkd.load_recipe(str(project.folder / "recipe.yaml"))
    assert recipe == project.recipe
    assert {"mtdnn-kd", "no-teacher", "ensemble"} <= set(project.results.scores["system"])
    before = {p: p.stat().st_mtime_ns for p in project.folder.rglob("record.json")}
    project.distill()  # nothing is left to do
    assert {p: p.stat().st_mtime_ns for p in project.folder.rglob("record.json")} == before

    report = project.export(here / "out", max_drop=100)
    assert set(report.pipelines) == set(report.parity) == {"mood", "second"}
    card = ModelCard.load(here / "out" / "README.md")
    told = {(one.dataset_name, one.dataset_split): one for one in card.data.eval_results}
    scores = project.results.scores.query("system == 'mtdnn-kd' and split == 'dev'")
    for task, value in zip(scores["task"], scores["value"], strict=True):
        assert told[task, "dev"].metric_type == "accuracy"
        assert told[task, "dev"].metric_value == pytest.approx(value, abs=0.01)
    (teacher,) = [line for line in card.text.splitlines() if line.startswith("| mood | mood-llm")]
    assert "50.0" in teacher  # it says "good" of half of them, at 75 %
    assert str(judge(project.results)) in card.text
    assert Student(here / "out").predict("the dog is glad").keys() == answer.keys()


def test_what_does_not_fit_is_refused(here: Path) -> None:
    with pytest.raises(MtkdError, match="mood is a list; expected a file"):
        mtkd.Project({"mood": ["a", "b"]})  # type: ignore[dict-item]
    with pytest.raises(MtkdError, match="a recipe of the kit has that name"):
        mtkd.Project({"mood": frame()}, name="demo")
    with pytest.raises(MtkdError, match="cannot import 'no_such_module'"):
        mtkd.Project({"mood": frame()}, extensions=["no_such_module"], **SMALL)
    with pytest.raises(MtkdError, match=r"project project: unknown key 'epochs'"):
        mtkd.Project({"mood": frame()}, epochs=3)


def test_a_doubt_is_told_with_the_words_that_settle_it(here: Path) -> None:
    stars = pd.DataFrame({"text": list("abcdefghij"), "stars": [1, 2, 3, 4, 5] * 2})
    with pytest.raises(MtkdError, match=r'\(here: {"stars": {"data": DATA, "KEY": VALUE}}\)'):
        mtkd.Project({"stars": stars})
    project = mtkd.Project({"stars": {"data": stars, "kind": "regression"}}, encoder="who/what-x")
    assert project.recipe.task("stars").range == (1, 5)
    assert list(project.recipe.encoders) == ["what-x"] == list(project.recipe.candidates.encoders)


def test_paths_of_a_project_stay_when_the_folder_changes(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "elsewhere").mkdir()
    frame().to_csv(here / "mood.csv", index=False)
    monkeypatch.chdir(here)
    project = mtkd.Project({"mood": mtkd.OwnTask("mood.csv"), "same": {"data": "mood.csv"}})
    project.add_teachers("mood", "llm.jsonl", {"predictions": {"train": "a.csv", "dev": "b.csv"}})
    monkeypatch.chdir(here / "elsewhere")
    assert {one.data for one in project.recipe.tasks.values() if one} == {str(here / "mood.csv")}
    assert [file for one in project.recipe.teachers.given for file in one.files] == [
        str(here / name) for name in ("llm.jsonl", "a.csv", "b.csv")
    ]


def test_the_order_of_a_frame_s_index_is_no_column(here: Path) -> None:
    mixed = frame().sample(frac=1, random_state=0)
    project = mtkd.Project({"mood": mixed}, **SMALL)
    stored = pd.read_parquet(here / "results" / "project" / "data" / "mood.parquet")
    assert list(stored) == list(mixed) and len(project.tasks) == 1
