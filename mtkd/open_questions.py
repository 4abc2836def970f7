"""What the paper and its readers left open. Notebook 09 shows it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

from mtkd.arms import Arm, Study, taught, untaught
from mtkd.settings import Recipe


def sizes(recipe: Recipe) -> Study:
    """Smaller students, each with and without a teacher."""
    source, own = recipe.encoders[recipe.encoder], recipe.pretraining
    whole = (own.layers, own.hidden) if source.pretrain else None
    arms = [
        replace(untaught(recipe), title="whole size, no teacher"),
        taught(recipe, "paper", "whole size"),
    ]
    for layers in recipe.sizes.layers:
        for hidden in recipe.sizes.hidden or (None,):
            if (layers, hidden or own.hidden) == whole:
                continue
            name = f"l{layers}" + (f"-h{hidden}" if hidden else "")
            title = f"{layers} layer{'s' if layers > 1 else ''}"
            title += f", {hidden} wide" if hidden else ""
            encoder = f"{recipe.encoder}-{name}"
            smaller = replace(source, layers=layers, hidden=hidden)
            given = {k: v for k, v in dataclasses.asdict(smaller).items() if v is not None}
            change = f"encoders.{encoder}={json.dumps(given)}"
            alone = f"none-{name}"
            small = taught(recipe, name, title, change, encoder=encoder)
            plain = taught(
                recipe, alone, f"{title}, no teacher", change, hard_weight=1.0, encoder=encoder
            )
            arms += [replace(small, base=alone), replace(plain, base=alone)]
    return Study(
        "sizes",
        "Smaller students",
        "How small can the student be, and does a small one gain more from the teachers?",
        tuple(arms),
        paper="paper",
        against="the same size without a teacher",
    )


def generations(recipe: Recipe) -> Study:
    """Born again: students taught by an ensemble of students, twice."""
    first, second = [f"first-{n}" for n in (1, 2, 3)], [f"second-{n}" for n in (1, 2, 3)]
    students = {
        **{name: {} for name in first},
        **{name: {"taught_by": first} for name in second},
        "third": {"taught_by": second},
    }
    changes = (f"students={json.dumps(students)}",)

    def born(name: str, title: str, what: str) -> Arm:
        return Arm(name, title, what, what=what, changes=changes)

    return Study(
        "generations",
        "Born again",
        "Does a student of three students get better than they are, and once more?",
        (
            untaught(recipe),
            taught(recipe, "paper", "taught by the ensemble"),
            born("first", "the same, first of three", "first-1"),
            born("second", "taught by three of those", "second-1"),
            born("third", "taught by three of those in turn", "third"),
        ),
        paper="paper",
    )
