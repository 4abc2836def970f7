"""Costs of a plan: real steps of small models, and the arithmetic by hand."""

from typing import Any

import numpy as np
import pytest

from mtkd.analysis import costs
from mtkd.analysis.costs import Costs, Speed, encoders_of
from mtkd.app.cli import main
from mtkd.experiments.plans import expand
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.settings import Recipe


def test_time_and_memory_by_hand() -> None:
    recipe = load_recipe("smoke", ["studies=[sizes]"])
    runs = expand(recipe)
    ids = {run.variant: run.run_id for run in runs if run.stage == "encoders"}
    assert set(ids) == {"uncased", "cased", "uncased-l1-h8"}  # the last one is the study's own
    speeds = {ids["uncased"]: Speed(0.5, 3.0), ids["cased"]: Speed(0.25, 2.0)}
    found = Costs(speeds, [])
    bert, metal, teachers = (
        next(run for run in runs if name in (run.variant, run.stage))
        for name in ("bert", "metal", "teachers")
    )
    # 154 examples of four tasks, two epochs; MeTaL's model of two encoders, twice each.
    assert (bert.cost, metal.cost) == (308, 1232)
    assert found.seconds([bert]) == 308 * 0.5 and found.memory_gib([bert]) == 3.0
    assert found.seconds([metal]) == 1232 * (0.5 + 0.25) / 2
    assert {one.variant for one in encoders_of(teachers)} == {"uncased", "cased"}
    small = [run for run in runs if ids["uncased-l1-h8"] in {x.run_id for x in encoders_of(run)}]
    assert found.seconds(small) is None and found.seconds([]) == 0.0


@pytest.mark.parametrize("quick", [True, False])
def test_a_second_of_a_clock_is_shared_by_the_tokens(
    quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training is replaced by a clock of a millisecond a token: the speed must be just that."""
    recipe, now, seen = load_recipe("smoke", ["training.accumulation=2"]), [0.0], []

    def train(model: Any, data: Any, settings: Any) -> None:
        assert settings.accumulation == 2 and settings.epochs == 1
        lengths = [one.encoded.lengths for one in data.values()]
        seen.append(sum(map(len, lengths)))
        now[0] += (1e-3 if quick else 10) * sum(len(one) * one.max() for one in lengths)

    monkeypatch.setattr(costs, "train", train)
    monkeypatch.setattr(costs.time, "process_time", lambda: now[0])
    tasks = costs.training_examples(recipe, [])
    encoder, tokenizer = costs.some_encoder(recipe, "uncased", tasks)
    found = costs.seconds_an_example(recipe, encoder, tokenizer, tasks, 1)
    words = [len(tokenizer(*row)["input_ids"]) for one in tasks.values() for row in one.rows]
    expected = (1e-3 if quick else 10) * np.mean(words)
    assert found == pytest.approx(expected, rel=0.3)  # and padding
    assert seen[0] == 1 and (len(seen) == 1) != quick  # a slow device is not asked again


def made_up(settings: list[str]) -> Recipe:
    return load_recipe("base", ["max_length=64", *settings])


def test_made_up_examples_are_as_long_as_those_of_glue() -> None:
    lines: list[str] = []
    recipe = made_up(["training.batch_size=256"])
    tasks = costs.training_examples(recipe, lines)
    assert "made up" in lines[0] and "qnli" in lines[0]
    for name in ("sst2", "mnli"):
        # One token a word, [CLS] and a [SEP] behind each text.
        lengths = [1 + sum(1 + len(text.split()) for text in row) for row in tasks[name].rows]
        assert np.mean(lengths) == pytest.approx(35, abs=1)
        assert np.std(lengths) == pytest.approx(19, abs=1.5)


def test_a_plan_is_measured(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(costs, "ENOUGH", 0.1)
    assert main(["plan", "--recipe", "smoke", "--measure", "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    speeds = [line for line in printed.splitlines() if "examples a second" in line]
    assert [line.split(":")[0] for line in speeds] == ["uncased", "cased"]
    assert "GiB" in printed and "not known" not in printed and "time left" in printed


def test_an_encoder_out_of_reach_is_measured_at_random_or_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(costs.BERT, "base", costs.Pretraining(1, 16, 2, 100))
    monkeypatch.setattr(costs, "ENOUGH", 0.1)
    given = ["encoders.cased={hub: who/knows}", "training.precision=fp32", "max_length=64"]
    assert main(["plan", "--recipe", "base", "--measure", "--set", *given]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("uncased: ") and "examples a second" in line for line in lines)
    assert any(line.startswith("cased: not measured: encoder 'who/knows'") for line in lines)
    stages = {line.split("│")[1].strip(): line for line in lines if line.startswith("│")}
    assert "not known" in stages["mtdnn"] and "not known" not in stages["distill"]
