"""What a batch's loss is: the task's own, or one of the registered ways to listen to teachers."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mtkd.common.errors import MtkdError
from mtkd.data.batches import Batch
from mtkd.method import losses
from mtkd.method.heads import objective_of
from mtkd.method.settings import Distillation, HeadSpec

Loss = Callable[[Tensor, Batch, HeadSpec, Distillation, float], Tensor]
LOSSES: dict[str, Loss] = {}


def distillation_loss(name: str) -> Callable[[Loss], Loss]:
    """Register a function as the distillation loss `name`, as in `Distillation(loss=name)`.

    It is called as `loss(outputs, batch, spec, settings, done)` for every batch with soft targets:
    outputs (B, C) of the head that `spec` describes; `batch.soft` (B, C), averaged at
    `settings.temperature`; `batch.labels` (B,), None for text without labels; `done`, the fraction
    0 to 1 of the training that is over. It returns the batch's mean loss, a scalar.
    """

    def register(loss: Loss) -> Loss:
        LOSSES[name] = loss
        return loss

    return register


def find_loss(name: str) -> Loss:
    """The registered distillation loss of that name. Raises MtkdError if there is none."""
    if name not in LOSSES:
        raise MtkdError(f"unknown distillation loss {name!r}; expected one of {', '.join(LOSSES)}")
    return LOSSES[name]


@distillation_loss("cross-entropy")
def weighted_losses(
    outputs: Tensor, batch: Batch, spec: HeadSpec, settings: Distillation, done: float = 0.0
) -> Tensor:
    """w * hard loss + (1 - w) * soft loss, w = `hard_weight`. KD paper, section 3: w = 0.5."""
    return weighted(outputs, batch, spec, settings.temperature, settings.hard_weight)


@distillation_loss("annealed")
def annealed_losses(
    outputs: Tensor, batch: Batch, spec: HeadSpec, settings: Distillation, done: float
) -> Tensor:
    """Teacher annealing: as above with w from 0 to 1 over training. BAM (1907.04829), section 2."""
    return weighted(outputs, batch, spec, settings.temperature, done)


@distillation_loss("mixed-targets")
def mixed_targets(
    outputs: Tensor, batch: Batch, spec: HeadSpec, settings: Distillation, done: float = 0.0
) -> Tensor:
    """One loss against w * one-hot label + (1 - w) * soft target. Hinton et al. 2015, section 2."""
    weight, temperature = settings.hard_weight, settings.temperature
    objective = objective_of(spec)
    classes = objective in ("classification", "multilabel")
    if batch.labels is None or weight == 1 or not classes:
        return weighted(outputs, batch, spec, temperature, weight)
    assert batch.soft is not None  # a distillation loss is asked only where there are
    mixed = losses.mixed_targets(batch.labels, batch.soft, weight, class_weights(spec, outputs))
    loss = losses.several_loss if objective == "multilabel" else losses.soft_loss
    return loss(outputs, mixed, temperature)


def batch_loss(
    outputs: Tensor,
    batch: Batch,
    spec: HeadSpec,
    distillation: Distillation | None = None,
    done: float = 0.0,
) -> Tensor:
    """Loss of one batch: on its labels where it has no soft targets or no one asks for them."""
    if distillation is None or batch.soft is None:
        return label_loss(outputs, batch, spec)
    return find_loss(distillation.loss)(outputs, batch, spec, distillation, done)


def weighted(
    outputs: Tensor, batch: Batch, spec: HeadSpec, temperature: float, weight: float
) -> Tensor:
    """Hard and soft loss by the labels' weight; what has no weight, or no labels, is left out."""
    if batch.labels is None or weight == 0:
        return teacher_loss(outputs, batch, spec, temperature)
    if weight == 1:
        return label_loss(outputs, batch, spec)
    soft = teacher_loss(outputs, batch, spec, temperature)
    return losses.mixed_loss(label_loss(outputs, batch, spec), soft, weight)


def label_loss(outputs: Tensor, batch: Batch, spec: HeadSpec) -> Tensor:
    """The task's loss against its labels. MT-DNN Eq. 6 to 8; a sigmoid for each of several."""
    objective, labels = objective_of(spec), batch.labels
    if labels is None:
        raise MtkdError(f"{batch.task}: no labels and no soft targets; training needs one of them")
    if objective == "regression":
        return losses.regression_loss(outputs, labels, width(spec))
    if objective == "ranking":
        return losses.ranking_loss(outputs, in_group((labels == 0).float(), batch), batch.groups)
    if objective == "multilabel":
        return losses.several_loss(outputs, labels)
    return losses.hard_loss(outputs, labels, class_weights(spec, outputs))


def teacher_loss(outputs: Tensor, batch: Batch, spec: HeadSpec, temperature: float) -> Tensor:
    """The task's loss against the soft targets. KD paper, section 3."""
    objective, soft = objective_of(spec), batch.soft
    assert soft is not None  # a distillation loss is asked only where there are
    if objective == "regression":
        return losses.regression_loss(outputs, soft[:, 0], width(spec))
    if objective == "ranking":
        return losses.ranking_loss(outputs, in_group(soft[:, 0], batch), batch.groups)
    if objective == "multilabel":
        return losses.several_loss(outputs, soft, temperature)
    return losses.soft_loss(outputs, soft, temperature)


def class_weights(spec: HeadSpec, outputs: Tensor) -> Tensor | None:
    """Weights (C,) of the classes in the label loss; None where all count the same."""
    weights = spec.options.get("weights")
    return None if weights is None else outputs.new_tensor(weights)


def width(spec: HeadSpec) -> float:
    """Width of the range of a regression's scores; 1 where it has none."""
    low, high = spec.options.get("range") or (0.0, 1.0)
    return high - low


def in_group(target: Tensor, batch: Batch) -> Tensor:
    """Targets (B,) that sum to one over each question's candidates."""
    mass = target.new_zeros(len(target)).index_add(0, batch.groups, target)
    return target / mass[batch.groups]
