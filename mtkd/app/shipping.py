"""A recipe's student, or any saved model, as a folder that ships."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd.analysis import tables
from mtkd.analysis.main_views import data_title, headline_view
from mtkd.analysis.markup import markdown
from mtkd.analysis.results import Results, open_results
from mtkd.analysis.teacher_outputs import teachers_heard, teachers_table
from mtkd.analysis.verdict import judge
from mtkd.common.errors import MtkdError
from mtkd.data.glue_files import read_unlabelled
from mtkd.data.loading import load_examples
from mtkd.data.tasks import Examples, Task
from mtkd.experiments.plans import find_run
from mtkd.experiments.recipes import open_recipe
from mtkd.experiments.records import Record, as_written, model_folder, read_record, run_folder
from mtkd.experiments.settings import Recipe
from mtkd.method.export.card import Facts, Result
from mtkd.method.export.folder import Report, export
from mtkd.method.model import MultiTaskModel


def student_folder(recipe_name: str, system: str, seed: int | None) -> Path:
    """Where a recipe's student is. Raises MtkdError if there is none, or it is not trained yet."""
    recipe, results = open_recipe(recipe_name)
    run = find_run(recipe, "distill", system, recipe.seeds[0] if seed is None else seed)
    folder = model_folder(results, run.run_id)
    if not folder.is_dir():
        other = recipe_name != recipe.name and (results / "recipe.yaml").is_file()
        saved = f"; what `--set` has made there is --recipe {recipe.name}" if other else ""
        raise MtkdError(
            f"{folder}: not trained yet; run `mtkd reproduce --recipe {recipe_name}`{saved}"
        )
    return folder


def ship(folder: Path, output: Path, texts: Path | None = None, **how: Any) -> Report:
    """Export a saved model; `how` are options of `mtkd.export`.

    Where the folder lies in a recipe's results the forms are compared on its dev sets, and the card
    tells what the run's record knows; else on `texts`: lines of task, text and second text, with
    tabs between.
    """
    results = folder.resolve().parent.parent
    model = MultiTaskModel.from_pretrained(
        as_written(results, folder.resolve().name, folder.resolve())
    )
    if texts is not None:
        given = given_texts(model, texts)
        return export(model, output, given, facts=Facts(output.name), **how)
    if folder.resolve().parent.name != "models" or not (results / "recipe.yaml").is_file():
        raise MtkdError(
            f"{folder}: not in a recipe's results, so no dev examples are known to check an export "
            "on; give real texts of every task with --texts FILE"
        )
    known = open_results(str(results / "recipe.yaml"))
    recipe = known.recipe
    dev = {task: load_examples(recipe.data, recipe.task(task), "dev") for task in model.specs}
    record = read_record(run_folder(results, folder.resolve().name))
    return export(model, output, dev, facts=record_facts(known, record, dev, output.name), **how)


def given_texts(model: MultiTaskModel, path: Path) -> dict[str, Examples]:
    """Texts of a model's tasks from lines of task, text and second text, with tabs between."""
    told = model.described()
    tasks = {
        name: Task(
            name,
            one["objective"],
            tuple(one["head"]["labels"]),
            columns=tuple(one["columns"]) or ("text",),
        )
        for name, one in told.items()
    }
    return {
        name: read_unlabelled(task, path, tasks.keys(), "texts") for name, task in tasks.items()
    }


def record_facts(results: Results, record: Record, dev: Mapping[str, Examples], name: str) -> Facts:
    """What a run's record, and those of its recipe's other runs, tell about a student."""
    return Facts(
        name,
        results.recipe.encoders[record.settings["encoder"]].hub,
        tuple(
            Result(one.task, one.split, one.metric, one.value)
            for one in record.scores
            if one.system == record.variant
        ),
        {
            "Data": data_section(results.recipe, record, dev),
            "Teachers": teachers_section(results, record),
            "Controls": controls_section(results, record),
        },
    )


def data_section(recipe: Recipe, record: Record, dev: Mapping[str, Examples]) -> str:
    """Where the examples came from, and how many decided."""
    lines = [f"Run `{record.run_id}` of recipe `{recipe.name}`, seed {record.seed}.\n"]
    for name, examples in dev.items():
        if (own := examples.task.own) is None:
            source = f"data of kind `{recipe.data.kind}`"
        else:  # without the folders of this machine
            files = [own.data] if isinstance(own.data, str) else own.data.values()
            source = ", ".join(f"`{Path(file).name}`" for file in files)
        lines.append(f"- {name}: {source}, {len(examples):,} dev examples")
    return "\n".join(lines)


def teachers_section(results: Results, record: Record) -> str:
    """Who taught the student, what they know, and how it listened."""
    if "teacher_tasks" not in record.settings:
        return "None: the student learnt from the labels alone."
    how, tasks = record.settings["distillation"], ", ".join(record.settings["teacher_tasks"])
    text = (
        f"Soft targets of {tasks}, averaged over teachers. Weight of the labels "
        f"{how['hard_weight']:g}, temperature {how['temperature']:g}, loss `{how['loss']}`."
    )
    for context in results.teachers:
        if context.run.run_id in record.parents:
            view = teachers_table(teachers_heard(context))
            assert view.table is not None
            text += f"\n\n{markdown(view.table, view.notes)}"
    return text.rstrip()


def controls_section(results: Results, record: Record) -> str:
    """The verdict on the student, and the systems that it is measured against."""
    scores, found = results.main_scores, judge(results)
    dev, gains = tables.score_values(scores), tables.gain_values(scores, results.taught)
    view = headline_view(scores, dev, gains, data_title(results.recipe), [])
    assert view.table is not None
    verdict = f"{found}\n\n" if found and found.student == record.variant else ""
    return f"{verdict}{view.caption}\n\n{markdown(view.table, view.notes)}".rstrip()
