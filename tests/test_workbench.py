"""Data that a run opens, and what it stores of a training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeData, MakeModel
from transformers import PreTrainedTokenizerFast

from mtkd.analysis.baseline_tables import torn_questions
from mtkd.common.errors import MtkdError
from mtkd.common.progress import Progress
from mtkd.data.loading import DataSource
from mtkd.data.tasks import GLUE
from mtkd.experiments import context as workbench
from mtkd.experiments import trainings as parts
from mtkd.experiments.context import OpenRun, prediction_file, read_examples
from mtkd.experiments.inputs import load_data
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.records import Record, Score, collect, write_record
from mtkd.experiments.runs import main_runs
from mtkd.experiments.trainings import store, train_part
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import evaluate, predict
from mtkd.method.settings import Training
from mtkd.method.targets import read_predictions


@pytest.fixture
def opened(tmp_path: Path) -> OpenRun:
    recipe = load_recipe("smoke")
    run = next(run for run in main_runs(recipe) if run.stage == "mtdnn")
    return OpenRun(recipe, run, tmp_path, ("cola", "rte"))


@pytest.mark.parametrize("keep, kept", [("best", 1), ("last", 3)])
def test_stored_outputs_are_the_kept_model_s(
    keep: Any,
    kept: int,
    opened: OpenRun,
    make_model: MakeModel,
    make_data: MakeData,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = iter([3.0, 2.0, 1.0])  # the first epoch is the best, its outputs are not the latest

    def falling(*arguments: Any, **options: Any) -> dict[str, dict[str, float]]:
        evaluate(*arguments, **options)
        return {"cola": {"matthews": next(scores)}}

    monkeypatch.setattr(parts, "evaluate", falling)
    models: list[MultiTaskModel] = []

    def build() -> MultiTaskModel:
        models.append(make_model(["cola"]))
        return models[0]

    splits = {split: make_data("cola", split) for split in ("train", "dev")}
    settings = Training(epochs=3, batch_size=8, learning_rate=1e-2, keep=keep)
    part = train_part(
        opened, "bert", {"cola": splits}, build, settings, tokenizer, Progress(1, "test")
    )
    assert part["history"]["kept_epoch"] == kept
    path = prediction_file(opened.results, opened.run.run_id, "bert", "cola", "dev")
    expected = predict(models[0], "cola", splits["dev"])
    np.testing.assert_array_equal(read_predictions(path).logits, expected)


def test_a_twin_has_the_same_random_numbers(
    opened: OpenRun,
    make_model: MakeModel,
    make_data: MakeData,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    splits = {split: make_data("cola", split) for split in ("train", "dev")}
    settings = Training(epochs=1, batch_size=8, learning_rate=1e-2)

    def trained(system: str, twin: str | None) -> float:
        build = lambda: make_model(["cola"])  # noqa: E731
        data, progress = {"cola": splits}, Progress(1, "test")
        part = train_part(opened, system, data, build, settings, tokenizer, progress, twin=twin)
        return part["history"]["epochs"][-1]["loss"]["cola"]

    assert trained("a", None) == trained("b", "a") != trained("c", None)


def test_outputs_of_a_head_with_other_labels_are_not_stored(
    opened: OpenRun, make_model: MakeModel, make_data: MakeData
) -> None:
    item = make_data("rte", "dev")
    outputs = predict(make_model(["rte"]), "rte", item)
    labels = GLUE["rte"].labels
    assert store(opened, "bert", "rte", "dev", item, outputs, labels)
    path = prediction_file(opened.results, opened.run.run_id, "bert", "rte", "dev")
    assert read_predictions(path).labels == labels
    with pytest.raises(MtkdError, match=rf"{opened.run.run_id}, mine: the rte head has labels"):
        store(opened, "mine", "rte", "dev", item, outputs, labels[::-1])
    assert not prediction_file(opened.results, opened.run.run_id, "mine", "rte", "dev").exists()


def test_a_cut_file_is_told_once(
    opened: OpenRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "CoLA").mkdir()
    (tmp_path / "CoLA" / "dev.tsv").write_text("x1\t1\t\tDogs bark.\n")
    data = DataSource(kind="folder", path=str(tmp_path))
    cut = replace(opened, recipe=replace(opened.recipe, data=data))
    for _ in range(2):
        assert len(read_examples(cut, "cola", "dev")) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("dev.tsv: 1 examples, GLUE has 1,043; cut short? (used as it is)")


def test_a_table_says_how_few_questions_a_limit_left(tmp_path: Path) -> None:
    def note(name: str, **data: Any) -> str:
        settings, details = {"data": {"limit": None} | data}, {"qnli_questions": 1234}
        scores = (Score("qnli-ranking", "qnli", "dev", "accuracy", 52.3, 100),)
        run = Record(name, name, "r", "baselines", "bert", 1, (), settings, scores, details)
        write_record(tmp_path / "runs" / name, run)
        return torn_questions(collect([run]), tmp_path)

    assert note("whole") == ""
    assert "the ranking was trained on the 1,234 that still have" in note("cut", limit=2500)
    assert note("some", share=0.5) == note("cut", limit=2500)


def test_text_is_parsed_once(
    opened: OpenRun, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "encoder_tokenizer", lambda *_: tokenizer)
    _, first = load_data(opened, "uncased")
    monkeypatch.setattr(workbench, "read_examples", None)  # whoever calls it now fails
    _, second = load_data(opened, "uncased")
    for task, splits in first.items():
        for split, item in splits.items():
            again = second[task][split].encoded
            assert again.fingerprint == item.encoded.fingerprint
            np.testing.assert_array_equal(again.tokens, item.encoded.tokens)
