"""Adamax as `torch.optim.Adamax` computes it, in less time.

A model has many small parameters, and calling an operation for each costs more than the
arithmetic: here those of one module lie in one buffer. On a CPU a buffer is updated in blocks that
stay in the cache. And of an embedding matrix, most of a small model, a step may update the rows
that its batch read and leave the others for later (`Rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)  # torch's defaults, as the epsilon
EPSILON = 1e-8
LARGE = 1 << 16  # elements from which a parameter has a buffer of its own
BLOCK = 1 << 15  # elements updated at a time on a CPU: four times 128 KiB
WINDOW = 300  # steps after which what is left of a gradient's mean, 0.9^300, is nothing


class Adamax:
    """Kingma and Ba 2015, Algorithm 2. Parameters without a gradient are left as they are.

    `groups` are lists of parameters that mostly have gradients together: a module each. Small
    ones are moved into a common buffer, of which they are views from then on. `embedding`, one of
    the parameters, has sparse gradients, and its rows are updated when they are read: call
    `catch_up` before.
    """

    def __init__(
        self, groups: Iterable[Iterable[nn.Parameter]], embedding: Tensor | None = None
    ) -> None:
        self.parameters: list[nn.Parameter] = []
        self.buffers: list[Buffer] = []
        self.rows = None if embedding is None else Rows(embedding)
        self.scale: Tensor | None = None  # of the gradients, to clip them
        for group in groups:
            members = list(group)
            self.parameters += members
            dense = [p for p in members if p is not embedding]
            small = [p for p in dense if p.numel() < LARGE]
            alone = [[p] for p in dense if p.numel() >= LARGE]
            self.buffers += [Buffer(some) for some in (small, *alone) if some]

    def catch_up(self, tokens: Tensor | None = None) -> None:
        """Make the embedding's rows of these tokens, or all, what they are by now."""
        if self.rows is not None:
            self.rows.catch_up(None if tokens is None else tokens.unique())

    def clip(self, largest: float) -> None:
        """Scale the next step's gradients to a global norm of `largest` at the most."""
        grads = [p.grad for p in self.parameters if p.grad is not None]
        dense = [g.coalesce().values() if g.is_sparse else g for g in grads]
        # torch takes the norms together by itself on a GPU, on a CPU only if told to.
        foreach = True if self.parameters[0].device.type == "cpu" else None
        norm = nn.utils.get_total_norm(dense, foreach=foreach)
        self.scale = (largest / (norm + 1e-6)).clamp(max=1.0)

    def step(self, learning_rate: float) -> None:
        """theta -= lr / (1 - beta1^t) m / u, for every parameter that has a gradient."""
        for buffer in list(self.buffers):
            absent = sum(p.grad is None for p in buffer.parameters)
            if 0 < absent < len(buffer.parameters):  # from now on each has a count of its own
                at = self.buffers.index(buffer)
                self.buffers[at : at + 1] = apart = buffer.apart()
                for single in apart:
                    single.step(learning_rate, self.scale)
            else:
                buffer.step(learning_rate, self.scale)
        if self.rows is not None:
            self.rows.step(learning_rate, self.scale)
        self.scale = None

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None

    def holders(self) -> list[Buffer | Rows]:
        return [*self.buffers, *([self.rows] if self.rows else [])]

    def state(self) -> dict[str, Tensor]:
        """Copies of the moments and counts, "<number of the parameter>.<name>"."""
        numbers = {id(p): number for number, p in enumerate(self.parameters)}
        found = {}
        self.catch_up()
        for buffer in self.holders():
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
        counts = [int(state.get(f"{n}.step", 0)) for n in range(len(self.parameters))]
        self.buffers = [
            part
            for buffer in self.buffers
            for part in (
                [buffer]
                if len({counts[numbers[id(p)]] for p in buffer.parameters}) == 1
                else buffer.apart()
            )
        ]
        for buffer in self.holders():
            for p, _, mean, peak in buffer.parts():
                key = numbers[id(p)]
                if f"{key}.step" in state:
                    buffer.go_on(counts[key])
                    mean.copy_(state[f"{key}.exp_avg"].view_as(mean))
                    peak.copy_(state[f"{key}.exp_inf"].view_as(peak))


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

    def step(self, learning_rate: float, scale: Tensor | None) -> None:
        grads = [p.grad.reshape(-1) for p in self.parameters if p.grad is not None]
        if not grads:
            return
        self.steps += 1
        grad = grads[0] if len(grads) == 1 else torch.cat(grads)
        rate = learning_rate / (1 - BETAS[0] ** self.steps)
        size = BLOCK if grad.device.type == "cpu" else len(grad)
        blocks = (tensor.split(size) for tensor in (self.values, grad, self.mean, self.peak))
        for value, g, mean, peak in zip(*blocks, strict=True):
            if scale is not None:
                g.mul_(scale)
            mean.lerp_(g, 1 - BETAS[0])
            torch.maximum(peak.mul_(BETAS[1]), g.abs_().add_(EPSILON), out=peak)
            value.addcdiv_(mean, peak, value=-rate)

    def go_on(self, steps: int) -> None:
        self.steps = steps

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


