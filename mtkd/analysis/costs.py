"""What training costs on this device: some measured steps, and time and memory from them."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel, PreTrainedModel

from mtkd.common.errors import MtkdError, first_line
from mtkd.common.machine import cores
from mtkd.common.progress import Progress
from mtkd.data.batches import POOL, TaskData, epoch_units, tokenize
from mtkd.data.loading import first_drawn, load_examples
from mtkd.data.tasks import Examples, Task
from mtkd.experiments.data_identity import train_size
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.records import peak_memory_mib
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.registry import variant_recipe
from mtkd.experiments.task_sets import present_tasks
from mtkd.method.encoders import load_encoder, load_tokenizer
from mtkd.method.model import MultiTaskModel
from mtkd.method.pretraining import train_tokenizer
from mtkd.method.settings import Pretraining
from mtkd.method.training import train

ROWS = [2**power for power in range(13)]  # examples of one try after the other
ENOUGH = 3.0  # seconds of a try after which there is no other
GLUE_TOKENS = (35, 19)  # mean and spread by benchmarks/lengths.csv, tasks weighted by their sizes
WORDS = "the of and to in is that it was for".split()  # one token each
BERT = {"base": Pretraining(12, 768, 12, 30_522), "large": Pretraining(24, 1024, 16, 30_522)}


@dataclass(frozen=True)
class Speed:
    """Of training from one encoder, one run at a time."""

    seconds: float  # of an example
    memory_gib: float  # at the peak: of a GPU what is allocated, else all that the process has


@dataclass(frozen=True)
class Costs:
    """What training costs here; an encoder without a speed makes its runs' costs unknown."""

    speeds: Mapping[str, Speed]  # by the id of the encoder's run
    lines: Sequence[str]  # what was measured, in words

    def seconds(self, runs: Sequence[Run]) -> float | None:
        """Of the runs' training, one after the other; None where a speed is not known."""
        total = 0.0
        for run in runs:
            if run.cost:
                asked = [one.run_id for one in encoders_of(run)]
                if not self.speeds.keys() >= set(asked):
                    return None
                total += run.cost * sum(self.speeds[one].seconds for one in asked) / len(asked)
        return total

    def memory_gib(self, runs: Sequence[Run]) -> float | None:
        """Of the run that needs most; None where no speed of any is known."""
        mine = {one.run_id for run in runs if run.cost for one in encoders_of(run)}
        return max((self.speeds[one].memory_gib for one in mine & self.speeds.keys()), default=None)


def encoders_of(run: Run) -> list[Run]:
    """The encoders that a run's training starts from; of teachers, those of all candidates."""
    if run.stage == "encoders":
        return [run]
    own = [parent for parent in run.parents if parent.stage == "encoders"]
    return own or [one for parent in run.parents for one in encoders_of(parent)]


