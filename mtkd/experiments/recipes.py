"""Recipes: how an experiment is done, by name or from a YAML file."""

from __future__ import annotations

import dataclasses
import importlib
import json
import reprlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.yaml_files import read_yaml
from mtkd.data.own_files import HUB
from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.registry import study_groups
from mtkd.experiments.validation import did_you_mean, put, validated
from mtkd.method.settings import Distillation

FOLDER = paths.PACKAGE / "recipes"


def available() -> list[str]:
    """Names of the recipes that come with the kit."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str, settings: Sequence[str] = (), data_path: str | None = None) -> Recipe:
    """Recipe by name or by file, with `key=value` settings (dotted keys, YAML values) applied.

    The modules that it names as its extensions are imported. Raises MtkdError.
    """
    is_file = name.endswith((".yaml", ".yml"))
    path = Path(name) if is_file else FOLDER / f"{name}.yaml"
    if not is_file and name not in available():
        known, said = ", ".join(available()), reprlib.repr(name)
        raise MtkdError(f"unknown recipe {said}: expected one of {known} or a .yaml file")
    if is_file and not path.exists():
        raise MtkdError(f"{path}: no such file; expected a recipe there")
    # A setting changes one key of what the recipe means: of a default, where the recipe is silent.
    defaults = dataclasses.asdict(Recipe(name="defaults"))
    raw = {key: value for key, value in defaults.items() if key != "name"} | read_yaml(path)
    if is_file:
        make_whole(raw, path.parent.resolve())
    for setting in settings:
        put(raw, setting)
    make_whole(raw, Path.cwd())
    recipe = validated(raw, str(path) if is_file else f"recipe {name}")
    if data_path is not None:
        folder = str(Path(data_path).resolve())
        recipe = replace(recipe, data=replace(recipe.data, kind="folder", path=folder))
    import_extensions(recipe)
    check_names(recipe)
    return recipe


def make_whole(raw: dict[str, Any], folder: Path) -> None:
    """Look for all files and folders that a recipe names in a folder."""
    raw["data"] = with_whole(raw.get("data"), ("path", "unlabelled_file"), folder)
    if isinstance(raw.get("encoders"), dict):
        sources = raw["encoders"].items()
        raw["encoders"] = {name: with_whole(source, ("path",), folder) for name, source in sources}
    raw["tasks"] = with_whole_paths(raw.get("tasks"), folder)
    raw["teachers"] = with_whole_teachers(raw.get("teachers"), folder)


def whole_path(place: Any, folder: Path) -> Any:
    """A file, or a mapping of split to file, that is looked for in a folder."""
    if isinstance(place, dict):
        return {split: whole_path(file, folder) for split, file in place.items()}
    if isinstance(place, str) and not place.startswith(HUB):
        return str(folder / Path(place).expanduser())
    return place


def with_whole(settings: Any, keys: Sequence[str], folder: Path) -> Any:
    """Raw settings, of whose keys some are files or folders that are looked for in a folder."""
    if not isinstance(settings, dict):
        return settings
    named = {key: whole_path(settings[key], folder) for key in keys if key in settings}
    return settings | named


def with_whole_teachers(teachers: Any, folder: Path) -> Any:
    """A recipe's raw teachers; the files of given ones are looked for beside the recipe.

    A model is a folder where there is one, or where its name begins as a folder's; else the hub's.
    """

    def whole(teacher: Any) -> Any:
        if not isinstance(teacher, dict):
            return teacher
        found = teacher | {"predictions": whole_path(teacher.get("predictions"), folder)}
        model = teacher.get("model")
        if isinstance(model, str) and ((folder / model).is_dir() or model[:1] in (".", "~", "/")):
            found["model"] = whole_path(model, folder)
        return found

    if not isinstance(teachers, dict) or not isinstance(teachers.get("given"), list):
        return teachers
    return teachers | {"given": [whole(teacher) for teacher in teachers["given"]]}


def with_whole_paths(tasks: Any, folder: Path) -> Any:
    """A recipe's raw tasks; the files of own ones are looked for beside the recipe."""
    if not isinstance(tasks, dict):
        return tasks
    return {
        name: task | {"data": whole_path(task["data"], folder)}
        if isinstance(task, dict) and "data" in task
        else task
        for name, task in tasks.items()
    }


