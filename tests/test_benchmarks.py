"""The benchmarks run, and their numbers add up; how large these are is not for a test to say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def run(name: str, arguments: str, folder: Path) -> Any:
    target = folder / "found.json"
    command = [sys.executable, str(FOLDER / name), *arguments.split(), "--json", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(target.read_text())


def test_training(tmp_path: Path) -> None:
    found = run("training.py", "--steps 12 --rounds 1", tmp_path)
    assert len(found["examples_per_second"]) == 8
    assert min(found["examples_per_second"].values()) > 0
    assert found["floor_ms"] > 0 and sum(found["step_ms"].values()) > 0
    assert min(found["dropout_ns"].values()) > 0
    assert len(found["optimiser_ms"]) == 3 and found["peak_memory_mib"] > 100
    assert 0 <= found["padding"]["grouped by length"] < found["padding"]["random"] < 1


def test_inference(tmp_path: Path) -> None:
    found = run("inference.py", "--examples 64 --rounds 1", tmp_path)
    assert min(found["examples_per_second"].values()) > 0


@pytest.mark.parametrize(
    "arguments, sizes", [("--times 1 3", [40, 120]), ("--only-open --times 1", [40])]
)
def test_scaling(arguments: str, sizes: list[int], tmp_path: Path) -> None:
    rows = run("scaling.py", f"--examples 40 {arguments}", tmp_path)
    assert [row["examples"] for row in rows] == sizes
    assert ("train, us" in rows[0]) == ("--only-open" not in arguments)
