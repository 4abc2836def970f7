"""Adamax with small parameters side by side: the very numbers of `torch.optim.Adamax`, sooner.

A model has many small parameters, and calling an operation for each costs more than the
arithmetic. Here those of one module lie in one buffer. On a CPU a buffer is updated in blocks that
stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)  # torch's defaults, as the epsilon
EPSILON = 1e-8
LARGE = 1 << 16  # elements from which a parameter has a buffer of its own
BLOCK = 1 << 15  # elements updated at a time on a CPU: four times 128 KiB


class Adamax:
    """Kingma and Ba 2015, Algorithm 2. Parameters without a gradient are left as they are.

    `groups` are lists of parameters that mostly have gradients together: a module each. Small
    ones are moved into a common buffer, of which they are views from then on.
    """

    def __init__(self, groups: Iterable[Iterable[nn.Parameter]]) -> None:
        self.parameters: list[nn.Parameter] = []
        self.buffers: list[Buffer] = []
        for group in groups:
            members = list(group)
            self.parameters += members
            small = [p for p in members if p.numel() < LARGE]
            alone = [[p] for p in members if p.numel() >= LARGE]
            self.buffers += [Buffer(some) for some in (small, *alone) if some]

    def step(self, learning_rate: float) -> None:
        """theta -= lr / (1 - beta1^t) m / u, for every parameter that has a gradient."""
        for buffer in list(self.buffers):
            absent = sum(p.grad is None for p in buffer.parameters)
            if 0 < absent < len(buffer.parameters):  # from now on each has a count of its own
                at = self.buffers.index(buffer)
                self.buffers[at : at + 1] = apart = buffer.apart()
                for single in apart:
                    single.step(learning_rate)
            else:
                buffer.step(learning_rate)

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    def state(self) -> dict[str, Tensor]:
        """Copies of the moments and counts, "<number of the parameter>.<name>"."""
        numbers = {id(p): number for number, p in enumerate(self.parameters)}
        found = {}
        for buffer in self.buffers:
            for p, _, mean, peak in buffer.parts():
                if buffer.steps:
                    key = numbers[id(p)]
                    found[f"{key}.step"] = torch.tensor(float(buffer.steps))
                    found[f"{key}.exp_avg"] = mean.clone().view_as(p)
                    found[f"{key}.exp_inf"] = peak.clone().view_as(p)
        return found

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state` of the same model."""
        numbers = {id(p): number for number, p in enumerate(self.parameters)}
        loaded = []
        for buffer in self.buffers:
            steps = {
                int(state.get(f"{numbers[id(p)]}.step", torch.zeros(()))) for p in buffer.parameters
            }
            loaded += [buffer] if len(steps) == 1 else buffer.apart()
        self.buffers = loaded
        for buffer in self.buffers:
            for p, _, mean, peak in buffer.parts():
                key = numbers[id(p)]
                if f"{key}.step" in state:
                    buffer.steps = int(state[f"{key}.step"])
                    mean.copy_(state[f"{key}.exp_avg"].view(-1))
                    peak.copy_(state[f"{key}.exp_inf"].view(-1))


class Buffer:
    """Some parameters that have gradients together, side by side, with their moments."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.sizes = [p.numel() for p in self.parameters]
        self.values = torch.cat([p.data.reshape(-1) for p in self.parameters])
        for p, part in zip(self.parameters, self.values.split(self.sizes), strict=True):
            p.data = part.view_as(p)
        self.mean = torch.zeros_like(self.values)  # m: decaying mean of the gradients
        self.peak = torch.zeros_like(self.values)  # u: decaying largest size of a gradient
        self.steps = 0

    def step(self, learning_rate: float) -> None:
        grads = [p.grad.reshape(-1) for p in self.parameters if p.grad is not None]
        if not grads:
            return
        self.steps += 1
        grad = grads[0] if len(grads) == 1 else torch.cat(grads)
        rate = learning_rate / (1 - BETAS[0] ** self.steps)
        size = BLOCK if grad.device.type == "cpu" else len(grad)
        blocks = (tensor.split(size) for tensor in (self.values, grad, self.mean, self.peak))
        for value, g, mean, peak in zip(*blocks, strict=True):
            mean.lerp_(g, 1 - BETAS[0])
            torch.maximum(peak.mul_(BETAS[1]), g.abs_().add_(EPSILON), out=peak)
            value.addcdiv_(mean, peak, value=-rate)

    def parts(self) -> Iterable[tuple[nn.Parameter, Tensor, Tensor, Tensor]]:
        """Each parameter with its values, mean and peak."""
        tensors = (self.values, self.mean, self.peak)
        return zip(self.parameters, *(tensor.split(self.sizes) for tensor in tensors), strict=True)

    def apart(self) -> list[Buffer]:
        """The same, one parameter to a buffer."""
        found = []
        for p, _, mean, peak in self.parts():
            single = Buffer([p])
            single.mean.copy_(mean)
            single.peak.copy_(peak)
            single.steps = self.steps
            found.append(single)
        return found
