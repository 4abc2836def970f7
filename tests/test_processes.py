"""One run on two processes: what one alone finds, whatever happens to one of them."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from mtkd.app import fork_server
from mtkd.common.errors import MtkdError
from mtkd.common.progress import PROGRESS_VARIABLE
from mtkd.experiments import processes
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import find_run
from mtkd.experiments.recipes import load_recipe
from mtkd.method.targets import read_predictions

# Its fine-tuning starts from the model that the first process has written.
RECIPE = replace(
    load_recipe("smoke", ["tasks=[rte]", "training.epochs=4", "candidates.dropout=[0.1]"]),
    processes=2,
)


@pytest.fixture(scope="module", autouse=True)
def quick_starts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers are forked, as kernels are: four cold starts would take a minute."""
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as file, fork_server.serving(os.environ, file) as (server, _):
        command = [*processes.WORKER[:3], "mtkd.app.fork_server", server, processes.WORKER[3]]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(processes, "WORKER", command)
            yield


def mtdnn(results: Path, count: int) -> RunContext:
    recipe = replace(RECIPE, processes=count)
    run = find_run(recipe, "mtdnn", "uncased-d0.1", 1)
    for parent in run.parents:
        RunContext(recipe, parent, results, ("rte",)).execute()
    return RunContext(recipe, run, results, ("rte",))


def workers() -> list[psutil.Process]:
    """The processes that train together."""
    found = psutil.Process().children()
    return [one for one in found if "mtkd.experiments.worker" in one.cmdline()]


def kill_one(checkpoints: Path) -> None:
    """Kill the second of two processes after an epoch."""
    deadline = time.monotonic() + 300
    while not list(checkpoints.glob("*/epoch-*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    next(one for one in workers() if one.environ()["RANK"] == "1").kill()


def test_two_processes_find_what_one_finds_and_go_on_after_one_was_killed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROGRESS_VARIABLE, str(tmp_path / "progress.json"))  # as in a batch run
    alone = mtdnn(tmp_path / "one", 1)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    together = mtdnn(tmp_path / "two", 2)
    assert together.run.run_id == alone.run.run_id
    alone.execute()
    killer = threading.Thread(target=kill_one, args=[together.folder / "checkpoints"], daemon=True)
    killer.start()
    with pytest.raises(MtkdError, match=r"mtdnn-\S+, process 1: killed; often"):
        together.execute()
    killer.join()
    assert not workers() and not (together.folder / "record.json").exists()
    (begun,) = together.folder.glob("checkpoints/*/epoch-*/history.json")
    before = json.loads(begun.read_text())["epochs"]

    capfd.readouterr()
    record = together.execute()
    assert capfd.readouterr().out.count("100%") == 1  # one of the two tells
    assert record.environment["processes"] == 2
    history = record.details["histories"]["mtdnn-noft"]
    assert history["epochs"][: len(before)] == before  # seconds, too: not made again
    names = [name for name in record.outputs if name.startswith("predictions/")]
    assert len(names) > 4 and set(names) <= set(alone.execute().outputs)
    for name in names:
        one, two = (read_predictions(context.results / name) for context in (alone, together))
        np.testing.assert_allclose(one.logits, two.logits, atol=1e-5, rtol=0)


def test_an_error_of_one_process_ends_all_with_one_line(tmp_path: Path) -> None:
    context = mtdnn(tmp_path, 2)
    (tmp_path / "predictions").write_text("")  # where a folder should be
    with pytest.raises(MtkdError) as raised:
        context.execute()
    assert str(raised.value).startswith(f"{context.run.run_id}, process 0: ")
    assert "\n" not in str(raised.value) and not workers()


def test_every_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(MtkdError, match="processes: 2, and GPUs that may be used: 1"):
        processes.environment(2)
