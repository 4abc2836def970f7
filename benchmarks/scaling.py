"""Does cost grow linearly? Time of an example and memory at 1, 4 and 16 times the examples.

    python benchmarks/scaling.py [--examples 2500] [--json scaling.json]
    python benchmarks/scaling.py --only-open --examples 62500    # sixteen times that: a million

Each size has a made-up SST-2 in GLUE's file layout and two processes. The first reads and
tokenises it, as the first run of a recipe does. The second opens what the first left, as every
other run does, trains an epoch and predicts the training examples. "+MiB" is what opening
adds to that process, "MiB" what a whole process holds, torch and all: at its largest when it
tokenises or trains, and after opening.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import memory_mib
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from mtkd.data.batches import TaskData
from mtkd.data.digests import data_origin
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.tasks import GLUE
from mtkd.data.tokens import encode, encoded_before, tokenizer_rules
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import predict
from mtkd.method.settings import HeadSpec, Training
from mtkd.method.training import train

TASK, LONGEST = GLUE["sst2"], 64
WORDS = [f"{a}{b}{c}" for a in "bdfgklmnpr" for b in "aeiou" for c in "bdfgklmnpr"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=2500, help="at 1 times")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--only-open", action="store_true", help="neither train nor predict")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for times in options.times:
        rows.append(measure(times * options.examples, options.only_open))
        print(f"{times} times: {rows[-1]}", flush=True)
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:,.2f}".format))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(count: int, only_open: bool) -> dict[str, float]:
    """Microseconds an example of each part, seconds to open, MiB of memory."""
    found = {"examples": float(count)}
    with (
        tempfile.TemporaryDirectory() as name,
        get_context("fork").Pool(1, maxtasksperchild=1) as processes,
    ):
        found |= processes.apply(first, (Path(name), count))
        found |= processes.apply(second, (Path(name), count, only_open))
    return {name: round(value, 4) for name, value in found.items()}


def first(folder: Path, count: int) -> dict[str, float]:
    write(folder, count)
    words = BertWordPieceTokenizer()
    words.train_from_iterator(WORDS, vocab_size=1000, show_progress=False)
    words.save(str(folder / "tokenizer.json"))
    tokenizer, source = open_tokenizer(folder), DataSource(kind="folder", path=str(folder))
    marks = [time.perf_counter()]
    examples = load_examples(source, TASK, "train")
    marks.append(time.perf_counter())
    encode(examples, tokenizer, LONGEST, folder / "cache", known(source, tokenizer))
    marks.append(time.perf_counter())
    return micro(("read", "tokenise"), marks, count) | {"tokenise, MiB": memory_mib("VmHWM")}


def second(folder: Path, count: int, only_open: bool) -> dict[str, float]:
    tokenizer, source = open_tokenizer(folder), DataSource(kind="folder", path=str(folder))
    before, began = memory_mib("VmRSS"), time.perf_counter()
    encoded = encoded_before(TASK, "train", folder / "cache", known(source, tokenizer))
    assert encoded is not None and len(encoded) == count
    seconds, held = time.perf_counter() - began, memory_mib("VmRSS")
    found = {"open, s": seconds, "open, +MiB": held - before, "open, MiB": held}
    if only_open:
        return found
    data = TaskData(encoded)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=1000,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
    )
    shared = BertModel(config, add_pooling_layer=False)
    model = MultiTaskModel(shared, {TASK.name: HeadSpec("linear", TASK.labels)})
    marks = [time.perf_counter()]
    train(model, {TASK.name: data}, Training(epochs=1, keep="last"), seed=0)
    marks.append(time.perf_counter())
    predict(model, TASK.name, data)
    marks.append(time.perf_counter())
    return found | micro(("train", "predict"), marks, count) | {"train, MiB": memory_mib("VmHWM")}


def micro(parts: tuple[str, ...], marks: list[float], count: int) -> dict[str, float]:
    """Microseconds an example from mark to mark."""
    spans = zip(parts, marks, marks[1:], strict=False)
    return {f"{part}, us": 1e6 * (after - before) / count for part, before, after in spans}


def open_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")


def known(source: DataSource, tokenizer: PreTrainedTokenizerFast) -> str:
    """Where the examples come from, as a run of a recipe asks for it."""
    found = data_origin(source, TASK, tokenizer_rules(tokenizer), LONGEST)
    assert found is not None
    return found


def write(folder: Path, count: int) -> None:
    """SST-2's training file: sentences of 5 to 40 made-up words."""
    rng = np.random.default_rng(0)
    words, lengths = np.array(WORDS), rng.integers(5, 41, count)
    (folder / "SST-2").mkdir()
    with (folder / "SST-2" / "train.tsv").open("w", encoding="utf-8") as file:
        file.write("sentence\tlabel\n")
        for length in lengths:
            text = " ".join(words[rng.integers(len(words), size=length)])
            file.write(f"{text}\t{rng.integers(2)}\n")


if __name__ == "__main__":
    main()
