"""The application `mtkd`, and what several of its commands share."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd.common.errors import MtkdError

if TYPE_CHECKING:
    from mtkd.experiments.settings import Recipe

app = typer.Typer(
    help="Reproduce multi-task DNNs distilled from ensembles of teachers: GLUE, or your own tasks.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Option("--recipe", metavar="NAME", help="a recipe, or its .yaml file")]
DataPath = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="folder with GLUE's task folders")
]
Text = Annotated[
    Path | None,
    typer.Option(
        "--unlabelled",
        metavar="FILE",
        help="text without labels for teachers: task, text and second text, with tabs",
    ),
]
Until = Annotated[str | None, typer.Option(metavar="STAGE", help="stop after this stage")]
Settings = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE...",
        help="change the recipe: training.epochs=3 tasks=[cola,rte]",
    ),
]
Studies = Annotated[
    list[str],
    typer.Option(
        "--with",
        metavar="STUDY...",
        help="studies beside the main table: ablations, or targets, ensembles, ...",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="runs side by side (default: one per GPU, or else one per core)"),
]
Processes = Annotated[
    int | None,
    typer.Option(
        min=1, help="that make one training together, a GPU each (default: the recipe's, 1)"
    ),
]


def needs(module: str, extra: str) -> None:
    """Refuse to go on without a module that an extra of the package brings."""
    if importlib.util.find_spec(module) is None:
        raise MtkdError(f"{module} is not installed; `pip install 'mtkd[{extra}]'` brings it")


def asked_recipe(
    name: str,
    data_path: str | None,
    text: Path | None,
    settings: list[str],
    words: list[str],
    processes: int | None,
) -> Recipe:
    """The recipe with all studies asked for: by itself, by --with, and in its folder before."""
    from mtkd.experiments.recipes import load_recipe, results_folder, saved_choices
    from mtkd.experiments.studies.registry import named

    together = [] if processes is None else [f"processes={processes}"]
    recipe = load_recipe(name, [*settings, *together], data_path)
    if text and not text.is_file():
        raise MtkdError(f"--unlabelled {text}: no such file; expected text, one example a line")
    kept, kept_text = saved_choices(results_folder(recipe))
    given = {setting.partition("=")[0] for setting in settings}
    found = str(text.resolve()) if text else recipe.data.unlabelled_file or kept_text
    if found and "data.unlabelled_file" not in given:
        recipe = replace(recipe, data=replace(recipe.data, unlabelled_file=found))
    # Those of before come first: a run that two studies share keeps the name it was made under.
    wanted = [*recipe.studies, *(() if "studies" in given else kept), *named(words)]
    return replace(recipe, studies=tuple(dict.fromkeys(wanted)))
