"""Baselines by name: the systems that MT-DNN is compared with, each in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtkd.experiments.context import RunContext
    from mtkd.experiments.records import Outcome
    from mtkd.experiments.runs import Outline, Run

    Train = Callable[[RunContext], Outcome]


@dataclass(frozen=True)
class Baseline:
    """A system that a recipe names under `baselines`."""

    name: str
    train: Train
    plan: Callable[[Outline, int, Baseline], list[Run]]  # the runs of one seed

    def run(
        self,
        outline: Outline,
        seed: int,
        settings: dict[str, Any],
        *,
        variant: str = "",
        parents: Sequence[Run] = (),
        cost: float = 0.0,
    ) -> Run:
        """A run that starts from the default encoder and trains for one stage, unless given."""
        recipe, variant = outline.recipe, variant or self.name
        parents = parents or [outline.encoders[recipe.encoder]]
        cost = cost or outline.examples(recipe.single_stage)
        return outline.run(
            "baselines", variant, seed, self.train, settings, parents, cost, system=variant
        )


BASELINES: dict[str, Baseline] = {}


def one_run(outline: Outline, seed: int, baseline: Baseline) -> list[Run]:
    """One run that may read any setting of the recipe."""
    recipe = outline.recipe
    # Data has an identity of its own; the margin is the page's, processes decide nothing.
    apart = ("name", "about", "data", "seeds", "studies", "margin", "processes")
    settings = {key: value for key, value in asdict(recipe).items() if key not in apart}
    # Given teachers, and the files of own tasks, are known by their content, not by their places.
    settings["tasks"] = list(recipe.tasks)
    settings["teachers"] = recipe.teachers.identity | {"tasks": list(recipe.taught)}
    return [baseline.run(outline, seed, outline.shared | {"recipe": settings})]


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
