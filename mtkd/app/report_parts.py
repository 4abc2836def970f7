"""What the report says, part by part: small frozen values that its template lays out."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mtkd.analysis import calibration
from mtkd.analysis.evaluations import Outputs, pooled_reliability
from mtkd.analysis.markup import NOTHING
from mtkd.analysis.paper import PAPER, RELEASED
from mtkd.analysis.plotting import Plot, colour, counted, image
from mtkd.analysis.results import Results, open_teachers, surprising_examples
from mtkd.analysis.systems import NO_TEACHER, REFERENCE, system_order, system_title, task_title
from mtkd.analysis.views import View
from mtkd.app.report_figures import reliability_curve
from mtkd.common.progress import duration
from mtkd.data.tasks import GLUE
from mtkd.experiments.records import Record
from mtkd.experiments.settings import EncoderSource, Recipe
from mtkd.experiments.systems.mtdnn import teacher_pool
from mtkd.experiments.task_sets import selection_tasks

METRIC_NAMES = {
    "matthews": "Matthews correlation",
    "f1": "F1",
    "pearson": "Pearson",
    "spearman": "Spearman correlation",
}


@dataclass(frozen=True)
class Picture:
    """A plot as a data URI; `wide` ones scroll in their own box on a narrow screen."""

    source: str
    alt: str
    wide: bool


@dataclass(frozen=True)
class Cell:
    """A table cell: what counts, and what stands small below it."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class Row:
    cells: tuple[Cell, ...]
    paper: bool = False  # the paper's numbers, set apart from ours


@dataclass(frozen=True)
class Sheet:
    """A table with a caption; the first cell of a row names it."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    words: int = 1  # columns of text, from the left; the others are numbers


@dataclass(frozen=True)
class Bar:
    """One label's probability, and whether it is the given or the true label."""

    label: str
    share: float  # 0 to 1
    given: bool
    true: bool


@dataclass(frozen=True)
class Doubt:
    """A training example whose label the teachers doubt."""

    identity: str
    texts: tuple[tuple[str, str], ...]  # column, text
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Fact:
    name: str
    text: str


@dataclass(frozen=True)
class Headline:
    """A system in large figures; gains are over MT-DNN, NOTHING where there is none."""

    name: str
    colour: str
    score: Cell
    gain: Cell
    paper: str
    kept: Cell
    reference: bool


# ---------------------------------------------------------------------------- tables, pictures


def picture(plot: Plot | Path, alt: str, *, wide: bool = False) -> Picture:
    """A plot, or one that was written as SVG, inside the page."""
    content = plot.read_bytes() if isinstance(plot, Path) else image(plot, "svg")
    data = base64.b64encode(content).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{data}", alt, wide)


def sheet(frame: pd.DataFrame, caption: str) -> Sheet:
    """A frame of printed cells; an interval, or single seeds, go below the number."""
    names = tuple(str(name) for name in frame.columns)
    rows = [
        Row(
            tuple(split_cell(str(cell)) for cell in line),
            any(source in str(line[0]) for source in (PAPER, RELEASED)),
        )
        for line in frame.to_numpy().tolist()
    ]
    return Sheet(caption, names, tuple(rows))


def split_cell(text: str) -> Cell:
    """ "81.2 [80.1, 82.3]" as 81.2 and [80.1, 82.3]; the same for parentheses."""
    ends = [text.find(sign) for sign in (" [", " (") if sign in text]
    return Cell(text[: min(ends)], text[min(ends) + 1 :]) if ends else Cell(text)


# ---------------------------------------------------------------------------- what was run


