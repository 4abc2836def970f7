"""The recipe smoke on a real Slurm, where one can be started."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "slurm" / "loopback.py"
spec = importlib.util.spec_from_file_location("loopback", SCRIPT)
assert spec and spec.loader
loopback = importlib.util.module_from_spec(spec)
sys.modules["loopback"] = loopback
spec.loader.exec_module(loopback)


@pytest.mark.skipif(bool(loopback.lacking()), reason=loopback.lacking() or "Slurm is here")
def test_smoke_on_slurm_survives_a_cancelled_job_and_a_drained_node(tmp_path: Path) -> None:
    assert loopback.campaign(tmp_path) == []
