"""What the teachers of a study's variants say of examples that they have seen and have not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mtkd.analysis.inspection import entropy
from mtkd.analysis.results import Results
from mtkd.analysis.systems import task_title
from mtkd.analysis.tables import averages, printed
from mtkd.analysis.views import View
from mtkd.data.tasks import is_dev
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.plans import variant_runs
from mtkd.experiments.records import run_folder
from mtkd.experiments.studies.study import Study
from mtkd.experiments.systems.teachers import soft_targets
from mtkd.experiments.validation import changed

MEASURES = {
    "right train": "Right on training examples, %",
    "entropy train": "Entropy on training examples, %",
    "right dev": "Right on dev, %",
    "entropy dev": "Entropy on dev, %",
    "corrected": "Wrong labels corrected, %",
}
ENTROPY = "Entropy is in % of its largest, an even guess. Of two dev sets, means."
WRONG = (
    "Wrong labels: of the training examples whose label the toy benchmark knows to be wrong, those "
    "with the largest probability at the right one."
)


def study_teachers(results: Results, study: Study) -> View | None:
    """Accuracy and entropy of the teachers of each variant; None where none are finished."""
    rows, names = [], dict[str, str]()
    for title, context in teachers_of(results, study):
        for task in results.teacher_classes:
            name = f"{title}/{task}"
            names[name] = f"{title}, {task_title(task)}"
            found = what_they_know(context, task)
            rows += [(name, measure, 100 * value) for measure, value in found.items()]
    if not rows:
        return None
    values = averages(pd.DataFrame(rows, columns=["system", "task", "value"]))
    return View(
        name=f"study_{study.name.replace('-', '_')}_teachers",
        title=f"{study.title}: what the teachers say",
        caption="The soft targets, of all teachers together: how often their largest probability "
        "is at the given label, and how unsure they are, on training examples and on dev sets. "
        "Teachers that have seen the training examples are right and sure there above what they "
        "know.",
        notes=(ENTROPY, *([WRONG] if "corrected" in set(values["task"]) else [])),
        table=printed(values, MEASURES, names=names, first="Teachers"),
        values=values,
        section="studies",
    )


def teachers_of(results: Results, study: Study) -> Iterator[tuple[str, RunContext]]:
    """The finished teachers of each variant, by seed; those of several variants once."""
    told = set()
    for variant in study.variants:
        recipe = changed(results.recipe, variant.changes)
        for run in variant_runs(results.recipe, study, variant):
            for parent in run.parents:
                done = (run_folder(results.folder, parent.run_id) / "record.json").exists()
                if parent.stage == "teachers" and done and parent.run_id not in told:
                    told.add(parent.run_id)
                    title = str(variant.factors.get("targets", variant.title))
                    yield title, RunContext(recipe, parent, results.folder, results.tasks)


def what_they_know(context: RunContext, task: str) -> dict[str, float]:
    """Numbers 0 to 1 by measure."""
    found: dict[str, list[np.ndarray]] = {}
    for split in context.recipe.task(task).splits:
        examples = read_examples(context, task, split)
        if (split != "train" and not is_dev(split)) or examples.label is None:
            continue
        soft = soft_targets(context, task, examples.idx, split=split)
        kind, answers = split.split("_")[0], soft.argmax(axis=1)
        found.setdefault(f"right {kind}", []).append(answers == examples.label)
        found.setdefault(f"entropy {kind}", []).append(entropy(soft))
        if split == "train" and examples.clean is not None:
            wrong = examples.clean != examples.label
            found["corrected"] = [answers[wrong] == examples.clean[wrong]]
    return {
        measure: float(np.mean([one.mean() for one in parts]))
        for measure, parts in found.items()
        if all(map(len, parts))
    }
