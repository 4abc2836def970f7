"""What training costs on a GPU: hours and memory by stage, from a device's speed in print."""

from __future__ import annotations

from dataclasses import dataclass

from mtkd.common.errors import MtkdError
from mtkd.experiments.plans import main_runs
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe

TERAFLOPS = {"h100": 800}  # matrix products in bf16, a second
# The assumption: the share of that speed at which a training step's products are done. Batches of
# short sentences are small, and the optimiser takes as long as they do. Not measured.
UTILISATION = 0.25
# BERT's word pieces of an example, mean over the tasks by size, from benchmarks/lengths.csv.
TOKENS = 35
SIZES = {"bert-base": (12, 768), "bert-large": (24, 1024)}  # layers, width
VOCABULARY = 30_522


@dataclass(frozen=True)
class StageCost:
    """Of all runs of a stage, all seeds."""

    stage: str
    runs: int
    hours: float  # of training
    memory_gib: float  # of the largest step


def stage_costs(recipe: Recipe, device: str) -> list[StageCost]:
    """Costs of the main table by stage; pre-training, predictions and reading are left out.

    Raises MtkdError for a device or an encoder whose size is not known.
    """
    if device not in TERAFLOPS:
        raise MtkdError(f"--device {device!r}: expected one of {', '.join(TERAFLOPS)}")
    stages: dict[str, list[Run]] = {}
    for run in main_runs(recipe):
        if run.cost:
            stages.setdefault(run.stage, []).append(run)
    costs = []
    for stage, runs in stages.items():
        shapes = [shape(recipe, run.settings.get("encoder", recipe.encoder)) for run in runs]
        # 6 operations a weight and token: forward, and twice that backward.
        work = sum(
            6 * run.cost * TOKENS * weights(*size) for run, size in zip(runs, shapes, strict=True)
        )
        hours = work / (TERAFLOPS[device] * 1e12 * UTILISATION) / 3600
        memory = max(memory_gib(recipe, *size) for size in shapes)
        costs.append(StageCost(stage, len(runs), hours, memory))
    return costs


def weights(layers: int, hidden: int) -> int:
    """Parameters of the layers' matrices, which all of the arithmetic is with."""
    return layers * 12 * hidden**2


def memory_gib(recipe: Recipe, layers: int, hidden: int) -> float:
    """Weights, gradients, two moments in fp32; activations of the longest batch.

    34 bytes a token, layer and unit of width in bf16 (Korthikanti et al. 2022, arXiv:2205.05198,
    Eq. 1, without the attention scores, which are not kept).
    """
    tokens = recipe.training.batch_size / recipe.training.accumulation * recipe.max_length
    activations = 34 * tokens * layers * hidden * (1 if recipe.training.precision == "bf16" else 2)
    return (16 * (weights(layers, hidden) + VOCABULARY * hidden) + activations) / 2**30


def shape(recipe: Recipe, encoder: str) -> tuple[int, int]:
    """Layers and width of an encoder."""
    source = recipe.encoders[encoder]
    if source.pretrain:
        own = recipe.pretraining_of(encoder)
        return own.layers, own.hidden
    for known, size in SIZES.items():
        if known in (source.hub or ""):
            return size
    raise MtkdError(
        f"recipe {recipe.name}: size of encoder {encoder!r} is not known; costs are there for "
        f"{', '.join(SIZES)} and for encoders that are pre-trained here"
    )
