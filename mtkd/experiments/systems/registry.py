"""Baselines by name: the systems that MT-DNN is compared with, each in a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtkd.experiments.context import RunContext
    from mtkd.experiments.records import Record
    from mtkd.experiments.runs import Outline, Run

    Train = Callable[[RunContext], Record]


@dataclass(frozen=True)
class Baseline:
    """A system that a recipe names under `baselines`."""

    name: str
    train: Train
    plan: Callable[[Outline, int, Baseline], list[Run]]  # the runs of one seed


BASELINES: dict[str, Baseline] = {}


def one_run(outline: Outline, seed: int, baseline: Baseline) -> list[Run]:
    """One run that starts from the default encoder and may read any setting of the recipe."""
    recipe = outline.recipe
    apart = ("name", "about", "data", "seeds", "studies")  # data has an identity of its own
    settings = {key: value for key, value in asdict(recipe).items() if key not in apart}
    return [
        outline.run(
            "baselines",
            baseline.name,
            seed,
            outline.shared | {"recipe": settings},
            [outline.encoders[recipe.encoder]],
            {"system": baseline.name},
            outline.examples(recipe.single_stage),
            baseline.train,
        )
    ]


def register_baseline(
    name: str, plan: Callable[[Outline, int, Baseline], list[Run]] = one_run
) -> Callable[[Train], Train]:
    """Decorate a function that trains a baseline: recipes name it under `baselines`.

    `plan` gives its runs of one seed; without it, there is one.
    """

    def register(train: Train) -> Train:
        BASELINES[name] = Baseline(name, train, plan)
        return train

    return register
