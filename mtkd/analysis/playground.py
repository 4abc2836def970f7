"""What soft targets would say at another temperature, by other teachers: nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mtkd.analysis.colours import BLUE
from mtkd.analysis.evaluations import Outputs, calibration
from mtkd.analysis.inspection import entropy
from mtkd.analysis.plotting import Plot, styled
from mtkd.analysis.systems import task_title
from mtkd.analysis.teacher_outputs import Heard, draw_reliability
from mtkd.common.errors import MtkdError
from mtkd.common.progress import headless
from mtkd.data.metrics import compute, task_score
from mtkd.method.losses import mixed_targets
from mtkd.method.targets import average

if TYPE_CHECKING:
    from ipywidgets import Widget

UNCLASSED = ("regression", "multilabel")  # kinds of tasks without one class for each example


@dataclass(frozen=True)
class SoftTargets:
    """What a student would be taught of a task's dev examples."""

    outputs: Outputs  # logarithms of the teachers' averaged probabilities
    targets: np.ndarray  # (N, C): those mixed with the labels

    @property
    def entropy(self) -> float:
        """Mean entropy of the targets as a fraction of its largest: 0 sure, 1 unsure."""
        return float(entropy(self.targets).mean())

    @property
    def score(self) -> float:
        """Dev score of the teachers' average, in points."""
        task = self.outputs.task
        return task_score(task, compute(task, self.outputs.values, self.outputs.label))


def mixed(
    heard: Sequence[Heard], temperature: float = 1.0, hard_weight: float = 0.0
) -> SoftTargets:
    """Average the teachers of one task at a temperature, and mix them with the labels.

    Targets are w * one-hot label + (1 - w) * mean over teachers of softmax(logits / T), with w the
    `hard_weight` from 0 to 1. Raises MtkdError without teachers, or for a task without classes.
    """
    if not heard:
        raise MtkdError("no teacher is chosen; expected at least one")
    first = heard[0].outputs
    if first.task.kind in UNCLASSED:
        raise MtkdError(f"{first.task.title}: expected a task with one class for each example")
    soft = average([one.outputs.values for one in heard], temperature=temperature)
    labels = torch.from_numpy(first.label.astype(np.int64))
    targets = mixed_targets(labels, torch.from_numpy(soft), hard_weight).numpy()
    logarithms = np.log(np.maximum(soft, np.finfo(np.float32).tiny))
    return SoftTargets(replace(first, values=logarithms), targets)


@styled
def targets_figure(shown: SoftTargets) -> Plot:
    """How sure the targets are, and whether the teachers are right as often as they are sure."""
    figure = Plot(figsize=(8, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    sure = shown.targets.max(axis=1)
    low = 1 / shown.targets.shape[1]
    left.hist(sure, bins=np.linspace(low, 1, 21), color=BLUE)
    left.set(xlim=(low, 1), xlabel="largest probability in the target", ylabel="dev examples")
    left.set_title(f"Targets: entropy {shown.entropy:.2f} (1: unsure)", loc="left")
    right.set(xlim=(low, 1), ylim=(0, 1))  # the same wherever the sliders are
    draw_reliability(right, shown.outputs)
    error, _ = calibration([shown.outputs])
    right.set_title(f"Score {shown.score:.1f}, calibration error {100 * error:.1f} %", loc="left")
    return figure


def play(heard: Sequence[Heard]) -> Widget | Plot | None:
    """Sliders for temperature, weight of the labels and choice of teachers, and what they change.

    Where nobody can move them, in a batch run, the figure of all teachers at T = 1. Nothing, and a
    line that says so, where no task has one class for each example.
    """
    by_task: dict[str, list[Heard]] = {}
    for one in heard:
        if one.outputs.task.kind not in UNCLASSED:
            by_task.setdefault(task_title(one.outputs.task.name), []).append(one)
    if not by_task:
        print("No task of these teachers has one class for each example.")
        return None
    if headless():
        return targets_figure(mixed(next(iter(by_task.values()))))
    from IPython.display import display
    from ipywidgets import (
        Dropdown,
        FloatLogSlider,
        FloatSlider,
        HBox,
        SelectMultiple,
        VBox,
        interactive_output,
    )

    names = list(dict.fromkeys(one.teacher for known in by_task.values() for one in known))
    task = Dropdown(options=list(by_task), description="task")
    teachers = SelectMultiple(options=names, value=names, description="teachers", rows=4)
    heat = FloatLogSlider(1.0, min=-1, max=1, base=10, step=0.05, description="temperature")
    weight = FloatSlider(0.0, min=0.0, max=1.0, step=0.05, description="labels' weight")

    def show(task: str, teachers: tuple[str, ...], temperature: float, hard_weight: float) -> None:
        chosen = [one for one in by_task[task] if one.teacher in teachers]
        if chosen:
            display(targets_figure(mixed(chosen, temperature, hard_weight)))
        else:
            print("choose at least one teacher")

    inputs = {"task": task, "teachers": teachers, "temperature": heat, "hard_weight": weight}
    return VBox([HBox([VBox([task, heat, weight]), teachers]), interactive_output(show, inputs)])
