"""BERT on STILTs: trained on one intermediate task first, then on each target alone.

Phang et al. 2018 (arXiv:1811.01088). Rows are `stilts-<intermediate task>`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from mtkd.common.progress import Progress
from mtkd.experiments.context import RunContext
from mtkd.experiments.inputs import load_data, total_steps
from mtkd.experiments.records import Outcome
from mtkd.experiments.systems.baselines import register_baseline
from mtkd.experiments.trainings import Setup, combine, multi_task, single_task

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run
    from mtkd.experiments.systems.baselines import Baseline


def plan_stilts(outline: Outline, seed: int, baseline: Baseline) -> list[Run]:
    """One run for each intermediate task that the data has."""
    recipe, runs = outline.recipe, []
    for task in (task for task in recipe.intermediate if task in outline.present):
        settings = outline.single | {"intermediate": task, "before": asdict(recipe.training)}
        cost = outline.examples(recipe.single_stage)
        cost += outline.size(task) * recipe.training.epochs
        runs.append(baseline.run(outline, seed, settings, variant=f"stilts-{task}", cost=cost))
    return runs


@register_baseline("stilts", plan_stilts)
def train_stilts(context: RunContext) -> Outcome:
    """Train on the intermediate task, then on every other; the task itself as `bert` does."""
    recipe = context.recipe
    intermediate, system = context.run.settings["intermediate"], context.run.variant
    tokenizer, data = load_data(context, recipe.encoder)
    first = {intermediate: {"train": data[intermediate]["train"]}}
    steps = total_steps(first, recipe.training) + total_steps(data, recipe.single_stage, alone=True)
    with Progress(steps, system) as progress:
        setup = Setup(context, tokenizer, progress)
        name, alone = f"intermediate-{intermediate}", {intermediate: data[intermediate]}
        parts = [multi_task(setup, name, recipe.encoder, recipe.dropout, alone)]
        for task in context.tasks:
            start = None if task == intermediate else context.model_folder
            # Whatever the intermediate task, the same random numbers.
            part = single_task(setup, system, task, data[task], start=start, same_seed_as="stilts")
            parts.append(part)
    return combine(parts)
