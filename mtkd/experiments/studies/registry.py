"""The studies by name: those of the kit, and what others have registered.

A variant is the recipe with some `key=value` changes, as `--set` makes them, and the run that
answers. Runs that a variant shares with the recipe, or with another variant, are made once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module

from mtkd.common.errors import MtkdError
from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import REGISTERED, Study, Variant
from mtkd.experiments.validation import changed

BUILT_IN = (
    "targets",
    "ensembles",
    "teacher_tasks",
    "heads",
    "sizes",
    "generations",
    "unlabelled",
    "few_labels",
    "crossfit",
)


def study_groups() -> dict[str, str]:
    """The group of every study by name."""
    for module in BUILT_IN:  # by name: what opens a run does not rest on the studies' code
        import_module(f"mtkd.experiments.studies.{module}")
    return {name: group for name, (group, _) in REGISTERED.items()}


def make_study(recipe: Recipe, name: str) -> Study:
    """A study of a recipe. Raises MtkdError if none is registered by that name."""
    groups = study_groups()
    if name not in groups:
        raise MtkdError(
            f"unknown study {name!r}; expected one of {', '.join(groups)}, or one that a module "
            "among the recipe's extensions registers"
        )
    group, build = REGISTERED[name]
    return replace(build(recipe), name=name, group=group)


def studies(recipe: Recipe) -> Iterator[Study]:
    """The studies that a recipe asks for, and that its data can answer."""
    for name in recipe.studies:
        if (study := make_study(recipe, name)).variants:
            yield study


def find_variant(recipe: Recipe, name: str) -> tuple[Study, Variant] | None:
    """A variant and its study, "targets/w0.25-t2"; None of a name without a slash, a system's.

    Raises MtkdError if there is no such variant.
    """
    study_name, slash, variant_name = name.partition("/")
    if not slash:
        return None
    study = make_study(recipe, study_name)
    return study, study.variant(variant_name)


def variant_recipe(recipe: Recipe, name: str) -> tuple[Recipe, Variant]:
    """The recipe of a variant, "targets/w0.25-t2". Raises MtkdError if there is none."""
    found = find_variant(recipe, name)
    if found is None:
        raise MtkdError(f"{name!r} is no variant of a study; expected <study>/<variant>")
    variant = found[1]
    if variant.mean_of:
        raise MtkdError(
            f"{name} is a mean and has no run; open one of {', '.join(variant.mean_of)}"
        )
    return changed(recipe, variant.changes), variant


def named(words: Sequence[str]) -> tuple[str, ...]:
    """Studies by name, or by the name of a group: "ablations", "open-questions"."""
    groups = study_groups()
    found: list[str] = []
    for word in words:
        mine = [name for name, group in groups.items() if word in (name, group)]
        if not mine:
            known = ", ".join(dict.fromkeys([*groups.values(), *groups]))
            raise MtkdError(f"--with {word!r}: expected one of {known}")
        found += mine
    return tuple(dict.fromkeys(found))
