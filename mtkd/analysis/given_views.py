"""Given teachers before any student: their scores, calibration and agreement on the dev sets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.special import expit, softmax
from scipy.stats import pearsonr

from mtkd.analysis.colours import BLUE, GREY
from mtkd.analysis.evaluations import Outputs, calibration_error, dev_labels, dev_outputs
from mtkd.analysis.markup import NOTHING
from mtkd.analysis.plotting import Plot, grid_lines, styled
from mtkd.analysis.results import Results, finished
from mtkd.analysis.systems import task_title
from mtkd.analysis.views import View
from mtkd.data.metrics import compute, task_score
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import runs_of
from mtkd.experiments.systems.given import find_teacher, system_of

BINS = 10  # of confidence in the figure
Heard = Mapping[str, Outputs]  # dev outputs by name of the given teacher


def heard_beside(context: RunContext) -> Heard:
    """Dev outputs of the given teachers of a run's recipe that have been heard so far."""
    runs = tuple(runs_of(context.recipe, "given"))
    records = tuple(finished(context.results, runs))
    return heard_in(Results(context.recipe, context.results, runs, records, context.tasks))


def heard_in(results: Results) -> Heard:
    """Dev outputs of the given teachers among finished runs."""
    names = [record.variant for record in results.records if record.stage == "given"]
    gold = dev_labels(results) if names else {}
    found = {}
    for name in names:
        found[name] = dev_outputs(results, system_of(find_teacher(results.recipe, name)), gold)[0]
    return found


def given_views(heard: Heard) -> list[View]:
    """The table of the given teachers; empty where there is none."""
    rows = []
    for name, mine in heard.items():
        others = [one for other, one in heard.items() if other != name and one.task == mine.task]
        alike = float(np.mean([agreement(mine, one) for one in others] or [np.nan]))
        error, surplus = reliability(mine)
        score = task_score(mine.task, compute(mine.task, mine.values, mine.label))
        numbers = {"Dev score": score, "Calibration error, %": 100 * error}
        numbers |= {"Confidence less accuracy, %": 100 * surplus, "Answers as the others, %": alike}
        words = {key: NOTHING if np.isnan(x) else f"{x:.1f}" for key, x in numbers.items()}
        rows.append({"Task": task_title(mine.task.name), "Teacher": name} | words)
    if not rows:
        return []
    return [
        View(
            name="given_teachers",
            title="The given teachers",
            caption="What teachers from elsewhere know of their tasks, on the dev sets, before any "
            "student is trained. A teacher below the student's own score may do harm.",
            notes=(
                "Confidence is the mean probability of the answer, of each label by itself where a "
                "text may have several: above the accuracy a teacher is too sure of itself. Of "
                "scores, agreement is the correlation.",
            ),
            table=pd.DataFrame(rows),
            section="teachers",
        )
    ]


def sure_and_right(outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """Confidence in each answer, and whether it is the label; empty for scores.

    Where a text may have several labels, each is an answer: yes or no.
    """
    if outputs.task.kind == "regression":
        return np.empty(0), np.empty(0, bool)
    values = outputs.values.astype(np.float64)
    if outputs.task.kind == "multilabel":
        yes = expit(values).ravel()
        return np.maximum(yes, 1 - yes), (yes > 0.5) == (outputs.label.ravel() > 0.5)
    return softmax(values, 1).max(1), values.argmax(1) == outputs.label


def reliability(outputs: Outputs) -> tuple[float, float]:
    """Calibration error, and confidence less accuracy; NaN for scores."""
    sure, right = sure_and_right(outputs)
    if not len(sure):
        return float("nan"), float("nan")
    return calibration_error(sure, right), float((sure - right).mean())


def agreement(one: Outputs, other: Outputs) -> float:
    """Answers in % that two teachers share, of all; of scores, their correlation in %."""
    if one.task.kind == "regression":
        pair = one.values[:, 0], other.values[:, 0]
        return 100 * float(pearsonr(*pair).statistic) if all(map(np.ptp, pair)) else float("nan")
    if one.task.kind == "multilabel":
        return 100 * float(np.mean((one.values > 0) == (other.values > 0)))
    return 100 * float(np.mean(one.values.argmax(1) == other.values.argmax(1)))


def confusions(outputs: Outputs, count: int = 10) -> pd.DataFrame:
    """The most frequent mistakes of a classifier: label, answer, how often; else empty."""
    if outputs.task.kind in ("regression", "multilabel"):
        return pd.DataFrame(columns=["label", "answer", "examples"])
    names = np.array(outputs.task.labels)
    pairs = pd.DataFrame(
        {
            "label": names[outputs.label.astype(np.int64)],
            "answer": names[outputs.values.argmax(1)],
        }
    )
    wrong = pairs[pairs["label"] != pairs["answer"]]
    return wrong.value_counts().head(count).rename("examples").reset_index()


@styled
def reliability_figure(outputs: Outputs) -> Plot:
    """Accuracy by confidence beside the line where they are equal; of scores, label and answer."""
    figure = Plot(figsize=(4.2, 4), layout="constrained")
    axes = figure.subplots()
    if outputs.task.kind == "regression":
        axes.plot(outputs.label, outputs.values[:, 0], ".", color=BLUE, alpha=0.4)
        axes.set(xlabel="score in the data", ylabel="the teacher's score")
    else:
        sure, right = sure_and_right(outputs)
        place = np.minimum((sure * BINS).astype(int), BINS - 1)
        counts = np.bincount(place, minlength=BINS)
        there = counts > 0
        x, y = (np.bincount(place, one, BINS)[there] / counts[there] for one in (sure, right))
        axes.scatter(x, y, s=20 + 400 * counts[there] / len(sure), color=BLUE, alpha=0.8)
        axes.set(xlabel="confidence", ylabel="accuracy (area: how many answers)")
    draw_diagonal(axes)
    grid_lines(axes, "both")
    return figure


def draw_diagonal(axes: Axes) -> None:
    low = min(axes.get_xlim()[0], axes.get_ylim()[0])
    high = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, zorder=0)
