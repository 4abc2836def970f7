"""Outputs of all heads on raw texts, from one pass of the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mtkd.method.threads import fast_threads

if TYPE_CHECKING:
    from mtkd.data.answers import Rows
    from mtkd.method.model import MultiTaskModel

BATCH = 32  # texts of similar length that pass together


@torch.inference_mode()
def text_outputs(model: MultiTaskModel, rows: Rows, tasks: list[str]) -> dict[str, np.ndarray]:
    """Outputs float32 (N, C) of some heads for texts, all single or all pairs.

    Texts longer than the model reads are cut, the longer one of a pair first.
    """
    model.eval()
    device = next(model.parameters()).device
    firsts, seconds = [row[0] for row in rows], [row[1] for row in rows if len(row) == 2]
    cut = {"truncation": "longest_first", "max_length": model.max_length}
    encodings = model.own_tokenizer(firsts, seconds or None, **cut).encodings
    order = np.argsort([len(row.ids) for row in encodings], kind="stable")
    found: dict[str, list[np.ndarray]] = {task: [] for task in tasks}
    with fast_threads(model):
        for start in range(0, len(order), BATCH):
            batch = [encodings[place] for place in order[start : start + BATCH]]
            tokens, segments = (part.to(device) for part in padded(batch, model.pad))
            states = model.states(tokens, segments)
            for task, parts in found.items():
                parts.append(model.outputs(task, states, segments).cpu().numpy())
    back = np.argsort(order)
    return {task: np.concatenate(parts)[back] for task, parts in found.items()}


def padded(encodings: list[Any], pad: int) -> tuple[Tensor, Tensor]:
    """Tokens int64 and segments int8 of a batch, as `mtkd.data.batches.pad_rows` gives them."""
    shape = (len(encodings), max(len(row.ids) for row in encodings))
    tokens, segments = np.full(shape, pad, np.int64), np.full(shape, -1, np.int8)
    for place, row in enumerate(encodings):
        tokens[place, : len(row.ids)] = row.ids
        texts = row.sequence_ids  # None for a special token, else 0 or 1
        segments[place, : len(row.ids)] = [0 if text is None else text + 1 for text in texts]
    return torch.from_numpy(tokens), torch.from_numpy(segments)
