"""Study `ensembles`: how many teachers, how chosen, how averaged."""

from __future__ import annotations

import json

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import (
    Comparison,
    Factor,
    Study,
    Variant,
    register_study,
    replicates,
    same_seed_control,
    student,
)


@register_study("ensembles", group="ablations")
def ensembles(recipe: Recipe) -> Study:
    """Empty where given teachers alone teach: there are no candidates to choose from."""
    count, grid = recipe.teachers.choose, recipe.candidates
    every = len(grid.encoders) * len(grid.dropout)
    own: dict[str, Factor] = {"teachers": count, "choice": "best", "encoders": "all"}
    others: list[Variant] = []

    def add(name: str, title: str, change: str, **factors: Factor) -> None:
        others.append(student(recipe, name, title, change, factors=own | factors))

    if count > 1:
        add("best-1", "the best one", "teachers.choose=1", teachers=1)
    if every > count:
        add(f"all-{every}", f"all {every}", f"teachers.choose={every}", teachers=every)
        add(f"random-{count}", f"{count} at random", "teachers.selection=random", choice="random")
    if len(grid.encoders) > 1 and len(grid.dropout) >= count:
        for name in grid.encoders:
            title, only = f"best {count}, {name} only", f"candidates.encoders={json.dumps([name])}"
            add(f"only-{name}", title, only, encoders=name)
    mean = "logits" if recipe.teachers.average == "probabilities" else "probabilities"
    title, change = f"best {count}, mean of {mean}", f"teachers.average={mean}"
    add(f"mean-of-{mean}", title, change, mean=mean)
    paper = student(recipe, "paper", f"best {count} by dev score", factors=own)
    variants = (*replicates(recipe), paper, *others) if count else ()
    return Study(
        "The ensemble",
        "How many teachers, chosen how, averaged how? Is one strong teacher enough?",
        "See how far the row of the best one lies left of the paper's ensemble.",
        variants,
        reference="no-teacher",
        paper="paper",
        comparisons=(
            *([same_seed_control(recipe, variants)] if variants else []),
            Comparison("the paper's setting", {variant.name: "paper" for variant in others}),
        ),
    )
