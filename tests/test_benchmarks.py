"""The benchmarks run, and their numbers add up; how large these are is not for a test to say."""

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

FOLDER = Path(__file__).parents[1] / "benchmarks"
Race = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The benchmarks as modules, on the CPU; accelerate forgets what a benchmark told it."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    for name in ("MTKD_HEADLESS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, os.environ.get(name, "0"))
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Race:
    monkeypatch.setitem(importlib.import_module("common").ENCODERS, "tiny", (1, 8, 2))

    def run(name: str, *arguments: str) -> Any:
        target = tmp_path / "found.json"
        own = ["--device", "cpu", "--json", str(target)]
        monkeypatch.setattr(sys, "argv", [name, *own, *arguments])
        importlib.import_module(name).main()
        return json.loads(target.read_text())

    return run


def test_training(race: Race) -> None:
    found = race("training", "--steps", "3", "--rounds", "1")
    speeds = found["examples_per_second"]
    assert len(speeds) == 5 and min(speeds.values()) > 0
    assert list(found["padding"]) == list(found["padding_of_all"]) == list(speeds)
    assert 0 <= found["padding"]["mtkd"] < found["padding"]["mtkd, random batches"] < 1


def test_a_race_of_some_in_bf16(race: Race) -> None:
    names = ["mtkd", "Trainer, grouped by length"]
    options = ["--steps", "3", "--rounds", "1", "--precision", "bf16", "--systems", names[1]]
    found = race("training", *options)
    assert list(found["examples_per_second"]) == names and found["precision"] == "bf16"
    assert min(found["examples_per_second"].values()) > 0


@pytest.mark.parametrize("encoder", ["tiny", "minilm"])
def test_each_system_pads_as_it_does_all_examples(encoder: str, race: Race) -> None:
    """Else the race would be between samplers that have too little to sort."""
    found = race("training", "--only-padding", "--encoder", encoder)
    assert "examples_per_second" not in found
    for name, share in found["padding"].items():
        assert abs(share - found["padding_of_all"][name]) < 0.02
    assert found["padding_of_all"]["mtkd"] == pytest.approx(0.058, abs=0.01)
    assert found["padding_of_all"]["Trainer, grouped by length"] == pytest.approx(0.044, abs=0.01)


def test_the_trainer_takes_the_batches_whose_padding_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    common, training = (importlib.import_module(name) for name in ("common", "training"))
    monkeypatch.setitem(common.ENCODERS, "nano", (1, 8, 2))
    options = argparse.Namespace(
        encoder="nano",
        device=torch.device("cpu"),
        precision="fp32",
        tasks=["cola", "rte"],
        steps=12,
        rounds=1,
        systems=["Trainer, grouped by length"],
    )
    seen: list[torch.Tensor] = []
    pad = common.Padder.pad

    def noted(self: Any, rows: Any, **others: Any) -> Any:
        seen.append(pad(self, rows)["input_ids"])
        return pad(self, rows)

    monkeypatch.setattr(common.Padder, "pad", noted)
    racing = training.systems(options)
    watch = training.Watch(12, options.device)
    racing["Trainer, grouped by length"].work(training.examples(12, options), watch, 1)
    assert len(seen) == 12 and watch.seconds > 0
    padded = sum(int((tokens == 0).sum()) for tokens in seen)
    told = training.paddings(racing, options)["padding"]["Trainer, grouped by length"]
    assert padded / sum(tokens.numel() for tokens in seen) == pytest.approx(told, abs=1e-4)


def test_runs_that_share_a_device(tmp_path: Path) -> None:
    """In processes of their own, so that the smallest encoder is the benchmarks' own."""
    target = tmp_path / "found.json"
    command = [sys.executable, str(FOLDER / "sharing.py"), "--runs", "2", "--encoder", "tiny"]
    command += ["--steps", "1", "--json", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads(target.read_text())["2"] > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_inference(precision: str, race: Race) -> None:
    options = ["--examples", "64", "--rounds", "1", "--precision", precision]
    found = race("inference", *options)
    assert len(found["examples_per_second"]) == 3
    assert min(found["examples_per_second"].values()) > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["training", "inference"])
def test_no_gpu(name: str, race: Race) -> None:
    with pytest.raises(SystemExit, match="--device cuda: torch finds no GPU"):
        race(name, "--device", "cuda", "--encoder", "bert-large", "--precision", "bf16")


def test_scaling(tmp_path: Path) -> None:
    target = tmp_path / "found.json"  # its processes are forks: of one that has trained nothing
    command = [sys.executable, str(FOLDER / "scaling.py"), "--json", str(target)]
    command += ["--examples", "40", "--times", "1", "3"]
    subprocess.run(command, check=True, timeout=300)
    rows = json.loads(target.read_text())
    assert [row["examples"] for row in rows] == [40, 120]
    for row in rows:
        assert row["train, us"] > 0 and row["tokenise, MiB"] > 0
        assert row["open, MiB"] > row["open, +MiB"]


def test_deploy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    monkeypatch.setitem(importlib.import_module("common").ENCODERS, "tiny", (1, 8, 2))
    words = ["--encoder", "tiny", "--tasks", "2", "--rounds", "1", "--threads", "1"]
    systems = ["--systems", "student, int8", "ensemble", "pipeline, each task"]
    monkeypatch.setattr(sys, "argv", ["deploy", "--json", str(target), *words, *systems])
    deploy = importlib.import_module("deploy")
    begun = deploy.alone  # of one system: torch takes long to import
    monkeypatch.setattr(deploy, "alone", lambda *of: begun("student, int8", *of[1:]))
    deploy.main()
    student, ensemble, pipelines = json.loads(target.read_text())["systems"].values()
    assert student.keys() == ensemble.keys() == pipelines.keys()
    assert min(student.values()) > 0 and student["memory, MiB"] < 200  # without torch
    assert student["MiB on disk"] < pipelines["MiB on disk"] < ensemble["MiB on disk"]
