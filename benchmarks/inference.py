"""Prediction speed beside Hugging Face's Trainer: the same examples, model and batch size.

    python benchmarks/inference.py                       # 2 layers, 128 wide, one thread
    python benchmarks/inference.py --encoder minilm --threads 2 --json inference.json

The Trainer takes the examples as they come, and once more sorted by length before it sees them.
They take turns, and each number is the median over rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from common import (
    BATCH,
    TASK,
    Padder,
    asked,
    config,
    examples,
    kit_model,
    machine,
    rows_of,
    speed_table,
)
from rich.console import Console
from transformers import (
    BertForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from mtkd import prediction
from mtkd.batches import TaskData


def main() -> None:
    parser = asked(str(__doc__))
    parser.add_argument("--examples", type=int, default=60 * BATCH)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = examples(options.tasks, options.examples)
    found = {
        "encoder": options.encoder,
        "threads": options.threads,
        "tasks": options.tasks,
        "examples_per_second": race(data, options),
        "machine": machine(),
        "torch": torch.__version__,
    }
    Console().print(speed_table("prediction", found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def race(data: TaskData, options: argparse.Namespace) -> dict[str, float]:
    """Examples a second of each system, median over rounds in which they take turns."""
    model = kit_model(options.encoder)
    rows = rows_of(data)
    with tempfile.TemporaryDirectory() as folder:
        peer = trainer(options.encoder, folder)
        systems: dict[str, Callable[[], Any]] = {
            "mtkd": lambda: prediction.predict(model, TASK, data, pad=0),
            "Trainer, examples sorted by length": lambda: peer.predict(
                sorted(rows, key=lambda row: row["length"])
            ),
            "Trainer": lambda: peer.predict(rows),
        }
        speeds: dict[str, list[float]] = {system: [] for system in systems}
        for turn in range(options.rounds + 1):
            for system, work in systems.items():
                began = time.perf_counter()
                work()
                if turn:  # the first is to warm up
                    speed = len(rows) / (time.perf_counter() - began)
                    speeds[system].append(speed)
                    print(f"round {turn}: {system}: {speed:.0f} examples/s", flush=True)
    return {system: round(statistics.median(found), 1) for system, found in speeds.items()}


def trainer(encoder: str, folder: str) -> Trainer:
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_eval_batch_size=prediction.BATCH,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    model = BertForSequenceClassification(config(encoder))
    collator = DataCollatorWithPadding(Padder())  # type: ignore[arg-type]
    return Trainer(model, arguments, data_collator=collator)


if __name__ == "__main__":
    main()