def import_extensions(recipe: Recipe) -> None:
    """Import what registers losses, heads and the like; nothing is put on Python's path."""
    for module in recipe.extensions:
        try:
            importlib.import_module(module)
        except Exception as error:  # it is somebody else's code
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            raise MtkdError(
                f"recipe {recipe.name}: extensions: cannot import {module!r} ({cause}); expected a "
                "module that is installed or on PYTHONPATH"
            ) from error


def check_names(recipe: Recipe) -> None:
    """Refuse names that nothing is registered under."""
    usual, students = Recipe(name="usual"), recipe.students.values()
    asked: list[tuple[str, Collection[str], Collection[str]]]
    asked = [("studies", recipe.studies, study_groups())]
    # The other registries hold code that needs torch: only what is not the default is looked up.
    if set(recipe.baselines) - set(usual.baselines):
        from mtkd.experiments import plans  # noqa: F401 (it registers the kit's own)
        from mtkd.experiments.systems.baselines import BASELINES

        asked.append(("baselines", recipe.baselines, BASELINES))
    if recipe.heads.pair != usual.heads.pair:
        from mtkd.method.heads import HEADS

        asked.append(("heads.pair", [recipe.heads.pair], HEADS))
    if losses := {student.loss for student in students} - {Distillation().loss}:
        from mtkd.method.distillation import LOSSES

        asked.append(("students.*.loss", losses, LOSSES))
    for key, names, known in asked:
        for name in names:
            if name not in known:
                near = did_you_mean(name, list(known))
                raise MtkdError(f"recipe {recipe.name}: {key}: unknown name {name!r}{near}")


def results_folder(recipe: Recipe) -> Path:
    """Where what is made of a recipe lies."""
    return paths.results() / recipe.name


def saved_choices(results: Path) -> tuple[list[str], str | None]:
    """Studies, and file of unlabelled text, of what was reproduced in a results folder before."""
    path = results / "recipe.yaml"
    with what_to_do(path):
        saved = read_yaml(path) if path.exists() else {}
    studies, data = saved.get("studies"), saved.get("data")
    text = data.get("unlabelled_file") if isinstance(data, dict) else None
    # Only what this version knows: the folder may be of another one.
    names = [str(name) for name in studies] if isinstance(studies, list) else []
    known = [name for name in names if name in study_groups()]
    return known, text if isinstance(text, str) else None


def open_recipe(name: str) -> tuple[Recipe, Path]:
    """A recipe and its results folder.

    `name` is a recipe's name or a file. A recipe that was reproduced before is read as it was
    then, with its data path and settings, from `results/<name>/recipe.yaml`.
    """
    saved = paths.results() / name / "recipe.yaml"
    if saved.exists():
        with what_to_do(saved):
            recipe = load_recipe(str(saved))
    else:
        recipe = load_recipe(name)
    own = Path(name).resolve()
    results = own.parent if own.name == "recipe.yaml" else results_folder(recipe)
    return recipe, results


@contextmanager
def what_to_do(saved: Path) -> Iterator[None]:
    """Adds to an error in a saved recipe that the file can be made again."""
    try:
        yield
    except MtkdError as error:
        advice = f"remove {saved.name} there: `mtkd reproduce` writes it again"
        raise MtkdError(f"{error}; {advice}") from None


def as_yaml(recipe: Recipe) -> str:
    """The resolved recipe, every key written out; `load_recipe` reads it back equal."""
    plain = json.loads(json.dumps(dataclasses.asdict(recipe)))  # lists in place of tuples
    if not any(plain["tasks"].values()):  # GLUE's alone
        plain["tasks"] = list(plain["tasks"])
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100)
