"""The systems that MT-DNN is compared with: BERT, BERT on STILTs, and a MeTaL-style model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import log_softmax

from mtkd.common.progress import Progress
from mtkd.data.batches import TaskData
from mtkd.data.tasks import GLUE
from mtkd.experiments import records
from mtkd.experiments.context import (
    OpenRun,
    Splits,
    finish,
    load_data,
    new_model,
    ranking_rows,
    read_examples,
    recipe_heads,
    total_steps,
)
from mtkd.experiments.records import Record, Stopwatch
from mtkd.experiments.systems.slices import overlaps, slice_rows, slices_of
from mtkd.experiments.systems.teachers import average_scores
from mtkd.experiments.trainings import Bench, combine, single_task, train_part
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import predict
from mtkd.method.settings import HeadSpec


def train_baselines(opened: OpenRun) -> Record:
    """One system of the comparison, by the run's name: bert, stilts-<task> or metal."""
    if opened.done:
        return records.read_record(opened.folder)
    if opened.run.what == "metal":
        return train_metal(opened)
    return train_bert(opened) if opened.run.what == "bert" else train_stilts(opened)


def train_bert(opened: OpenRun) -> Record:
    """Single-task BERT: one model per task, no sharing (row `bert`), and QNLI also by ranking."""
    watch, recipe = Stopwatch(), opened.recipe
    tokenizer, data = load_data(opened, recipe.encoder)
    ranked = ranking_data(opened, data)
    steps = total_steps(data, recipe.single_stage, alone=True)
    steps += total_steps(ranked, recipe.single_stage, alone=True)
    with Progress(steps, "bert") as progress:
        bench = Bench(opened, tokenizer, progress)
        parts = [single_task(bench, "bert", task, data[task]) for task in opened.tasks]
        for task, splits in ranked.items():
            spec = HeadSpec("ranking", GLUE[task].labels, GLUE[task].dropout)
            parts.append(single_task(bench, "qnli-ranking", task, splits, spec))
    scores, details = combine(parts)
    if ranked:
        # KD Table 2: QNLI's ranking and classification outputs are merged on the test set.
        members = [(opened.run.run_id, system) for system in ("bert", "qnli-ranking")]
        scores += average_scores(opened, "qnli-merged", members, {"qnli": data["qnli"]})
        details["qnli_questions"] = ranked["qnli"]["train"].units
    return finish(opened, watch, scores, details)


def ranking_data(opened: OpenRun, data: dict[str, Splits]) -> dict[str, Splits]:
    """QNLI's questions with their candidates together; nothing where no question can be ranked."""
    if "qnli" not in data or opened.recipe.heads.qnli == "ranking":
        return {}
    splits = {}
    for split, item in data["qnli"].items():
        rows = ranking_rows(read_examples(opened, "qnli", split))
        splits[split] = TaskData(item.encoded, None, rows)
    return {"qnli": splits} if splits["train"].units else {}


def train_stilts(opened: OpenRun) -> Record:
    """BERT on STILTs: trained on one intermediate task first, then on each target alone.

    Phang et al. 2018 (arXiv:1811.01088). The intermediate task itself is trained as `bert`.
    """
    watch, recipe = Stopwatch(), opened.recipe
    intermediate = opened.run.settings["intermediate"]
    system = "stilts" if intermediate == recipe.intermediate[0] else opened.run.what
    tokenizer, data = load_data(opened, recipe.encoder)
    first = {intermediate: {"train": data[intermediate]["train"]}}
    steps = total_steps(first, recipe.training) + total_steps(data, recipe.single_stage, alone=True)
    with Progress(steps, system) as progress:
        bench = Bench(opened, tokenizer, progress)
        parts = [
            train_part(
                opened,
                f"intermediate-{intermediate}",
                {intermediate: data[intermediate]},
                lambda: new_model(
                    opened, recipe.encoder, recipe.dropout, recipe_heads(opened, [intermediate])
                ),
                recipe.training,
                tokenizer,
                progress,
                opened.model_folder,
            )
        ]
        for task in opened.tasks:
            start = None if task == intermediate else opened.model_folder
            parts.append(single_task(bench, system, task, data[task], start=start))
    return finish(opened, watch, *combine(parts))


