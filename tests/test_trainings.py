"""One training of a run: what it stores, which code it rests on, whose random numbers it has."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeData, MakeModel
from transformers import PreTrainedTokenizerFast

from mtkd.common.errors import MtkdError
from mtkd.common.files import write_text
from mtkd.common.objects import write_object
from mtkd.common.progress import Progress
from mtkd.data.loading import DataSource
from mtkd.data.tasks import GLUE
from mtkd.experiments import inputs, trainings
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.inputs import load_data
from mtkd.experiments.plans import main_runs
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.records import prediction_file
from mtkd.experiments.trainings import Setup, store, train_part
from mtkd.method.calibration import fit_temperature
from mtkd.method.model import MultiTaskModel, read_tasks
from mtkd.method.prediction import evaluate, predict
from mtkd.method.settings import TaskAbout, Training
from mtkd.method.targets import read_predictions


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    recipe = load_recipe("smoke")
    run = next(run for run in main_runs(recipe) if run.stage == "mtdnn")
    return RunContext(recipe, run, tmp_path, ("cola", "rte"))


@pytest.fixture
def setup(context: RunContext, tokenizer: PreTrainedTokenizerFast) -> Setup:
    return Setup(context, tokenizer, Progress(1, "test"))


@pytest.mark.parametrize("keep, kept", [("best", 1), ("last", 3)])
def test_stored_outputs_are_the_kept_model_s(
    keep: Any,
    kept: int,
    setup: Setup,
    make_model: MakeModel,
    make_data: MakeData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = iter([3.0, 2.0, 1.0])  # the first epoch is the best, its outputs are not the latest

    def falling(*arguments: Any, **options: Any) -> dict[str, dict[str, float]]:
        evaluate(*arguments, **options)
        return {"cola": {"matthews": next(scores)}}

    monkeypatch.setattr(trainings, "evaluate", falling)
    models: list[MultiTaskModel] = []

    def build() -> MultiTaskModel:
        models.append(make_model(["cola"]))
        return models[0]

    splits = {"train": make_data("cola"), "dev": make_data("cola", "dev", scale=0.2)}
    settings = Training(epochs=3, batch_size=8, learning_rate=1e-2, keep=keep)
    context = setup.context
    folder = context.model_folder
    part = train_part(setup, "bert", {"cola": splits}, build, settings, model=folder)
    assert part["history"]["kept_epoch"] == kept
    path = prediction_file(context.results, context.run.run_id, "bert", "cola", "dev")
    expected = predict(models[0], "cola", splits["dev"])
    np.testing.assert_array_equal(read_predictions(path).logits, expected)
    heat = fit_temperature(expected, splits["dev"].encoded.label, "classification")
    assert heat != 1 and read_tasks(folder)[1] == {"cola": TaskAbout(GLUE["cola"].columns, heat)}


def test_a_finished_part_is_kept_unless_other_code_made_it_or_it_is_damaged(
    setup: Setup, make_model: MakeModel, make_data: MakeData, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = {split: make_data("cola", split) for split in ("train", "dev")}
    built: list[int] = []

    def train() -> dict[str, Any]:
        def build() -> MultiTaskModel:
            built.append(1)
            return make_model(["cola"])

        settings = Training(epochs=1, batch_size=8, learning_rate=1e-2)
        return train_part(setup, "bert", {"cola": splits}, build, settings)

    first = train()
    assert train() == first and len(built) == 1
    path = setup.context.folder / "parts" / "bert.cola.json"
    write_object(path, first | {"stamp": "0" * 16})
    assert train() == first | {"history": train()["history"]} and len(built) == 2
    assert "other code made it" in capsys.readouterr().out
    path.write_text(path.read_text().replace('"epoch": 1', '"epoch": 2'))
    train()
    assert len(built) == 3 and "has changed since it was written" in capsys.readouterr().out
    (stored,) = setup.context.results.glob("predictions/**/cola.dev.safetensors")
    sound = stored.read_bytes()
    stored.write_bytes(sound[:-1] + b"\x7f")
    train()
    assert len(built) == 4 and stored.read_bytes() == sound
    stored.unlink()
    train()
    assert len(built) == 5 and stored.read_bytes() == sound


def test_a_same_seed_control_has_the_same_random_numbers(
    setup: Setup, make_model: MakeModel, make_data: MakeData
) -> None:
    splits = {split: make_data("cola", split) for split in ("train", "dev")}
    settings = Training(epochs=1, batch_size=8, learning_rate=1e-2)

    def trained(system: str, other: str | None) -> float:
        build = lambda: make_model(["cola"])  # noqa: E731
        part = train_part(setup, system, {"cola": splits}, build, settings, same_seed_as=other)
        return float(part["history"]["epochs"][-1]["loss"]["cola"])

    assert trained("a", None) == trained("b", "a") != trained("c", None)


def test_outputs_of_a_head_with_other_labels_are_not_stored(
    context: RunContext, make_model: MakeModel, make_data: MakeData
) -> None:
    item = make_data("rte", "dev")
    outputs = predict(make_model(["rte"]), "rte", item)
    labels, run_id = GLUE["rte"].labels, context.run.run_id
    assert store(context, "bert", "rte", "dev", item.encoded, outputs, labels)
    path = prediction_file(context.results, run_id, "bert", "rte", "dev")
    assert read_predictions(path).labels == labels
    with pytest.raises(MtkdError, match=rf"{run_id}, mine: the rte head has labels"):
        store(context, "mine", "rte", "dev", item.encoded, outputs, labels[::-1])
    assert not prediction_file(context.results, run_id, "mine", "rte", "dev").exists()


def test_a_cut_file_is_told_once(
    context: RunContext, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text(tmp_path / "CoLA" / "dev.tsv", "x1\t1\t\tDogs bark.\n")
    data = DataSource(kind="folder", path=str(tmp_path))
    cut = replace(context, recipe=replace(context.recipe, data=data))
    for _ in range(2):
        assert len(read_examples(cut, "cola", "dev")) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("dev.tsv: 1 examples, GLUE has 1,043; cut short? (used as it is)")


def test_test_splits_are_there_only_where_they_are_asked_for(
    context: RunContext, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "encoder_tokenizer", lambda *_: tokenizer)
    for asked, expected in ((True, {"test", "test_mm", "ax"}), (False, set[str]())):
        data = replace(context.recipe.data, predict_test=asked)
        at_work = replace(context, recipe=replace(context.recipe, data=data), tasks=("mnli",))
        _, found = load_data(at_work, "uncased")
        assert set(found["mnli"]) == {"train", "dev", "dev_mm"} | expected


def test_text_is_parsed_once(
    context: RunContext, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "encoder_tokenizer", lambda *_: tokenizer)
    _, first = load_data(context, "uncased")
    monkeypatch.setattr(inputs, "read_examples", None)  # whoever calls it now fails
    _, second = load_data(context, "uncased")
    for task, splits in first.items():
        for split, item in splits.items():
            again = second[task][split].encoded
            assert again.fingerprint == item.encoded.fingerprint
            np.testing.assert_array_equal(again.tokens, item.encoded.tokens)
