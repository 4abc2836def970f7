"""One run on several processes of this machine; each is `mtkd.experiments.worker`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate.utils import parse_flag_from_env

from mtkd.common.errors import MtkdError
from mtkd.common.files import write_text
from mtkd.common.machine import check_gpus
from mtkd.common.progress import PROGRESS_VARIABLE

if TYPE_CHECKING:
    from mtkd.experiments.context import RunContext

POLL = 0.2  # seconds between looks at the processes
GRACE = 1.0  # seconds for the others to fail of the same cause
WORKER = [sys.executable, "-P", "-m", "mtkd.experiments.worker"]


def train_together(context: RunContext) -> None:
    """Make a run on its processes, up to its record; the first one's lines are printed.

    Whatever ends this call, or this process, ends them. Raises MtkdError with the first error of
    any of them, or where there are GPUs, but fewer than processes.
    """
    count, run = context.processes, context.run
    with tempfile.TemporaryDirectory(prefix="mtkd-") as name, ExitStack() as stack:
        folder = Path(name)
        facts = {
            "recipe": asdict(context.recipe),
            "results": str(context.results.resolve()),
            "tasks": context.tasks,
            "run_id": run.run_id,
            "named": [run.stage, run.variant, run.seed],
        }
        write_text(folder / "run.json", json.dumps(facts))
        printed, log = (stack.enter_context((folder / f).open("w")) for f in ("printed", "log"))
        shared, crew = environment(count), list[subprocess.Popen[bytes]]()
        stack.callback(end, crew)
        for rank in range(count):
            own = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            if rank:
                own.pop(PROGRESS_VARIABLE, None)
            crew.append(
                subprocess.Popen(
                    [*WORKER, name],
                    env=own,
                    stdin=subprocess.PIPE,  # ends when we do, and the process with it
                    stdout=subprocess.DEVNULL if rank else printed,
                    stderr=log,
                )
            )
        with (folder / "printed").open(encoding="utf-8", errors="replace") as lines:
            while not any(statuses(crew)) and None in statuses(crew):
                time.sleep(POLL)
                if text := lines.read():
                    print(text, end="", flush=True)
            print(lines.read(), end="", flush=True)
        if any(statuses(crew)):
            time.sleep(GRACE)
            print((folder / "log").read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
            raise MtkdError(f"{run.run_id}, {reason(folder, statuses(crew))}")


def environment(count: int) -> dict[str, str]:
    """What all processes have in common; they speak to each other inside this machine alone."""
    cpu = not torch.cuda.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
    if not cpu:
        check_gpus(torch.cuda.device_count(), count)
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    threads = str(max(1, torch.get_num_threads() // count))
    found = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    found |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    found |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    return os.environ | found | {"ACCELERATE_USE_CPU": str(cpu).lower()}


def statuses(crew: Sequence[subprocess.Popen[bytes]]) -> list[int | None]:
    """Exit statuses, None of those at work."""
    return [process.poll() for process in crew]


def end(crew: Sequence[subprocess.Popen[bytes]]) -> None:
    """Leave no process behind."""
    for process in crew:
        process.kill()
    for process in crew:
        process.communicate()


def reason(folder: Path, found: Sequence[int | None]) -> str:
    """Which process failed first, and why, in one line."""
    if -signal.SIGKILL in found:  # the others' errors are that it is gone
        return (
            f"process {found.index(-signal.SIGKILL)}: killed; often the machine ran out of memory: "
            "the same command continues, a smaller training.batch_size needs less"
        )
    error = folder / "error"
    if error.is_file():
        return error.read_text(encoding="utf-8")
    rank = next(rank for rank, status in enumerate(found) if status)
    return f"process {rank}: ended with status {found[rank]}; its last words are printed above"
