"""The folder that ships: one model for transformers, for ONNX and for the hub, if all agree."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.common.files import remove, whole
from mtkd.data import metrics
from mtkd.data.answers import Rows
from mtkd.data.loading import first_drawn
from mtkd.data.tasks import Examples
from mtkd.method.export import comparison
from mtkd.method.export.bundle import runtime_source
from mtkd.method.export.card import Facts, card
from mtkd.method.export.classifiers import write_classifier
from mtkd.method.export.comparison import Change, Outputs
from mtkd.method.export.graph import QUANTISED, write_graph, write_int8
from mtkd.method.model import MultiTaskModel
from mtkd.runtime import GRAPHS, Student

MOST = 1000  # examples of a task that are compared
PIPED = 32  # of these, what goes through `pipeline`, one at a time
PACKAGES = ("mtkd", "torch", "transformers", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Report:
    """What an export has found; `export.json` holds it."""

    examples: dict[str, int]  # compared, by task
    parity: dict[str, float]  # largest difference of scores, ONNX in fp32 against torch
    pipelines: dict[str, float]  # the same of `tasks/<name>` through transformers' pipeline
    no_pipeline: dict[str, str]  # why a task has no `tasks/<name>`
    int8: str  # the way of int8, or why there is none
    changes: tuple[Change, ...]  # of every score by int8
    sizes: dict[str, int]  # bytes, by file
    made_by: dict[str, str]  # versions


def export(
    model: MultiTaskModel,
    folder: str | Path,
    examples: Mapping[str, Examples],
    *,
    int8: bool = True,
    classifiers: bool = True,
    max_drop: float = 1.0,
    facts: Facts | None = None,
) -> Report:
    """Write a model as a folder that needs neither mtkd nor torch, and check it on real texts.

    At the top are encoder and tokenizer for `AutoModel`, heads, and `runtime.py`; in `onnx/` one
    graph with all heads, in fp32 and, unless `int8` is False, in 8 bits; in `tasks/<name>/`, unless
    `classifiers` is False, what `pipeline` loads. `examples` of every task, best its dev set, are
    what all forms are compared on, at most 1,000 of a task. Raises MtkdError, and leaves nothing,
    where scores in fp32 differ by more than 1e-4 or int8 costs a task more than `max_drop` points.
    """
    folder = Path(folder)
    refuse_other_folder(folder)
    if missing := [task for task in model.specs if not len(examples.get(task, ()))]:
        raise MtkdError(
            f"{folder}: no texts to check {', '.join(missing)} with; expected some of every task"
        )
    some = {task: first_drawn(examples[task], MOST, 0) for task in model.specs}
    texts = {task: one.rows for task, one in some.items()}
    wanted, told = comparison.torch_outputs(model, texts), model.described()
    with whole(folder) as part:
        model.save_pretrained(part)
        (part / "runtime.py").write_text(runtime_source(), encoding="utf-8")
        write_graph(model, part / GRAPHS["fp32"])
        exact = comparison.graph_outputs(Student(part), texts)
        parity = comparison.check_parity(exact, wanted, texts, told, "ONNX")
        piped, refused = dict[str, float](), dict.fromkeys(texts, "not asked for")
        if classifiers:
            piped, refused = write_classifiers(model, part / "tasks", texts, wanted)
        way, found = "not asked for", list[Change]()
        if int8:
            way, found = best_int8(part, some, texts, exact)
            refuse_drop(found, max_drop)
        files = sorted(path for path in part.rglob("*") if path.is_file())
        report = Report(
            examples={task: len(rows) for task, rows in texts.items()},
            parity=parity,
            pipelines=piped,
            no_pipeline=refused,
            int8=way,
            changes=tuple(found),
            sizes={path.relative_to(part).as_posix(): path.stat().st_size for path in files},
            made_by={name: importlib.metadata.version(name) for name in PACKAGES},
        )
        text = card(model, report, facts or Facts(folder.name))
        (part / "README.md").write_text(text, encoding="utf-8")
        (part / "export.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    return report


def refuse_other_folder(folder: Path) -> None:
    """Refuse to replace what is no export."""
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not (folder / "export.json").is_file():
        raise MtkdError(f"{folder}: there already, and no export of before; give another folder")


def write_classifiers(
    model: MultiTaskModel, folder: Path, texts: Mapping[str, Rows], wanted: Outputs
) -> tuple[dict[str, float], dict[str, str]]:
    """Write `tasks/<name>` of every task.

    How far `pipeline` is from torch on its texts, by task, or why there is none.
    """
    told = model.described()
    piped, refused = dict[str, float](), dict[str, str]()
    for task, rows in texts.items():
        if reason := write_classifier(model, task, folder / task):
            refused[task] = reason
            continue
        labels = told[task]["head"]["labels"] or [task]
        found = comparison.pipeline_scores(folder / task, rows[:PIPED], labels)
        distance = comparison.apart(
            found, comparison.scores_of(wanted[task][: len(found)], told[task])
        )
        if distance <= comparison.PARITY:
            piped[task] = distance
        else:
            remove(folder / task)
            refused[task] = f"its scores through pipeline are {distance:.2g} apart"
    return piped, refused


def best_int8(
    folder: Path, examples: Mapping[str, Examples], texts: Mapping[str, Rows], exact: Outputs
) -> tuple[str, list[Change]]:
    """Write the graph in int8, in the way that scores best; the way, and what it changes.

    Nothing is written where examples cannot tell what it costs.
    """
    student = Student(folder)
    if blind := [
        task
        for task, one in examples.items()
        if one.label is None or student.tasks[task]["objective"] == "ranking"
    ]:
        return f"none: no score of {', '.join(blind)} (no labels, or a head that ranks)", []
    tried: dict[str, Outputs] = {}
    for way in QUANTISED:
        write_int8(folder / GRAPHS["fp32"], folder / GRAPHS["int8"], way)
        tried[way] = comparison.graph_outputs(Student(folder, "int8"), texts)

    def quality(way: str) -> tuple[float, float]:
        """Mean score; of ways that score alike, how near the fp32 scores are."""
        scores, distances = [], []
        for task, one in examples.items():
            scored = metrics.compute(one.task, tried[way][task], one.label)
            scores.append(metrics.task_score(one.task, scored))
            told, sides = student.tasks[task], (tried[way][task], exact[task])
            found, wanted = (comparison.scores_of(side, told) for side in sides)
            distances.append(abs(found - wanted).mean())
        return float(np.mean(scores)), -float(np.mean(distances))

    best = max(QUANTISED, key=quality)
    write_int8(folder / GRAPHS["fp32"], folder / GRAPHS["int8"], best)
    found = [
        change
        for task, one in examples.items()
        for change in comparison.changes(one, exact[task], tried[best][task])
    ]
    return f"{best}; the best of {len(QUANTISED)} ways on these examples", found


def refuse_drop(found: list[Change], most: float) -> None:
    """Refuse int8 that costs a task's score more than so many points."""
    for one in found:
        if one.is_score and -one.change > most:
            raise MtkdError(
                f"task {one.task}: int8 changes its score by {one} points, and at most "
                f"{-most:+g} is allowed; nothing was written: export without int8 (--no-int8), or "
                "allow more (--max-drop)"
            )
