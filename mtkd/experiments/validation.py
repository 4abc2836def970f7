"""From raw values to a checked recipe; what does not fit is told in one line."""

from __future__ import annotations

import dataclasses
import difflib
import json
import reprlib
import typing
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from mtkd.common.errors import MtkdError
from mtkd.common.yaml_files import parse_yaml
from mtkd.experiments.checks import check
from mtkd.experiments.settings import Recipe

RECIPE = TypeAdapter(Recipe)
EXPECTED = {  # by pydantic's type of error, where YAML has other words
    "dataclass_type": "expected `key: value` lines",
    "dict_type": "expected a list of names, or `name: ...` lines",
    "tuple_type": "expected a list",
}


def put(raw: dict[str, Any], setting: str) -> None:
    """Put one `a.b=value`, as `--set` takes it, into a recipe's raw mapping."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise MtkdError(f"--set {setting!r}: expected key=value, for example training.epochs=3")
    *parents, last = key.strip().split(".")
    for parent in parents:
        raw = raw.setdefault(parent, {})
        if not isinstance(raw, dict):
            raise MtkdError(f"--set {setting!r}: {parent} has no keys of its own")
    try:
        raw[last] = parse_yaml(text)
    except (yaml.YAMLError, ValueError):
        said = reprlib.repr(text)
        raise MtkdError(f"--set {key}={text[:20]}: {said} is not a YAML value") from None


def validated(raw: dict[str, Any], where: str) -> Recipe:
    """The recipe that a raw mapping says. Raises MtkdError that begins with `where`."""
    raw = raw | {"tasks": by_name(raw.get("tasks"), where)}
    try:
        # As JSON, whose arrays and whole numbers may stand for tuples and floats, and nothing else.
        recipe = RECIPE.validate_json(json.dumps(raw, default=str))
    except TypeError:
        raise MtkdError(f"{where}: expected text or numbers as keys") from None
    except ValidationError as error:
        raise MtkdError(f"{where}: {explained(error)}") from None
    if problem := check(recipe):
        raise MtkdError(f"{where}: {problem}")
    return recipe


def by_name(tasks: Any, where: str) -> Any:
    """A list of GLUE's tasks as a mapping that says nothing more of each; others as they are."""
    if not isinstance(tasks, (list, tuple)):
        return tasks
    names = [name for name in tasks if isinstance(name, str)]
    if not tasks or len(set(names)) < len(tasks):
        raise MtkdError(f"{where}: tasks: expected different names, at least one; found {tasks}")
    return dict.fromkeys(names)


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """The recipe with `key=value` changes, as `--set` makes them."""
    raw = dataclasses.asdict(recipe)
    for change in changes:
        put(raw, change)
    return validated(raw, f"recipe {recipe.name}")


def explained(error: ValidationError) -> str:
    """The first thing that does not fit: key, what was expected, what was found.

    A misspelt key comes before all others, as they may follow from it.
    """
    problems = error.errors()
    wrong = next((p for p in problems if p["type"] == "unexpected_keyword_argument"), problems[0])
    path, found = [part for part in wrong["loc"] if part != "[key]"], wrong["input"]
    if wrong["type"] == "unexpected_keyword_argument":
        name = str(path.pop())
        what = f"unknown key {name!r}{did_you_mean(name, keys_at(path))}"
    elif wrong["type"] == "missing":
        what = f"key {path.pop()!r} is missing"
    else:
        plain = wrong["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        what = EXPECTED.get(wrong["type"], plain)
        if not (wrong["type"] == "value_error" and isinstance(found, dict)):
            what += f", found {reprlib.repr(found)}"
        if wrong["type"] == "float_type" and isinstance(found, str):
            what += " (write 5.0e-5, not 5e-5, in YAML)"
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{key[1:]}: {what}" if key else what


def keys_at(path: Sequence[str | int]) -> list[str]:
    """The keys that a recipe has at a place."""
    kind: Any = Recipe
    for part in path:
        fields = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        kinds = [one for one in typing.get_args(kind) if one is not Ellipsis]
        kind = fields[str(part)] if fields else kinds[-1]
        if type(None) in typing.get_args(kind):  # of what may be left out
            kind = typing.get_args(kind)[0]
    return [field.name for field in dataclasses.fields(kind)]


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """How a message about an unknown name goes on."""
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
