"""Study `crossfit`: soft targets from teachers that have seen an example, or have not."""

from __future__ import annotations

from collections.abc import Sequence

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import (
    BUDGET,
    Comparison,
    Study,
    Variant,
    register_study,
    replicates,
    same_seed_control,
    student,
)

# Where the recipe names no number: two thirds of the labels, for twice the training
FOLDS = 3
SEEN, UNSEEN = "in-sample", "cross-fitted"


@register_study("crossfit")
def crossfit(recipe: Recipe) -> Study:
    """Empty where given teachers alone teach: they are heard as they are."""
    folds = recipe.teachers.crossfit
    arms: dict[str, Sequence[str]] = {
        SEEN: ["teachers.crossfit=null"] if folds else [],
        UNSEEN: [] if folds else [f"teachers.crossfit={FOLDS}"],
    }
    taught = [
        student(
            recipe,
            f"{arm}{'' if weight else '-soft'}",
            f"{arm}, {'labels and soft targets' if weight else 'soft targets alone'}",
            *changes,
            factors={"targets": arm, "label weight": weight},
            hard_weight=weight,
        )
        for weight in (0.5, 0.0)
        for arm, changes in arms.items()
    ]
    variants: tuple[Variant, ...] = (*replicates(recipe), *taught) if recipe.teachers.choose else ()
    return Study(
        "Cross-fitted teachers",
        "Do soft targets say more where they come from teachers that have not seen the example?",
        "See whether the cross-fitted rows lie right of the in-sample ones.",
        variants,
        reference="no-teacher",
        paper=SEEN,
        comparisons=(
            *([same_seed_control(recipe, variants)] if variants else []),
            Comparison("in-sample", {UNSEEN: SEEN, f"{UNSEEN}-soft": f"{SEEN}-soft"}),
        ),
        budget=f"{BUDGET} Cross-fitted teachers are the same candidates, each trained "
        f"{folds or FOLDS} times without one of as many folds: each model predicts the fold that "
        "it has not seen, and all of them, by their mean, the dev sets.",
        teachers=True,
    )
