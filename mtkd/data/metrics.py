"""GLUE's metrics and the GLUE score (Wang et al. 2019, arXiv:1804.07461, sections 3.1 and 3.4).

Everything is in points, 0-100 (Matthews and the correlations -100 to 100).
"""

from collections.abc import Callable, Mapping

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE, Task

MISMATCHED = "_mm"  # "accuracy_mm" is MNLI's accuracy on the mismatched set


def compute(task: Task, logits: np.ndarray, labels: np.ndarray | None) -> dict[str, float]:
    """Score one split: `{metric: points}` in the order of `task.metrics`.

    `logits` is (N, C), or (N, 1) for a regression; `labels` is (N,), class indices or scores.
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
    if unknown := [name for name in task.metrics if name not in METRICS]:
        raise MtkdError(f"{task.title}: unknown metric {unknown[0]}; known: {', '.join(METRICS)}")
    predicted = logits.argmax(axis=1) if task.labels else logits[:, 0].astype(np.float64)
    return {name: 100.0 * METRICS[name](labels, predicted) for name in task.metrics}


def is_degenerate(logits: np.ndarray) -> bool:
    """Whether (N, C) or (N, 1) outputs hold a NaN or infinity, or predict the same for all rows.

    A single row is never called constant.
    """
    if not np.isfinite(logits).all():
        return True
    if len(logits) < 2:
        return False
    predicted = logits[:, 0] if logits.shape[1] == 1 else logits.argmax(axis=1)
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


def _accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean(labels == predicted))


def _f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    # GLUE's F1 is of class 1 ("equivalent", "duplicate"); 0 where the class never shows up.
    return float(f1_score(labels, predicted, pos_label=1, zero_division=0.0))


def _matthews(labels: np.ndarray, predicted: np.ndarray) -> float:
    if len(np.unique(np.concatenate([labels, predicted]))) < 2:
        return 0.0  # as scikit-learn has it, but without its warning
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predicted))


def _pearson(labels: np.ndarray, predicted: np.ndarray) -> float:
    from scipy.stats import pearsonr

    return float(pearsonr(labels, predicted).statistic) if _varies(labels, predicted) else 0.0


def _spearman(labels: np.ndarray, predicted: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(labels, predicted).statistic) if _varies(labels, predicted) else 0.0


def _varies(*values: np.ndarray) -> bool:
    return all(bool(np.isfinite(v).all()) and np.ptp(v) > 0 for v in values)


METRICS: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
}
