"""Training objectives. All take outputs of a batch and return the mean loss over its examples.

Equation numbers of MT-DNN are those of Liu et al. 2019a (arXiv:1901.11504v2); "KD paper" is
Liu et al. 2019b (arXiv:1904.09482), section 3. How a student mixes them, and where to add a way of
one's own: `distillation.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def hard_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy with the given label: -log P(y|X). MT-DNN Eq. 6.

    logits (B, C), labels (B,) int64. With weights (C,) of the classes the mean is a weighted one,
    sum of w(y) times loss over sum of w(y), as torch has it: a batch's examples share one weight.
    """
    return F.cross_entropy(logits, labels, weights)


def soft_loss(logits: Tensor, soft: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross-entropy with soft targets: -T^2 sum_c Q(c|X) log P_T(c|X). KD paper, section 3.

    logits (B, C), soft (B, C): the teachers' mean probabilities *at the same temperature*.
    P_T = softmax(logits / T). The factor T^2 keeps the gradient's size comparable with the
    hard loss (Hinton et al. 2015, section 2); the paper itself uses T = 1.
    """
    log_probs = torch.log_softmax(logits / temperature, -1)
    return -(temperature**2) * (soft * log_probs).sum(-1).mean()


def several_loss(logits: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """Binary cross-entropy of each label's sigmoid, mean over examples and labels, times T^2.

    logits (B, C); target (B, C): 0 and 1, or the teachers' mean probabilities *at the same
    temperature*; T as in `soft_loss`.
    """
    return temperature**2 * F.binary_cross_entropy_with_logits(logits / temperature, target)


def regression_loss(outputs: Tensor, scores: Tensor, width: float = 1.0) -> Tensor:
    """Squared error (y - Sim)^2. MT-DNN Eq. 7. outputs (B, 1), scores (B,).

    The error is in units of `width`, that of the scores' range: a range of 0 to 100 weighs no more
    among other tasks than one of 0 to 1.
    """
    return F.mse_loss(outputs.squeeze(-1), scores) / width**2


def group_log_probs(scores: Tensor, groups: Tensor) -> Tensor:
    """log of softmax of the scores within each group of candidates. MT-DNN Eq. 9, gamma = 1.

    scores (B, 1); groups (B,): number of the group that each row belongs to, 0..G-1.
    """
    scores = scores.squeeze(-1)
    same = groups.unsqueeze(0) == groups.unsqueeze(1)
    in_group = scores.unsqueeze(0).expand(len(scores), -1)
    return scores - torch.logsumexp(in_group.masked_fill(~same, float("-inf")), 1)


def ranking_loss(scores: Tensor, target: Tensor, groups: Tensor) -> Tensor:
    """Negative log-likelihood of the right candidate, mean over questions. MT-DNN Eq. 8.

    scores (B, 1); target (B,): probability of each candidate within its group (one-hot for given
    labels, the teachers' for soft targets); groups (B,) as in `group_log_probs`.
    """
    log_probs = group_log_probs(scores, groups)
    return -(target * log_probs).sum() / (groups.max() + 1)


def mixed_targets(
    labels: Tensor, soft: Tensor, hard_weight: float, weights: Tensor | None = None
) -> Tensor:
    """w * one-hot(y) + (1 - w) * Q: one target in place of two losses. Hinton et al. 2015, 2.

    labels (B,) int64 or (B, C) of 0 and 1, soft (B, C), weights (C,) of the classes. With the soft
    loss at temperature 1 the same as `mixed_loss`.
    """
    hard = labels if labels.ndim == 2 else F.one_hot(labels, soft.shape[-1]).to(soft.dtype)
    if weights is not None:
        given = weights[labels]
        hard = hard * (given / given.mean()).unsqueeze(-1)
    return hard_weight * hard + (1 - hard_weight) * soft


def mixed_loss(hard: Tensor, soft: Tensor, hard_weight: float) -> Tensor:
    """w * hard + (1 - w) * soft. The KD paper averages the two: w = 0.5."""
    return hard_weight * hard + (1 - hard_weight) * soft
