"""MeTaL-style: multi-task with linear heads, auxiliary heads and slice heads (row `metal`).

After the released code of Snorkel MeTaL (HazyResearch/metal).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_softmax

from mtkd.common.progress import Progress
from mtkd.data.batches import TaskData
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.inputs import Splits, load_data, new_model, recipe_heads, total_steps
from mtkd.experiments.records import Outcome
from mtkd.experiments.settings import Recipe
from mtkd.experiments.systems.averages import average_scores
from mtkd.experiments.systems.baselines import register_baseline
from mtkd.experiments.systems.metal_slices import overlaps, slice_rows, slices_of
from mtkd.experiments.trainings import Setup, combine, train_part
from mtkd.method.heads import objective_of
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import predict
from mtkd.method.settings import HeadSpec
from mtkd.method.targets import as_outputs, average

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run
    from mtkd.experiments.systems.baselines import Baseline


@dataclass(frozen=True)
class Experts:
    """The auxiliary heads of a MeTaL-style model, their training data, and who answers what."""

    specs: dict[str, HeadSpec]
    data: dict[str, TaskData]
    slices: dict[str, tuple[str, ...]]  # task -> slices that have a head of their own


def plan_metal(outline: Outline, seed: int, baseline: Baseline) -> list[Run]:
    """One run with a model of every encoder of the candidates."""
    recipe = outline.recipe
    settings = outline.single | {"encoders": metal_encoders(recipe)}
    parents = [outline.encoders[name] for name in metal_encoders(recipe)]
    # Its auxiliary heads see about as many examples again.
    cost = outline.examples(recipe.single_stage) * 2 * len(parents)
    return [baseline.run(outline, seed, settings, parents=parents, cost=cost)]


def metal_encoders(recipe: Recipe) -> list[str]:
    return list(dict.fromkeys([recipe.encoder, *recipe.candidates.encoders]))


@register_baseline("metal", plan_metal)
def train_metal(context: RunContext) -> Outcome:
    """MeTaL-style: multi-task with linear heads, auxiliary heads and slice heads (`metal`).

    Heads for the word overlap of every pair and for named slices of every task are trained
    beside the tasks' own (see `metal_slices`); an example in a slice is answered by the mean of the
    task's head and the slice's. Over all encoders it is averaged into `metal-ensemble`.
    """
    recipe = context.recipe
    names = metal_encoders(recipe)
    loaded = {name: load_data(context, name) for name in names}
    experts = {name: experts_for(context, data) for name, (_, data) in loaded.items()}
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
            setup = Setup(context, tokenizer, progress)
            parts.append(metal_part(setup, system, name, data, experts[name]))
    scores, details = combine(parts)
    if len(names) > 1:
        members = [(context.run.run_id, part["system"]) for part in parts]
        scores += average_scores(context, "metal-ensemble", members, loaded[recipe.encoder][1])
    details["slices"] = {task: list(found) for task, found in experts[names[0]].slices.items()}
    return scores, details


def experts_for(context: RunContext, data: dict[str, Splits]) -> Experts:
    """Auxiliary heads of every task that is there, named `<task>-overlap` and `<task>-<slice>`."""
    specs: dict[str, HeadSpec] = {}
    extra: dict[str, TaskData] = {}
    slices: dict[str, tuple[str, ...]] = {}
    linear = {
        task: replace(spec, kind="linear", options=weights_alone(spec))
        if objective_of(spec) in ("classification", "ranking")
        else spec
        for task, spec in recipe_heads(context, context.tasks).items()
    }
    for task in context.tasks:
        examples, encoded = read_examples(context, task, "train"), data[task]["train"].encoded
        specs[task] = linear[task]
        if examples.text_b is not None:
            key = f"{task}-overlap"
            specs[key] = HeadSpec("similarity", (), context.recipe.task(task).dropout)
            extra[key] = TaskData(replace(encoded, label=overlaps(examples)))
        found = slices_of(examples)
        slices[task] = tuple(found)
        for name, rows in found.items():
            specs[f"{task}-{name}"] = linear[task]
            extra[f"{task}-{name}"] = TaskData(encoded, None, tuple(rows[:, None]))
    return Experts(specs, extra, slices)


def metal_part(
    setup: Setup, system: str, encoder: str, data: dict[str, Splits], experts: Experts
) -> dict[str, Any]:
    context, recipe = setup.context, setup.context.recipe

    def answer(model: MultiTaskModel, task: str, item: TaskData) -> np.ndarray:
        outputs = predict(model, task, item)
        examples = read_examples(context, item.encoded.task.name, item.encoded.split)
        for name in experts.slices[task]:
            rows = slice_rows(examples, name)
            if len(rows):
                own = predict(model, f"{task}-{name}", item)[rows]
                objective = objective_of(model.specs[task])
                outputs[rows] = mean_outputs(outputs[rows], own, objective)
        return outputs

    return train_part(
        setup,
        system,
        data,
        lambda: new_model(context, encoder, recipe.dropout, experts.specs),
        recipe.single_stage,
        extra=experts.data,
        answer=answer,
    )


def weights_alone(spec: HeadSpec) -> dict[str, Any]:
    """Of a head's options those of the loss."""
    return {name: value for name, value in spec.options.items() if name == "weights"}


def mean_outputs(first: np.ndarray, second: np.ndarray, objective: str) -> np.ndarray:
    """Mean of two heads' outputs (N, C): of probabilities, as their logarithms, or of scores."""
    if objective == "regression":
        return (first + second) / 2
    if objective == "multilabel":
        return as_outputs(average([first, second], objective=objective), objective)
    return np.logaddexp(log_softmax(first, -1), log_softmax(second, -1)) - np.log(2)