@dataclass(frozen=True)
class Experts:
    """The auxiliary heads of a MeTaL-style model, their training data, and who answers what."""

    specs: dict[str, HeadSpec]
    data: dict[str, TaskData]
    slices: dict[str, tuple[str, ...]]  # task -> slices that have a head of their own


def train_metal(opened: OpenRun) -> Record:
    """MeTaL-style: multi-task with linear heads, auxiliary heads and slice heads (`metal`).

    Heads for the word overlap of every pair and for named slices of every task are trained
    beside the tasks' own (see `auxiliary`); an example in a slice is answered by the mean of the
    task's head and the slice's. Over all encoders it is averaged into `metal-ensemble`.
    """
    watch, recipe = Stopwatch(), opened.recipe
    names = [recipe.encoder, *(n for n in recipe.candidates.encoders if n != recipe.encoder)]
    loaded = {name: load_data(opened, name) for name in names}
    experts = {name: experts_for(opened, data) for name, (_, data) in loaded.items()}
    steps = sum(
        total_steps(
            data | {key: {"train": item} for key, item in experts[name].data.items()},
            recipe.single_stage,
        )
        for name, (_, data) in loaded.items()
    )
    parts = []
    with Progress(steps, "metal") as progress:
        for name, (tokenizer, data) in loaded.items():
            system = "metal" if name == recipe.encoder else f"member-metal-{name}"
            bench = Bench(opened, tokenizer, progress)
            parts.append(metal_part(bench, system, name, data, experts[name]))
    scores, details = combine(parts)
    if len(names) > 1:
        members = [(opened.run.run_id, part["system"]) for part in parts]
        scores += average_scores(opened, "metal-ensemble", members, loaded[recipe.encoder][1])
    details["slices"] = {task: list(found) for task, found in experts[names[0]].slices.items()}
    return finish(opened, watch, scores, details)


def experts_for(opened: OpenRun, data: dict[str, Splits]) -> Experts:
    """Auxiliary heads of every task that is there, named `<task>-overlap` and `<task>-<slice>`."""
    specs: dict[str, HeadSpec] = {}
    extra: dict[str, TaskData] = {}
    slices: dict[str, tuple[str, ...]] = {}
    linear = {
        task: replace(spec, kind="linear", options={}) if spec.labels else spec
        for task, spec in recipe_heads(opened, opened.tasks).items()
    }
    for task in opened.tasks:
        examples, encoded = read_examples(opened, task, "train"), data[task]["train"].encoded
        specs[task] = linear[task]
        if examples.text_b is not None:
            key = f"{task}-overlap"
            specs[key] = HeadSpec("similarity", (), GLUE[task].dropout)
            extra[key] = TaskData(replace(encoded, label=overlaps(examples)))
        found = slices_of(examples)
        slices[task] = tuple(found)
        for name, rows in found.items():
            specs[f"{task}-{name}"] = linear[task]
            extra[f"{task}-{name}"] = TaskData(encoded, None, tuple(rows[:, None]))
    return Experts(specs, extra, slices)


def metal_part(
    bench: Bench, system: str, encoder: str, data: dict[str, Splits], experts: Experts
) -> dict[str, Any]:
    opened, recipe = bench.opened, bench.opened.recipe

    def answer(model: MultiTaskModel, task: str, item: TaskData) -> np.ndarray:
        outputs = predict(model, task, item)
        examples = read_examples(opened, item.encoded.task.name, item.encoded.split)
        for name in experts.slices[task]:
            rows = slice_rows(examples, name)
            if len(rows):
                own = predict(model, f"{task}-{name}", item)[rows]
                outputs[rows] = mean_outputs(outputs[rows], own, bool(GLUE[task].labels))
        return outputs

    return train_part(
        opened,
        system,
        data,
        lambda: new_model(opened, encoder, recipe.dropout, experts.specs),
        recipe.single_stage,
        bench.tokenizer,
        bench.progress,
        extra=experts.data,
        answer=answer,
    )


def mean_outputs(first: np.ndarray, second: np.ndarray, classes: bool) -> np.ndarray:
    """Mean of two heads' outputs (N, C): of probabilities, as their logarithms, or of scores."""
    if not classes:
        return (first + second) / 2
    return np.logaddexp(log_softmax(first, -1), log_softmax(second, -1)) - np.log(2)
