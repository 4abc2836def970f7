"""The ablations: which of the method's choices matter. Notebook 08 shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mtkd.data.tasks import TASKS
from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.arms import (
    ONE,
    Arm,
    Contrast,
    Study,
    beside_twins,
    taught,
    without_teachers,
)
from mtkd.experiments.task_sets import present_tasks

WEIGHTS = (0.0, 0.25, 0.5, 0.75)
TEMPERATURES = (1.0, 2.0, 4.0, 8.0)
BUDGET = f"All arms have the same budget of training. {ONE}"


def targets(recipe: Recipe) -> Study:
    """Weight of the labels by temperature, targets or losses mixed, teacher annealing."""
    arms = list(without_teachers(recipe))
    for weight in WEIGHTS:
        for heat in TEMPERATURES:
            title = f"label weight {weight:g}, temperature {heat:g}"
            how = {"hard_weight": weight, "temperature": heat}
            arms.append(taught(recipe, f"w{weight:g}-t{heat:g}", title, **how))
    mixed = {"hard_weight": 0.5, "temperature": 2.0, "loss": "mixed-targets"}
    arms.append(taught(recipe, "mixed-t2", "targets mixed, not losses, temperature 2", **mixed))
    title = "teacher annealing: label weight from 0 to 1"
    arms.append(taught(recipe, "annealed", title, loss="annealed"))
    return Study(
        "targets",
        "Hard and soft targets",
        "How much should the student listen to the labels, how much to the teachers, and at which "
        "temperature?",
        tuple(arms),
        base="alone",
        paper="w0.5-t1",
        contrasts=(
            *beside_twins(recipe, arms, "w0.5-t1"),
            Contrast("losses mixed, temperature 2", {"mixed-t2": "w0.5-t2"}, told=("mixed-t2",)),
        ),
        budget=BUDGET,
    )


def ensembles(recipe: Recipe) -> Study:
    """Who teaches: how many, how chosen, how averaged."""
    count, grid = recipe.teachers.choose, recipe.candidates
    pool = len(grid.encoders) * len(grid.dropout)
    arms = [*without_teachers(recipe), taught(recipe, "paper", f"best {count} by dev score")]
    if count > 1:
        arms.append(taught(recipe, "best-1", "the best one", "teachers.choose=1"))
    if pool > count:
        arms.append(taught(recipe, f"all-{pool}", f"all {pool}", f"teachers.choose={pool}"))
        title = f"{count} drawn at random"
        arms.append(taught(recipe, f"random-{count}", title, "teachers.order=random"))
    if len(grid.encoders) > 1 and len(grid.dropout) >= count:
        for name in grid.encoders:
            only = f"candidates.encoders=[{name}]"
            arms.append(taught(recipe, f"only-{name}", f"best {count}, {name} only", only))
    other = "logits" if recipe.teachers.average == "probabilities" else "probabilities"
    title = f"best {count}, mean of {other}"
    arms.append(taught(recipe, f"mean-of-{other}", title, f"teachers.average={other}"))
    return Study(
        "ensembles",
        "The ensemble",
        "How many teachers, chosen how, averaged how? Is one strong teacher enough?",
        tuple(arms),
        base="alone",
        paper="paper",
        contrasts=(
            *beside_twins(recipe, arms, "paper"),
            *(
                Contrast(arm.title, {"paper": arm.name}, told=("paper",))
                for arm in arms
                if arm.name.startswith(("best-", "random-", "all-"))
            ),
        ),
        budget=BUDGET,
    )


def teacher_tasks(recipe: Recipe) -> Study:
    """Which tasks have teachers: none, each alone, the recipe's, all; of those that are there."""
    present = present_tasks(recipe)
    own = tuple(task for task in recipe.teachers.tasks if task in present)
    arms = list(without_teachers(recipe))
    for task in own if len(own) > 1 else ():
        alone = taught(recipe, task, f"{titled([task])} alone", f"teachers.tasks=[{task}]")
        arms.append(replace(alone, tasks=(task,)))
    if own:
        arms.append(taught(recipe, "paper", titled(own)))
    if set(own) != set(present):
        every = f"teachers.tasks=[{','.join(present)}]"
        whole = taught(recipe, "all", f"all {len(present)} tasks", every)
        arms.append(replace(whole, tasks=present))
    return Study(
        "teacher-tasks",
        "Which tasks have teachers",
        "Do tasks without a teacher gain, too, and would more teachers help?",
        tuple(arms),
        base="alone",
        paper="paper" if own else None,
        contrasts=(
            *beside_twins(recipe, arms, "paper"),
            *([Contrast(titled(own), {"all": "paper"}, told=("all",))] if own else []),
        ),
        budget=BUDGET,
    )


def titled(tasks: Sequence[str]) -> str:
    return ", ".join(TASKS[task].title for task in tasks)


def heads(recipe: Recipe) -> Study:
    """Pair heads and mixing laws, on multi-task training without teachers or fine-tuning."""
    what = f"{recipe.encoder}-d{recipe.dropout:g}"

    def arm(name: str, title: str, *changes: str) -> Arm:
        without = ("finetuning.epochs=0",) if changes else ()  # scores are from before it
        return Arm(name, title, "mtdnn-noft", "mtdnn", what, (*changes, *without), tasks=())

    steps = recipe.heads.san_steps
    own = f"SAN, {steps} steps" if recipe.heads.pair == "san" else "linear heads"
    arms = [arm("recipe", f"{own}, {recipe.training.mixing} mixing")]
    if recipe.heads.pair == "san":
        arms.append(arm("linear", "linear heads", "heads.pair=linear"))
    for k in (1, 2, 5, 10):
        if recipe.heads.pair != "san" or k != steps:
            changes = ("heads.pair=san", f"heads.san_steps={k}")
            arms.append(arm(f"san-{k}", f"SAN, {k} step{'s' if k > 1 else ''}", *changes))
    for law in ("proportional", "power", "uniform", "annealed"):
        if law != recipe.training.mixing:
            arms.append(arm(law, f"{law} mixing", f"training.mixing={law}"))
    return Study(
        "heads",
        "Heads and mixing",
        "Does the SAN answer module beat a linear layer, and does the mixing law matter? No "
        "teacher takes part.",
        tuple(arms),
        base="recipe",
    )
