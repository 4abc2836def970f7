"""Training speed beside Hugging Face's Trainer and a loop as the paper's authors have it.

    python benchmarks/training.py                        # 2 layers, 128 wide, one thread
    python benchmarks/training.py --encoder minilm       # 6 layers, 384 wide
    python benchmarks/training.py --threads 2 --json training.json

All see the same examples in batches of the same size: random tokens (a Zipf law over BERT's
vocabulary) in lengths drawn from mtkd/lengths.csv. They take turns, and each number is the median
over rounds. "mtkd" is the kit with `embedding_rows: read` and `dropout_masks: bits`; what each
gives has a row of its own. Afterwards: where the time of the kit's step goes, and what the machine
would allow.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from common import (
    BATCH,
    ENCODERS,
    TASK,
    Padder,
    asked,
    config,
    examples,
    kit_model,
    machine,
    memory_mib,
    padding,
    rows_of,
    speed_table,
)
from rich.console import Console
from torch import nn
from transformers import (
    BertForSequenceClassification,
    BertModel,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from mtkd.batches import TaskData, collate, epoch_units
from mtkd.dropout import draw_masks, drop
from mtkd.progress import Progress
from mtkd.settings import Training
from mtkd.training import batch_loss, make_optimizer, train

OURS = Training(
    epochs=1, batch_size=BATCH, keep="last", embedding_rows="read", dropout_masks="bits"
)
WARM = 10  # steps of each turn that are not counted


def main() -> None:
    parser = asked(str(__doc__))
    parser.add_argument("--steps", type=int, default=60, help="of one turn, the warm ones included")
    parser.add_argument("--systems", nargs="+", help="those with these names alone, and mtkd")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["MTKD_HEADLESS"] = "1"
    data = examples(options.tasks, options.steps * BATCH)
    if options.memory:
        kit(data, options.encoder, OURS)
        print(round(memory_mib("VmHWM"), 1))
        return
    speeds = race(data, options)
    found = {
        "encoder": options.encoder,
        "threads": options.threads,
        "tasks": options.tasks,
        "examples_per_second": speeds,
        "step_ms": breakdown(data, options),
        "optimiser_ms": optimisers(data, options),
        "dropout_ns": masks(),
        "machine": machine(),
        "padding": {
            "grouped by length": padding(data, batches(data, grouped=True)),
            "random": padding(data, batches(data, grouped=False)),
        },
        "peak_memory_mib": peak_memory(options),
        "torch": torch.__version__,
    }
    found["floor_ms"] = floor(found["machine"], data, options.encoder)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def peak_memory(options: argparse.Namespace) -> float:
    """MiB of a process that only trains with the kit, torch and all; its peak."""
    command = [sys.executable, __file__, "--memory", "--encoder", options.encoder]
    command += ["--threads", str(options.threads), "--steps", str(options.steps)]
    done = subprocess.run(
        [*command, "--tasks", *options.tasks], check=True, capture_output=True, text=True
    )
    return float(done.stdout.splitlines()[-1])


def batches(data: TaskData, grouped: bool) -> list[np.ndarray]:
    """The rows of an epoch's batches."""
    dealt = epoch_units({TASK: data}, BATCH, seed=0, epoch=1, epochs=1, group_by_length=grouped)
    return [rows for _, rows in dealt]


# ------------------------------------------------------------------------------ the systems


class Clock(Progress):
    """Counts steps, and when each was over."""

    def __init__(self) -> None:
        super().__init__(1, "")
        self.times: list[float] = []

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        self.times.append(time.perf_counter())


def kit(data: TaskData, encoder: str, settings: Training) -> list[float]:
    model = kit_model(encoder)
    clock = Clock()
    train(model, {TASK: data}, settings, seed=0, pad=0, progress=clock)
    return clock.times[1:]  # the first call says that nothing was resumed


def trainer(data: TaskData, encoder: str, order: str) -> list[float]:
    """Hugging Face's Trainer with dynamic padding; `order` is its sampling strategy."""
    times: list[float] = []

    class Tick(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    model = BertForSequenceClassification(config(encoder))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            max_grad_norm=1.0,
            warmup_steps=0.1,
            train_sampling_strategy=order,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            use_cpu=True,
        )
        optimizer = torch.optim.Adamax(model.parameters(), lr=5e-5)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        Trainer(
            model,
            arguments,
            data_collator=DataCollatorWithPadding(Padder()),  # type: ignore[arg-type]
            train_dataset=rows_of(data),
            optimizers=(optimizer, schedule),
            callbacks=[Tick()],
        ).train()
    return times


