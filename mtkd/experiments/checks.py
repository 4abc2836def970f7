"""What a recipe may say, beyond the types of its keys."""

from __future__ import annotations

import re

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE, TASKS
from mtkd.experiments.settings import Recipe

# Of the systems that are not students.
SYSTEM_NAMES = "majority bert stilts metal metal-ensemble mtdnn-noft mtdnn ensemble".split()


def check(recipe: Recipe) -> None:
    """What types cannot say. Raises MtkdError with the first thing that does not fit."""
    for look in (check_names, check_tasks, check_ranges, check_encoders):
        if problem := look(recipe):
            raise MtkdError(f"recipe {recipe.name}: {problem}")


def check_names(recipe: Recipe) -> str | None:
    """Names that become names of folders."""
    for key, name in [
        ("name", recipe.name),
        *(("encoders", name) for name in recipe.encoders),
        *(("students", name) for name in recipe.students),
    ]:
        if not re.fullmatch(r"\w[\w.-]*", name):
            return f"{key}: {name!r}: expected letters, digits, '.', '-' and '_' only"
    if len(set(recipe.studies)) < len(recipe.studies):
        return f"studies: {list(recipe.studies)}: expected different ones"
    above: list[str] = []
    for name, student in recipe.students.items():
        if unknown := [teacher for teacher in student.taught_by if teacher not in above]:
            return f"students.{name}.taught_by: {unknown[0]!r} is no student above it"
        if student.twin_of not in (None, *above):
            return f"students.{name}.twin_of: {student.twin_of!r} is no student above it"
        if student.twin_of and recipe.students[student.twin_of].twin_of:
            return f"students.{name}.twin_of: {student.twin_of!r} is itself a twin; name its twin"
        if student.twin_of and student.finetune:
            return f"students.{name}: a twin is not fine-tuned; leave out finetune or twin_of"
        above.append(name)
    taken = sorted(set(SYSTEM_NAMES) & recipe.students.keys())
    return f"students: {taken[0]!r} is the name of another system" if taken else None


def check_tasks(recipe: Recipe) -> str | None:
    trainable = [name for name, task in GLUE.items() if task.trained]
    for key, found in (
        ("tasks", recipe.tasks),
        ("teachers.tasks", recipe.teachers.tasks),
        ("teachers.by", recipe.teachers.by),
        ("intermediate", recipe.intermediate),
    ):
        for name in found:
            if name not in trainable:
                known = ", ".join(trainable)
                return f"{key}: unknown task {name!r}; expected some of {known}"
        if not found or len(set(found)) < len(found):
            return f"{key}: {list(found)}: expected different tasks, at least one"
    others = [name for name in TASKS if name not in GLUE]
    for name in recipe.few_labels.tasks:
        if name not in others:
            return f"few_labels.tasks: unknown task {name!r}; expected some of {', '.join(others)}"
    if recipe.heads.qnli == "ranking" and (
        recipe.data.limit or recipe.data.share < 1 or recipe.data.pool
    ):
        return "heads.qnli: ranking needs whole questions: no data.limit, data.share or data.pool"
    if recipe.heads.qnli == "ranking" and "qnli" in recipe.teachers.tasks:
        for name, student in recipe.students.items():
            if student.temperature != 1:
                return f"students.{name}.temperature: the ranking head of QNLI is distilled at 1"
    return None


def check_encoders(recipe: Recipe) -> str | None:
    students = [student.encoder for student in recipe.students.values() if student.encoder]
    for name in (recipe.encoder, *recipe.candidates.encoders, *students):
        if name not in recipe.encoders:
            known = ", ".join(recipe.encoders) or "none"
            return f"encoder {name!r} is not among its encoders ({known})"
    for name, source in recipe.encoders.items():
        given = [place for place in (source.path, source.package, source.hub) if place is not None]
        if len(given) + source.pretrain != 1:
            return f"encoders.{name}: give exactly one of pretrain, path, package and hub"
        if source.hidden is not None and not source.pretrain:
            return f"encoders.{name}.hidden: only an encoder that is pre-trained here has a choice"
        if (source.hidden or 0) % recipe.pretraining.attention_heads:
            return f"encoders.{name}.hidden: expected a multiple of pretraining.attention_heads"
    if recipe.pretraining.hidden % recipe.pretraining.attention_heads:
        return "pretraining.hidden: expected a multiple of pretraining.attention_heads"
    return None


