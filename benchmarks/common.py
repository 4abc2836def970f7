"""What the benchmarks share: made-up examples of GLUE's lengths, encoders, the machine's limits."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from mtkd.data.batches import TaskData
from mtkd.data.tasks import GLUE
from mtkd.data.tokens import Encoded
from mtkd.experiments.data_identity import GLUE_SIZES
from mtkd.method.model import MultiTaskModel
from mtkd.method.settings import HeadSpec

ENCODERS = {  # layers, width, attention heads
    "tiny": (2, 128, 2),
    "minilm": (6, 384, 12),
    "base": (12, 768, 12),
    "bert-large": (24, 1024, 16),
}
VOCABULARY, LONGEST, BATCH = 30_522, 128, 32
TASK = "mrpc"  # two classes: all examples are given to one head


def full_size(tasks: list[str]) -> int:
    """Training examples that these tasks really have."""
    return sum(GLUE_SIZES[task] for task in tasks)


def draw_lengths(tasks: list[str], count: int) -> np.ndarray:
    """Lengths of examples of some tasks, mixed by the tasks' sizes, in random order.

    Drawn one from each of `count` equal shares of their distribution, so that a small number of
    examples has its mean and its tail, too.
    """
    counted = pd.read_csv(Path(__file__).with_name("lengths.csv"))
    counted = counted[counted["task"].isin(tasks)].sort_values("tokens", kind="stable")
    sizes = counted["task"].map(GLUE_SIZES) / full_size(tasks)
    rows = counted["rows"] / counted.groupby("task")["rows"].transform("sum")
    reached = np.cumsum((sizes * rows).to_numpy())
    rng = np.random.default_rng(0)
    shares = (np.arange(count) + rng.random(count)) / count
    places = np.searchsorted(reached, shares).clip(max=len(reached) - 1)
    lengths = np.minimum(counted["tokens"].to_numpy()[places], LONGEST)
    return rng.permutation(lengths)


def made_up(lengths: np.ndarray) -> TaskData:
    """Examples of these lengths: tokens by a Zipf law over BERT's vocabulary, labels at random."""
    rng, count = np.random.default_rng(1), len(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ranks = rng.random(offsets[-1]) * np.log(VOCABULARY - 1000)
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


def padding(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    """Share of the tokens of these batches that are padding."""
    real = sum(lengths[rows].sum() for rows in batches)
    return round(float(1 - real / sum(lengths[rows].max() * len(rows) for rows in batches)), 4)


def in_batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows in this order, `size` at a time."""
    return [order[start : start + size] for start in range(0, len(order), size)]


# ------------------------------------------------------------------------------- the machine


def chosen(name: str) -> torch.device:
    """The device of all systems; accelerate is told, which takes a GPU where there is one.

    One GPU: the Trainer would spread a batch over several.
    """
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    if name == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch finds no GPU here; expected one, or --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        os.environ["ACCELERATE_USE_CPU"] = "1"
        return torch.device("cpu")
    return torch.device("cuda")


def clock(device: torch.device) -> float:
    """The time in seconds, when the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def machine(device: torch.device) -> dict[str, float]:
    """What a device can do: products of large matrices by precision, and copying memory."""
    side, count = (8192, 1 << 28) if device.type == "cuda" else (1024, 1 << 25)
    large = torch.randn(count, device=device)
    copy = torch.empty_like(large)

    def best(work: Callable[[], object]) -> float:
        seconds = []
        for _ in range(7):
            began = clock(device)
            work()
            seconds.append(clock(device) - began)
        return min(seconds)

    found = {"gigabytes_per_second": round(8 * count / best(lambda: copy.copy_(large)) / 1e9, 2)}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a = torch.randn(side, side, device=device).to(kind)
        out = torch.empty_like(a)
        seconds = best(lambda a=a, out=out: torch.mm(a, a, out=out))  # type: ignore[misc]
        found[f"teraflops_{name}"] = round(2 * side**3 / seconds / 1e12, 4)
    return found


def memory_mib(field: str) -> float:
    """This process's resident memory now ("VmRSS") or at its largest ("VmHWM"); Linux alone.

    Not getrusage's: a child process inherits its parent's peak there.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


# ------------------------------------------------------------------------ options and tables


def asked(doc: str) -> argparse.ArgumentParser:
    """The options that every race has; `doc` is the script's own text."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--encoder", choices=ENCODERS, default="tiny", help="random weights")
    parser.add_argument("--tasks", nargs="+", default=["cola", "rte", "mrpc", "stsb"])
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if any"
    )
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    return parser


def conditions(options: argparse.Namespace) -> dict[str, Any]:
    """What was measured and where; `options.device` is chosen by now."""
    cuda = options.device.type == "cuda"
    return {
        "encoder": options.encoder,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "precision": options.precision,
        "threads": options.threads,
        "tasks": options.tasks,
        "torch": torch.__version__,
    }


def show_speeds(what: str, found: dict[str, Any]) -> None:
    """Print each system's examples a second, how many times as fast the kit is, and the padding.

    Of the batches that it was given, and of those of all the tasks' examples.
    """
    place = f"{found['device']}, {found['precision']}, {found['threads']} thread(s)"
    print(f"\n{what}: {found['encoder']}, {place}")
    shares = {"padding, %": found["padding"], "of all, %": found["padding_of_all"]}
    table = 100 * pd.DataFrame(shares)
    if "examples_per_second" in found:
        speeds = pd.Series(found["examples_per_second"])
        table.insert(0, "examples/s", speeds)
        table.insert(1, "mtkd is, times", speeds["mtkd"] / speeds)
    print(table.to_string(float_format="{:,.2f}".format))