def authors(data: TaskData, encoder: str) -> list[float]:
    """A loop of ours with what costs most in the authors' code.

    Random batches, a pooler, an optimiser that goes through the parameters one by one and takes
    the larger of two moments by a maximum over a new axis, a loss that is read in every step.
    """
    model = BertModel(config(encoder))
    head = nn.Linear(model.config.hidden_size, 2)
    parameters = [*model.parameters(), *head.parameters()]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    times = []
    order = epoch_units({TASK: data}, BATCH, seed=0, epoch=1, epochs=1, group_by_length=False)
    for step, (_, units) in enumerate(order, start=1):
        batch = collate(TASK, data, units, 0)
        states = model(batch.tokens, (batch.segments >= 0).long()).pooler_output
        assert batch.labels is not None
        loss = nn.functional.cross_entropy(head(states), batch.labels)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        with torch.no_grad():
            for p, (mean, peak) in zip(parameters, moments, strict=True):
                if p.grad is None:
                    continue
                mean.mul_(0.9).add_(p.grad, alpha=0.1)
                pair = (peak.mul_(0.999).unsqueeze(0), p.grad.abs().add_(1e-8).unsqueeze(0))
                peak.copy_(torch.max(torch.cat(pair), 0)[0])
                p.addcdiv_(mean, peak + 1e-8, value=-5e-5 / (1 - 0.9**step))
                p.grad = None
        loss.item()
        times.append(time.perf_counter())
    return times


def race(data: TaskData, options: argparse.Namespace) -> dict[str, float]:
    """Examples a second of each system, median over rounds in which they take turns."""
    name = options.encoder
    systems: dict[str, Callable[[], list[float]]] = {
        "mtkd": lambda: kit(data, name, OURS),
        "mtkd, dropout by torch": lambda: kit(data, name, replace(OURS, dropout_masks="torch")),
        "mtkd, all embedding rows": lambda: kit(data, name, replace(OURS, embedding_rows="all")),
        "mtkd, random batches": lambda: kit(data, name, replace(OURS, group_by_length=False)),
        "mtkd, bf16": lambda: kit(data, name, replace(OURS, precision="bf16")),
        "Trainer, grouped by length": lambda: trainer(data, name, "group_by_length"),
        "Trainer": lambda: trainer(data, name, "random"),
        "authors' loop": lambda: authors(data, name),
    }
    if options.systems:
        unknown = set(options.systems) - set(systems)
        if unknown:
            raise SystemExit(f"--systems {sorted(unknown)}: expected some of {list(systems)}")
        systems = {s: work for s, work in systems.items() if s in ("mtkd", *options.systems)}
    speeds: dict[str, list[float]] = {system: [] for system in systems}
    for turn in range(options.rounds):
        for system, work in systems.items():
            torch.manual_seed(turn)
            times = work()
            # The mean, not the median step: grouped batches differ in length.
            seconds = (times[-1] - times[WARM - 1]) / (len(times) - WARM)
            speeds[system].append(BATCH / seconds)
            print(f"round {turn + 1}: {system}: {speeds[system][-1]:.0f} examples/s", flush=True)
    return {system: round(statistics.median(found), 1) for system, found in speeds.items()}


# ------------------------------------------------------------------- where a step's time goes


