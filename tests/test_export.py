"""A model as a folder that ships: the same answers from torch, `pipeline` and ONNX."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeEncoder
from transformers import AutoModel, PreTrainedTokenizerFast, pipeline

from mtkd.common.errors import MtkdError
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.tasks import Examples, Task
from mtkd.method.export import comparison
from mtkd.method.export.folder import Report, export
from mtkd.method.model import MultiTaskModel
from mtkd.method.settings import HeadSpec, TaskAbout
from mtkd.method.texts import text_outputs
from mtkd.runtime import Student

TASKS = {
    "tone": Task("tone", labels=("bad", "fair", "good")),
    "same": Task("same", labels=("no", "yes"), columns=("a", "b")),
    "nli": Task("nli", labels=("entails", "neutral", "contradicts"), columns=("a", "b")),
    "topics": Task("topics", "multilabel", ("pets", "home", "sport"), metrics=("micro_f1",)),
    "urgency": Task("urgency", "regression", metrics=("pearson", "spearman"), range=(1, 5)),
}
HEADS = {"same": "linear", "nli": "san"}


@functools.cache
def sentences() -> list[str]:
    found = load_examples(DataSource(scale=1e-3), "mnli", "train")
    return [*found.text_a, *(found.text_b or [])]


def texts_of(task: Task, count: int, seed: int = 0) -> Any:
    """Random texts of one to ten sentences, or pairs of these; the longest are cut."""
    rng = np.random.default_rng(seed)
    rows = [
        [" ".join(rng.choice(sentences(), rng.integers(1, 10))) for _ in task.columns]
        for _ in range(count)
    ]
    return [tuple(row) if task.pair else row[0] for row in rows]


@pytest.fixture(scope="module")
def model(make_encoder: MakeEncoder, tokenizer: PreTrainedTokenizerFast) -> MultiTaskModel:
    """Heads of every kind with weights so large that answers differ, and temperatures."""
    torch.manual_seed(0)
    specs = {name: HeadSpec.for_task(t, HEADS.get(name, "san")) for name, t in TASKS.items()}
    about = {name: TaskAbout(task.columns) for name, task in TASKS.items()}
    about |= {n: TaskAbout(TASKS[n].columns, heat) for n, heat in (("tone", 2.5), ("topics", 0.7))}
    made = MultiTaskModel(make_encoder(), specs, tokenizer, about)
    for parameter in made.encoder.parameters():
        parameter.data.mul_(10 if parameter.ndim > 1 else 1)
    for name, task in TASKS.items():
        texts = texts_of(task, 30)
        outputs = text_outputs(made, [t if task.pair else (t,) for t in texts], [name])[name]
        layer: Any = made.heads[name].output
        with torch.no_grad():
            layer.weight.mul_(3 / outputs.std(0).mean())
            outputs = text_outputs(made, [t if task.pair else (t,) for t in texts], [name])[name]
            layer.bias.sub_(torch.from_numpy(outputs.mean(0)))
    return made.eval()


@pytest.fixture(scope="module")
def examples(model: MultiTaskModel) -> dict[str, Examples]:
    """Texts labelled by the model itself, a tenth of them at random."""
    found, rng = {}, np.random.default_rng(1)
    for name, task in TASKS.items():
        texts = texts_of(task, 60)
        answers = model.predict(texts, task=name)
        if task.kind == "classification":
            labels: Any = [answer["label"] for answer in answers]
            labels[::10] = rng.choice(task.labels, len(labels[::10]))
        elif task.kind == "multilabel":
            labels = [answer["labels"] for answer in answers]
        else:
            labels = np.array(answers) + rng.normal(size=len(answers))
        first, second = zip(*texts, strict=True) if task.pair else (texts, None)
        found[name] = Examples.from_lists(task, first, labels, second=second, split="dev")
    return found


@pytest.fixture(scope="module")
def shipped(
    model: MultiTaskModel,
    examples: dict[str, Examples],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("export") / "student"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "RESAMPLES", 30)  # for time
        return folder, export(model, folder, examples, max_drop=100)


def flat(answer: Any) -> tuple[list[str], list[float]]:
    """Labels and numbers of an answer."""
    if isinstance(answer, float):
        return [], [answer]
    if isinstance(answer, list):
        return [one["label"] for one in answer], [one["score"] for one in answer]
    if "labels" in answer:
        return answer["labels"], list(answer["scores"].values())
    return [answer["label"]], [answer["score"]]


@pytest.mark.parametrize("name", TASKS)
def test_all_forms_answer_alike(
    name: str, model: MultiTaskModel, shipped: tuple[Path, Report]
) -> None:
    folder, report = shipped
    task, top = TASKS[name], max(2, len(TASKS[name].labels))
    texts = texts_of(task, 40, seed=2)  # others than those of the export's own check
    wanted = model.predict(texts, name, top)
    assert len({str(flat(one)[0][:1]) for one in wanted}) > 1 or name == "urgency"
    again = MultiTaskModel.from_pretrained(folder).predict(texts, name, top)
    for found in (Student(folder).predict(texts, name, top), again):
        for ours, theirs in zip(wanted, found, strict=True):
            assert flat(theirs)[0] == flat(ours)[0]
            assert flat(theirs)[1] == pytest.approx(flat(ours)[1], abs=1e-4)
    assert (name in report.pipelines) == (folder / "tasks" / name).exists() == (name != "nli")
    if name == "nli":
        assert "'san'" in report.no_pipeline[name]
        return
    pipe: Any = pipeline("text-classification", str(folder / "tasks" / name), device="cpu")
    for text, ours in zip(texts, wanted, strict=True):
        given = dict(zip(("text", "text_pair"), text, strict=True)) if task.pair else text
        found = pipe([given], top_k=None, truncation=True)[0]
        scores = {one["label"]: one["score"] for one in found}
        if task.kind == "regression":
            assert float(np.clip(scores[name], 1, 5)) == pytest.approx(ours, abs=1e-4)
        elif task.kind == "multilabel":
            assert scores == pytest.approx(ours["scores"], abs=1e-4)
        else:
            assert [one["label"] for one in found] == [one["label"] for one in ours]
            assert [*scores.values()] == pytest.approx([one["score"] for one in ours], abs=1e-4)
