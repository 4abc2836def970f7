"""Dropout on a CPU in a third of torch's time: sixteen random bits an element, drawn in bulk."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

BITS = "mtkd_bits"  # name of `attention` in transformers
LEVELS = 1 << 16  # the share of dropped elements is rounded to one of so many


def drop(x: Tensor, share: float) -> Tensor:
    """`x` with a share of its elements zero at random and the others divided by 1 - share.

    From torch's generator, as its own dropout: `torch.manual_seed` decides the elements. That one
    draws a number for every element on a CPU; here four share one draw.
    """
    count = x.numel()
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
    kept = drawn.view(torch.int16)[:count] >= round(share * LEVELS) - LEVELS // 2
    return x * kept.to(x.dtype).mul_(1 / (1 - share)).view(x.shape)


class Dropout(nn.Dropout):
    """torch's module with the masks of `drop`."""

    def forward(self, x: Tensor) -> Tensor:
        return drop(x, self.p) if self.training and 0 < self.p < 1 else super().forward(x)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """softmax(Q K^T scaling) V with the masks of `drop`; (B, heads, T, width) in.

    torch's own where nothing is dropped, or where a model asks for more than these arguments.
    `attention_mask` is true where a position may be looked at. Returns (B, T, heads, width). In
    bf16 it is torch's, too: that one takes the softmax in fp32.
    """
    asked = [name for name, given in options.items() if given is not None and given is not False]
    own = query.dtype == torch.float32 and key.shape == query.shape
    own = own and (attention_mask is None or attention_mask.dtype == torch.bool)
    causal = getattr(module, "is_causal", False)
    if not dropout or asked or not own or causal or scaling is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **options
        )
    scores = torch.matmul(query * scaling, key.transpose(2, 3))
    if attention_mask is not None:
        scores = scores.masked_fill(attention_mask.logical_not(), float("-inf"))
    weights = drop(torch.softmax(scores, -1), dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


AttentionInterface.register(BITS, attention)
AttentionMaskInterface.register(BITS, sdpa_mask)


def draw_masks(model: nn.Module, by: Literal["torch", "bits"]) -> None:
    """Let all dropout of a model be drawn by torch, or as `drop` does."""
    kinds, names = (nn.Dropout, Dropout), ("sdpa", BITS)
    (old, new), (before, after) = (kinds, names) if by == "bits" else (kinds[::-1], names[::-1])
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is old:
                setattr(module, name, new(child.p).train(child.training))
        if isinstance(module, PreTrainedModel) and module.config._attn_implementation == before:
            module.set_attn_implementation(after)
