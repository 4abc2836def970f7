"""The stages of the method, one function each: the seam between the notebooks and the library.

Each takes an open run and returns its record. A run that is done is not done again, its record is
read. A run that was interrupted continues: parts that are finished are kept, and the part in the
middle goes on at its last epoch. `baselines` and `ensembles` hold the stages beside the method's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.common.progress import Progress
from mtkd.data import metrics
from mtkd.data.batches import TaskData
from mtkd.data.loading import missing_tasks
from mtkd.data.tasks import GLUE, UNLABELLED, WNLI_LABEL, Examples
from mtkd.data.toy.corpus import toy_corpus
from mtkd.experiments import records
from mtkd.experiments.context import OpenRun, Splits, finish, load_data, read_examples, total_steps
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.records import Record, Score, Stopwatch
from mtkd.experiments.systems.teachers import soft_targets
from mtkd.experiments.trainings import Bench, combine, finetune, multi_task
from mtkd.method.encoders import load_encoder, load_tokenizer
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import deployed
from mtkd.method.pretraining import pretrain
from mtkd.method.settings import Distillation


def describe_data(opened: OpenRun) -> Record:
    """Sizes of every split (Table 1 of the paper), and the scores of the majority class."""
    if opened.done:
        return records.read_record(opened.folder)
    watch = Stopwatch()
    sizes: dict[str, dict[str, Any]] = {}
    scores: list[Score] = []
    mnli = read_examples(opened, "mnli", "train") if "mnli" in opened.tasks else None
    others = [name for name in ("wnli", "ax") if not missing_tasks(opened.recipe.data, [name])]
    for task in (*opened.tasks, *others):
        sizes[task] = {"skipped": 0}
        splits = {split: read_examples(opened, task, split) for split in GLUE[task].splits}
        for split, examples in splits.items():
            sizes[task][split] = len(examples)
            sizes[task]["skipped"] += examples.skipped
            # AX has no training examples: MNLI's classes answer it, where there is MNLI.
            learnt = splits.get("train") or mnli
            if split != "train" and learnt is not None:
                scores += majority_scores(examples, learnt)
    return finish(opened, watch, scores, {"sizes": sizes})


def majority_scores(examples: Examples, learnt: Examples) -> list[Score]:
    """Scores of answering a split with the most frequent training label, or the mean score."""
    task = examples.task
    if examples.label is None or learnt.label is None:
        return []
    if task.labels:
        counts = np.bincount(learnt.label.astype(np.int64), minlength=len(task.labels))
        answer = np.eye(len(task.labels))[WNLI_LABEL if task.name == "wnli" else counts.argmax()]
    else:
        answer = np.array([learnt.label.mean()])
    found = metrics.compute(task, np.tile(answer, (len(examples), 1)), examples.label)
    return [
        Score("majority", task.name, examples.split, metric, value, len(examples))
        for metric, value in found.items()
    ]


def train_encoder(opened: OpenRun) -> Record:
    """Pre-train the shared layers on the toy corpus, or check those that the recipe names."""
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe, name = Stopwatch(), opened.recipe, opened.run.what
    details: dict[str, Any] = {}
    location = encoder_location(recipe, name)
    if location is None:
        lines = toy_corpus(recipe.data.seed, recipe.pretraining.sentences)
        lowercase, settings = recipe.encoders[name].lowercase, recipe.pretraining_of(name)
        details["losses"] = pretrain(
            lines, settings, lowercase=lowercase, seed=0, folder=opened.model_folder
        )
        location = str(opened.model_folder)
    revision = recipe.encoders[name].revision
    tokenizer = load_tokenizer(location, revision)
    layers = None if recipe.encoders[name].pretrain else recipe.encoders[name].layers
    encoder = load_encoder(location, revision=revision, layers=layers)
    details |= {
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "vocabulary": len(tokenizer),
        "layers": getattr(encoder.config, "num_hidden_layers", None),
        "hidden": encoder.config.hidden_size,
    }
    return finish(opened, watch, [], details)


def train_mtdnn(opened: OpenRun) -> Record:
    """Algorithm 1 for one candidate; the default one is then fine-tuned per task.

    The default candidate's rows are `mtdnn-noft` and `mtdnn`, the others' `candidate-<what>`.
    """
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe, settings = Stopwatch(), opened.recipe, opened.run.settings
    name, dropout = settings["encoder"], settings["dropout"]
    default = (name, dropout) == (recipe.encoder, recipe.dropout)
    system = "mtdnn-noft" if default else f"candidate-{opened.run.what}"
    tokenizer, data = load_data(opened, name)
    steps = total_steps(data, recipe.training)
    steps += total_steps(data, recipe.finetuning, alone=True) if default else 0
    with Progress(steps, system) as progress:
        bench = Bench(opened, tokenizer, progress)
        parts = [multi_task(bench, system, name, dropout, data)]
        if default:
            parts += [
                finetune(bench, opened.run, "mtdnn", task, data[task]) for task in opened.tasks
            ]
    return finish(opened, watch, *combine(parts))


def train_student(opened: OpenRun) -> Record:
    """Distil the teachers' averaged soft targets into one multi-task student (row `<student>`).

    Fine-tuned per task on the labels alone, if the recipe says so, it is the row `<student>-ft`.
    """
    if opened.done:
        return records.read_record(opened.folder)
    watch, recipe, system = Stopwatch(), opened.recipe, opened.run.what
    distillation = recipe.students[system]
    encoder = distillation.encoder or recipe.encoder
    teaches = any(system in other.taught_by for other in recipe.students.values())
    tokenizer, data = load_data(opened, encoder, text=True)
    for task in opened.teacher_tasks:
        data[task]["train"] = with_soft_targets(opened, data[task]["train"], distillation)
    extra = more_text(opened, data, distillation)
    if not teaches:  # nobody asks what it makes of text without labels
        data = {t: {s: d for s, d in data[t].items() if s != UNLABELLED} for t in data}
    more = {name: {"train": item} for name, item in extra.items()}
    steps = total_steps(data | more, recipe.single_stage)
    steps += total_steps(data, recipe.finetuning, alone=True) if distillation.finetune else 0
    with Progress(steps, system) as progress:
        bench = Bench(opened, tokenizer, progress)
        parts = [
            multi_task(
                bench,
                system,
                encoder,
                recipe.dropout,
                data,
                distillation=distillation,
                training=recipe.single_stage,
                extra=extra,
                with_train=teaches,
            )
        ]
        if distillation.finetune:
            parts += [
                finetune(bench, opened.run, f"{system}-ft", task, data[task])
                for task in opened.tasks
            ]
    scores, details = combine(parts)
    model = MultiTaskModel.from_pretrained(opened.model_folder)
    details["more"] = {name: item.units for name, item in extra.items()}
    details["deployed"] = deployed(model, data)
    return finish(opened, watch, scores, details)


def with_soft_targets(opened: OpenRun, item: TaskData, distillation: Distillation) -> TaskData:
    """A split's examples with the teachers' averaged soft targets."""
    encoded, temperature = item.encoded, distillation.temperature
    soft = soft_targets(
        opened, encoded.task.name, encoded.idx, split=encoded.split, temperature=temperature
    )
    return replace(item, soft=soft)


def more_text(
    opened: OpenRun, data: dict[str, Splits], distillation: Distillation
) -> dict[str, TaskData]:
    """What a student learns from beside the training examples, by name.

    Text without labels; or, to tell what that adds from what more steps add, as many of the
    training examples once more.
    """
    if not distillation.unlabelled:
        return {}
    share, found = distillation.unlabelled / opened.recipe.data.pool, {}
    for task in opened.teacher_tasks:
        if UNLABELLED in data[task]:
            count = max(1, round(share * data[task][UNLABELLED].units))
            source = data[task]["train" if distillation.again else UNLABELLED]
            if not distillation.again:
                source = with_soft_targets(opened, source, distillation)
            found[f"{task}-{'again' if distillation.again else UNLABELLED}"] = replace(
                source, unit_rows=drawn_units(source, count), head=task
            )
    if not found:
        raise MtkdError(
            f"{opened.recipe.data.unlabelled}: no line of {', '.join(opened.teacher_tasks)}; "
            "expected text of a task that has teachers"
        )
    return found


def drawn_units(item: TaskData, count: int) -> tuple[np.ndarray, ...]:
    """`count` units in random order, what a larger count draws among them; all again if few."""
    rows = item.unit_rows or tuple(np.arange(len(item.encoded))[:, None])
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    return tuple(rows[order[number % len(rows)]] for number in range(count))
