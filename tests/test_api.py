"""The method alone: `import mtkd`, tasks, heads and losses of one's own, the README's lines."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MakeData, MakeModel
from torch import Tensor, nn

import mtkd
from mtkd.common.errors import MtkdError
from mtkd.method.distillation import LOSSES
from mtkd.method.heads import HEADS
from mtkd.method.threads import best_threads, fast_threads

ROOT = Path(__file__).parents[1]
QUICK = mtkd.Training(epochs=2, batch_size=8, learning_rate=1e-2)


def python(code: str, folder: Path) -> str:
    """What a process of its own prints, started in `folder`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_waits_for_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'torch', 'transformers', 'pandas', 'pydantic', 'scipy'}"
    assert python(f"import mtkd, sys; print({heavy} & sys.modules.keys())", tmp_path) == "set()\n"


def test_every_public_name_is_there_and_documented() -> None:
    for name in mtkd.__all__:
        found = getattr(mtkd, name)
        assert not callable(found) or found.__doc__, name
    assert set(mtkd.__all__) <= set(dir(mtkd)) and re.match(r"\d+\.\d+", mtkd.__version__)
    with pytest.raises(AttributeError, match=r"no name 'trane'; it offers .*train"):
        _ = mtkd.trane


def test_the_lines_of_the_readme_run(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert found
    python(found[1], tmp_path)
    assert mtkd.MultiTaskModel.from_pretrained(tmp_path / "student").tokenizer is not None


def test_a_task_of_ones_own_with_teachers_and_a_student(tmp_path: Path) -> None:
    """What a user writes, in full: an encoder, a task in lists, an ensemble, a student."""
    texts = [f"the {a} dog is {b}" for a in ("old", "big", "red") for b in ("glad", "happy", "sad")]
    labels = ["good", "good", "bad"] * 3
    task = mtkd.Task(name="mood", labels=("bad", "good"))
    size = mtkd.Pretraining(layers=1, hidden=16, attention_heads=2, epochs=1)
    mtkd.pretrain(texts * 4, size, tmp_path / "encoder")
    models = [
        mtkd.MultiTaskModel.from_encoder(tmp_path / "encoder", [task], seed=s) for s in range(3)
    ]
    examples = mtkd.Examples.from_lists(task, texts, labels)
    train = mtkd.tokenize(examples, models[0].tokenizer)
    how = mtkd.Training(epochs=30, batch_size=3, learning_rate=1e-2)
    *teachers, student = models
    for seed, teacher in enumerate(teachers):
        mtkd.train(teacher, {"mood": train}, how, seed=seed)
    soft = mtkd.average([mtkd.predict(teacher, "mood", train) for teacher in teachers])
    taught = train.with_soft_targets(soft)
    mtkd.train(student, {"mood": taught}, how, distillation=mtkd.Distillation(hard_weight=0.0))
    assert mtkd.evaluate(student, {"mood": {"dev": train}}) == {"mood": {"accuracy": 100.0}}
    assert mtkd.score(task, mtkd.predict(student, "mood", train), examples.label) == {
        "accuracy": 100.0
    }


def test_examples_that_do_not_fit_are_refused() -> None:
    task = mtkd.Task(name="mood", labels=("bad", "good"), columns=("a", "b"))
    for given, message in (
        ({"labels": ["bad"]}, "mood train: 1 labels for 2 texts"),
        ({"labels": ["bad", "fine"]}, r"label 'fine'; expected \['bad', 'good'\]"),
        ({"second": ["x"]}, "1 second texts for 2 texts"),
    ):
        with pytest.raises(MtkdError, match=message):
            mtkd.Examples.from_lists(task, ["a", "b"], **given)
    assert mtkd.Examples.from_lists(task, ["a", "b"], [1, 0]).label.tolist() == [1, 0]
    for kind, labels in (("pare", ("a", "b")), ("regression", ("a", "b")), ("classification", ())):
        with pytest.raises(MtkdError, match="expected classification"):
            mtkd.Task(name="odd", kind=kind, labels=labels)


def test_average_of_outputs_that_do_not_fit_is_refused(make_data: MakeData) -> None:
    with pytest.raises(MtkdError, match="expected one shape"):
        mtkd.average([np.zeros((4, 2)), np.zeros((4, 3))])
    with pytest.raises(MtkdError, match=r"soft targets of shape \(4, 2\); expected \(16, 3\)"):
        make_data("mnli").with_soft_targets(np.zeros((4, 2)))


# ------------------------------------------------------------ heads and losses of one's own


@pytest.fixture
def mean_head() -> None:
    @mtkd.head("mean")
    class MeanHead(nn.Module):
        objective = "classification"

        def __init__(self, hidden: int, spec: mtkd.HeadSpec, scale: float = 1.0) -> None:
            super().__init__()
            self.output, self.scale = nn.Linear(hidden, len(spec.labels)), scale

        def forward(self, states: Tensor, segments: Tensor) -> Tensor:
            real = (segments >= 0).unsqueeze(-1)
            return self.scale * self.output((states * real).sum(1) / real.sum(1))


@pytest.mark.usefixtures("mean_head")
def test_a_head_of_ones_own_trains_and_travels(
    tmp_path: Path, make_model: MakeModel, make_data: MakeData
) -> None:
    spec = mtkd.HeadSpec("mean", mtkd.GLUE["rte"].labels, options={"scale": 2.0})
    base, data = make_model(["rte"]), make_data("rte")
    model = mtkd.MultiTaskModel(base.encoder, {"rte": spec}, base.tokenizer)
    mtkd.train(model, {"rte": data}, QUICK, seed=1)
    model.save_pretrained(tmp_path / "model")
    again = mtkd.MultiTaskModel.from_pretrained(str(tmp_path / "model"))
    assert again.specs == {"rte": spec} and again.heads["rte"].scale == 2.0
    np.testing.assert_array_equal(*(mtkd.predict(m, "rte", data) for m in (model, again)))
    del HEADS["mean"]
    with pytest.raises(MtkdError, match="unknown head 'mean'; expected one of linear"):
        mtkd.MultiTaskModel.from_pretrained(tmp_path / "model")


def test_a_head_says_how_it_is_trained() -> None:
    with pytest.raises(
        MtkdError, match="expected one of classification, multilabel, regression, ranking"
    ):
        mtkd.head("odd")(nn.Module)


def test_a_distillation_loss_of_ones_own_is_used(
    make_model: MakeModel, make_data: MakeData
) -> None:
    seen: list[float] = []

    @mtkd.distillation_loss("squares")
    def squares(outputs, batch, spec, settings, done):  # type: ignore[no-untyped-def]
        seen.append(done)
        return ((outputs.softmax(-1) - batch.soft) ** 2).mean()

    data = make_data("sst2")
    wrong = 1 - np.eye(2, dtype=np.float32)[data.encoded.label]  # who is followed shows
    model, how = make_model(["sst2"]), mtkd.Training(epochs=30, batch_size=4, learning_rate=2e-2)
    taught = {"sst2": data.with_soft_targets(wrong)}
    mtkd.train(model, taught, how, distillation=mtkd.Distillation(loss="squares"))
    assert (mtkd.predict(model, "sst2", data).argmax(-1) == wrong.argmax(-1)).mean() > 0.9
    assert seen[0] == 0 and seen[-1] == 1 and seen == sorted(seen)
    del LOSSES["squares"]
    with pytest.raises(MtkdError, match="unknown distillation loss 'squares'; expected one of"):
        mtkd.train(model, taught, how, distillation=mtkd.Distillation(loss="squares"))


# ---------------------------------------------------------------------------------- threads


def test_threads_by_the_size_of_the_model_and_never_more_than_allowed() -> None:
    small, large = nn.Linear(64, 64), nn.Linear(1024, 1024)
    torch.set_num_threads(2)
    try:
        assert (best_threads(small), best_threads(large)) == (1, 2)
        assert best_threads(nn.Embedding(30_000, 128)) == 1  # a step reads few of its rows
        with pytest.raises(KeyError), fast_threads(small):
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
