"""The kit's Adamax beside torch's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtkd.method import optim
from mtkd.method.optim import Adamax

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


@pytest.mark.parametrize("clip", [1e9, 0.5])
@pytest.mark.parametrize(("total", "apart"), [(50, 1e-6), (400, 1e-5)])
def test_rows_wait_until_they_are_read(total: int, apart: float, clip: float) -> None:
    """In every step what is read is as torch has it; 400 steps are longer than the window.

    Some rows are read often, some once, some never. The difference is fp32 rounding of weights up
    to 4, which adds up over the steps; see the next test for whose it is.
    """
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    mine = nn.Embedding(50, 6, sparse=True)
    theirs = nn.Embedding(50, 6)
    theirs.load_state_dict(mine.state_dict())
    side = [nn.Parameter(torch.ones(4)) for _ in range(2)]
    optimizer = Adamax([[mine.weight, side[0]]], mine.weight)
    reference = torch.optim.Adamax([theirs.weight, side[1]], lr=1.0)
    start = mine.weight.detach().clone()
    for step in range(total):
        rate = 0.01 * (1 + np.sin(step))
        tokens = torch.from_numpy(rng.zipf(1.3, (3, 5)).clip(1, 45) - 1)
        if step == 17:
            tokens[0, 0] = 46  # once, and then not to the end
        target = torch.from_numpy(rng.normal(size=(3, 5, 6)).astype(np.float32))
        optimizer.catch_up(tokens)
        torch.testing.assert_close(mine(tokens), theirs(tokens), rtol=0, atol=apart)
        for embedding, other in ((mine, side[0]), (theirs, side[1])):
            loss = ((embedding(tokens) - target) ** 2).sum() + (other**2).sum()
            loss.backward()
        optimizer.clip(clip)
        nn.utils.clip_grad_norm_([theirs.weight, side[1]], clip)
        optimizer.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.step()
        optimizer.zero_grad()
        reference.zero_grad()
    optimizer.catch_up()
    torch.testing.assert_close(mine.weight, theirs.weight, rtol=0, atol=apart)
    torch.testing.assert_close(side[0], side[1], rtol=0, atol=1e-6)
    assert torch.equal(mine.weight[49], start[49])  # never read
    state = optimizer.state()
    found = reference.state[theirs.weight]
    torch.testing.assert_close(state["0.exp_avg"], found["exp_avg"], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(state["0.exp_inf"], found["exp_inf"], rtol=1e-4, atol=1e-7)


def test_rows_that_waited_are_as_near_to_fp64_as_torch_s() -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    mine, theirs = nn.Embedding(50, 6, sparse=True), nn.Embedding(50, 6)
    exact = nn.Embedding(50, 6, dtype=torch.float64)
    for embedding in (theirs, exact):
        embedding.load_state_dict(mine.state_dict())
    optimizer = Adamax([[mine.weight]], mine.weight)
    references = [torch.optim.Adamax([each.weight], lr=0.01) for each in (theirs, exact)]
    for _ in range(400):
        tokens = torch.from_numpy(rng.zipf(1.3, (3, 5)).clip(1, 45) - 1)
        target = torch.from_numpy(rng.normal(size=(3, 5, 6)))
        optimizer.catch_up(tokens)
        for embedding in (mine, theirs, exact):
            embedding.zero_grad()
            ((embedding(tokens) - target.to(embedding.weight.dtype)) ** 2).sum().backward()
        optimizer.step(0.01)
        for reference in references:
            reference.step()
    optimizer.catch_up()
    errors = [float((e.weight - exact.weight).abs().max().detach()) for e in (mine, theirs)]
    assert errors[0] < 1.5 * errors[1] < 1e-5