def optimisers(data: TaskData, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of clipping and one Adamax step, median, of gradients of the same batches."""
    models = {name: kit_model(options.encoder).train() for name in ("torch", "mtkd", "rows")}
    theirs = list(models["torch"].parameters())
    peer = torch.optim.Adamax(theirs, lr=5e-5, foreach=True)
    ours = {
        "mtkd": make_optimizer(models["mtkd"], replace(OURS, embedding_rows="all"), Accelerator()),
        "rows": make_optimizer(models["rows"], OURS, Accelerator()),
    }

    def step(name: str) -> None:
        if name == "torch":
            nn.utils.clip_grad_norm_(theirs, 1.0, foreach=True)
            peer.step()
        else:
            ours[name].clip(1.0)
            ours[name].step(5e-5)

    seconds: dict[str, list[float]] = {name: [] for name in models}
    for rows in batches(data, grouped=True)[: 2 * WARM]:
        batch = collate(TASK, data, rows, 0)
        for name, model in models.items():
            model.zero_grad()
            began = time.perf_counter()
            if name in ours:
                ours[name].catch_up(batch.tokens)
            caught = time.perf_counter() - began
            outputs = model(TASK, batch.tokens, batch.segments)
            batch_loss(outputs, batch, model.specs[TASK], None).backward()
            began = time.perf_counter()
            step(name)
            seconds[name].append(caught + time.perf_counter() - began)
    titles = {"torch": "torch, foreach", "mtkd": "mtkd, all rows", "rows": "mtkd, rows as read"}
    return {
        titles[name]: round(1000 * statistics.median(found[WARM // 2 :]), 2)
        for name, found in seconds.items()
    }


def masks() -> dict[str, float]:
    """Nanoseconds an element of dropout with torch's masks and with the kit's, median."""
    x = torch.randn(1 << 20)
    ways = {"torch": lambda: nn.functional.dropout(x, 0.1), "mtkd, bits": lambda: drop(x, 0.1)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(2 * WARM):
        for name, work in ways.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return {name: round(1e9 * statistics.median(s) / len(x), 2) for name, s in seconds.items()}


def breakdown(data: TaskData, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of each part of the kit's step, mean after the warm steps."""
    model = kit_model(options.encoder).train()
    draw_masks(model, OURS.dropout_masks)
    optimizer = make_optimizer(model, OURS, Accelerator())
    spent: dict[str, float] = {}
    order = epoch_units({TASK: data}, BATCH, seed=0, epoch=1, epochs=1)
    for number, (_, units) in enumerate(order):
        marks = [("", time.perf_counter())]

        def mark(part: str, marks: list[tuple[str, float]] = marks) -> None:
            marks.append((part, time.perf_counter()))

        batch = collate(TASK, data, units, 0)
        mark("batch")
        optimizer.catch_up(batch.tokens)
        mark("optimiser")
        loss = batch_loss(model(TASK, batch.tokens, batch.segments), batch, model.specs[TASK], None)
        mark("forward")
        loss.backward()
        mark("backward")
        optimizer.clip(1.0)
        mark("clip")
        optimizer.step(5e-5)
        optimizer.zero_grad()
        mark("optimiser")
        if number >= WARM:
            for (_, before), (part, after) in itertools.pairwise(marks):
                spent[part] = spent.get(part, 0) + after - before
    return {part: round(1000 * s / (len(order) - WARM), 2) for part, s in spent.items()}


def floor(machine: dict[str, float], data: TaskData, encoder: str) -> float:
    """Milliseconds that a step would need at the machine's speed, without any overhead.

    Products of the layers' matrices, forward and twice that backward, over real tokens alone; and
    for the optimiser four arrays read and three written, of the layers and of the rows read.
    """
    layers, hidden, _ = ENCODERS[encoder]
    weights = layers * 12 * hidden**2
    tokens = BATCH * float(np.mean(data.encoded.lengths))
    products = 6 * weights * tokens / (machine["gflops"] * 1e9)
    moved = 7 * 4 * (weights + tokens * hidden) / (machine["gigabytes_per_second"] * 1e9)
    return round(1000 * (products + moved), 2)


def show(found: dict[str, Any]) -> None:
    parts = found["step_ms"]
    console = Console()
    console.print(speed_table("training", found))
    console.print(
        "a step of mtkd: "
        + ", ".join(f"{name} {value:.1f}" for name, value in parts.items())
        + f" ms; {sum(parts.values()):.1f} in all, floor {found['floor_ms']:.1f} ms "
        f"({found['machine']['gflops']:.0f} GFLOP/s, "
        f"{found['machine']['gigabytes_per_second']:.1f} GB/s): "
        f"{found['floor_ms'] / sum(parts.values()):.0%} of the floor's speed"
    )
    optimiser = ", ".join(f"{name} {value:.1f}" for name, value in found["optimiser_ms"].items())
    console.print(f"clipping and Adamax: {optimiser} ms")
    dropout = ", ".join(f"{name} {value:.1f}" for name, value in found["dropout_ns"].items())
    console.print(f"dropout: {dropout} ns an element")
    shares = ", ".join(f"{share:.1%} {name}" for name, share in found["padding"].items())
    console.print(f"padding: {shares}; peak memory {found['peak_memory_mib']:,.0f} MiB")


if __name__ == "__main__":
    main()
