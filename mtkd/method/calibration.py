"""Temperature scaling: scores that say how often they are right. Guo et al. 2017, section 4.2."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

FEWEST = 20  # dev examples from which a temperature is fitted
HOTTEST = 100.0  # and its inverse the coldest


def fit_temperature(outputs: np.ndarray, labels: np.ndarray, objective: str) -> float:
    """The T at which softmax(outputs / T), or each label's sigmoid, suits the labels best.

    outputs (N, C) and labels (N,), or (N, C) of 0 and 1 for "multilabel", of examples that the
    model was not trained on. T minimises the negative log-likelihood. Of the labels one in N + 2
    counts as wrong, as in Platt 1999: where all are right T would be 0, and every score 1. The
    answer is 1.0 for other objectives, fewer than 20 examples, and outputs that are not finite.
    """
    known = objective in ("classification", "multilabel")
    one = outputs.shape[1] < 2  # label: always right
    if not known or one or len(outputs) < FEWEST or not np.isfinite(outputs).all():
        return 1.0
    several = objective == "multilabel"
    share, count = 1 / (len(outputs) + 2), outputs.shape[1]
    logits = outputs.astype(np.float64)
    hard = labels if several else np.eye(count)[labels]
    target = (1 - share) * hard + share / (1 if several else count - 1) * (1 - hard)

    def loss(log_temperature: float) -> float:
        scaled = logits / math.exp(log_temperature)
        if several:
            return -float(np.mean(target * log_expit(scaled) + (1 - target) * log_expit(-scaled)))
        return -float(np.mean((target * log_softmax(scaled, -1)).sum(-1)))

    far = math.log(HOTTEST)
    found = minimize_scalar(loss, bounds=(-far, far), method="bounded", options={"xatol": 1e-4})
    return round(math.exp(found.x), 4)
