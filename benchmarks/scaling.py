"""Does cost grow linearly? Time of an example and memory at 1, 4 and 16 times the examples.

    python benchmarks/scaling.py [--examples 2500] [--json scaling.json]

Each size has a process of its own: it reads a made-up SST-2 in GLUE's file layout, tokenises it,
opens the cache again as a second run would, trains an epoch and predicts the training examples.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from mtkd.batches import TaskData
from mtkd.data import DataSource, load_examples
from mtkd.encoding import encode
from mtkd.model import MultiTaskModel
from mtkd.prediction import predict
from mtkd.settings import HeadSpec, Training
from mtkd.tasks import GLUE
from mtkd.training import train

TIMES = (1, 4, 16)
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnpr" for b in "aeiou" for c in "bdfgklmnpr"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=2500, help="at 1 times")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # the process of one size
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    rows = []
    for times in TIMES:
        command = [sys.executable, __file__, "--one", str(times * options.examples)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{times} times: {rows[-1]}", flush=True)
    show(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(count: int) -> dict[str, float]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, count)
        source, cache = DataSource(kind="folder", path=str(folder)), folder / "cache"
        words = BertWordPieceTokenizer()
        words.train_from_iterator(WORDS, vocab_size=1000, show_progress=False)
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words._tokenizer, pad_token="[PAD]")
        found = {"examples": float(count)}
        marks = [time.perf_counter()]
        examples = load_examples(source, "sst2", "train")
        marks.append(time.perf_counter())
        encode(examples, tokenizer, 64, cache)
        marks.append(time.perf_counter())
        data = TaskData(encode(examples, tokenizer, 64, cache))
        marks.append(time.perf_counter())
        config = BertConfig(
            vocab_size=1000,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=256,
        )
        shared = BertModel(config, add_pooling_layer=False)
        model = MultiTaskModel(shared, {"sst2": HeadSpec("linear", GLUE["sst2"].labels)})
        train(model, {"sst2": data}, Training(epochs=1, keep="last"), seed=0, pad=0)
        marks.append(time.perf_counter())
        predict(model, "sst2", data, pad=0)
        marks.append(time.perf_counter())
        parts = ("read", "tokenise", "open again", "train", "predict")
        found |= {
            part: 1e6 * (after - before) / count
            for part, before, after in zip(parts, marks, marks[1:], strict=False)
        }
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {key: round(value, 1) for key, value in (found | {"peak MiB": peak}).items()}


def write(folder: Path, count: int) -> None:
    """SST-2's training file: sentences of 5 to 40 made-up words."""
    rng = np.random.default_rng(0)
    (folder / "SST-2").mkdir()
    with (folder / "SST-2" / "train.tsv").open("w", encoding="utf-8") as file:
        file.write("sentence\tlabel\n")
        for _ in range(count):
            words = rng.choice(WORDS, rng.integers(5, 41))
            file.write(f"{' '.join(words)}\t{rng.integers(2)}\n")


def show(rows: list[dict[str, float]]) -> None:
    table = Table(title="microseconds an example, one thread", title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{value:,.0f}" for value in row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