def check_ranges(recipe: Recipe) -> str | None:
    """Numbers out of range, and lists that are empty or name one thing twice."""
    grid, many = recipe.candidates, 10**9
    count = len(grid.encoders) * len(grid.dropout)
    bounds: list[tuple[str, float, float, float]] = [
        ("data.scale", recipe.data.scale, 1e-4, 1e4),
        ("data.seed", recipe.data.seed, 0, many),
        ("data.limit", recipe.data.limit or 1, 1, many),
        ("data.share", recipe.data.share, 1e-6, 1),
        ("data.pool", recipe.data.pool, 0, 1e4),
        ("teachers.choose", recipe.teachers.choose, 1, count),
        ("dropout", recipe.dropout, 0, 0.99),
        ("max_length", recipe.max_length, 8, 100_000),
        ("few_labels.steps", recipe.few_labels.steps, 1, many),
        ("heads.san_steps", recipe.heads.san_steps, 1, 100),
        ("heads.san_step_dropout", recipe.heads.san_step_dropout, 0, 0.99),
        ("pretraining.masked", recipe.pretraining.masked, 0.01, 0.99),
        ("pretraining.swapped", recipe.pretraining.swapped, 0, 1),
        ("pretraining.learning_rate", recipe.pretraining.learning_rate, 0, 10),
        *((f"candidates.dropout[{i}]", rate, 0, 0.99) for i, rate in enumerate(grid.dropout)),
        *((f"seeds[{i}]", seed, 0, many) for i, seed in enumerate(recipe.seeds)),
        *((f"unlabelled.shares[{i}]", x, 1e-4, 1) for i, x in enumerate(recipe.unlabelled.shares)),
        *((f"few_labels.shares[{i}]", x, 1e-4, 1) for i, x in enumerate(recipe.few_labels.shares)),
        *((f"unlabelled.amounts[{i}]", x, 0, 1e4) for i, x in enumerate(recipe.unlabelled.amounts)),
        *((f"sizes.layers[{i}]", n, 1, 1000) for i, n in enumerate(recipe.sizes.layers)),
        *((f"sizes.hidden[{i}]", n, 1, many) for i, n in enumerate(recipe.sizes.hidden)),
    ]
    for key in ("layers", "hidden", "attention_heads", "vocabulary", "sentences", "epochs"):
        bounds.append((f"pretraining.{key}", getattr(recipe.pretraining, key), 1, many))
    for name, source in recipe.encoders.items():
        bounds.append((f"encoders.{name}.layers", source.layers or 1, 1, 1000))
        bounds.append((f"encoders.{name}.hidden", source.hidden or 1, 1, many))
    for name, student in recipe.students.items():
        bounds.append((f"students.{name}.hard_weight", student.hard_weight, 0, 1))
        bounds.append((f"students.{name}.temperature", student.temperature, 0.01, 1e3))
        bounds.append((f"students.{name}.unlabelled", student.unlabelled, 0, recipe.data.pool))
    for part, settings in (("training", recipe.training), ("finetuning", recipe.finetuning)):
        for key in ("batch_size", "accumulation", "evaluate_every"):
            bounds.append((f"{part}.{key}", getattr(settings, key), 1, 100_000))
        least = 1 if part == "training" else 0  # no fine-tuning is a choice, too
        bounds.append((f"{part}.epochs", settings.epochs, least, 100_000))
        bounds.append((f"{part}.learning_rate", settings.learning_rate, 0, 10))
        bounds.append((f"{part}.warmup", settings.warmup, 0, 1))
        bounds.append((f"{part}.clip", settings.clip, 1e-6, 1e6))
        bounds.append((f"{part}.power", settings.power, 0, 10))
    amounts = list(recipe.unlabelled.amounts)
    if amounts[:1] != [0] or amounts != sorted(amounts) or any(0 < x < 1e-4 for x in amounts):
        return f"unlabelled.amounts: {amounts}: expected 0 first, then rising ones from 0.0001"
    for key, value, low, high in bounds:
        if not low <= value <= high:
            return f"{key}: {value} is out of range {low:g} to {high:g}"
    for key, values in (
        ("baselines", recipe.baselines),
        ("seeds", recipe.seeds),
        ("few_labels.tasks", recipe.few_labels.tasks),
        ("few_labels.shares", recipe.few_labels.shares),
        ("unlabelled.shares", recipe.unlabelled.shares),
        ("unlabelled.amounts", recipe.unlabelled.amounts),
        ("candidates.encoders", grid.encoders),
        ("candidates.dropout", grid.dropout),
    ):
        if not values or len(set(values)) < len(values):
            return f"{key}: {list(values)}: expected different values, at least one"
    return None