class Rows:
    """An embedding matrix whose rows are updated when a batch reads them.

    A row that no batch reads has gradient zero: k such steps leave beta1^k m and beta2^k u (not
    below epsilon, as in torch) and move the row by m/u times a sum over these steps, which is the
    same for all rows last updated at one step. So the sums are kept, and the rows wait.
    """

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.mean = torch.zeros_like(parameter.data)
        self.peak = torch.zeros_like(parameter.data)
        self.go_on(0)

    def go_on(self, steps: int) -> None:
        """All rows are as they are after so many steps."""
        self.steps = steps
        self.last = torch.full((len(self.parameter),), steps)  # step that a row was updated at
        # Entry s: sum over steps j > s of rate_j (beta1 / beta2)^(j - s)
        self.pending = np.zeros(max(1024, 2 * steps))

    def catch_up(self, rows: Tensor | None) -> None:
        rows = torch.arange(len(self.last)) if rows is None else rows
        rows = rows[self.last[rows] < self.steps]
        if not len(rows):
            return
        last = self.last[rows]
        missed = (self.steps - last).to(self.mean.dtype)[:, None]
        moved = torch.from_numpy(self.pending[last.numpy()]).to(self.mean.dtype)[:, None]
        mean, peak = self.mean[rows], self.peak[rows]
        ratio = torch.where(peak > 0, mean / peak, 0)
        self.parameter.data.index_add_(0, rows, ratio * moved, alpha=-1)
        self.mean[rows] = mean * BETAS[0] ** missed
        self.peak[rows] = (peak * BETAS[1] ** missed).clamp(min=EPSILON)
        self.last[rows] = self.steps

    def step(self, learning_rate: float, scale: Tensor | None) -> None:
        if self.parameter.grad is None:
            return
        grad = self.parameter.grad.coalesce()
        rows, values = grad.indices()[0], grad.values()
        self.catch_up(rows)
        self.steps += 1
        rate = learning_rate / (1 - BETAS[0] ** self.steps)
        values = values if scale is None else values * scale
        mean = self.mean[rows].lerp_(values, 1 - BETAS[0])
        peak = torch.maximum(self.peak[rows].mul_(BETAS[1]), values.abs().add_(EPSILON))
        self.parameter.data.index_add_(0, rows, mean / peak, alpha=-rate)
        self.mean[rows], self.peak[rows] = mean, peak
        self.last[rows] = self.steps
        if self.steps >= len(self.pending):
            self.pending = np.concatenate([self.pending, np.zeros_like(self.pending)])
        first = max(0, self.steps - WINDOW)
        after = np.arange(self.steps - first, 0, -1)
        self.pending[first : self.steps] += rate * (BETAS[0] / BETAS[1]) ** after

    def parts(self) -> Iterable[tuple[Tensor, Tensor, Tensor, Tensor]]:
        return [(self.parameter, self.parameter.data, self.mean, self.peak)]
