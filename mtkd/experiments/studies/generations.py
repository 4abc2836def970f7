"""Study `generations`: students taught by an ensemble of students, twice over."""

from __future__ import annotations

import json

from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.study import (
    Comparison,
    Study,
    Variant,
    register_study,
    replicates,
    same_seed_control,
    student,
)

NUMBERS = (1, 2, 3)


@register_study("generations")
def generations(recipe: Recipe) -> Study:
    first, second = [f"first-{n}" for n in NUMBERS], [f"second-{n}" for n in NUMBERS]
    students = {
        **{name: {} for name in first},
        **{name: {"taught_by": first} for name in second},
        "third": {"taught_by": second},
    }
    change = f"students={json.dumps(students)}"

    def born(name: str, title: str, generation: int, replicate: int) -> Variant:
        told = {"generation": generation, "replicate": replicate}
        return Variant(name, title, name, run=name, changes=(change,), factors=told)

    one = {"generation": 1, "replicate": 1}
    variants = (
        *replicates(recipe),
        student(recipe, "paper", "taught by the ensemble, replicate 1", factors=one),
        *(
            born(name, f"taught by the ensemble, replicate {number}", 1, number)
            for number, name in enumerate(first, 2)
        ),
        Variant("taught", "taught by the ensemble, mean of the four", mean_of=("paper", *first)),
        *(
            born(name, f"taught by replicates 2 to 4, replicate {number}", 2, number)
            for number, name in zip(NUMBERS, second, strict=True)
        ),
        Variant("second", "taught by replicates 2 to 4, mean of the three", mean_of=tuple(second)),
        born("third", "taught by those three", 3, 1),
    )
    return Study(
        "Born again",
        "Does a student of three students get better than they are, and once more? And how far "
        "apart are students that differ in their random numbers alone?",
        "See how far replicates of one setting lie apart before comparing generations.",
        variants,
        reference="no-teacher",
        paper="paper",
        comparisons=(
            same_seed_control(recipe, variants),
            Comparison("the generation before", {"second": "taught", "third": "second"}),
        ),
    )
