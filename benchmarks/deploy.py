"""A student as it ships beside the models that it replaces: the same encoder, the same texts.

    python benchmarks/deploy.py                         # random weights of MiniLM's size
    python benchmarks/deploy.py --start FOLDER --json deploy.json      # a real encoder's

The student answers every task from one pass of the encoder: in torch, as an ONNX graph and that in
8 bits. The ensemble is three single-task models a task, their probabilities averaged;
transformers' `pipeline` answers each task with a classifier of its own, and one task alone.

One text at a time and batches of 32, with 1 and 2 threads. Systems take turns, after a round to
warm up, and each number is the median over rounds. Time to the first answer, from the start of the
process, and resident memory are those of a process of a system's own; the sizes are of its files.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
import transformers
from answering import ENSEMBLE, INT8, MEMBERS, ONNX, PIPELINE, PIPELINES, SYSTEMS, TORCH, opened
from common import ENCODERS, VOCABULARY, config, draw_lengths
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertModel, PreTrainedTokenizerFast

from mtkd.data.tasks import Examples, Task
from mtkd.method.export.folder import export
from mtkd.method.model import MultiTaskModel
from mtkd.method.settings import HeadSpec, TaskAbout

CLASSES = (150, 10, 2)  # of the tasks, in turn
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
BATCH, ONES = 32, 16  # texts in a batch; texts of a round that come one at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--encoder", choices=ENCODERS, default="minilm", help="size")
    parser.add_argument("--start", type=Path, help="folder of a real encoder instead")
    parser.add_argument("--tasks", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    options = parser.parse_args()
    tasks = [
        Task(f"task{place}", labels=tuple(f"l{n}" for n in range(CLASSES[place % len(CLASSES)])))
        for place in range(options.tasks)
    ]
    texts = made_up_texts(20 * BATCH)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, tasks, texts, options)
        print("prepared", flush=True)
        rows = {system: {"MiB on disk": disk(folder, system, tasks)} for system in options.systems}
        for _ in range(options.rounds):
            for system in options.systems:
                for key, value in alone(system, folder, tasks).items():
                    rows[system].setdefault(key, []).append(value)
        for threads in options.threads:
            race(rows, folder, tasks, texts, threads, options.rounds)
    found = {
        system: {k: statistics.median(v) if isinstance(v, list) else v for k, v in row.items()}
        for system, row in rows.items()
    }
    table = pd.DataFrame(found).T
    print(table.to_string(float_format="{:,.2f}".format))
    if options.json:
        start = str(options.start.name) if options.start else f"random, {options.encoder}"
        facts = {"encoder": start, "tasks": options.tasks, "members": MEMBERS}
        versions = {m.__name__: m.__version__ for m in (torch, transformers)}
        options.json.write_text(json.dumps(facts | versions | {"systems": found}, indent=1) + "\n")


def made_up_texts(count: int) -> list[str]:
    """Texts of CoLA's and SST-2's lengths, of words that are one token each, by a Zipf law."""
    rng = np.random.default_rng(0)
    lengths = draw_lengths(["cola", "sst2"], count).clip(3) - 2
    ranks = np.exp(rng.random(lengths.sum()) * np.log(VOCABULARY - len(SPECIAL))).astype(int)
    words = iter(ranks.tolist())
    return [" ".join(f"w{next(words)}" for _ in range(length)) for length in lengths]


def made_up_tokenizer() -> PreTrainedTokenizerFast:
    words = [f"w{number}" for number in range(VOCABULARY - len(SPECIAL))]
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *words])}
    found = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")],
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    return PreTrainedTokenizerFast(tokenizer_object=found, model_max_length=512, **names)


def build(tasks: list[Task], seed: int, options: argparse.Namespace) -> MultiTaskModel:
    torch.manual_seed(seed)
    if options.start:
        return MultiTaskModel.from_encoder(options.start, tasks, seed=seed)
    encoder = BertModel(config(options.encoder), add_pooling_layer=False)
    specs = {task.name: HeadSpec.for_task(task) for task in tasks}
    about = {task.name: TaskAbout(task.columns) for task in tasks}
    return MultiTaskModel(encoder, specs, made_up_tokenizer(), about)


def prepare(folder: Path, tasks: list[Task], texts: list[str], options: argparse.Namespace) -> None:
    """The exported student, and the ensemble's models."""
    rng = np.random.default_rng(0)
    dev = {
        task.name: Examples.from_lists(
            task, texts[:BATCH], rng.integers(len(task.labels), size=BATCH).tolist(), split="dev"
        )
        for task in tasks
    }
    export(build(tasks, 0, options), folder / "student", dev, max_drop=100)
    if ENSEMBLE in options.systems:
        for task in tasks:
            for number in range(MEMBERS):
                model = build([task], 1 + number, options)
                model.save_pretrained(folder / "ensemble" / f"{task.name}-{number}")


def disk(folder: Path, system: str, tasks: list[Task]) -> float:
    """MiB of the files that a system needs."""
    student = folder / "student"
    parts = {
        ENSEMBLE: [folder / "ensemble"],
        PIPELINES: [student / "tasks"],
        PIPELINE: [student / "tasks" / tasks[0].name],
        TORCH: [student / name for name in ("model.safetensors", "heads.safetensors")],
        ONNX: [student / "onnx" / "model.onnx"],
        INT8: [student / "onnx" / "model_int8.onnx"],
    }
    if system in (TORCH, ONNX, INT8):
        parts[system] += list(student.glob("*.json"))
    files = [f for part in parts[system] for f in ([part] if part.is_file() else part.rglob("*"))]
    return sum(file.stat().st_size for file in files if file.is_file()) / 2**20


def alone(system: str, folder: Path, tasks: list[Task]) -> dict[str, float]:
    """Seconds to the first answer, and memory, of a process with one system."""
    script = Path(__file__).with_name("answering.py")
    command = [sys.executable, str(script), system, str(folder), *(task.name for task in tasks)]
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None and child.stdin is not None
        if child.stdout.readline().strip() != "first":
            raise SystemExit(f"{system}: no answer; run {' '.join(command)}")
        seconds = time.perf_counter() - began
        child.stdout.readline()
        memory = psutil.Process(child.pid).memory_info().rss / 2**20
        child.stdin.close()
    return {"first answer, s": seconds, "memory, MiB": memory}


def race(
    rows: dict[str, dict[str, Any]],
    folder: Path,
    tasks: list[Task],
    texts: list[str],
    threads: int,
    rounds: int,
) -> None:
    """Add each system's latency and speed with so many threads, by round."""
    names = [task.name for task in tasks]
    systems = {system: opened(system, folder, names, threads) for system in rows}
    torch.set_num_threads(threads)
    for turn in range(rounds + 1):
        some = texts[turn * BATCH :][:BATCH]
        for system, answer in systems.items():
            ones = []
            for text in some[:ONES]:
                began = time.perf_counter()
                answer([text])
                ones.append(1000 * (time.perf_counter() - began))
            began = time.perf_counter()
            answer(some)
            speed = len(some) / (time.perf_counter() - began)
            if turn:
                unit = f"{threads} thread" + ("s" if threads > 1 else "")
                rows[system].setdefault(f"ms, {unit}", []).append(statistics.median(ones))
                rows[system].setdefault(f"texts/s, {unit}", []).append(speed)


if __name__ == "__main__":
    main()
