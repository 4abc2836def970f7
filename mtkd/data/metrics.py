"""Metrics of all kinds of tasks, and the GLUE score (Wang et al. 2019, arXiv:1804.07461, 3.1, 3.4).

Everything is in points, 0-100 (Matthews and the correlations -100 to 100).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.own_settings import Kind
from mtkd.data.tasks import GLUE, Task

Metric = Callable[[np.ndarray, np.ndarray], float]
METRICS: dict[str, Metric] = {}
KINDS: dict[str, tuple[Kind, ...]] = {}  # of tasks that a metric is for, (): of all
MISMATCHED = "_mm"  # "accuracy_mm" is MNLI's accuracy on the mismatched set


def metric(name: str, *kinds: Kind) -> Callable[[Metric], Metric]:
    """Register a function as the metric `name` of tasks of these kinds, of all without any.

    It is called as `metric(labels, outputs)`: labels as `Examples` has them, outputs (N, C) logits
    or (N, 1) scores. It returns a number that is 1 at best, which is shown as 100 points.
    """

    def register(function: Metric) -> Metric:
        METRICS[name], KINDS[name] = function, kinds
        return function

    return register


def check_metrics(task: Task) -> None:
    """Refuse metrics that are not known, or are none of the task's kind."""
    fit = [one for one in METRICS if not KINDS[one] or task.kind in KINDS[one]]
    if task.kind == "classification" and len(task.labels) != 2:
        fit.remove("f1")
    if unfit := [name for name in task.metrics if name not in fit]:
        raise MtkdError(
            f"{task.title}: metric {unfit[0]!r}; expected some of {', '.join(fit)}, which are of "
            f"{task.kind} with {len(task.labels) or 'no'} labels"
        )


def compute(task: Task, logits: np.ndarray, labels: np.ndarray | None) -> dict[str, float]:
    """Score one split: `{metric: points}` in the order of `task.metrics`.

    F1, average precision and the like are of class 1 where there are two, and of the right
    candidates, class 0, in a ranking.

    `logits` is (N, C), or (N, 1) for a regression; `labels` is (N,), class indices or scores, or
    (N, C) of 0 and 1 where a text has several labels.
    Constant predictions give 0, never NaN, for Matthews and the correlations: ask
    `is_degenerate` for them. Raises MtkdError if shapes do not fit or there are no labels.
    """
    if labels is None:
        raise MtkdError(f"{task.title}: this split has no labels, so it cannot be scored; use dev")
    outputs = max(len(task.labels), 1)
    if logits.shape != (len(labels), outputs):
        wanted = (len(labels), outputs)
        raise MtkdError(f"{task.title}: logits of shape {logits.shape}; expected {wanted}")
    if len(labels) == 0:
        raise MtkdError(f"{task.title}: no example to score; expected at least one")
    check_metrics(task)
    if task.kind == "ranking":  # its first label is the right candidate's
        labels, logits = 1 - labels, logits[:, ::-1]
    return {name: 100.0 * METRICS[name](labels, logits) for name in task.metrics}


def is_degenerate(logits: np.ndarray, kind: Kind = "classification") -> bool:
    """Whether (N, C) or (N, 1) outputs hold a NaN or infinity, or predict the same for all rows.

    `kind` is the task's. A single row is never called constant.
    """
    if not np.isfinite(logits).all():
        return True
    if len(logits) < 2:
        return False
    if kind == "multilabel":
        predicted = several(logits)
    elif kind == "ranking" or logits.shape[1] == 1:
        predicted = logits[:, 0]
    else:
        predicted = logits.argmax(axis=1)
    return bool((predicted == predicted[0]).all())


def task_score(task: Task, scores: Mapping[str, float]) -> float:
    """Plain mean of the task's metrics: F1 and accuracy, Pearson and Spearman, MNLI m and mm.

    `scores` may hold more (a loss, say), which is ignored; `accuracy_mm` stands for MNLI's
    accuracy on the mismatched set. Raises MtkdError if a metric of the task is missing.
    """
    if missing := [name for name in task.metrics if name not in scores]:
        have = ", ".join(scores) or "nothing"
        raise MtkdError(f"{task.title}: no {missing[0]} to average; have {have}")
    names = [*task.metrics, *(name + MISMATCHED for name in task.metrics)]
    return float(np.mean([scores[name] for name in names if name in scores]))


def glue_score(task_scores: Mapping[str, Mapping[str, float]]) -> float:
    """Macro-average of the task scores of the GLUE tasks given, AX left out.

    `task_scores` is `{task name: {metric: points}}`. With all nine tasks this is the
    leaderboard's score (arXiv:1804.07461, section 3.4); with fewer, say over which.
    """
    scored = [GLUE[name] for name in task_scores if name in GLUE and name != "ax"]
    if not scored:
        raise MtkdError("GLUE score: no GLUE task to average; expected at least one of the nine")
    return float(np.mean([task_score(task, task_scores[task.name]) for task in scored]))


# scikit-learn and SciPy's statistics take seconds to import, and plans need no score: they are
# imported where they are used.


