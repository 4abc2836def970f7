"""Commands for tasks of one's own: from files to a recipe, and from a student to answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd.app.options import DataPath, Settings, app, needs
from mtkd.common.errors import MtkdError


@app.command(name="init")
def write_recipe(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="one task each: .csv, .tsv, .jsonl, .parquet, a folder or hf:owner/name; names "
            "that end in _train, _dev, _test are one task; NAME=FILE names it",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="default: <name>.yaml")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="of the recipe; default: that of its file, else own")
    ] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Write a recipe for files of your own, with all that they say of their tasks."""
    from mtkd.app.console import show_tasks
    from mtkd.app.init import init

    recipe, tasks = init(files, output, name, settings)
    show_tasks(tasks)
    print(f"written: {recipe}; next: mtkd check {recipe}")


@app.command(
    epilog="Exit status: 1 where something would stop `mtkd reproduce`, 0 with mere notes."
)
def check(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="a recipe, or its .yaml file")],
    data_path: DataPath = None,
    settings: Settings = [],  # noqa: B006
) -> int:
    """Look at a recipe's data and encoders before anything is trained."""
    from mtkd.app.check import check as look
    from mtkd.experiments.recipes import load_recipe

    return look(load_recipe(recipe, settings, data_path))


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="folder of a trained model")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".csv, .tsv, .jsonl or .parquet")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="of any of these kinds")],
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="default: all whose texts are in the file")
    ] = None,
    text: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN",
            help="column of the texts, twice for pairs (default: the task's own, else text)",
        ),
    ] = [],  # noqa: B006
) -> None:
    """Answer every text of a file: its rows, with columns <task> and <task>_score."""
    from mtkd.app.predict import predict_file

    for name, columns in predict_file(model, file, output, task, text).items():
        print(f"{name}: of {' and '.join(columns)}")
    print(f"written: {output}")


@app.command()
def export(
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="where to write it")],
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="folder of a saved model")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME", help="in place of MODEL: a recipe's student")
    ] = None,
    system: Annotated[str, typer.Option(metavar="NAME", help="which student")] = "mtdnn-kd",
    seed: Annotated[int | None, typer.Option(help="default: the recipe's first")] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="what to compare on, for a model outside of a recipe's results: lines of task, "
            "text and second text, with tabs",
        ),
    ] = None,
    int8: Annotated[bool, typer.Option(help="write the graph in 8 bits, too")] = True,
    max_drop: Annotated[
        float, typer.Option(metavar="POINTS", help="refuse int8 that costs a task more")
    ] = 1.0,
    classifiers: Annotated[
        bool, typer.Option(help="write each task for transformers' pipeline, too")
    ] = True,
    push: Annotated[
        str | None, typer.Option(metavar="NAME", help="and upload it to the hub: who/what")
    ] = None,
) -> None:
    """Write a student as a folder that runs without torch, if its answers stay the same."""
    for module in ("onnx", "onnxruntime"):
        needs(module, "deploy")
    from mtkd.app.console import show_export
    from mtkd.app.shipping import ship, student_folder

    if (model is None) == (recipe is None):
        raise MtkdError("export: expected the folder of a model, or --recipe NAME")
    folder = model or student_folder(str(recipe), system, seed)
    how = {"int8": int8, "max_drop": max_drop, "classifiers": classifiers}
    show_export(ship(folder, output, texts, **how), output)
    if push:
        from mtkd.method.export.hub import push_to_hub

        print(f"uploaded: {push_to_hub(output, push)}")
