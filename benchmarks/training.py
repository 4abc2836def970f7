"""Training speed beside Hugging Face's Trainer and a loop as the paper's authors have it.

    python benchmarks/training.py                        # 2 layers, 128 wide, one thread
    python benchmarks/training.py --encoder minilm       # 6 layers, 384 wide
    python benchmarks/training.py --encoder bert-large --precision bf16    # on a GPU, if any
    python benchmarks/training.py --threads 2 --json training.json

All see examples of the same lengths in batches of the same size: random tokens (a Zipf law over
BERT's vocabulary), lengths of mtkd/analysis/lengths.csv. A turn is a small part of the tasks' real
examples, and a sampler that groups by length pads the more the fewer examples it has to sort. So
each system takes a whole number of what it sorts together when all examples are there: the kit 32
batches, the Trainer 50. What it pads, here and of all examples, is in the table. Systems with
random batches pad alike at any size and take a third of the steps.

They take turns of an epoch, after a short one to warm up, and each number is the median over
rounds. "mtkd" is the kit with
`embedding_rows: read` and `dropout_masks: bits` (on a GPU both are as the defaults), "mtkd,
defaults" the kit without; what each gives has a row of its own. Afterwards: where the time of the
kit's step goes, and what the machine would allow.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from common import (
    BATCH,
    ENCODERS,
    TASK,
    VOCABULARY,
    Padder,
    asked,
    autocast,
    chosen,
    clock,
    conditions,
    config,
    draw_lengths,
    full_size,
    in_batches,
    kit_model,
    machine,
    made_up,
    padding,
    peak_mib,
    rows_of,
    speed_table,
)
from mtkd.method.dropout import draw_masks, drop
from rich.console import Console
from torch import nn
from transformers import (
    BertForSequenceClassification,
    BertModel,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler, get_length_grouped_indices

from mtkd.common.progress import Progress
from mtkd.data.batches import POOL, TaskData, collate, epoch_units
from mtkd.method.settings import Training
from mtkd.method.training import batch_loss, make_optimizer, train

DEFAULTS = Training(epochs=1, batch_size=BATCH, keep="last")
OURS = replace(DEFAULTS, embedding_rows="read", dropout_masks="bits")
WARM = 5  # steps before those that count
SORTED = 50  # batches that the Trainer sorts together at the most


def main() -> None:
    parser = asked(str(__doc__))
    parser.add_argument(
        "--steps",
        type=int,
        help="of a turn, cut to a whole number of what a system sorts together, and a "
        "third of them of random batches (default: 100, of larger encoders on a CPU 50)",
    )
    parser.add_argument("--systems", nargs="+", help="those with these names alone, and mtkd")
    parser.add_argument("--only-race", action="store_true", help="not the parts of a step")
    parser.add_argument("--only-padding", action="store_true", help="no training at all")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.device = chosen(options.device)
    slow = options.encoder != "tiny" and options.device.type == "cpu"
    options.steps = options.steps or (50 if slow else 100)
    if options.steps < 3:
        parser.error(f"--steps {options.steps}: expected at least 3")
    torch.set_num_threads(options.threads)
    os.environ["MTKD_HEADLESS"] = "1"
    if options.memory:
        print(train_once(options))
        return
    found = measure(options)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers, or those that the options ask for."""
    racing = systems(options)
    found = conditions(options) | paddings(racing, options)
    if options.only_padding:
        return found
    data = examples(turn_steps("mtkd", options), options)
    limits = machine(options.device)
    found |= {
        "examples_per_second": race(racing, options),
        "machine": limits,
        "floor_ms": floor(limits, data, options),
    }
    if options.only_race:
        return found
    return found | {
        "step_ms": breakdown(data, options),
        "optimiser_ms": optimisers(data, options),
        "dropout_ns": masks() if options.device.type == "cpu" else {},
        "peak_memory_mib": peak_memory(),
    }


def train_once(options: argparse.Namespace) -> float:
    """A turn of the kit; this process's peak of memory in MiB."""
    steps = turn_steps("mtkd", options)
    systems(options)["mtkd"].work(examples(steps, options), Watch(steps, options.device), 0)
    return round(peak_mib(options.device), 1)


