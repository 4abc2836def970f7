"""The cost model by hand."""

import pytest

from mtkd.analysis.costs import SIZES, TOKENS, UTILISATION, stage_costs, weights
from mtkd.app.cli import main
from mtkd.common.errors import MtkdError
from mtkd.experiments.recipes import load_recipe


def test_training_time_by_hand() -> None:
    assert weights(*SIZES["bert-large"]) == pytest.approx(302e6, rel=0.01)
    recipe = load_recipe("paper", ["tasks=[rte]", "baselines=[bert]", "seeds=[1, 2]"])
    (bert, *_) = stage_costs(recipe, "h100")
    assert bert.stage == "baselines" and bert.runs == 2
    # Two seeds, 5 epochs of 2,490 examples.
    operations = 2 * 5 * 2490 * 6 * TOKENS * 302e6
    assert bert.hours == pytest.approx(operations / (800e12 * UTILISATION) / 3600, rel=0.01)


def test_unknown_sizes_and_devices_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = load_recipe(
        "paper", ["encoders={uncased: {hub: who/knows}}", "candidates.encoders=[uncased]"]
    )
    with pytest.raises(MtkdError, match="size of encoder 'uncased' is not known"):
        stage_costs(recipe, "h100")
    assert main(["plan", "--recipe", "paper", "--device", "abacus"]) == 1
    assert "expected one of h100" in capsys.readouterr().err
    assert main(["plan", "--recipe", "paper", "--device", "h100"]) == 0
    assert "assumed" in capsys.readouterr().out
