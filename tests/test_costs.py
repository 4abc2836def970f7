"""The cost model by hand, and the floors of the design's own sketch."""

import pytest

from mtkd.analysis.costs import (
    DEVICES,
    KNOWN,
    Device,
    mean_tokens,
    predicted,
    stage_costs,
    step_floor,
)
from mtkd.app.cli import main
from mtkd.common.errors import MtkdError
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.runs import main_runs

PLAIN = Device("a device", teraflops=1, terabytes=1, share=0.5, source="made up")


def test_bert_large_has_about_its_335_million_parameters() -> None:
    assert KNOWN["bert-large"].parameters == pytest.approx(335e6, rel=0.01)
    assert KNOWN["bert-base"].parameters == pytest.approx(109e6, rel=0.02)


def test_floor_of_a_step_is_that_of_the_sketch() -> None:
    # BERT-large, 1,440 tokens: about 2.6 TFLOP, 3.3 ms; Adamax about 3 ms.
    shape, h100 = KNOWN["bert-large"], DEVICES["h100"]
    products = 6 * shape.weights * 1440
    assert products == pytest.approx(2.6e12, rel=0.02)
    assert step_floor(shape, 1440, h100) == pytest.approx(0.0033 + 0.0031, rel=0.03)


def test_training_time_by_hand() -> None:
    recipe = load_recipe("paper", ["tasks=[rte]", "baselines=[bert]", "seeds=[1, 2]"])
    (bert, *_) = stage_costs(recipe, PLAIN)
    # 2,490 examples, 5 epochs, batches of 32; at half of the floor's speed
    tokens = mean_tokens({"rte": 2490}, 512)
    step = 6 * 302e6 * 32 * tokens / 1e12 + 28 * KNOWN["bert-large"].parameters / 1e12
    assert bert.stage == "baselines" and bert.runs == 2
    assert bert.train_hours == pytest.approx(2 * 5 * 2490 / 32 * step / 0.5 / 3600, rel=0.01)
    # RTE's dev set after 5 epochs and at the end, its test set once
    run = next(run for run in main_runs(recipe) if run.stage == "baselines")
    assert predicted(recipe, run, {"rte": 2490}) == 6 * 276 + 3000


def test_unknown_sizes_and_devices_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = load_recipe(
        "paper", ["encoders={uncased: {hub: who/knows}}", "candidates.encoders=[uncased]"]
    )
    with pytest.raises(MtkdError, match="size of encoder 'uncased' is not known"):
        stage_costs(recipe, PLAIN)
    assert main(["plan", "--recipe", "paper", "--device", "abacus"]) == 1
    assert "expected one of h100" in capsys.readouterr().err
    assert main(["plan", "--recipe", "paper", "--device", "h100"]) == 0
    told = capsys.readouterr().out
    assert "rests on 800 TFLOP/s" in told and "distill" in told
