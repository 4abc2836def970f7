"""Prediction speed beside Hugging Face's Trainer: the same lengths, model and batch size.

    python benchmarks/inference.py                       # 2 layers, 128 wide, one thread
    python benchmarks/inference.py --encoder minilm --threads 2 --json inference.json
    python benchmarks/inference.py --encoder bert-large --precision bf16    # on a GPU, if any

The Trainer takes the examples as they come, and once more sorted by length before it sees them.
Sorted examples are as many as the tasks' training sets have, since sorting leaves the less padding
the more there are (for larger encoders on a CPU a tenth of them, with more padding for both);
those as they come are 2,048 of the same lengths. Systems take turns, after a short one to warm up,
and each number is the median over rounds. The kit's own predictions are in fp32; with `--precision
bf16` it is called inside torch's autocast.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable

import numpy as np
import torch
from common import (
    TASK,
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
    rows_of,
    show_speeds,
)
from transformers import (
    BertForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from mtkd.data.batches import TaskData
from mtkd.method import prediction
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import BATCH

SYSTEMS = ("mtkd", "Trainer, examples sorted by length", "Trainer")
AS_THEY_COME = 16 * BATCH  # examples


def main() -> None:
    parser = asked(str(__doc__))
    parser.add_argument("--examples", type=int, help="that are sorted (default: see above)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.device = chosen(options.device)
    everything = full_size(options.tasks)
    slow = options.encoder != "tiny" and options.device.type == "cpu"
    options.examples = options.examples or (everything // 10 if slow else everything)
    found = conditions(options) | {
        "padding": {name: share(name, options.examples, options) for name in SYSTEMS},
        "padding_of_all": {name: share(name, everything, options) for name in SYSTEMS},
        "examples_per_second": race(options),
        "machine": machine(options.device),
    }
    show_speeds("prediction", found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def drawn(system: str, count: int, options: argparse.Namespace) -> np.ndarray:
    """Lengths of the examples of a system that sorts `count` of them, or takes fewer unsorted."""
    if system == "Trainer":
        return draw_lengths(options.tasks, min(count, AS_THEY_COME))
    return draw_lengths(options.tasks, count)


def share(system: str, count: int, options: argparse.Namespace) -> float:
    """Share of the tokens that are padding."""
    lengths = drawn(system, count, options)
    order = np.arange(len(lengths)) if system == "Trainer" else np.argsort(lengths, kind="stable")
    return padding(lengths, in_batches(order, BATCH))


def race(options: argparse.Namespace) -> dict[str, float]:
    """Examples a second of each system, median over rounds in which they take turns."""
    model = kit_model(options.encoder).to(options.device)
    speeds: dict[str, list[float]] = {system: [] for system in SYSTEMS}
    with tempfile.TemporaryDirectory() as folder:
        peer = trainer(options, folder)
        for turn in range(options.rounds + 1):
            for system in SYSTEMS:
                data = made_up(drawn(system, options.examples if turn else BATCH, options))
                work = job(system, data, model, peer, options)
                began = clock(options.device)
                work()
                speed = len(data.encoded) / (clock(options.device) - began)
                if turn:
                    speeds[system].append(speed)
                    print(f"round {turn}: {system}: {speed:.0f} examples/s", flush=True)
    return {system: round(statistics.median(found), 1) for system, found in speeds.items()}


def job(
    system: str, data: TaskData, model: MultiTaskModel, peer: Trainer, options: argparse.Namespace
) -> Callable[[], object]:
    """A system's predictions on its data, ready to be called."""
    if system == "mtkd":

        def kit() -> None:
            with autocast(options.device, options.precision):
                prediction.predict(model, TASK, data)

        return kit
    rows = rows_of(data)
    if system == "Trainer":
        return lambda: peer.predict(rows)  # type: ignore[arg-type]
    return lambda: peer.predict(sorted(rows, key=lambda row: row["length"]))  # type: ignore[arg-type]


def trainer(options: argparse.Namespace, folder: str) -> Trainer:
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_eval_batch_size=BATCH,
        report_to=[],
        disable_tqdm=True,
        use_cpu=options.device.type == "cpu",
        bf16=options.precision == "bf16",
    )
    model = BertForSequenceClassification(config(options.encoder))
    collator = DataCollatorWithPadding(Padder())  # type: ignore[arg-type]
    return Trainer(model, arguments, data_collator=collator)


if __name__ == "__main__":
    main()
