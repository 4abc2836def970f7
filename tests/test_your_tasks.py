"""Tasks of one's own from Python: notebook 12, and the lines of the README."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import MakeEncoder, MakeModel
from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

import mtkd
from mtkd.app import runner
from mtkd.common import paths

TEXTS = [f"where is my {what} number {n} ?" for n in range(20) for what in ("parcel", "money")]
PAIRS = pd.DataFrame({"sentence1": TEXTS, "sentence2": TEXTS[::-1], "label": [True, False] * 20})


def test_notebook_12(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way; its output is short, and no line of it is a warning."""
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path / "results"))
    small = {"seeds": [1], "epochs": 1, "sentences": 400, "size": 0.1}
    book, done = paths.NOTEBOOKS / "12_your_tasks.ipynb", tmp_path / "done.ipynb"
    runner.execute(book, small, tmp_path / "log.ipynb", done)
    cells = [cell for cell in nbformat.read(done, 4).cells if cell.cell_type == "code"]
    printed = [one for cell in cells for one in cell.outputs if one.output_type == "stream"]
    assert [one.text for one in printed if one.name == "stderr"] == []
    text = "".join(one.text for one in printed)
    assert len(text.splitlines()) < 60
    shown = [
        one.data.get("text/plain", "") for cell in cells for one in cell.outputs if "data" in one
    ]
    teachers = next(one for one in shown if one.startswith("The teachers, one by one"))
    assert "mood-colleague" in teachers and "follows-llm" in teachers
    assert any(one.startswith("Is the student worth shipping?") for one in shown)
    sides = [ast.literal_eval(line.split(maxsplit=1)[1]) for line in text.splitlines()[-2:]]
    torch, onnx = ({one["label"]: one["score"] for one in side} for side in sides)
    assert list(torch) == list(onnx) and len(torch) == 3
    assert onnx == pytest.approx(torch, abs=1e-4)


@pytest.fixture
def here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_encoder: MakeEncoder,
    tokenizer: PreTrainedTokenizerFast,
) -> Path:
    """What the README names: a file, a checkpoint and a language model's answers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path / "results"))
    names = np.array(["tracking", "refund"])[np.arange(len(TEXTS)) % 2]
    pd.DataFrame({"text": TEXTS, "intent": names}).to_csv("intent.csv", index=False)
    said = [{"text": one, "label_probs": {"tracking": 0.6}} for one in TEXTS]
    Path("gpt_labels.jsonl").write_text("\n".join(map(json.dumps, said)))
    encoder = make_encoder()
    encoder.save_pretrained("encoder")
    config = encoder.config
    config.id2label = {0: "tracking", 1: "refund"}
    BertForSequenceClassification(config).save_pretrained("bert-large-intent")
    for folder in ("encoder", "bert-large-intent"):
        tokenizer.save_pretrained(folder)
    return tmp_path


def python_lines(file: str, heading: str) -> list[str]:
    """The blocks of Python in a file from a heading on."""
    text = (paths.home() / file).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text[text.index(heading) :], re.S)


class Small(mtkd.Project):
    """A project that takes seconds."""

    def __init__(self, tasks: Any) -> None:
        super().__init__(
            tasks,
            encoder="encoder",
            training={"epochs": 1},
            candidates={"dropout": [0.1]},
            teachers={"choose": 1},
            baselines=[],
            seeds=[1],
        )

    def export(self, folder: str) -> Any:  # type: ignore[override]
        return super().export(folder, max_drop=100)  # four dev examples


def test_the_lines_of_the_readme(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (paths.home() / "README.md").read_text(encoding="utf-8")
    section = readme[readme.index("## Your own tasks") :]
    lines = re.search(r"```python\n(.*?)```", section, re.S)
    assert lines
    pairs = pd.DataFrame(
        {"sentence1": TEXTS, "sentence2": TEXTS[::-1], "label": [True, False] * 20}
    )
    monkeypatch.setattr(mtkd, "Project", Small)
    names: dict[str, Any] = {"mtkd": mtkd, "pairs": pairs}
    exec(lines[1], names)
    out = capsys.readouterr().out
    assert "intent-bert-large-intent" in out and "intent-gpt_labels" in out
    assert "Is the student worth shipping?" in out
    text = "Where is my parcel?"
    answer = names["student"].predict(text)
    assert set(answer) == {"intent"} and answer["intent"]["label"] in ("tracking", "refund")
    light = mtkd.Student("ship").predict(text)
    assert light["intent"]["score"] == pytest.approx(answer["intent"]["score"], abs=1e-4)


def test_the_lines_of_the_documents(here: Path, make_model: MakeModel) -> None:
    tickets = pd.DataFrame({"message": TEXTS, "score": np.linspace(0, 1, len(TEXTS))})
    names: dict[str, Any] = {"train_pairs": PAIRS, "dev_pairs": PAIRS[:9], "tickets": tickets}
    names["model"] = make_model(["cola"])
    for lines in python_lines("docs/own-tasks.md", "## From Python"):
        exec(lines, names)
    project = names["project"]
    assert list(project.tasks["kind"]) == ["classification", "classification", "regression"]
    assert names["train"].encoded.label.max() <= 1
    examples = mtkd.own_examples("intent", "intent.csv")["train"]
    names |= {"project": project, "examples": examples}
    for lines in python_lines("docs/teachers.md", "From Python"):
        exec(lines.replace("project.teachers()", ""), names)
    folder, file, hub = project.recipe.teachers.given
    assert folder.model == str(here / "bert-large-intent") and hub.model == "someone/intent-model"
    assert file.predictions == str(here / "gpt_labels.jsonl")
    assert names["soft"].shape == (len(examples), 2)
