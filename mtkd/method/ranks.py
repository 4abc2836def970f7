"""Several processes that train one model together: all compute, the first alone writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def first_writes(write: Callable[[], object]) -> None:
    """Have the first process write; the others go on when it has. Alone, it is a plain call."""
    together = dist.is_available() and dist.is_initialized()
    if not together or dist.get_rank() == 0:
        write()
    if together:
        dist.barrier()


def gathered(found: Tensor, own: slice, rows: int) -> Tensor:
    """Outputs (rows, C) of all processes, whose own rows are the first of `found`.

    A loss of them is the whole batch's, whatever it is; its gradients reach own rows alone, and
    add up over the processes.
    """
    mine = found[: own.stop - own.start]
    whole = found.new_zeros((rows, *found.shape[1:]))
    whole[own] = mine.detach()
    dist.all_reduce(whole)
    return torch.cat([whole[: own.start], mine, whole[own.stop :]])


class WholeDraws(TorchDispatchMode):
    """Random numbers for its `own` rows of a batch as they are drawn for all `rows`.

    All processes with one seed, each in this block with rows of its own, have the dropout of one
    process alone. For a CPU: a GPU's attention draws where nobody can look.
    """

    def __init__(self, own: slice, rows: int) -> None:
        super().__init__()
        self.own, self.count, self.rows = own, own.stop - own.start, rows

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        mine, *rest = args
        if isinstance(mine, Tensor):  # filled in place, as dropout's mask is
            if not func._schema.is_mutable or mine.shape[:1] != (self.count,):
                return func(*args, **kwargs)
            whole = func(mine.new_empty((self.rows, *mine.shape[1:])), *rest, **kwargs)
            return mine.copy_(whole[self.own])
        sizes = [self.whole(value) for value in args]  # made, as by torch.rand
        return func(*args, **kwargs) if sizes == list(args) else func(*sizes, **kwargs)[self.own]

    def whole(self, value: Any) -> Any:
        """A size of own rows as one of all rows; anything else as it is."""
        if isinstance(value, (list, tuple)) and list(value[:1]) == [self.count]:
            return [self.rows, *value[1:]]
        return value
