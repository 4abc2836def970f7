"""Checkpoints of a training: weights, optimiser state and history, safetensors and JSON alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtkd.common.errors import MtkdError, first_line
from mtkd.common.files import digest_of, remove, whole
from mtkd.common.objects import read_object, write_object


@dataclass
class History:
    """What happened, epoch by epoch; goes into the record as it is."""

    epochs: list[dict[str, Any]] = field(default_factory=list)  # loss, scores, seconds of each
    kept_epoch: int = 0  # from 1
    keep: str = "last"  # best | last

    @property
    def finite(self) -> bool:
        return all(np.isfinite(list(epoch["loss"].values())).all() for epoch in self.epochs)


def save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: History,
    best: Mapping[str, Tensor] | None,
    stamp: str,
) -> None:
    """Write the checkpoint of a finished epoch to `folder`, then drop those before it."""
    done = folder / f"epoch-{len(history.epochs):04d}"
    states = optimizer.state_dict()["state"]
    moments = {f"{i}.{key}": value for i, state in states.items() for key, value in state.items()}
    told = {"stamp": stamp, "epochs": history.epochs, "kept_epoch": history.kept_epoch}
    with whole(done) as part:
        part.mkdir()
        weights = {name: value.contiguous() for name, value in model.state_dict().items()}
        save_file(weights, part / "model.safetensors")
        save_file(moments, part / "optimizer.safetensors")
        if best is not None:
            save_file(dict(best), part / "best.safetensors")
        write_object(part / "history.json", told | {"files": digests(part)})
    for old in folder.iterdir():
        if old != done:
            remove(old)


def restore(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, history: History, stamp: str
) -> dict[str, Tensor] | None:
    """Load the newest checkpoint, if any, into model, optimiser and history; returns the best.

    One of another stamp, or that can not be read whole, is removed with a printed line.
    """
    found = sorted(folder.glob("epoch-????"))
    if not found:
        return None
    newest, device = found[-1], str(next(model.parameters()).device)
    try:
        told = read_object(newest / "history.json", "the checkpoint is of no use")
        if told["stamp"] != stamp:
            raise ValueError("made by other code or settings")
        if told["files"] != digests(newest):
            raise ValueError("a file has changed since it was written")
        epochs, kept_epoch = list(told["epochs"]), int(told["kept_epoch"])
        weights = load_file(newest / "model.safetensors", device=device)
        moments = load_file(newest / "optimizer.safetensors", device=device)
        best = newest / "best.safetensors"
        best_weights = load_file(best) if best.exists() else None
        for some in (weights, best_weights):
            if some is not None and shapes(some) != shapes(model.state_dict()):
                raise ValueError("weights of another model")
    except (MtkdError, OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        print(f"{newest}: removed, training starts anew ({first_line(error)})", flush=True)
        remove(folder)
        return None
    history.epochs, history.kept_epoch = epochs, kept_epoch
    model.load_state_dict(weights)
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        number, _, key = name.partition(".")
        states.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
    return best_weights


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of tensors in a folder, by name."""
    return {path.name: digest_of(path) for path in sorted(folder.glob("*.safetensors"))}


def shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}
