"""Files as people have them, in the toy benchmark's language: what notebook 12 starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator

from mtkd.common.files import whole, write_text
from mtkd.data.toy.benchmark import annotate, write
from mtkd.data.toy.language import PLACES, draw, say

SIZES = {"mood": 300, "follows": 500, "places": 900}  # for training; of places in all
DEV = 400  # of mood and of follows
LEAST = 20
MOODS = {"negative": "sad", "positive": "glad"}
FOLLOWS = {"entailment": "yes", "neutral": "maybe", "contradiction": "no"}
FILES = {"mood": "mood", "follows": "follows", "places": "places.parquet", "llm": "llm.jsonl"}


def toy_files(folder: str | Path, seed: int = 0, scale: float = 1.0) -> dict[str, Path]:
    """Write the files of three small tasks and a language model's answers; returns where they are.

    "mood": a folder of CSV files, reviews. "follows": a folder of JSONL files with ids of their
    own, pairs of sentences. "places": one Parquet file, texts with several labels. "llm": a JSONL
    file, probabilities for every pair of `follows`. As of annotators in a hurry, one training label
    in five of the first two is wrong; dev labels are right. `scale` multiplies the sizes.
    """
    folder, rng, said = Path(folder), np.random.default_rng(seed), []
    for split in ("train", "dev"):
        reviews = labelled("sst2", split, sized("mood", split, scale), seed)
        moods = {"message": reviews["sentence"], "mood": reviews["label"].map(MOODS)}
        write_text(folder / "mood" / f"{split}.csv", pd.DataFrame(moods).to_csv(index=False))
        pairs = labelled("mnli", split, sized("follows", split, scale), seed)
        pairs.insert(0, "id", [f"{split}-{row:03}" for row in range(len(pairs))])
        pairs[["label", "true"]] = pairs[["label", "true"]].replace(FOLLOWS)
        scores = [guess(rng, true) for true in pairs["true"]]
        said.append(pd.DataFrame({"id": pairs["id"], "scores": scores}))
        write_text(folder / "follows" / f"{split}.jsonl", in_lines(pairs.drop(columns="true")))
    write_text(folder / "llm.jsonl", in_lines(pd.concat(said)))
    stories = pd.DataFrame([story(rng) for _ in range(sized("places", "train", scale))])
    with whole(folder / "places.parquet") as part:
        stories.to_parquet(part, index=False)
    return {name: folder / file for name, file in FILES.items()}


def sized(task: str, split: str, scale: float) -> int:
    return max(LEAST, round(scale * (SIZES[task] if split == "train" else DEV)))


def labelled(task: str, split: str, size: int, seed: int) -> pd.DataFrame:
    """Texts of a toy task, the labels that they are given, and the true ones."""
    examples, rng = write(task, split, size, seed)
    true, names = examples.label, np.array(examples.task.labels)
    assert true is not None
    given = annotate(rng, task, true, len(names)) if split == "train" else true
    texts = dict(zip(examples.task.columns, (examples.text_a, examples.text_b), strict=False))
    return pd.DataFrame({**texts, "label": names[given], "true": names[true]})


def in_lines(rows: pd.DataFrame) -> str:
    return str(rows.to_json(orient="records", lines=True))


def guess(rng: Generator, true: str) -> dict[str, float]:
    """What a language model may say of a pair: mostly right, and a little surer than right."""
    answers = [true, *(name for name in FOLLOWS.values() if name != true)]
    sure = 0.5 + 0.5 * float(rng.beta(5, 1))
    first = answers.pop(0 if rng.random() < sure - 0.03 else rng.integers(1, len(answers)))
    rest = dict.fromkeys(answers, round((1 - sure) / len(answers), 3))
    return {first: round(1 - sum(rest.values()), 3)} | rest


def story(rng: Generator) -> dict[str, object]:
    """One or two sentences, and the places that they are about."""
    events = [draw(rng, 0.6) for _ in range(rng.integers(1, 3))]
    places = {PLACES[event.place][0].split()[-1] for event in events if event.place is not None}
    return {"text": " ".join(say(rng, event) for event in events), "places": sorted(places)}