def peak_memory() -> float:
    """MiB of a process that only trains with the kit, torch and all; of a GPU what torch took."""
    command = [sys.executable, __file__, *sys.argv[1:], "--memory"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


# ------------------------------------------------------------------------------- the batches


def turn_steps(dealing: str, options: argparse.Namespace) -> int:
    """Steps of a turn: whole pools of batches that are sorted together."""
    if dealing == "random":
        return options.steps // 3
    pool = POOL if dealing == "mtkd" else sorted_together(options.tasks)
    return options.steps // pool * pool or options.steps


def examples(steps: int, options: argparse.Namespace) -> TaskData:
    return made_up(draw_lengths(options.tasks, steps * BATCH))


def sorted_together(tasks: list[str]) -> int:
    """Batches that transformers sorts together when it has all examples of the tasks."""
    return max(1, min(full_size(tasks) // (4 * BATCH), SORTED))


class Pools(LengthGroupedSampler):
    """Hugging Face's sampler with a given number of batches sorted together; None: its own."""

    def __init__(self, lengths: np.ndarray, pool: int | None, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        super().__init__(BATCH, lengths=lengths.tolist(), generator=generator)
        self.pool = pool

    def __iter__(self) -> Iterator[int]:
        order = get_length_grouped_indices(
            self.lengths, self.batch_size, self.pool, generator=self.generator
        )
        return iter(order)


def dealt(data: TaskData, dealing: str, pool: int | None, seed: int) -> list[np.ndarray]:
    """The rows of an epoch's batches; `pool` is of the Trainer's sampler."""
    if dealing == "Trainer":
        return in_batches(np.array(list(Pools(data.encoded.lengths, pool, seed))), BATCH)
    grouped = dealing == "mtkd"
    found = epoch_units({TASK: data}, BATCH, seed=seed, epoch=1, epochs=1, group_by_length=grouped)
    return [rows for _, rows in found]


def paddings(racing: dict[str, System], options: argparse.Namespace) -> dict[str, Any]:
    """Each system's share of padding, in the batches of the race and of an epoch of all examples.

    There transformers decides by itself how many batches it sorts together.
    """
    everything = made_up(draw_lengths(options.tasks, full_size(options.tasks)))
    here, of_all = {}, {}
    for dealing in {system.dealing for system in racing.values()}:
        data, pool = examples(turn_steps(dealing, options), options), sorted_together(options.tasks)
        rounds = [dealt(data, dealing, pool, turn) for turn in range(1, options.rounds + 1)]
        here[dealing] = padding(data.encoded.lengths, list(itertools.chain(*rounds)))
        of_all[dealing] = padding(everything.encoded.lengths, dealt(everything, dealing, None, 0))
    return {
        "padding": {name: here[system.dealing] for name, system in racing.items()},
        "padding_of_all": {name: of_all[system.dealing] for name, system in racing.items()},
    }


# ------------------------------------------------------------------------------ the systems


class Watch(Progress):
    """Seconds of a training from its start, which is told as no steps at all, to its last step."""

    def __init__(self, steps: int, device: torch.device) -> None:
        super().__init__(steps, "")
        self.device, self.seconds = device, 0.0

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        self.done += steps
        if not steps:
            self.began = clock(self.device)
        elif self.done == self.total:
            self.seconds = clock(self.device) - self.began


@dataclass(frozen=True)
class System:
    """What takes part in the race."""

    dealing: str  # of batches: "mtkd", "Trainer" or "random"
    work: Callable[[TaskData, Watch, int], None]  # trains an epoch, with a seed


def systems(options: argparse.Namespace) -> dict[str, System]:
    """All systems, or those that were asked for; on a GPU some of the kit's are the same."""
    ours = replace(OURS, precision=options.precision)

    def own(**changes: Any) -> System:
        training = replace(ours, **changes)
        dealing = "mtkd" if training.group_by_length else "random"
        return System(dealing, partial(kit, options.encoder, training))

    found = {"mtkd": own()}
    if options.device.type == "cpu":
        found["mtkd, defaults"] = own(dropout_masks="torch", embedding_rows="all")
        found["mtkd, dropout by torch"] = own(dropout_masks="torch")
        found["mtkd, all embedding rows"] = own(embedding_rows="all")
    found["mtkd, random batches"] = own(group_by_length=False)
    if options.precision == "fp32":
        found["mtkd, bf16"] = own(precision="bf16")
    found["Trainer, grouped by length"] = System("Trainer", partial(trainer, options, True))
    found["Trainer"] = System("random", partial(trainer, options, False))
    found["authors' loop"] = System("random", partial(authors, options))
    if not options.systems:
        return found
    unknown = set(options.systems) - set(found)
    if unknown:
        raise SystemExit(f"--systems {sorted(unknown)}: expected some of {list(found)}")
    wanted = ("mtkd", "mtkd, defaults", *options.systems)
    return {name: system for name, system in found.items() if name in wanted}


def kit(encoder: str, training: Training, data: TaskData, watch: Watch, seed: int) -> None:
    model = kit_model(encoder)
    train(model, {TASK: data}, training, seed=seed, pad=0, progress=watch)


class Peer(Trainer):
    """Hugging Face's Trainer, sorting as many batches together as of all the tasks' examples."""

    pools: Pools | None = None

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self.pools or super()._get_train_sampler(train_dataset)


def trainer(
    options: argparse.Namespace, grouped: bool, data: TaskData, watch: Watch, seed: int
) -> None:
    """Hugging Face's Trainer with dynamic padding."""

    class Tick(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            watch.advance(0)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            watch.advance()

    model = BertForSequenceClassification(config(options.encoder)).to(options.device)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            max_grad_norm=1.0,
            warmup_steps=0.1,
            seed=seed,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            use_cpu=options.device.type == "cpu",
            bf16=options.precision == "bf16",
        )
        optimizer = torch.optim.Adamax(model.parameters(), lr=5e-5)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        peer = Peer(
            model,
            arguments,
            data_collator=DataCollatorWithPadding(Padder()),  # type: ignore[arg-type]
            train_dataset=rows_of(data),
            optimizers=(optimizer, schedule),
            callbacks=[Tick()],
        )
        peer.remove_callback(PrinterCallback)
        if grouped:
            peer.pools = Pools(data.encoded.lengths, sorted_together(options.tasks), seed)
        peer.train()


def authors(options: argparse.Namespace, data: TaskData, watch: Watch, seed: int) -> None:
    """A loop of ours with what costs most in the authors' code.

    Random batches, a pooler, an optimiser that goes through the parameters one by one and takes
    the larger of two moments by a maximum over a new axis, a loss that is read in every step.
    """
    device = options.device
    model = BertModel(config(options.encoder)).to(device)
    head = nn.Linear(model.config.hidden_size, 2).to(device)
    parameters = [*model.parameters(), *head.parameters()]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    watch.advance(0)
    for step, units in enumerate(dealt(data, "random", None, seed), start=1):
        batch = collate(TASK, data, units, 0).to(device)
        assert batch.labels is not None
        with autocast(device, options.precision):
            states = model(batch.tokens, (batch.segments >= 0).long()).pooler_output
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
        watch.advance()


def race(racing: dict[str, System], options: argparse.Namespace) -> dict[str, float]:
    """Examples a second of each system, median over rounds in which they take turns."""
    speeds: dict[str, list[float]] = {name: [] for name in racing}
    for turn in range(options.rounds + 1):
        for name, system in racing.items():
            steps = turn_steps(system.dealing, options) if turn else WARM
            watch = Watch(steps, options.device)
            torch.manual_seed(turn)
            system.work(examples(steps, options), watch, turn)
            if turn:
                speed = steps * BATCH / watch.seconds
                speeds[name].append(speed)
                print(f"round {turn}: {name}: {speed:.0f} examples/s", flush=True)
    return {name: round(statistics.median(found), 1) for name, found in speeds.items()}


# ------------------------------------------------------------------- where a step's time goes


def optimisers(data: TaskData, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of clipping and one Adamax step, median, of gradients of the same batches."""
    device = options.device
    titles = {"torch": "torch, foreach", "mtkd": "mtkd, all rows", "rows": "mtkd, rows as read"}
    if device.type != "cpu":
        del titles["rows"]  # a GPU updates all
    models = {name: kit_model(options.encoder).to(device).train() for name in titles}
    theirs = list(models["torch"].parameters())
    peer = torch.optim.Adamax(theirs, lr=5e-5, foreach=True)
    settings = {"mtkd": DEFAULTS, "rows": OURS}
    ours = {
        name: make_optimizer(models[name], settings[name], Accelerator())
        for name in models
        if name != "torch"
    }

    def step(name: str) -> None:
        if name == "torch":
            nn.utils.clip_grad_norm_(theirs, 1.0, foreach=True)
            peer.step()
        else:
            ours[name].clip(1.0)
            ours[name].step(5e-5)

    seconds: dict[str, list[float]] = {name: [] for name in models}
    for rows in dealt(data, "mtkd", None, 0)[: 4 * WARM]:
        batch = collate(TASK, data, rows, 0).to(device)
        for name, model in models.items():
            model.zero_grad()
            began = clock(device)
            if name in ours:
                ours[name].catch_up(batch.tokens)
            caught = clock(device) - began
            with autocast(device, options.precision):
                outputs = model(TASK, batch.tokens, batch.segments)
            batch_loss(outputs, batch, model.specs[TASK], None).backward()
            began = clock(device)
            step(name)
            seconds[name].append(caught + clock(device) - began)
    return {
        titles[name]: round(1000 * statistics.median(found[WARM:]), 2)
        for name, found in seconds.items()
    }


def masks() -> dict[str, float]:
    """Nanoseconds an element of dropout with torch's masks and with the kit's, median."""
    x = torch.randn(1 << 20)
    ways = {"torch": lambda: nn.functional.dropout(x, 0.1), "mtkd, bits": lambda: drop(x, 0.1)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(4 * WARM):
        for name, work in ways.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return {name: round(1e9 * statistics.median(s) / len(x), 2) for name, s in seconds.items()}


def breakdown(data: TaskData, options: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of each part of the kit's step, mean after the warm steps.

    A GPU is waited for after each part, which it is not in training.
    """
    device = options.device
    model = kit_model(options.encoder).to(device).train()
    draw_masks(model, OURS.dropout_masks if device.type == "cpu" else "torch")
    optimizer = make_optimizer(model, OURS, Accelerator())
    spent: dict[str, float] = {}
    order = dealt(data, "mtkd", None, 0)
    for number, units in enumerate([*order[:WARM], *order]):
        marks = [("", clock(device))]

        def mark(part: str, marks: list[tuple[str, float]] = marks) -> None:
            marks.append((part, clock(device)))

        batch = collate(TASK, data, units, 0).to(device)
        mark("batch")
        optimizer.catch_up(batch.tokens)
        mark("optimiser")
        with autocast(device, options.precision):
            outputs = model(TASK, batch.tokens, batch.segments)
        loss = batch_loss(outputs, batch, model.specs[TASK], None)
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
    return {part: round(1000 * s / len(order), 2) for part, s in spent.items()}


def floor(limits: dict[str, float], data: TaskData, options: argparse.Namespace) -> float:
    """Milliseconds that a step would need at the machine's speed, without any overhead.

    Products of the layers' matrices, forward and twice that backward, over real tokens alone; and
    for the optimiser four arrays read and three written, of the layers and of the embedding's
    rows: on a CPU those read, on a GPU all.
    """
    layers, hidden, _ = ENCODERS[options.encoder]
    weights = layers * 12 * hidden**2
    tokens = BATCH * float(np.mean(data.encoded.lengths))
    rows = tokens if options.device.type == "cpu" else VOCABULARY
    products = 6 * weights * tokens / (limits[f"teraflops_{options.precision}"] * 1e12)
    moved = 7 * 4 * (weights + rows * hidden) / (limits["gigabytes_per_second"] * 1e9)
    return round(1000 * (products + moved), 2)


def show(found: dict[str, Any]) -> None:
    console = Console()
    console.print(speed_table("training", found))
    if "machine" not in found:
        return
    limits, step = found["machine"], 1000 * BATCH / found["examples_per_second"]["mtkd"]
    console.print(
        f"a step of mtkd: {step:.1f} ms, floor {found['floor_ms']:.1f} ms "
        f"({limits['teraflops_fp32']:.3g} TFLOP/s in fp32, {limits['teraflops_bf16']:.3g} in bf16, "
        f"{limits['gigabytes_per_second']:.1f} GB/s): {found['floor_ms'] / step:.0%} of its speed"
    )
    if "step_ms" not in found:
        return
    parts = found["step_ms"]
    each = ", ".join(f"{name} {value:.1f}" for name, value in parts.items())
    console.print(f"its parts, measured apart: {each} ms; {sum(parts.values()):.1f} in all")
    optimiser = ", ".join(f"{name} {value:.1f}" for name, value in found["optimiser_ms"].items())
    console.print(f"clipping and Adamax: {optimiser} ms")
    dropout = ", ".join(f"{name} {value:.1f}" for name, value in found["dropout_ns"].items())
    if dropout:
        console.print(f"dropout: {dropout} ns an element")
    console.print(f"peak memory {found['peak_memory_mib']:,.0f} MiB")


if __name__ == "__main__":
    main()
