"""Study `targets`: label weight by temperature, targets or losses mixed, teacher annealing."""

from __future__ import annotations

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import (
    Comparison,
    Study,
    register_study,
    replicates,
    same_seed_control,
    student,
)

WEIGHTS = (0.0, 0.25, 0.5, 0.75)
TEMPERATURES = (1.0, 2.0, 4.0, 8.0)


@register_study("targets", group="ablations")
def targets(recipe: Recipe) -> Study:
    grid = [
        student(
            recipe,
            f"w{weight:g}-t{temperature:g}",
            f"label weight {weight:g}, temperature {temperature:g}",
            hard_weight=weight,
            temperature=temperature,
        )
        for weight in WEIGHTS
        for temperature in TEMPERATURES
    ]
    variants = (
        *replicates(recipe),
        *grid,
        student(
            recipe,
            "mixed-t2",
            "targets mixed, weight 0.5, temperature 2",
            hard_weight=0.5,
            temperature=2.0,
            loss="mixed-targets",
        ),
        student(recipe, "annealed", "teacher annealing: label weight from 0 to 1", loss="annealed"),
    )
    return Study(
        "Hard and soft targets",
        "How much should the student listen to the labels, how much to the teachers, and at which "
        "temperature?",
        "See whether the rows of low label weight or high temperature lie right of the paper's.",
        variants,
        reference="no-teacher",
        paper="w0.5-t1",
        comparisons=(
            same_seed_control(recipe, variants),
            Comparison("mixed losses", {"mixed-t2": "w0.5-t2"}),
        ),
    )
