"""Frozen dataclasses from YAML, strictly: every key and type is checked, errors say where."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from mtkd.common.errors import MtkdError


def apply_setting(raw: dict[str, Any], setting: str) -> None:
    """Put one `a.b=value` into the raw mapping."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise MtkdError(f"--set {setting!r}: expected key=value, for example training.epochs=3")
    *parents, last = key.strip().split(".")
    for parent in parents:
        raw = raw.setdefault(parent, {})
        if not isinstance(raw, dict):
            raise MtkdError(f"--set {setting!r}: {parent} has no keys of its own")
    try:
        raw[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise MtkdError(f"--set {setting!r}: {text!r} is not a YAML value") from None


def build(kind: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type `kind`: strict about keys and types. `where` is for errors."""
    if dataclasses.is_dataclass(kind):
        return build_dataclass(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return build(next(a for a in arguments if a is not type(None)), value, where)
    if origin is Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            raise MtkdError(f"{where}: {value!r} is not known; expected one of {choices}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise MtkdError(f"{where}: expected a list, found {value!r}")
        return tuple(build(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise MtkdError(f"{where}: expected `name: ...` lines, found {value!r}")
        return {str(k): build(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        hint = " (write 5.0e-5, not 5e-5, in YAML)" if kind is float else ""
        raise MtkdError(f"{where}: expected {kind.__name__}, found {value!r}{hint}")
    return value


def build_dataclass(kind: Any, value: Any, where: str) -> Any:
    """An instance of a dataclass from a mapping; a key it does not have is an error."""
    if not isinstance(value, Mapping):
        raise MtkdError(f"{where}: expected `key: value` lines, found {value!r}")
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, 1)
            did = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(hints)}"
            raise MtkdError(f"{where}: unknown key {key!r}{did}")
    required = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    for key in required:
        if key not in value:
            raise MtkdError(f"{where}: key {key!r} is missing")
    fields = {k: build(hints[k], v, f"{where}: {k}") for k, v in value.items()}
    try:
        return kind(**fields)
    except ValidationError as error:  # a value out of its bounds
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise MtkdError(
            f"{where}: {key}: {first['input']} is out of range: {first['msg']}"
        ) from None