def measured(recipe: Recipe, runs: Sequence[Run], jobs: int) -> Costs:
    """What training from each encoder of some runs costs on this device, `jobs` side by side.

    An encoder whose size is not known, or whose training needs too much memory, is left out.
    """
    asked, speeds = [run for run in runs if run.stage == "encoders"], {}
    threads = max(1, cores() // jobs)
    gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if gpu else f"CPU, threads of a run: {threads}"
    lines = [f"training alone, {jobs} at a time; {device}; {recipe.training.precision}"]
    if recipe.processes > 1:
        lines.append(f"measured with one process: upper bounds for {recipe.processes}")
    tasks = training_examples(recipe, lines)
    with Progress(len(asked), "measuring") as progress:
        for run in asked:
            progress.advance(0, f"measuring {run.variant}")
            variant = run.parameters.get("variant")  # of a study, with encoders of its own
            own = variant_recipe(recipe, variant)[0] if variant else recipe
            forget_peak()
            try:
                encoder, tokenizer = some_encoder(own, run.variant, tasks)
                seconds = seconds_an_example(own, encoder, tokenizer, tasks, threads)
                if seconds is None:
                    raise MtkdError("all tasks rank, which is not timed")
                memory = torch.cuda.max_memory_allocated() / 2**20 if gpu else peak_memory_mib()
                speeds[run.run_id] = Speed(seconds, memory / 2**10)
                told = f"{1 / seconds:,.1f} examples a second, {memory / 2**10:.1f} GiB"
            except (MtkdError, torch.OutOfMemoryError) as error:
                told = f"not measured: {first_line(error)}"
            lines.append(f"{run.variant}: {told}")
            progress.advance()
    return Costs(speeds, lines)


def forget_peak() -> None:
    """Begin to look for the largest memory anew, where the system can."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # of Linux alone
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def seconds_an_example(
    recipe: Recipe,
    encoder: PreTrainedModel,
    tokenizer: Any,
    tasks: Mapping[str, Examples],
    threads: int,
) -> float | None:
    """Seconds of one example in the recipe's training; None if it has nothing but ranking heads.

    `tasks` are training examples. Batches are those of an epoch on a part of them, the longest
    first. Time is taken by the token, so that few of them will do where the device is slow.
    """
    heads = {name: recipe.heads.spec(recipe.task(name)) for name in tasks}
    heads = {name: spec for name, spec in heads.items() if spec.kind != "ranking"}
    if not heads:
        return None
    how = replace(recipe.training, epochs=1)
    counts = {name: train_size(recipe.data, recipe.task(name)) for name in heads}
    data = {}
    for name, count in counts.items():  # of every task as large a part
        some = first_drawn(tasks[name], POOL * how.batch_size * count // max(counts.values()), 0)
        data[name] = tokenize(some, tokenizer, recipe.max_length)
    by_length = how.group_by_length
    dealt = epoch_units(data, how.batch_size, seed=0, epoch=1, epochs=1, group_by_length=by_length)
    batches = [replace(data[task].some(rows), head=task) for task, rows in dealt]
    usual = sum(map(tokens, batches)) / sum(len(one.encoded) for one in batches)  # of an example
    batches.insert(0, max(batches, key=tokens))  # which takes the most memory
    model = MultiTaskModel(encoder, heads, tokenizer)
    # On one thread of a CPU what else it is doing at the moment does not count.
    alone = threads == 1 and not torch.cuda.is_available()
    clock, took = time.process_time if alone else time.perf_counter, 0.0
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for rows in ROWS:
            if took < ENOUGH:
                first = np.arange(rows)
                steps = {
                    str(place): one.some(first[: len(one.encoded)])
                    for place, one in enumerate(batches[: -(-rows // how.batch_size)])
                }
                began = clock()
                train(model, steps, how)
                took = clock() - began
        return usual * took / sum(map(tokens, steps.values()))
    finally:
        torch.set_num_threads(before)


def tokens(batch: TaskData) -> int:
    """With padding."""
    return len(batch.encoded) * int(batch.encoded.lengths.max())


def training_examples(recipe: Recipe, lines: list[str]) -> dict[str, Examples]:
    """Some training examples of every task; made up where they are on the hub, as `lines` tell."""
    tasks = {name: recipe.task(name) for name in present_tasks(recipe)}
    count = POOL * recipe.training.batch_size
    away = recipe.data.kind == "hub" and not Path(recipe.data.hub).is_dir()
    missing = [name for name, task in tasks.items() if away and not task.own]
    if missing:
        lines.append(
            f"examples made up, of {GLUE_TOKENS[0]} tokens on average (standard deviation "
            f"{GLUE_TOKENS[1]}), as in GLUE: {', '.join(missing)}"
        )
    return {
        name: made_up(task, count)
        if name in missing
        else first_drawn(load_examples(recipe.data, task, "train"), count, 0)
        for name, task in tasks.items()
    }


def made_up(task: Task, count: int) -> Examples:
    """Examples as long as GLUE's, on a log-normal curve."""
    (mean, deviation), sides = GLUE_TOKENS, len(task.columns)
    sigma = np.sqrt(np.log(1 + (deviation / mean) ** 2))
    rng = np.random.default_rng(0)
    lengths = rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, count)
    words = ((lengths - 1) / sides - 1).round().clip(1).astype(int)  # without [CLS] and [SEP]
    texts = [[" ".join(rng.choice(WORDS, one)) for one in words] for _ in range(sides)]
    labels = np.arange(count) % max(len(task.labels), 1)
    return Examples.from_lists(task, texts[0], labels.tolist(), second=(*texts, None)[1])


def known_size(recipe: Recipe, name: str) -> Pretraining | None:
    """Of an encoder that the kit pre-trains, or of BERT from the hub; None of another."""
    source = recipe.encoders[name]
    bert = re.fullmatch(r"(?:.*/)?bert-(base|large)-(?:un)?cased", source.hub or "")
    if bert:
        return BERT[bert[1]]
    return recipe.pretraining_of(name) if source.pretrain else None


def some_encoder(
    recipe: Recipe, name: str, tasks: Mapping[str, Examples]
) -> tuple[PreTrainedModel, Any]:
    """An encoder of a recipe and its tokenizer.

    Of one that the kit pre-trains, and of BERT from the hub, weights are drawn at random and tokens
    are the tasks' own words. Raises MtkdError if another cannot be loaded.
    """
    place, source, rate = encoder_location(recipe, name), recipe.encoders[name], recipe.dropout
    size = known_size(recipe, name)
    if size is None:
        revision = source.revision
        encoder = load_encoder(str(place), revision=revision, dropout=rate, layers=source.layers)
        return encoder, load_tokenizer(str(place), revision)
    config = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=source.layers or size.layers,
        num_attention_heads=size.attention_heads,
        intermediate_size=4 * size.hidden,
        hidden_dropout_prob=rate,
        attention_probs_dropout_prob=rate,
    )
    texts = [text for one in tasks.values() for row in one.rows for text in row]
    words = train_tokenizer(texts, lowercase=source.lowercase, vocabulary=size.vocabulary)
    return BertModel(config, add_pooling_layer=False), words
