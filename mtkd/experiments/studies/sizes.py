"""Study `sizes`: smaller students, each with and without teachers."""

from __future__ import annotations

import dataclasses
import json

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import (
    Axis,
    Factor,
    Study,
    Variant,
    register_study,
    student,
)


@register_study("sizes")
def sizes(recipe: Recipe) -> Study:
    source, own = recipe.encoders[recipe.encoder], recipe.pretraining
    whole = (own.layers, own.hidden) if source.pretrain else None
    factors: dict[str, Factor] = {"size": "whole"}
    if source.pretrain:
        factors = {"layers": own.layers, "hidden": own.hidden}
    variants = pair(recipe, "", "whole size", factors)
    for layers in recipe.sizes.layers:
        for hidden in recipe.sizes.hidden or (None,):
            if (layers, hidden or own.hidden) == whole:
                continue
            name = f"l{layers}" + (f"-h{hidden}" if hidden else "")
            title = f"{layers} layer{'s' if layers > 1 else ''}"
            title += f", {hidden} wide" if hidden else ""
            factors = {"layers": layers, **({"hidden": hidden} if hidden else {})}
            smaller = dataclasses.replace(source, layers=layers, hidden=hidden)
            given = {k: v for k, v in dataclasses.asdict(smaller).items() if v is not None}
            encoder = f"{recipe.encoder}-{name}".replace(".", "-")  # a dot would end the key
            change = f"encoders.{encoder}={json.dumps(given)}"
            variants += pair(recipe, name, title, factors, change, encoder=encoder)
    return Study(
        "Smaller students",
        "How small can the student be, and does a small one gain more from the teachers?",
        "See whether the lines with and without teachers come apart as students get smaller.",
        tuple(variants),
        reference_title="the same size without teachers",
        paper="paper",
        curve=Axis("parameters", "parameters", lines="teachers", log=True),
        costs=True,
    )


def pair(
    recipe: Recipe,
    name: str,
    title: str,
    factors: dict[str, Factor],
    *changes: str,
    **how: Factor,
) -> list[Variant]:
    """A student of one size with teachers, and its reference without."""
    plain, size = f"none-{name}" if name else "none", {"teachers": False} | factors
    without = student(
        recipe, plain, f"{title}, no teacher", *changes, factors=size, hard_weight=1.0, **how
    )
    size = {"teachers": True} | factors
    taught = student(recipe, name or "paper", title, *changes, factors=size, **how)
    return [without, dataclasses.replace(taught, reference=plain)]
