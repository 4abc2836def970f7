"""What the benchmarks share: made-up examples of GLUE's lengths, encoders, the machine's limits."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor
from transformers import BertConfig, BertModel

from mtkd.batches import TaskData
from mtkd.costs import read_lengths
from mtkd.encoding import Encoded
from mtkd.identities import GLUE_SIZES
from mtkd.model import MultiTaskModel
from mtkd.settings import HeadSpec
from mtkd.tasks import GLUE

ENCODERS = {  # layers, width, attention heads
    "tiny": (2, 128, 2),
    "minilm": (6, 384, 12),
    "base": (12, 768, 12),
}
VOCABULARY, LONGEST, BATCH = 30_522, 128, 32
TASK = "mrpc"  # two classes: all examples are given to one head


def examples(tasks: list[str], count: int) -> TaskData:
    """Made-up examples with the lengths of some tasks, mixed by the tasks' sizes."""
    rng = np.random.default_rng(0)
    counted = read_lengths()
    weights = np.array([GLUE_SIZES[task] for task in tasks], float)
    lengths = []
    for task in rng.choice(tasks, count, p=weights / weights.sum()):
        mine = counted[counted["task"] == task]
        lengths.append(rng.choice(mine["tokens"], p=mine["rows"] / mine["rows"].sum()))
    sizes = np.minimum(lengths, LONGEST)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ranks = (rng.random(offsets[-1]) * np.log(VOCABULARY - 1000)).astype(float)
    tokens = (999 + np.exp(ranks)).astype(np.int32)  # P(rank) ~ 1 / rank
    encoded = Encoded(
        task=GLUE[TASK],
        split="train",
        idx=np.arange(count),
        tokens=tokens,
        segments=np.ones(len(tokens), np.int8),
        offsets=offsets,
        label=rng.integers(2, size=count),
        fingerprint="",
        truncated=0,
    )
    return TaskData(encoded)


def config(encoder: str) -> BertConfig:
    layers, hidden, heads = ENCODERS[encoder]
    return BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
    )


def kit_model(encoder: str) -> MultiTaskModel:
    shared = BertModel(config(encoder), add_pooling_layer=False)
    return MultiTaskModel(shared, {TASK: HeadSpec("linear", GLUE[TASK].labels)})


def rows_of(data: TaskData) -> list[dict[str, Any]]:
    """The examples as Hugging Face's Trainer takes them."""
    encoded = data.encoded
    assert encoded.label is not None
    return [
        {
            "input_ids": encoded.tokens[a:b].tolist(),
            "length": int(b - a),
            "label": int(encoded.label[i]),
        }
        for i, (a, b) in enumerate(zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True))
    ]


class Padder:
    """As much of a tokenizer as the collator asks for; the made-up tokens have none."""

    padding_side = "right"

    def pad(self, rows: list[dict[str, Any]], **_: Any) -> dict[str, Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        ids = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows]
        tokens = torch.tensor(ids)
        return {
            "input_ids": tokens,
            "attention_mask": (tokens > 0).long(),
            "label": torch.tensor([row["label"] for row in rows]),
        }


def padding(data: TaskData, batches: list[np.ndarray]) -> float:
    """Share of the tokens of these batches that are padding."""
    lengths = data.encoded.lengths
    real = sum(lengths[rows].sum() for rows in batches)
    return float(1 - real / sum(lengths[rows].max() * len(rows) for rows in batches))


def machine() -> dict[str, float]:
    """What this machine can do: products of fp32 matrices, and copying memory."""
    a, large = torch.randn(1024, 1024), torch.randn(1 << 25)
    out, copy = torch.empty_like(a), torch.empty_like(large)

    def best(work: Callable[[], object]) -> float:
        seconds = []
        for _ in range(7):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    return {
        "gflops": round(2 * 1024**3 / best(lambda: torch.mm(a, a, out=out)) / 1e9, 1),
        "gigabytes_per_second": round(8 * len(large) / best(lambda: copy.copy_(large)) / 1e9, 2),
    }


def asked(doc: str) -> argparse.ArgumentParser:
    """The options that every race has; `doc` is the script's own text."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--encoder", choices=ENCODERS, default="tiny")
    parser.add_argument("--tasks", nargs="+", default=["cola", "rte", "mrpc", "stsb"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    return parser


def speed_table(what: str, found: dict[str, Any]) -> Table:
    """Examples a second of all systems, and how many times as fast "mtkd" is."""
    title = f"{what}, {found['encoder']}, {found['threads']} thread(s)"
    table = Table(title=title, title_justify="left")
    table.add_column("system")
    table.add_column("examples/s", justify="right")
    table.add_column("mtkd is", justify="right")
    speeds = found["examples_per_second"]
    for name, value in speeds.items():
        table.add_row(name, f"{value:,.0f}", f"{speeds['mtkd'] / value:.2f} x")
    return table


def memory_mib(field: str) -> float:
    """This process's resident memory now ("VmRSS") or at its largest ("VmHWM"); Linux alone.

    Not getrusage's: a child process inherits its parent's peak there.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))
