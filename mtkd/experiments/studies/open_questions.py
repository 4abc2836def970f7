"""What the paper and its readers left open. Notebook 09 shows it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.arms import (
    ONE,
    Arm,
    Contrast,
    Study,
    beside_twins,
    taught,
    untaught,
    without_teachers,
)
from mtkd.experiments.systems.few_labels import few_system
from mtkd.experiments.task_sets import new_tasks


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
        budget=f"All arms have the same budget of training. {ONE}",
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

    def born(name: str, title: str) -> Arm:
        return Arm(name, title, name, what=name, changes=changes)

    arms = (
        *without_teachers(recipe),
        taught(recipe, "paper", "taught by the ensemble, draw 1"),
        *(
            born(name, f"taught by the ensemble, draw {number}")
            for number, name in enumerate(first, 2)
        ),
        Arm("draws", "taught by the ensemble, mean of the four", "", of=("paper", *first)),
        *(born(name, f"taught by draws 2 to 4, draw {name[-1]}") for name in second),
        Arm("second", "taught by draws 2 to 4, mean of the three", "", of=tuple(second)),
        born("third", "taught by three that students taught"),
    )
    return Study(
        "generations",
        "Born again",
        "Does a student of three students get better than they are, and once more? And how far "
        "apart are students that differ in their random numbers alone?",
        arms,
        base="alone",
        paper="paper",
        contrasts=(
            *beside_twins(recipe, arms, "paper"),
            Contrast("the four that the ensemble taught", {"second": "draws"}, told=("second",)),
            Contrast("the three that taught it", {"third": "second"}, told=("third",)),
        ),
    )


def unlabelled(recipe: Recipe) -> Study:
    """More text, labelled by the teachers alone, when labels are few or many.

    Each amount of text has two arms beside it that see the labelled examples again in its place,
    with the teachers and without.
    """
    asked = recipe.unlabelled
    arms: list[Arm] = []
    for share in asked.shares:
        for amount in asked.amounts:
            # The same teachers for every amount of text; with all labels and none of it, the main
            # table's.
            own = share == 1 and amount == 0 and recipe.data.share == 1 and not recipe.data.pool
            pool = (f"data.share={share}", f"data.pool={max(asked.amounts)}")
            arms += text_arms(recipe, share, amount, () if own else pool)
    text = [arm.name for arm in arms if arm.name[0] == "s" and not arm.name.endswith("-u0")]
    most = tuple(name for name in text if name.endswith(f"-u{max(asked.amounts):g}"))
    without = {name: f"{name.partition('-')[0]}-u0" for name in text}
    again = {name: f"again-{name}" for name in text}
    share = max(asked.shares)
    lost = {f"none-s{share:g}-u{max(asked.amounts):g}": f"none-s{share:g}-u0"} if text else {}
    return Study(
        "unlabelled",
        "Unlabelled text",
        "Does text help that nobody but the teachers has labelled, and more so where labels are "
        "few?",
        tuple(arms),
        base=arms[1].name,
        against="no teacher",
        contrasts=(
            Contrast("no text, the same labels", without, told=most, column=True),
            Contrast("the labelled examples again", again, told=most, column=True),
            # What the base arm itself loses, for examples seen too often teach noise
            Contrast("the same labels once", lost, told=tuple(lost)),
        ),
        budget="An arm, and what it is compared with, see as many examples of every task. Text is "
        f"counted in multiples of a task's training examples, or is as much as there is. {ONE}",
    )


def text_arms(
    recipe: Recipe, share: float, amount: float, changes: tuple[str, ...]
) -> tuple[Arm, ...]:
    """A student of some labels and some text, one without a teacher, and one without the text."""
    place = f"s{share:g}-u{amount:g}"
    labels, alone = f"{100 * share:g} % of the labels", f"none-{place}"
    untold = {"hard_weight": 1.0}
    if not amount:
        return (
            replace(taught(recipe, place, labels, *changes), base=alone),
            replace(taught(recipe, alone, f"{labels}, no teacher", *changes, **untold), base=alone),
        )
    title, how = f"{labels}, {amount:g} x", {"unlabelled": amount}
    seen = how | {"again": True}
    return (
        replace(taught(recipe, place, f"{title} text", *changes, **how), base=alone),
        replace(
            taught(recipe, f"again-{place}", f"{title} labels again", *changes, **seen), base=alone
        ),
        replace(
            taught(recipe, alone, f"{title} labels again, no teacher", *changes, **untold, **seen),
            base=alone,
        ),
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
    shares = recipe.few_labels.shares if new_tasks(recipe) else ()
    told = sorted(recipe.few_labels.shares)[-2:][0]
    others = [f"{name}-{share:g}" for name, _, _ in starts[1:] for share in shares]
    arms = tuple(
        replace(
            start,
            name=f"{name}-{share:g}",
            title=f"{title}, {100 * share:g} % of the labels",
            system=few_system(str(start.what), share),
            stage="transfer",
            base=f"none-{share:g}",
        )
        for name, title, start in starts
        for share in shares
    )
    return Study(
        "few-labels",
        "Few labels",
        "How many labels of a new task does each model need? The tasks are in no model's training.",
        arms,
        base=f"none-{max(recipe.few_labels.shares):g}",
        against="the student without a teacher, the same labels",
        contrasts=(
            Contrast(
                "BERT, the same labels",
                {name: f"bert-{name.rpartition('-')[2]}" for name in others},
                told=(f"mtdnn-{told:g}", f"mtdnn-kd-{told:g}"),
                column=True,
            ),
        ),
        budget="All models see the same examples of the new tasks, equally often. MT-DNN-KD and "
        "the student without a teacher were trained alike before; MT-DNN is the model before its "
        "fine-tuning.",
    )