def facts(results: Results) -> list[Fact]:
    """What was run, in a few lines."""
    recipe, tasks = results.recipe, results.tasks
    left_out = [task for task in recipe.tasks if task not in tasks]
    missing = f"; not in the data: {titles(left_out)}" if left_out else ""
    by = selection_tasks(recipe, tasks)
    pool = len(teacher_pool(recipe))
    multi, tuning = recipe.training, recipe.finetuning
    return [
        Fact("Runs", f"{len(results.records)} of {len(results.runs)} finished"),
        Fact("Tasks", f"{len(tasks)}: {titles(tasks)}{missing}"),
        Fact("Seeds", f"{len(recipe.seeds)}: {', '.join(map(str, recipe.seeds))}"),
        Fact("Data", data_source(recipe)),
        *(Fact(f"Encoder {name}", encoder(results, name)) for name in encoders(recipe)),
        Fact(
            "Training",
            f"{counted(multi.epochs, 'epoch')} on all tasks, batches of {multi.batch_size}, "
            f"learning rate {multi.learning_rate:g}; then {counted(tuning.epochs, 'epoch')} of "
            f"fine-tuning on each task, learning rate {tuning.learning_rate:g}",
        ),
        Fact(
            "Teachers",
            f"the best {recipe.teachers.choose} of {pool} multi-task models by the dev scores of "
            f"{titles(by)}; soft targets for {titles(results.teacher_tasks) or 'no task'}",
        ),
    ]


def titles(tasks: Iterable[str]) -> str:
    return ", ".join(map(task_title, tasks))


def data_source(recipe: Recipe) -> str:
    data = recipe.data
    limit = f", at most {data.limit:,} training examples a task" if data.limit else ""
    if data.kind == "toy":
        return f"the embedded toy benchmark, seed {data.seed}, scale {data.scale:g}{limit}"
    return f"GLUE from {'a folder' if data.kind == 'folder' else data.hub}{limit}"


def encoders(recipe: Recipe) -> list[str]:
    return list(dict.fromkeys([recipe.encoder, *recipe.candidates.encoders]))


def encoder(results: Results, name: str) -> str:
    """Where an encoder comes from, and its size if its run is finished."""
    words = origin(results.recipe.encoders[name])
    for record in results.records:
        if (record.stage, record.variant) == ("encoders", name):
            size = record.details
            words += (
                f": {size['layers']} layers, width {size['hidden']}, vocabulary of "
                f"{size['vocabulary']:,}, {size['parameters']:,} parameters"
            )
    default = name == results.recipe.encoder
    return words + ("; single models and students start from it" if default else "")


def origin(source: EncoderSource) -> str:
    if source.pretrain:
        return "pre-trained by the kit"
    return source.hub or source.package or "from a folder"


def sizes(results: Results) -> Sheet | None:
    """Examples by task and split, as the data run counted them."""
    found = [r.details["sizes"] for r in results.records if "sizes" in r.details]
    if not found:
        return None
    rows = []
    for task in results.tasks:
        counts = found[0][task]
        dev = sum(count for split, count in counts.items() if split.startswith("dev"))
        test = sum(count for split, count in counts.items() if split.startswith("test"))
        labels = ", ".join(GLUE[task].labels) or "a similarity"
        numbers = [f"{count:,}" for count in (counts["train"], dev, test)]
        rows.append(Row(tuple(map(Cell, (task_title(task), labels, metric_names(task), *numbers)))))
    headers = ("Task", "Labels", "Scored by", "Train", "Dev", "Test")
    return Sheet("The tasks and how many examples they have", headers, tuple(rows), words=3)


def metric_names(task: str) -> str:
    return " and ".join(METRIC_NAMES.get(name, name) for name in GLUE[task].metrics)


def headline(
    scores: pd.DataFrame, shown: Mapping[str, View], taught: Collection[str]
) -> list[Headline]:
    """The few systems that the story is about, from the summary table."""
    systems = system_order(scores)
    table = shown["summary"].table if "summary" in shown else None
    if table is None:
        return []
    students = [system for system in systems if system in taught]
    story = {"bert", REFERENCE, "ensemble", *students[:1], NO_TEACHER}
    return [
        Headline(
            name=str(line["System"]),
            colour=colour(system),
            score=split_cell(str(line[table.columns[1]])),
            gain=split_cell(str(line["Mean gain"])),
            paper=str(line["Mean gain, paper"]),
            kept=split_cell(str(line["Ensemble's gain kept"])),
            reference=system == REFERENCE,
        )
        for system, line in zip(systems, table.to_dict("records"), strict=True)
        if system in story
    ]


