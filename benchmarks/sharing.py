"""Training speed of several runs that share one device, as `mtkd reproduce --jobs` has it.

    python benchmarks/sharing.py --runs 1 8 16                   # 6 layers, 384 wide, TF32
    python benchmarks/sharing.py --runs 1 2 --encoder tiny       # on a CPU: one thread each

Every run is a process of its own that trains on made-up examples of GLUE's lengths (see
training.py), 64 tokens at most. It takes some steps to warm up, waits for the others, and takes
`--steps` more; the speed is that of all runs together, from the first start to the last end.
"""

from __future__ import annotations

import argparse
import json
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import common
import torch
import torch.multiprocessing as processes

from mtkd.data.batches import TaskData
from mtkd.method.settings import Training
from mtkd.method.training import train

WARM = 5  # steps


def examples(steps: int) -> TaskData:
    common.LONGEST = 64
    return common.made_up(common.draw_lengths(["cola", "mrpc", "rte"], steps * common.BATCH))


def work(seed: int, ready: Barrier, options: argparse.Namespace) -> None:
    """One run: warm up, wait for the others, train."""
    torch.set_num_threads(1)
    model = common.kit_model(options.encoder)
    how = Training(epochs=1, batch_size=common.BATCH, precision=options.precision, keep="last")
    for steps in (WARM, options.steps):
        train(model, {common.TASK: examples(steps)}, how, seed=seed)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ready.wait()


def speed(runs: int, options: argparse.Namespace) -> float:
    """Examples a second of so many runs together."""
    ready = processes.get_context("spawn").Barrier(runs + 1)
    started = processes.spawn(work, (ready, options), nprocs=runs, join=False)
    ready.wait()
    began = time.perf_counter()
    ready.wait()
    seconds = time.perf_counter() - began
    started.join()
    return runs * options.steps * common.BATCH / seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", nargs="+", type=int, default=[1, 2], help="side by side")
    parser.add_argument("--encoder", choices=common.ENCODERS, default="minilm", help="size")
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="tf32")
    parser.add_argument("--steps", type=int, default=60, help="of each run")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    options = parser.parse_args()
    found = {runs: round(speed(runs, options), 1) for runs in options.runs}
    for runs, examples_per_second in found.items():
        print(f"{runs:3d} runs: {examples_per_second:,.0f} examples a second in all")
    if options.json:
        options.json.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
