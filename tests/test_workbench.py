"""Data that a run opens, and what it stores of a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeData, MakeModel
from transformers import PreTrainedTokenizerFast

from mtkd import workbench
from mtkd.model import MultiTaskModel
from mtkd.prediction import evaluate, predict
from mtkd.progress import Progress
from mtkd.recipes import load_recipe
from mtkd.runs import main_runs
from mtkd.settings import Training
from mtkd.targets import read_predictions
from mtkd.workbench import OpenRun, load_data, prediction_file, train_part


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

    monkeypatch.setattr(workbench, "evaluate", falling)
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
    expected = predict(models[0], "cola", splits["dev"], pad=tokenizer.pad_token_id)
    np.testing.assert_array_equal(read_predictions(path).logits, expected)


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
