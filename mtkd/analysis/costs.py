"""What a recipe costs on a GPU: hours and memory by stage, from token counts and a device's speed.

A step's floor is its matrix products at the device's speed plus the optimiser's memory traffic.
What a step really takes is the floor over the share of it that is reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import pandas as pd

from mtkd.analysis.paper import read_paper
from mtkd.common.errors import MtkdError
from mtkd.experiments.identities import train_size
from mtkd.experiments.plans import main_runs
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe
from mtkd.experiments.task_sets import present_tasks


@dataclass(frozen=True)
class Device:
    """What a device does, and how near to it a step comes."""

    title: str
    teraflops: float  # matrix products in bf16, a second
    terabytes: float  # of its memory, a second
    share: float  # of the floor's speed that a training step reaches
    source: str


DEVICES = {
    "h100": Device(
        "NVIDIA H100",
        teraflops=800,
        terabytes=3.0,
        share=0.5,
        source="bf16 products of large matrices and memory copies as commonly measured; half of "
        "the floor's speed is an aim and not measured by us",
    ),
}


@dataclass(frozen=True)
class Shape:
    """Size of an encoder."""

    layers: int
    hidden: int
    vocabulary: int
    positions: int = 512

    @property
    def weights(self) -> int:
        """Parameters of the layers' matrices, which all of the arithmetic is with."""
        return self.layers * 12 * self.hidden**2

    @property
    def parameters(self) -> int:
        return self.weights + (self.vocabulary + self.positions + 2) * self.hidden


KNOWN = {"bert-base": Shape(12, 768, 30_522), "bert-large": Shape(24, 1024, 30_522)}


@dataclass(frozen=True)
class StageCost:
    """Of all runs of a stage, all seeds."""

    stage: str
    runs: int
    train_hours: float
    predict_hours: float
    memory_gib: float  # of the largest step


def stage_costs(recipe: Recipe, device: Device) -> list[StageCost]:
    """Costs by stage; pre-training and reading the data are left out.

    Raises MtkdError for an encoder whose size is not known.
    """
    found: dict[str, list[StageCost]] = {}
    for run in main_runs(recipe):
        if run.stage in ("baselines", "mtdnn", "teachers", "distill"):
            found.setdefault(run.stage, []).append(run_cost(recipe, run, device))
    return [
        StageCost(
            stage,
            len(costs),
            sum(cost.train_hours for cost in costs),
            sum(cost.predict_hours for cost in costs),
            max(cost.memory_gib for cost in costs),
        )
        for stage, costs in found.items()
    ]


def run_cost(recipe: Recipe, run: Run, device: Device) -> StageCost:
    shape = shape_of(recipe, run.settings.get("encoder", recipe.encoder))
    tasks = present_tasks(recipe)
    batch = recipe.training.batch_size
    sizes = {task: train_size(recipe.data, task) for task in tasks}
    tokens = mean_tokens(sizes, recipe.max_length)
    steps = run.cost / batch
    train = steps * step_floor(shape, batch * tokens, device) / device.share
    seen = predicted(recipe, run, sizes)
    forward = 2 * shape.weights * seen * tokens / (device.teraflops * 1e12) / device.share
    return StageCost(run.stage, 1, train / 3600, forward / 3600, memory_gib(recipe, shape, tasks))


def step_floor(shape: Shape, tokens: float, device: Device) -> float:
    """Seconds of a step: 6 operations a weight and token; 7 fp32 arrays moved by Adamax."""
    products = 6 * shape.weights * tokens / (device.teraflops * 1e12)
    return products + 7 * 4 * shape.parameters / (device.terabytes * 1e12)


def predicted(recipe: Recipe, run: Run, sizes: dict[str, int]) -> float:
    """Examples that the run's models predict: dev after epochs, all test sets, and after
    fine-tuning the training examples, too.
    """
    dev, test = (sum(split_sizes(kind, sizes)) for kind in ("dev", "test"))
    models, tuned = 1.0, 0.0
    labelled = 0.0  # text that teachers label
    if run.stage == "teachers":
        models, tuned = 0.0, recipe.teachers.choose - (0 if recipe.data.pool else 0.5)
        taught = sum(sizes.get(task, 0) for task in recipe.teachers.tasks)
        labelled = recipe.data.pool * taught / recipe.data.share
    elif "finetuning" in run.settings:
        tuned = 1.0
    once = dev * (recipe.training.epochs / recipe.training.evaluate_every + 1) + test
    more = dev * (recipe.finetuning.epochs / recipe.finetuning.evaluate_every + 1) + test
    return models * once + tuned * (more + sum(sizes.values()) + labelled)


def split_sizes(kind: str, sizes: dict[str, int]) -> list[float]:
    """Examples of the tasks' dev or test sets, as the KD paper's Table 1 has them."""
    paper = read_paper()
    rows = paper[(paper["table"] == "kd-1") & (paper["metric"] == f"{kind}_size")]
    return [float(value) for value in rows.loc[rows["task"].isin(sizes), "value"]]


def mean_tokens(sizes: dict[str, int], longest: int) -> float:
    """Tokens of an example, mean over the tasks by their sizes; lengths from lengths.csv."""
    lengths = read_lengths()
    lengths["tokens"] = lengths["tokens"].clip(upper=longest)
    means = {
        task: float((rows["tokens"] * rows["rows"]).sum() / rows["rows"].sum())
        for task, rows in lengths.groupby("task")
    }
    return sum(size * means[task] for task, size in sizes.items()) / sum(sizes.values())


def read_lengths() -> pd.DataFrame:
    """How many of GLUE's examples have how many tokens: task, tokens, rows, source."""
    with (files("mtkd.analysis") / "lengths.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def memory_gib(recipe: Recipe, shape: Shape, tasks: tuple[str, ...]) -> float:
    """Of the largest step: weights, gradients and two moments in fp32, and activations.

    34 bytes a token, layer and unit of width in bf16 (Korthikanti et al. 2022, arXiv:2205.05198,
    Eq. 1, without the attention scores, which are not kept), for a batch as long as the longest.
    """
    lengths = read_lengths()
    longest = min(recipe.max_length, int(lengths.loc[lengths["task"].isin(tasks), "tokens"].max()))
    tokens = recipe.training.batch_size / recipe.training.accumulation * longest
    activations = 34 * tokens * shape.layers * shape.hidden
    if recipe.training.precision == "fp32":
        activations *= 2
    return (16 * shape.parameters + activations) / 2**30


def shape_of(recipe: Recipe, name: str) -> Shape:
    source = recipe.encoders[name]
    if source.pretrain:
        own = recipe.pretraining_of(name)
        return Shape(own.layers, own.hidden, own.vocabulary)
    for known, shape in KNOWN.items():
        if known in (source.hub or ""):
            return shape
    raise MtkdError(
        f"recipe {recipe.name}: size of encoder {name!r} is not known; costs are there for "
        f"{', '.join(KNOWN)} and for encoders that are pre-trained here"
    )