@metric("accuracy", "classification", "ranking")
def accuracy(labels: np.ndarray, outputs: np.ndarray) -> float:
    return float(np.mean(labels == answers(outputs)))


@metric("f1", "classification", "ranking")
def f1(labels: np.ndarray, outputs: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    # GLUE's F1 is of class 1 ("equivalent", "duplicate"); 0 where the class never shows up.
    return float(f1_score(labels, answers(outputs), pos_label=1, zero_division=0.0))


@metric("macro_f1", "classification", "multilabel")
def macro_f1(labels: np.ndarray, outputs: np.ndarray) -> float:
    """Mean of F1 over the labels that show up among the labels or the answers."""
    return averaged_f1(labels, outputs, "macro")


@metric("micro_f1", "classification", "multilabel")
def micro_f1(labels: np.ndarray, outputs: np.ndarray) -> float:
    return averaged_f1(labels, outputs, "micro")


def averaged_f1(labels: np.ndarray, outputs: np.ndarray, average: str) -> float:
    from sklearn.metrics import f1_score

    if labels.ndim == 1:
        return float(f1_score(labels, answers(outputs), average=average, zero_division=0.0))
    given = several(outputs)
    either = np.flatnonzero(labels.any(axis=0) | given.any(axis=0))
    if not len(either):
        return 0.0
    return float(f1_score(labels, given, labels=either, average=average, zero_division=0.0))


@metric("exact_match", "multilabel")
def exact_match(labels: np.ndarray, outputs: np.ndarray) -> float:
    """Share of the texts all of whose labels are right."""
    return float(np.mean((several(outputs) == labels).all(axis=1)))


@metric("balanced_accuracy", "classification")
def balanced_accuracy(labels: np.ndarray, outputs: np.ndarray) -> float:
    """Mean over the classes that show up of the share of their examples that is right."""
    right = labels == answers(outputs)
    return float(np.mean([right[labels == one].mean() for one in np.unique(labels)]))


@metric("average_precision", "classification", "multilabel", "ranking")
def average_precision(labels: np.ndarray, outputs: np.ndarray) -> float:
    """Area under precision and recall, mean over labels; of class 1 where there are two."""
    from sklearn.metrics import average_precision_score

    return over_labels(average_precision_score, labels, outputs)


@metric("roc_auc", "classification", "multilabel", "ranking")
def roc_auc(labels: np.ndarray, outputs: np.ndarray) -> float:
    """Area under the ROC curve, mean over labels; of class 1 where there are two."""
    from sklearn.metrics import roc_auc_score

    return over_labels(roc_auc_score, labels, outputs)


def over_labels(score: Callable[..., Any], labels: np.ndarray, outputs: np.ndarray) -> float:
    """Mean of a score of each label against the rest, of those that have examples of both.

    0 where there is none, or an output is not finite.
    """
    if not np.isfinite(outputs).all():
        return 0.0
    if labels.ndim == 1:
        from scipy.special import softmax

        outputs = softmax(outputs.astype(np.float64), axis=1)
        labels = (labels[:, None] == np.arange(outputs.shape[1])).astype(np.float32)
        if outputs.shape[1] == 2:
            labels, outputs = labels[:, 1:], outputs[:, 1:]
    both = [at for at in range(labels.shape[1]) if 0 < labels[:, at].mean() < 1]
    values = [score(labels[:, at], outputs[:, at]) for at in both]
    return float(np.mean(values)) if values else 0.0


@metric("matthews", "classification", "ranking")
def matthews(labels: np.ndarray, outputs: np.ndarray) -> float:
    predicted = answers(outputs)
    if len(np.unique(np.concatenate([labels, predicted]))) < 2:
        return 0.0  # as scikit-learn has it, but without its warning
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predicted))


@metric("pearson", "regression")
def pearson(labels: np.ndarray, outputs: np.ndarray) -> float:
    from scipy.stats import pearsonr

    given = scores(outputs)
    return float(pearsonr(labels, given).statistic) if varies(labels, given) else 0.0


@metric("spearman", "regression")
def spearman(labels: np.ndarray, outputs: np.ndarray) -> float:
    from scipy.stats import spearmanr

    given = scores(outputs)
    return float(spearmanr(labels, given).statistic) if varies(labels, given) else 0.0


@metric("r2", "regression")
def r2(labels: np.ndarray, outputs: np.ndarray) -> float:
    """Share of the scores' variance that is explained; below 0 if worse than their mean."""
    from sklearn.metrics import r2_score

    if not (np.isfinite(outputs).all() and varies(labels)):
        return 0.0
    return float(r2_score(labels, scores(outputs)))


def answers(outputs: np.ndarray) -> np.ndarray:
    """The class of each row, int64 (N,)."""
    return outputs.argmax(axis=1)


def several(outputs: np.ndarray) -> np.ndarray:
    """Which labels each text has, (N, C): those of a probability of a half or more."""
    return (outputs >= 0).astype(np.float32)


def scores(outputs: np.ndarray) -> np.ndarray:
    return outputs[:, 0].astype(np.float64)


def varies(*values: np.ndarray) -> bool:
    return all(bool(np.isfinite(v).all()) and np.ptp(v) > 0 for v in values)
