"""What a recipe ran on and what it took."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mtkd.analysis.markup import NOTHING
from mtkd.analysis.plotting import counted
from mtkd.analysis.results import Results, times
from mtkd.analysis.systems import task_title
from mtkd.analysis.views import View
from mtkd.experiments.settings import EncoderSource
from mtkd.experiments.systems.encoders import used_encoders
from mtkd.experiments.systems.mtdnn import teacher_pool
from mtkd.experiments.task_sets import selection_tasks

MANY = 6  # labels that a table names


def run_views(results: Results) -> list[View]:
    """What was run, in a few lines, and the tasks."""
    recipe, tasks = results.recipe, results.tasks
    missing = titles(task for task in recipe.tasks if task not in tasks)
    data, multi = recipe.data, recipe.training
    source = "a folder" if data.kind == "folder" else data.hub
    if data.kind == "toy":
        source = f"the embedded toy benchmark, seed {data.seed}, scale {data.scale:g}"
    limit = f", at most {data.limit:,} training examples a task" if data.limit else ""
    taught = titles(results.teacher_tasks)
    facts = {
        "Runs": f"{len(results.records)} of {len(results.runs)} finished",
        "Seeds": ", ".join(map(str, recipe.seeds)),
        "Data": source + limit,
        "Tasks": titles(tasks) + (f"; not in the data: {missing}" if missing else ""),
        "Encoders": "; ".join(f"{e}: {origin(recipe.encoders[e])}" for e in used_encoders(recipe)),
        "Training": f"{counted(multi.epochs, 'epoch')} on all tasks, then "
        f"{counted(recipe.finetuning.epochs, 'epoch')} of fine-tuning on each",
        "Teachers": "; ".join([*teaching(results), f"soft targets for {taught or 'no task'}"]),
    }
    about = View(
        "run",
        "The recipe in short",
        recipe.about or "All of it is in recipe.yaml.",
        table=pd.DataFrame({"What": facts.keys(), "Value": facts.values()}),
        section="recipe",
    )
    return [about, *data_view(results)]


def teaching(results: Results) -> list[str]:
    """Who teaches, in words."""
    recipe, words = results.recipe, []
    if count := recipe.teachers.choose:
        by = titles(selection_tasks(recipe, results.tasks))
        pool = len(teacher_pool(recipe))
        best = f"the best {count} of {pool} multi-task models by the dev scores of {by}"
        words.append(best if count < pool else f"all {pool} multi-task models")
        if folds := recipe.teachers.crossfit:
            words[-1] += f", cross-fitted in {folds} folds"
    given: dict[str, list[str]] = {}
    for teacher in recipe.teachers.given:
        given.setdefault(teacher.task, []).append(teacher.name)
    return words + [f"given for {task_title(t)}: {', '.join(names)}" for t, names in given.items()]


def titles(tasks: Iterable[str]) -> str:
    return ", ".join(map(task_title, tasks))


def origin(source: EncoderSource) -> str:
    if source.pretrain:
        return "pre-trained by the kit"
    return source.hub or source.package or "from a folder"


def data_view(results: Results) -> list[View]:
    """Examples by task and split, as the data run counted them; empty before it is finished."""
    found = [r.details["sizes"] for r in results.records if "sizes" in r.details]
    rows = []
    for task in results.tasks if found else ():
        counts: dict[str, int] = {}
        for split, count in found[0][task].items():
            counts[split.split("_")[0]] = counts.get(split.split("_")[0], 0) + count
        known = results.recipe.task(task)
        names = ", ".join(known.labels[:MANY]) or "a similarity"
        about = {
            "Task": task_title(task),
            "Labels": names + (f", ... ({len(known.labels)})" if len(known.labels) > MANY else ""),
            "Scored by": " and ".join(known.metrics),
        }
        numbers = {s.capitalize(): f"{counts.get(s, 0):,}" for s in ("train", "dev", "test")}
        rows.append(about | numbers)
    words = "How many examples each task has, its dev sets and its test sets together."
    table = pd.DataFrame(rows)
    return [View("data", "The tasks", words, table=table, section="recipe")] if rows else []


def cost_views(results: Results) -> list[View]:
    """Time and memory by stage, and where the runs happened: of this machine, so in no file."""
    found: dict[str, dict[str, None]] = {}
    for record in results.records:
        packages = record.environment.get("packages", {})
        for name, value in (record.environment | packages).items():
            if name != "packages":
                found.setdefault(name, {})[NOTHING if value is None else str(value)] = None
    where = {"What": list(found), "Value": [", ".join(values) for values in found.values()]}
    frame = times(results).reset_index().astype({"runs": str})
    for name in ("minutes", "training minutes"):
        frame[name] = frame[name].map("{:.1f}".format)
    frame["peak memory, MiB"] = frame["peak memory, MiB"].map("{:,.0f}".format)
    return [
        View(
            "cost",
            "Time and memory",
            "Minutes are summed over the runs of a stage; runs side by side take less on the "
            "clock. Memory is the largest resident size of one run.",
            table=frame.rename(columns=lambda name: name[0].upper() + name[1:]),
            section="cost",
        ),
        View(
            "environment",
            "Environment",
            "As the runs recorded it; several values where runs differ.",
            table=pd.DataFrame(where),
            section="cost",
        ),
    ]
