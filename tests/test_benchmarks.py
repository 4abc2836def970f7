"""The benchmarks run, and their numbers add up; how large these are is not for a test to say."""

import argparse
import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

FOLDER = Path(__file__).parents[1] / "benchmarks"


def start(name: str, arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / name), *shlex.split(arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def run(name: str, arguments: str, folder: Path) -> Any:
    target = folder / "found.json"
    done = start(name, f"{arguments} --json {shlex.quote(str(target))}")
    assert done.returncode == 0, done.stderr
    return json.loads(target.read_text())


def test_training(tmp_path: Path) -> None:
    found = run("training.py", "--steps 12 --rounds 1 --device cpu", tmp_path)
    speeds = found["examples_per_second"]
    assert len(speeds) == 5 and min(speeds.values()) > 0
    assert list(found["padding"]) == list(found["padding_of_all"]) == list(speeds)
    assert 0 <= found["padding"]["mtkd"] < found["padding"]["mtkd, random batches"] < 1


def test_a_race_of_some_in_bf16(tmp_path: Path) -> None:
    arguments = "--steps 12 --rounds 1 --device cpu --precision bf16"
    found = run("training.py", f"{arguments} --systems 'Trainer, grouped by length'", tmp_path)
    names = ["mtkd", "Trainer, grouped by length"]
    assert list(found["examples_per_second"]) == names and found["precision"] == "bf16"
    assert min(found["examples_per_second"].values()) > 0


@pytest.mark.parametrize("encoder", ["tiny", "minilm"])
def test_each_system_pads_as_it_does_all_examples(encoder: str, tmp_path: Path) -> None:
    """Else the race would be between samplers that have too little to sort."""
    arguments = f"--only-padding --device cpu --encoder {encoder}"
    found = run("training.py", arguments, tmp_path)
    assert "examples_per_second" not in found
    for name, share in found["padding"].items():
        assert abs(share - found["padding_of_all"][name]) < 0.02
    assert found["padding_of_all"]["mtkd"] == pytest.approx(0.058, abs=0.01)
    assert found["padding_of_all"]["Trainer, grouped by length"] == pytest.approx(0.044, abs=0.01)


def test_the_trainer_takes_the_batches_whose_padding_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    AcceleratorState._reset_state(reset_partial_state=True)
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
    AcceleratorState._reset_state(reset_partial_state=True)  # the next may use a GPU again
    assert len(seen) == 12 and watch.seconds > 0
    padded = sum(int((tokens == 0).sum()) for tokens in seen)
    told = training.paddings(racing, options)["padding"]["Trainer, grouped by length"]
    assert padded / sum(tokens.numel() for tokens in seen) == pytest.approx(told, abs=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_inference(precision: str, tmp_path: Path) -> None:
    arguments = f"--examples 256 --rounds 1 --device cpu --precision {precision}"
    found = run("inference.py", arguments, tmp_path)
    assert len(found["examples_per_second"]) == 3
    assert min(found["examples_per_second"].values()) > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["training.py", "inference.py"])
def test_no_gpu(name: str) -> None:
    done = start(name, "--device cuda --encoder bert-large --precision bf16")
    assert done.returncode == 1 and done.stderr.startswith("--device cuda: torch finds no GPU")


@pytest.mark.parametrize(
    "arguments, sizes", [("--times 1 3", [40, 120]), ("--only-open --times 1", [40])]
)
def test_scaling(arguments: str, sizes: list[int], tmp_path: Path) -> None:
    rows = run("scaling.py", f"--examples 40 {arguments}", tmp_path)
    assert [row["examples"] for row in rows] == sizes
    assert ("train, us" in rows[0]) == ("--only-open" not in arguments)
    assert all(row["open, MiB"] > row["open, +MiB"] and row["tokenise, MiB"] > 0 for row in rows)
