"""How many tokens GLUE's examples have: writes benchmarks/lengths.csv, once for all.

    python benchmarks/lengths.py path/to/glue

Counts are of BERT's uncased word pieces, special tokens included, cut at 512. A task whose files
are not in the folder keeps its rows of the committed file, or gets `ASSUMED` ones: a
log-normal curve of about the mean and spread that others report, not a count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from mtkd.data.loading import DataSource, load_examples, missing_tasks
from mtkd.data.tasks import GLUE
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.recipes import load_recipe
from mtkd.method.encoders import load_tokenizer

TARGET = Path(__file__).with_name("lengths.csv")
LIMIT = 512
ASSUMED = {"qqp": (30.0, 13.0), "mnli": (39.0, 20.0)}  # mean, standard deviation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("glue", help="folder with GLUE's task folders")
    source = DataSource(kind="folder", path=parser.parse_args().glue)
    tokenizer = load_tokenizer(str(encoder_location(load_recipe("realtext"), "uncased")))
    tasks = [name for name, task in GLUE.items() if task.trained]
    missing = missing_tasks(source, tasks)
    frames = [count(source, task, tokenizer) for task in tasks if task not in missing]
    kept = pd.read_csv(TARGET) if TARGET.is_file() else pd.DataFrame(columns=["task"])
    for task in missing:
        rows = kept[kept["task"] == task]
        frames.append(assume(task) if rows.empty and task in ASSUMED else rows)
    pd.concat(frames).to_csv(TARGET, index=False, lineterminator="\n")


def count(source: DataSource, task: str, tokenizer: object) -> pd.DataFrame:
    """Rows of each length, over all splits that are there."""
    lengths: list[int] = []
    for split in GLUE[task].splits:
        examples = load_examples(source, task, split)
        pairs = () if examples.text_b is None else (examples.text_b,)
        found = tokenizer(examples.text_a, *pairs, truncation=True, max_length=LIMIT)  # type: ignore[operator]
        lengths += [len(ids) for ids in found["input_ids"]]
    tokens, rows = np.unique(lengths, return_counts=True)
    return pd.DataFrame({"task": task, "tokens": tokens, "rows": rows, "source": "counted"})


def assume(task: str) -> pd.DataFrame:
    """Ten thousand rows on a log-normal curve."""
    mean, deviation = ASSUMED[task]
    sigma = np.sqrt(np.log(1 + (deviation / mean) ** 2))
    tokens = np.arange(5, LIMIT + 1)
    edges = np.log([4.5, *(tokens + 0.5)])
    shares = np.diff(norm.cdf(edges, np.log(mean) - sigma**2 / 2, sigma))
    rows = np.round(10_000 * shares).astype(int)
    found = pd.DataFrame({"task": task, "tokens": tokens, "rows": rows, "source": "assumed"})
    return found[found["rows"] > 0]


if __name__ == "__main__":
    main()
