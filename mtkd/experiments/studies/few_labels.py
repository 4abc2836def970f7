"""Study `few-labels`: new tasks with more and more of their labels, learnt from four models."""

from __future__ import annotations

from dataclasses import replace

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import (
    Axis,
    Comparison,
    Study,
    counterparts,
    register_study,
    student,
)
from mtkd.experiments.systems.few_labels import few_system
from mtkd.experiments.task_sets import new_tasks

BERT, MTDNN, ALONE, TAUGHT = "BERT", "MT-DNN", "student without teachers", "MT-DNN-KD"

PUBLISHED = {BERT: "bert-base", MTDNN: "mtdnn-base"}  # MT-DNN's Table 4, in paper.csv


@register_study("few-labels")
def few_labels(recipe: Recipe) -> Study:
    """Without variants where the data source has none of the tasks."""
    alone = student(recipe, "none", ALONE, hard_weight=1.0)
    starts = (
        replace(alone, name="bert", title=BERT, run="bert", changes=()),
        replace(alone, name="mtdnn", title=MTDNN, run="mtdnn", changes=()),
        alone,
        student(recipe, "mtdnn-kd", TAUGHT),
    )
    variants = tuple(
        replace(
            start,
            name=f"{start.name}-{fraction:g}",
            title=f"{start.title}, {100 * fraction:g} % of the labels",
            system=few_system(str(start.run), fraction),
            stage="transfer",
            factors={"start": start.title, "fraction": fraction},
            reference=f"none-{fraction:g}",
            published=(PUBLISHED.get(start.title, ""), f"{100 * fraction:g}%"),
        )
        for start in starts
        for fraction in (recipe.few_labels.fractions if new_tasks(recipe) else ())
    )
    return Study(
        "Few labels",
        "How many labels of a new task does each model need? The tasks are in no model's training.",
        "See which line is highest at few labels; the paper's are of BERT-base on the real tasks.",
        variants,
        reference_title="the student without teachers, the same labels",
        comparisons=(Comparison("BERT, the same labels", counterparts(variants, {}, start=BERT)),),
        curve=Axis("fraction of labels", "fraction", lines="start", panels="task", log=True),
        budget="All models see the same examples of the new tasks, equally often. MT-DNN-KD and "
        "the student without teachers were trained alike before; MT-DNN is the model before its "
        "fine-tuning.",
    )
