"""What a notebook shows of single examples and of one run."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from mtkd.analysis.systems import system_title, task_title
from mtkd.common.errors import MtkdError
from mtkd.data.tasks import Examples
from mtkd.experiments.context import RunContext, read_examples
from mtkd.experiments.recipes import as_yaml, available, load_recipe
from mtkd.experiments.records import Record
from mtkd.experiments.settings import Recipe
from mtkd.experiments.systems.teachers import soft_targets


@dataclass(frozen=True)
class Settings:
    """A recipe as a notebook shows it: what is changed, and all of it folded."""

    recipe: Recipe

    @property
    def changed(self) -> dict[str, Any]:
        """What is not as the recipe ships, by dotted key; in one of your own, as the defaults."""
        name = self.recipe.name
        usual = load_recipe(name) if name in available() else Recipe(name=name)
        now, then = (
            pd.json_normalize(asdict(one)).to_dict("records")[0] for one in (self.recipe, usual)
        )
        return {
            str(key): value for key, value in now.items() if key not in then or then[key] != value
        }

    def told(self) -> tuple[str, list[str]]:
        """A headline, and a line for each change."""
        changes = [f"{key}: {' '.join(str(value).split())}" for key, value in self.changed.items()]
        name, shipped = self.recipe.name, self.recipe.name in available()
        if shipped and not changes:
            return f"Recipe {name}, as it ships", []
        return f"Recipe {name}, {'with changes' if shipped else 'what it sets'}:", changes

    def __repr__(self) -> str:
        head, changes = self.told()
        return "\n".join([head, *changes])

    def _repr_html_(self) -> str:
        head, changes = self.told()
        rows = "".join(f"<li>{html.escape(change)}</li>" for change in changes)
        every = html.escape(as_yaml(self.recipe))
        folded = f"<details><summary>Every setting</summary><pre>{every}</pre></details>"
        return f"<p>{html.escape(head)}</p><ul>{rows}</ul>{folded}"


def unsure_examples(
    examples: Examples,
    soft: np.ndarray,
    count: int = 10,
    by: Literal["contradicts", "unsure"] = "contradicts",
) -> pd.DataFrame:
    """The examples where the teacher contradicts the given label most, or is least sure.

    `soft` (N, C) are the teacher's probabilities in the order of the examples. Columns: the texts,
    "given label", "true label" (before annotator noise, where known), and the probability of each
    label. Ordered by the given label's probability, the lowest first, or by entropy, the highest
    first. Raises MtkdError for a regression, without labels, or where the shapes do not fit.
    """
    task = examples.task
    if not task.labels or task.kind == "multilabel" or examples.label is None:
        raise MtkdError(f"{task.title} {examples.split}: no class labels to disagree with")
    if soft.shape != (len(examples), len(task.labels)):
        wanted = (len(examples), len(task.labels))
        raise MtkdError(f"{task.title}: soft targets of shape {soft.shape}; expected {wanted}")
    given = examples.label.astype(np.int64)
    key = soft[np.arange(len(given)), given] if by == "contradicts" else -entropy(soft)
    rows = np.argsort(key, kind="stable")[:count]
    frame = example_frame(examples, rows).set_axis(examples.idx[rows]).rename_axis("id")
    return frame.assign(**{f"P({n})": soft[rows, i].round(3) for i, n in enumerate(task.labels)})


def doubted_examples(context: RunContext, count: int = 10) -> pd.DataFrame:
    """Training examples whose label a run's teachers contradict most, for one of their tasks.

    As `unsure_examples` has them; empty where the teachers know of no classes.
    """
    for task in context.teacher_tasks:
        if context.recipe.task(task).kind in ("classification", "ranking"):
            examples = read_examples(context, task, "train")
            return unsure_examples(examples, soft_targets(context, task, examples.idx), count)
    return pd.DataFrame()


def example_frame(examples: Examples, rows: np.ndarray) -> pd.DataFrame:
    """Some examples (row numbers) of a split: texts, given label, true label where it is known."""
    task = examples.task

    def named(values: np.ndarray) -> list[Any]:
        found = [values[row] for row in rows]
        if task.kind == "multilabel":
            return ["|".join(task.labels[place] for place in np.flatnonzero(v)) for v in found]
        return [task.labels[int(v)] if task.labels else round(float(v), 1) for v in found]

    columns: dict[str, list[Any]] = {}
    for name, texts in zip(task.columns, (examples.text_a, examples.text_b), strict=False):
        if texts is not None:
            columns[name] = [texts[row] for row in rows]
    if examples.label is not None:
        columns["given label"] = named(examples.label)
    if examples.clean is not None:
        columns["true label"] = named(examples.clean)
    return pd.DataFrame(columns)


def entropy(soft: np.ndarray) -> np.ndarray:
    """Entropy (N,) of probabilities (N, C), as a fraction of its largest: 0 sure, 1 unsure."""
    terms = np.where(soft > 0, soft * np.log(np.where(soft > 0, soft, 1)), 0)
    return -terms.sum(axis=1) / np.log(soft.shape[1])


def show_examples(examples: Examples, count: int = 5) -> pd.DataFrame:
    """The first examples of a split."""
    rows = np.arange(min(count, len(examples)))
    return example_frame(examples, rows).set_axis(examples.idx[rows]).rename_axis("id")


def run_scores(record: Record) -> pd.DataFrame:
    """Dev scores of one run's systems in points: a row per system, a column per task and metric."""
    rows: dict[str, dict[str, float]] = {}
    for score in record.scores:
        if score.split.startswith("dev"):
            suffix = score.split.removeprefix("dev").replace("_", " ")
            column = f"{task_title(score.task)}{suffix} {score.metric}"
            rows.setdefault(system_title(score.system), {})[column] = score.value
    return pd.DataFrame(rows).T.round(1)
