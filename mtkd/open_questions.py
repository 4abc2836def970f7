"""What the paper and its readers left open. Notebook 09 shows it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

from mtkd.arms import Arm, Study, taught, untaught
from mtkd.identities import train_size
from mtkd.runs import few_system, new_tasks, present_tasks, teacher_tasks
from mtkd.settings import Recipe


def sizes(recipe: Recipe) -> Study:
    """Smaller students, each with and without a teacher."""
    source, own = recipe.encoders[recipe.encoder], recipe.pretraining
    whole = (own.layers, own.hidden) if source.pretrain else None
    arms = [
        replace(untaught(recipe), title="whole size, no teacher"),
        taught(recipe, "paper", "whole size"),
    ]
    for layers in recipe.sizes.layers:
        for hidden in recipe.sizes.hidden or (None,):
            if (layers, hidden or own.hidden) == whole:
                continue
            name = f"l{layers}" + (f"-h{hidden}" if hidden else "")
            title = f"{layers} layer{'s' if layers > 1 else ''}"
            title += f", {hidden} wide" if hidden else ""
            encoder = f"{recipe.encoder}-{name}"
            smaller = replace(source, layers=layers, hidden=hidden)
            given = {k: v for k, v in dataclasses.asdict(smaller).items() if v is not None}
            change = f"encoders.{encoder}={json.dumps(given)}"
            alone = f"none-{name}"
            small = taught(recipe, name, title, change, encoder=encoder)
            plain = taught(
                recipe, alone, f"{title}, no teacher", change, hard_weight=1.0, encoder=encoder
            )
            arms += [replace(small, base=alone), replace(plain, base=alone)]
    return Study(
        "sizes",
        "Smaller students",
        "How small can the student be, and does a small one gain more from the teachers?",
        tuple(arms),
        paper="paper",
        against="the same size without a teacher",
    )


def generations(recipe: Recipe) -> Study:
    """Born again: students taught by an ensemble of students, twice."""
    first, second = [f"first-{n}" for n in (1, 2, 3)], [f"second-{n}" for n in (1, 2, 3)]
    students = {
        **{name: {} for name in first},
        **{name: {"taught_by": first} for name in second},
        "third": {"taught_by": second},
    }
    changes = (f"students={json.dumps(students)}",)

    def born(name: str, title: str, what: str) -> Arm:
        return Arm(name, title, what, what=what, changes=changes)

    return Study(
        "generations",
        "Born again",
        "Does a student of three students get better than they are, and once more?",
        (
            untaught(recipe),
            taught(recipe, "paper", "taught by the ensemble"),
            born("first", "the same, first of three", "first-1"),
            born("second", "taught by three of those", "second-1"),
            born("third", "taught by three of those in turn", "third"),
        ),
        paper="paper",
    )


def unlabelled(recipe: Recipe) -> Study:
    """More text, labelled by the teachers alone, when labels are few or many."""
    asked, arms = recipe.unlabelled, []
    for share in asked.shares:
        first = f"s{share:g}-u{asked.amounts[0]:g}"
        for amount in asked.amounts:
            # The same teachers for every amount of text; with all labels and none of it, the main
            # table's.
            own = share == 1 and amount == 0
            pool = (f"data.share={share}", f"data.pool={max(asked.amounts)}")
            changes = () if own else pool
            name, alone = f"s{share:g}-u{amount:g}", f"none-s{share:g}-u{amount:g}"
            title = f"{100 * share:g} % of the labels, {amount:g} x text"
            how = {"unlabelled": amount} if amount else {}
            epochs = matched_epochs(recipe, share, amount)
            arms += [
                replace(
                    taught(recipe, name, title, *changes, **how),
                    base=alone,
                    rival=None if name == first else first,
                ),
                replace(
                    taught(
                        recipe,
                        alone,
                        f"{100 * share:g} % of the labels, no teacher, {epochs} epochs",
                        *changes,
                        hard_weight=1.0,
                        **({"epochs": epochs} if amount else {}),
                    ),
                    base=alone,
                    rival=alone,
                ),
            ]
    return Study(
        "unlabelled",
        "Unlabelled text",
        "Does text help that nobody but the teachers has labelled, and more so where labels are "
        "few?",
        tuple(arms),
        base=arms[1].name,
        against="labels alone, as many examples seen",
        rivals="the same labels without more text",
    )


def few_labels(recipe: Recipe) -> Study:
    """New tasks with more and more of their labels, learnt from four models.

    Without arms where the data source has none of the tasks.
    """
    none, paper = untaught(recipe), taught(recipe, "mtdnn-kd", "MT-DNN-KD")
    starts = (
        ("bert", "BERT", replace(none, what="bert", changes=())),
        ("mtdnn", "MT-DNN", replace(none, what="mtdnn", changes=())),
        ("none", "student without a teacher", none),
        ("mtdnn-kd", "MT-DNN-KD", paper),
    )
    arms = tuple(
        replace(
            start,
            name=f"{name}-{share:g}",
            title=f"{title}, {100 * share:g} % of the labels",
            system=few_system(str(start.what), share),
            stage="transfer",
            base=f"none-{share:g}",
            rival=f"bert-{share:g}",
        )
        for name, title, start in starts
        for share in recipe.few_labels.shares
        if new_tasks(recipe)
    )
    return Study(
        "few-labels",
        "Few labels",
        "How many labels of a new task does each model need? The tasks are in no model's training.",
        arms,
        base=f"none-{max(recipe.few_labels.shares):g}",
        against="the student without a teacher, the same labels",
        rivals="BERT, the same labels",
    )


def matched_epochs(recipe: Recipe, share: float, amount: float) -> int:
    """Epochs on the labels alone that show as many examples as labels and unlabelled text do."""
    present, _ = present_tasks(recipe)
    full = replace(recipe.data, share=1.0)
    labels = share * sum(train_size(full, task) for task in present)
    text = amount * sum(train_size(full, task) for task in teacher_tasks(recipe, present))
    return round(recipe.single_stage.epochs * (1 + text / labels))
