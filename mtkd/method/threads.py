"""How many of torch's threads a model is worth: more of them slow a small model down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# Weights of the matrices that a token passes, from which a second thread gains time: two layers
# of width 128 have 390,000 and train up to 1.4 times as fast with it, of width 64 no faster. Where
# another process wants that core, a step takes ten times as long or more.
WORTH_THREADS = 300_000


def best_threads(model: nn.Module) -> int:
    """Threads that are fastest for a model: one for a small one, else all that torch may use.

    torch.get_num_threads(), which OMP_NUM_THREADS decides, is never exceeded.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    weights = sum(p.numel() for p in model.parameters() if p.ndim > 1 and id(p) not in embeddings)
    return torch.get_num_threads() if weights >= WORTH_THREADS else 1


@contextmanager
def fast_threads(model: nn.Module) -> Iterator[None]:
    """`best_threads` inside the block; torch's own setting after it, error or not."""
    before = torch.get_num_threads()
    torch.set_num_threads(best_threads(model))
    try:
        yield
    finally:
        torch.set_num_threads(before)