# ---------------------------------------------------------------------------- teachers


def chosen_teachers(results: Results) -> Sheet | None:
    """The candidates that teach, by seed, with the dev scores that chose them."""
    choose = results.recipe.teachers.choose
    rows = [
        Row((Cell(str(record.seed)), *map(candidate, record.details["ranking"][:choose])))
        for record in results.records
        if "ranking" in record.details
    ]
    if not rows:
        return None
    by = titles(selection_tasks(results.recipe, results.tasks))
    caption = f"The models that teach, the best first, and their mean dev score of {by}"
    headers = ("Seed", *map(str, range(1, choose + 1)))
    return Sheet(caption, headers, tuple(rows), words=len(headers))


def candidate(ranked: Mapping[str, Any]) -> Cell:
    return Cell(f"{ranked['encoder']}, dropout {ranked['dropout']:g}", f"{ranked['score']:.1f}")


def doubts(results: Results, task: str, count: int = 3) -> list[Doubt]:
    """Training examples of a task whose label the teachers of the first seed doubt most."""
    if open_teachers(results) is None or not GLUE[task].labels:
        return []
    frame = surprising_examples(results, task, count)
    texts = GLUE[task].columns
    found = []
    for identity, line in zip(frame.index, frame.to_dict("records"), strict=True):
        true = line.get("true")
        bars = [
            Bar(label, float(line[f"P({label})"]), label == line["gold"], label == true)
            for label in GLUE[task].labels
        ]
        pairs = [(name, str(line[name])) for name in texts]
        found.append(Doubt(str(identity), tuple(pairs), tuple(bars)))
    return found


# ---------------------------------------------------------------------------- calibration


def calibrations(outputs: dict[str, list[Outputs]]) -> tuple[Sheet, list[Picture]] | None:
    """Expected calibration error and reliability curve of every system with class predictions."""
    rows, curves = [], []
    for system, found in outputs.items():
        pooled = pooled_reliability(found)
        if pooled is None:
            continue
        shares = (
            calibration.calibration_error(pooled),
            calibration.mean_confidence(pooled),
            calibration.mean_accuracy(pooled),
        )
        numbers = [f"{100 * share:.1f}" for share in shares]
        cells = [system_title(system), *numbers, f"{pooled.count.sum():,}"]
        rows.append(Row(tuple(map(Cell, cells))))
        words = f"Reliability of {system_title(system)}: calibration error {numbers[0]} points"
        curves.append(picture(reliability_curve(pooled, system), words))
    if not rows:
        return None
    headers = ("System", "Calibration error", "Mean confidence, %", "Right, %", "Predictions")
    return Sheet(
        "Calibration on the dev sets, all classification tasks", headers, tuple(rows)
    ), curves


# ---------------------------------------------------------------------------- cost, environment


def cost(times: pd.DataFrame) -> Sheet:
    """The frame of `results.times`, one row per stage."""
    text = times.reset_index().astype({"runs": str})
    for name in ("minutes", "training minutes"):
        text[name] = text[name].map("{:.1f}".format)
    text["peak memory, MiB"] = text["peak memory, MiB"].map("{:,.0f}".format)
    text.columns = [name[0].upper() + name[1:] for name in text.columns]
    return sheet(text, "Time and memory by stage")


def cost_facts(records: Sequence[Record]) -> list[Fact]:
    wall = sum(record.wall_seconds for record in records)
    trained = sum(record.training_seconds for record in records)
    return [
        Fact("Wall time, all runs", duration(wall)),
        Fact("Training epochs", duration(trained)),
        Fact("Peak memory", f"{max(r.peak_memory_mib for r in records):,.0f} MiB"),
    ]


def environment(records: Sequence[Record]) -> list[Fact]:
    """Where the runs happened; every value that occurs, where runs differ."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        packages = record.environment.get("packages", {})
        for name, value in [*record.environment.items(), *packages.items()]:
            if name != "packages":
                found.setdefault(name, {})[NOTHING if value is None else str(value)] = None
    return [Fact(name, ", ".join(values)) for name, values in found.items()]
