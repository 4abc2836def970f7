"""The commands of the README on files of every kind, with a task of GLUE beside them."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

from mtkd.app import cli
from mtkd.common import paths
from mtkd.data.toy.files import toy_files
from mtkd.experiments.recipes import load_recipe

README = (paths.home() / "README.md").read_text(encoding="utf-8")
SMALL = {
    "data.scale": 0.1,
    "max_length": 32,
    "encoders": {"tiny": {"pretrain": True}},
    "encoder": "tiny",
    "pretraining": {"layers": 1, "hidden": 16, "attention_heads": 2, "sentences": 400, "epochs": 1},
    "training.epochs": 1,
    "candidates": {"encoders": ["tiny"], "dropout": [0.1]},
    "teachers.choose": 1,
    "baselines": [],
    "seeds": [1],
}
MORE = {  # tasks of every other kind, and of GLUE
    "rte": None,
    "places": {"data": "places.parquet"},
    "urgency": {"data": "urgency.tsv", "kind": "regression", "range": [0, 5]},
    "answers": {"data": "answers.csv", "kind": "ranking", "text": ["question", "answer"]},
}


def commands() -> Iterator[list[str]]:
    """The commands of the section on own tasks, as they are called."""
    section = README[README.index("## Your own tasks") :]
    for line in re.findall(r"^\./run (.*)$", section[: section.index("```python")], re.M):
        yield shlex.split(line, comments=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the README names, and those of more tasks, where the commands are given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path / "results"))
    files = toy_files(tmp_path / "toy", scale=0.1)
    for split in ("train", "dev"):
        (files["mood"] / f"{split}.csv").rename(tmp_path / f"intent_{split}.csv")
    files["places"].rename(tmp_path / "places.parquet")
    pairs = (files["follows"] / "train.jsonl").read_text()
    (tmp_path / "pairs.jsonl").write_text(pairs)
    texts = [json.loads(line)["premise"] for line in pairs.splitlines()]
    urgency = pd.DataFrame({"text": texts, "score": np.linspace(0, 5, len(texts))})
    urgency.to_csv(tmp_path / "urgency.tsv", sep="\t", index=False)
    rows = [(f"who is number {n // 2} ?", text, n % 2) for n, text in enumerate(texts)]
    frame = pd.DataFrame(rows, columns=["question", "answer", "label"])
    frame.to_csv(tmp_path / "answers.csv", index=False)
    pd.DataFrame({"ticket": [7, 8], "text": texts[:2]}).to_csv(tmp_path / "new.csv", index=False)
    return tmp_path


def test_from_files_to_answers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init, check, reproduce, export, predict = commands()
    small = [f"--set={key}={json.dumps(value)}" for key, value in SMALL.items()]
    assert cli.main([*init, *small]) == 0
    recipe = yaml.safe_load((here / "support.yaml").read_text())
    recipe["tasks"] |= MORE
    (here / "support.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    kinds = {"classification", "multilabel", "regression", "ranking"}
    known = load_recipe("support.yaml")
    assert {known.task(name).kind for name in known.tasks} == kinds and len(known.tasks) == 6

    assert cli.main(check) == 0
    assert cli.main(reproduce) == 0
    capsys.readouterr()
    assert cli.main(["status", "--recipe", "support.yaml"]) == 0
    assert "nothing left to run" in capsys.readouterr().out
    results = here / "results" / "support"
    for path in (results / "executed").glob("*.ipynb"):
        code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        assert all(cell.metadata.papermill.status == "completed" for cell in code)
    scores = pd.read_csv(results / "scores.csv")
    ours = scores[(scores["system"] == "mtdnn-kd") & (scores["split"] == "dev")]
    assert set(ours["task"]) == set(known.tasks)
    assert (results / "tables" / "verdict.md").is_file() and (results / "report.html").is_file()

    assert cli.main(export) == 0
    assert cli.main(predict) == 0
    answered = pd.read_csv("answered.csv")
    assert list(answered["ticket"]) == [7, 8] and set(answered["intent"]) <= {"glad", "sad"}
    assert answered["urgency"].between(0, 5).all() and answered["places_score"].notna().all()
