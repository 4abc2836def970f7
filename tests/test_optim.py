"""The kit's Adamax beside torch's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtkd import optim
from mtkd.optim import Adamax

SHAPES = ((3, 5), (7,), (40, 10), (2,), (6, 2), (1, 300))
GROUPS = (slice(0, 3), slice(3, 5), slice(5, 6))
STEPS = 50


@pytest.fixture(autouse=True)
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds of buffer, and several blocks in each."""
    monkeypatch.setattr(optim, "LARGE", 300)
    monkeypatch.setattr(optim, "BLOCK", 64)


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def gradients(step: int, absent: bool) -> list[Tensor | None]:
    """The second group has gradients in every third step; with `absent` one of its two more."""
    generator = torch.Generator().manual_seed(step)
    found: list[Tensor | None] = [torch.randn(shape, generator=generator) for shape in SHAPES]
    if step % 3:
        found[3:5] = [None, None if step % 2 or not absent else found[4]]
    return found


def give(members: list[nn.Parameter], grads: list[Tensor | None]) -> None:
    for p, grad in zip(members, grads, strict=True):
        p.grad = None if grad is None else grad.clone()


@pytest.mark.parametrize("absent", [False, True])
def test_fifty_steps_are_those_of_torch(absent: bool) -> None:
    mine, theirs = parameters(), parameters()
    optimizer = Adamax([mine[group] for group in GROUPS])
    reference = torch.optim.Adamax(theirs, lr=1.0)
    for step in range(STEPS):
        rate = 0.01 * (1 + np.sin(step))
        give(mine, gradients(step, absent))
        give(theirs, gradients(step, absent))
        optimizer.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.step()
        optimizer.zero_grad()
        assert all(p.grad is None for p in mine)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    # Torch's own moments, too: the count of a parameter is that of its gradients.
    state = optimizer.state()
    for number, p in enumerate(theirs):
        assert state[f"{number}.step"] == reference.state[p]["step"]
        torch.testing.assert_close(state[f"{number}.exp_inf"], reference.state[p]["exp_inf"])


@pytest.mark.parametrize("absent", [False, True])
def test_a_saved_state_goes_on_as_if_never_stopped(absent: bool, tmp_path: Path) -> None:
    whole = parameters()
    optimizer = Adamax([whole[group] for group in GROUPS])
    for step in range(STEPS):
        if step == 20:
            save_file(optimizer.state(), tmp_path / "state.safetensors")
            save_file(
                {str(n): p.data for n, p in enumerate(whole)}, tmp_path / "weights.safetensors"
            )
        give(whole, gradients(step, absent))
        optimizer.step(0.01)
    again = parameters()
    optimizer = Adamax([again[group] for group in GROUPS])
    for name, value in load_file(tmp_path / "weights.safetensors").items():
        again[int(name)].data.copy_(value)
    optimizer.load_state(load_file(tmp_path / "state.safetensors"))
    for step in range(20, STEPS):
        give(again, gradients(step, absent))
        optimizer.step(0.01)
    for one, other in zip(whole, again, strict=True):
        assert torch.equal(one, other)
