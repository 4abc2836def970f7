"""A run, what it is known by, and what the runs of a recipe share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mtkd.common.code import code_digest
from mtkd.experiments.data_identity import train_size
from mtkd.experiments.settings import Recipe
from mtkd.method.settings import Training

if TYPE_CHECKING:  # which need torch, and a mere plan does not
    from mtkd.experiments.context import RunContext
    from mtkd.experiments.records import Outcome

NOTEBOOKS = {  # by stage, in the order of the paper
    "glue": "01_glue",
    "encoders": "02_encoders",
    "baselines": "03_baselines",
    "mtdnn": "04_mtdnn",
    "given": "13_given_teachers",
    "teachers": "05_teachers",
    "distill": "06_distill",
    "transfer": "11_few_labels",
}


@dataclass(frozen=True)
class Run:
    """One notebook executed for one setting and one seed."""

    stage: str
    variant: str  # which of the stage's runs: "bert", "uncased-d0.1", "mtdnn-kd"
    seed: int
    settings: dict[str, Any]  # all that it reads of recipe and data: no paths, devices, workers
    parents: tuple[Run, ...]
    parameters: dict[str, Any]  # of the notebook, beside the recipe
    cost: float  # training examples passed through the model, for estimates
    train: Callable[[RunContext], Outcome]  # what the run does
    extensions: tuple[str, ...] = ()  # modules from outside the library that it may use

    @cached_property
    def config_id(self) -> str:
        """`<stage>-<variant>-<hash8>`: the same for all seeds."""
        content = {
            "settings": self.settings,
            "parents": sorted({parent.config_id for parent in self.parents}),
        }
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.stage}-{self.variant}-{digest[:8]}"

    @property
    def run_id(self) -> str:
        return f"{self.config_id}-s{self.seed}"

    @property
    def spreads(self) -> bool:
        """Whether several processes may make it: it trains on tasks."""
        return bool(self.parents)

    @property
    def notebook(self) -> str:
        return NOTEBOOKS[self.stage]

    @cached_property
    def stamp(self) -> str:
        """Digest of the code that the run rests on, its parents' included."""
        own = code_digest(self.train.__module__, *self.extensions)
        parts = [own, *sorted(parent.stamp for parent in self.parents)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def ancestors(self) -> tuple[Run, ...]:
        """All runs that this one rests on, the oldest first."""
        found = {r.run_id: r for parent in self.parents for r in (*parent.ancestors, parent)}
        return tuple(found.values())


@dataclass(frozen=True)
class Outline:
    """What the runs of all seeds share: systems plan theirs with it."""

    recipe: Recipe
    present: tuple[str, ...]  # tasks that the data source has
    data: dict[str, Any]  # identity of the data
    encoders: dict[str, Run]

    def run(
        self,
        stage: str,
        variant: str,
        seed: int,
        train: Callable[[RunContext], Outcome],
        settings: dict[str, Any],
        parents: Sequence[Run] = (),
        cost: float = 0.0,
        **parameters: Any,
    ) -> Run:
        """A run of this recipe; the notebook of a run that trains on tasks gets the seed, too."""
        if parents:
            parameters["seed"] = seed
        if extensions := self.recipe.extensions:
            settings = settings | {"extensions": list(extensions)}
        return Run(
            stage, variant, seed, settings, tuple(parents), parameters, cost, train, extensions
        )

    @property
    def shared(self) -> dict[str, Any]:
        """Identity that every trained run holds."""
        recipe = self.recipe
        heads = {task: recipe.heads.spec(recipe.task(task)).as_dict() for task in self.present}
        return self.data | {"heads": heads, "max_length": recipe.max_length}

    @property
    def single(self) -> dict[str, Any]:
        """Identity of the systems without a second stage: baselines and students."""
        recipe = self.recipe
        own = {"training": asdict(recipe.single_stage), "dropout": recipe.dropout}
        return self.shared | own | {"encoder": recipe.encoder}

    @property
    def multi(self) -> dict[str, Any]:
        """Identity of multi-task training."""
        return self.shared | {"training": asdict(self.recipe.training)}

    @property
    def tuning(self) -> dict[str, Any]:
        """Identity of fine-tuning per task."""
        recipe = self.recipe
        return {"finetuning": asdict(recipe.finetuning), "fresh_heads": recipe.fresh_heads}

    def size(self, task: str) -> int:
        """Training examples of a task, about."""
        return train_size(self.recipe.data, self.recipe.task(task))

    def examples(self, settings: Training) -> float:
        """Training examples that pass through a model when all tasks are trained."""
        return sum(map(self.size, self.present)) * settings.epochs

    def full_size(self, tasks: Sequence[str]) -> int:
        """Training examples of some tasks, were all labels there."""
        source = replace(self.recipe.data, label_fraction=1.0)
        return sum(train_size(source, self.recipe.task(task)) for task in tasks)
