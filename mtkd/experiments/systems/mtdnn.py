"""MT-DNN: one candidate by Algorithm 1; the default one is then fine-tuned per task.

The default candidate's rows are `mtdnn-noft` and `mtdnn`, the others' `candidate-<variant>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtkd.common.progress import Progress
from mtkd.experiments.context import RunContext
from mtkd.experiments.inputs import load_data, total_steps
from mtkd.experiments.records import Outcome
from mtkd.experiments.settings import Recipe
from mtkd.experiments.trainings import Setup, combine, finetune, multi_task

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run


def candidate_runs(outline: Outline, seed: int) -> list[Run]:
    """One multi-task model per candidate; the default one is fine-tuned in the same run."""
    recipe, runs = outline.recipe, []
    default = (recipe.encoder, recipe.dropout)
    for name, dropout in dict.fromkeys([default, *teacher_pool(recipe)]):
        own = {"encoder": name, "dropout": dropout, "default": (name, dropout) == default}
        settings, cost = outline.multi | own, outline.examples(recipe.training)
        if own["default"]:
            settings |= outline.tuning
            cost += outline.examples(recipe.finetuning)
        variant, parents = candidate_name(name, dropout), [outline.encoders[name]]
        parameters = {"encoder": name, "dropout": dropout}
        runs.append(
            outline.run("mtdnn", variant, seed, train_mtdnn, settings, parents, cost, **parameters)
        )
    return runs


def teacher_pool(recipe: Recipe) -> list[tuple[str, float]]:
    """The candidates that may become teachers: encoder and dropout."""
    grid = recipe.candidates
    if not recipe.teachers.choose:
        return []  # given teachers alone
    return [(name, dropout) for name in grid.encoders for dropout in grid.dropout]


def candidate_name(encoder: str, dropout: float) -> str:
    return f"{encoder}-d{dropout:g}"


def train_mtdnn(context: RunContext) -> Outcome:
    """Train one candidate on all tasks; fine-tune the default one on each."""
    recipe, settings = context.recipe, context.run.settings
    name, dropout, default = settings["encoder"], settings["dropout"], settings["default"]
    system = "mtdnn-noft" if default else f"candidate-{context.run.variant}"
    tokenizer, data = load_data(context, name)
    steps = total_steps(data, recipe.training)
    steps += total_steps(data, recipe.finetuning, alone=True) if default else 0
    with Progress(steps, system) as progress:
        setup = Setup(context, tokenizer, progress)
        parts = [multi_task(setup, system, name, dropout, data)]
        if default:
            parts += [
                finetune(setup, context.run, "mtdnn", task, data[task]) for task in context.tasks
            ]
    return combine(parts)
