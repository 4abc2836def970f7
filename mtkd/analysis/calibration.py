"""Whether a classifier's probabilities mean what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtkd.common.errors import MtkdError

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Predictions in M equal-width bins of confidence; empty bins hold NaN means."""

    edges: np.ndarray  # (M + 1,), from 0 to 1
    count: np.ndarray  # int64 (M,), predictions in the bin
    confidence: np.ndarray  # (M,), mean of the largest probability
    accuracy: np.ndarray  # (M,), share of right predictions


def reliability(probabilities: np.ndarray, label: np.ndarray, bins: int = BINS) -> Reliability:
    """Put predictions into bins by the probability of the predicted class.

    `probabilities` (N, C) add up to 1 in each row, `label` (N,) are class indices. Bin m of M
    holds confidences in ((m - 1)/M, m/M]. Raises MtkdError if the shapes do not fit or N is 0.
    """
    if probabilities.ndim != 2 or len(probabilities) != len(label) or not len(label):
        raise MtkdError(
            f"calibration: probabilities of shape {probabilities.shape} for {len(label)} labels; "
            "expected one row per label, at least one"
        )
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == label
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    count = np.bincount(place, minlength=bins)
    some = np.where(count > 0, count, np.nan)
    return Reliability(
        edges=edges,
        count=count,
        confidence=np.bincount(place, confidence, minlength=bins) / some,
        accuracy=np.bincount(place, right, minlength=bins) / some,
    )


def calibration_error(found: Reliability) -> float:
    """Expected calibration error, 0 to 1: ECE = sum_m |B_m|/N * |acc(B_m) - conf(B_m)|.

    Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599), section 2.
    """
    gaps = np.abs(found.accuracy - found.confidence)
    return float(np.nansum(found.count * gaps) / found.count.sum())


def mean_confidence(found: Reliability) -> float:
    """Mean probability of the predicted class over all predictions, 0 to 1."""
    return float(np.nansum(found.count * found.confidence) / found.count.sum())


def mean_accuracy(found: Reliability) -> float:
    """Share of right predictions, 0 to 1."""
    return float(np.nansum(found.count * found.accuracy) / found.count.sum())
