"""Training speed beside Hugging Face's Trainer, with and without grouping by length.

    python benchmarks/training.py                        # 2 layers, 128 wide, one thread
    python benchmarks/training.py --encoder minilm       # 6 layers, 384 wide
    python benchmarks/training.py --encoder bert-large --precision bf16    # on a GPU, if any
    python benchmarks/training.py --threads 2 --json training.json

All see examples of the same lengths in batches of the same size: random tokens (a Zipf law over
BERT's vocabulary), lengths of lengths.csv. A turn is a small part of the tasks' real
examples, and a sampler that groups by length pads the more the fewer examples it has to sort. So
each system takes a whole number of what it sorts together when all examples are there: the kit 32
batches, the Trainer 50. What it pads, here and of all examples, is in the table. Systems with
random batches pad alike at any size and take a third of the steps.

Systems take turns of an epoch, after a short one to warm up; each number is the median over rounds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import common
import numpy as np
import torch
from common import BATCH, TASK
from transformers import (
    BertForSequenceClassification,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler, get_length_grouped_indices

from mtkd.common.progress import Progress
from mtkd.data.batches import POOL, TaskData, epoch_units
from mtkd.method.settings import Training
from mtkd.method.training import train

OURS = Training(epochs=1, batch_size=BATCH, keep="last")
WARM = 5  # steps before those that count
SORTED = 50  # batches that the Trainer sorts together at the most


def main() -> None:
    parser = common.asked(str(__doc__))
    parser.add_argument(
        "--steps",
        type=int,
        help="of a turn, cut to a whole number of what a system sorts together, and a "
        "third of them of random batches (default: 100, of larger encoders on a CPU 50)",
    )
    parser.add_argument("--systems", nargs="+", help="those with these names alone, and mtkd")
    parser.add_argument("--only-padding", action="store_true", help="no training at all")
    options = parser.parse_args()
    options.device = common.chosen(options.device)
    slow = options.encoder != "tiny" and options.device.type == "cpu"
    options.steps = options.steps or (50 if slow else 100)
    if options.steps < 3:
        parser.error(f"--steps {options.steps}: expected at least 3")
    torch.set_num_threads(options.threads)
    os.environ["MTKD_HEADLESS"] = "1"
    racing = systems(options)
    found = common.conditions(options) | paddings(racing, options)
    if not options.only_padding:
        found["examples_per_second"] = race(racing, options)
    common.show_speeds("training", found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


# ------------------------------------------------------------------------------- the batches


def turn_steps(dealing: str, options: argparse.Namespace) -> int:
    """Steps of a turn: whole pools of batches that are sorted together."""
    if dealing == "random":
        return options.steps // 3
    pool = POOL if dealing == "mtkd" else sorted_together(options.tasks)
    return options.steps // pool * pool or options.steps


def examples(steps: int, options: argparse.Namespace) -> TaskData:
    return common.made_up(common.draw_lengths(options.tasks, steps * BATCH))


def sorted_together(tasks: list[str]) -> int:
    """Batches that transformers sorts together when it has all examples of the tasks."""
    return max(1, min(common.full_size(tasks) // (4 * BATCH), SORTED))


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
        return common.in_batches(np.array(list(Pools(data.encoded.lengths, pool, seed))), BATCH)
    grouped = dealing == "mtkd"
    found = epoch_units({TASK: data}, BATCH, seed=seed, epoch=1, epochs=1, group_by_length=grouped)
    return [rows for _, rows in found]


def paddings(racing: dict[str, System], options: argparse.Namespace) -> dict[str, Any]:
    """Each system's share of padding, in the batches of the race and of an epoch of all examples.

    There transformers decides by itself how many batches it sorts together.
    """
    everything = common.made_up(common.draw_lengths(options.tasks, common.full_size(options.tasks)))
    here, of_all = {}, {}
    for dealing in {system.dealing for system in racing.values()}:
        data, pool = examples(turn_steps(dealing, options), options), sorted_together(options.tasks)
        rounds = [dealt(data, dealing, pool, turn) for turn in range(1, options.rounds + 1)]
        here[dealing] = common.padding(data.encoded.lengths, list(itertools.chain(*rounds)))
        of_all[dealing] = common.padding(
            everything.encoded.lengths, dealt(everything, dealing, None, 0)
        )
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
            self.began = common.clock(self.device)
        elif self.done == self.total:
            self.seconds = common.clock(self.device) - self.began


@dataclass(frozen=True)
class System:
    """What takes part in the race."""

    dealing: str  # of batches: "mtkd", "Trainer" or "random"
    work: Callable[[TaskData, Watch, int], None]  # trains an epoch, with a seed


def systems(options: argparse.Namespace) -> dict[str, System]:
    """All systems, or those that were asked for."""

    def own(**changes: Any) -> System:
        training = replace(OURS, **{"precision": options.precision, **changes})
        dealing = "mtkd" if training.group_by_length else "random"
        return System(dealing, partial(kit, options.encoder, training))

    found = {"mtkd": own(), "mtkd, random batches": own(group_by_length=False)}
    if options.precision == "fp32":
        found["mtkd, bf16"] = own(precision="bf16")
    found["Trainer, grouped by length"] = System("Trainer", partial(trainer, options, True))
    found["Trainer"] = System("random", partial(trainer, options, False))
    if not options.systems:
        return found
    unknown = set(options.systems) - set(found)
    if unknown:
        raise SystemExit(f"--systems {sorted(unknown)}: expected some of {list(found)}")
    wanted = ("mtkd", *options.systems)
    return {name: system for name, system in found.items() if name in wanted}


def kit(encoder: str, training: Training, data: TaskData, watch: Watch, seed: int) -> None:
    model = common.kit_model(encoder)
    train(model, {TASK: data}, training, seed=seed, progress=watch)


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

    model = BertForSequenceClassification(common.config(options.encoder)).to(options.device)
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
            data_collator=DataCollatorWithPadding(common.Padder()),  # type: ignore[arg-type]
            train_dataset=common.rows_of(data),
            optimizers=(optimizer, schedule),
            callbacks=[Tick()],
        )
        peer.remove_callback(PrinterCallback)
        if grouped:
            peer.pools = Pools(data.encoded.lengths, sorted_together(options.tasks), seed)
        peer.train()


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


if __name__ == "__main__":
    main()
