"""A model as one ONNX graph: the standard inputs, one pass of the encoder, all heads' outputs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtkd.common.errors import MtkdError, first_line
from mtkd.method.model import MultiTaskModel

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OPSET = 17
QUANTISED = {  # ways of int8, of which none is the best for every model and processor
    f"{kind}, per {'channel' if per_channel else 'tensor'}": (kind, per_channel)
    for kind in ("QInt8", "QUInt8")
    for per_channel in (False, True)
}


@dataclass(frozen=True)
class Template:
    """The special tokens that a tokenizer puts around a text and a pair of texts."""

    before: int  # in front of the first text
    between: tuple[int, ...]  # ids of those between two texts
    after_one: int  # behind a text alone
    after_two: int  # behind the second text

    @classmethod
    def of(cls, tokenizer: Any) -> Template:
        """That of a fast tokenizer."""
        one, two = (tokenizer(*texts).encodings[0] for texts in ((["a"],), (["a"], ["a"])))
        first = [place for place, text in enumerate(two.sequence_ids) if text == 0]
        second = [place for place, text in enumerate(two.sequence_ids) if text == 1]
        return cls(
            before=first[0],
            between=tuple(two.ids[first[-1] + 1 : second[0]]),
            after_one=len(one.ids) - first[-1] - 1,
            after_two=len(two.ids) - second[-1] - 1,
        )


class Graph(nn.Module):
    """What is exported: `MultiTaskModel` with the inputs that a tokenizer gives.

    The first text begins after the special tokens in front, and ends where those between two texts
    begin: in front of token type 1, or, for an encoder that has no types, at their ids.
    """

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model, self.template = model, Template.of(model.own_tokenizer)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, ...]:
        """Outputs (B, C) of each head for tokens, mask and token types (B, T), padded right."""
        segments = self.segments(input_ids, attention_mask, token_type_ids)
        states = self.model.states(input_ids, segments)
        return tuple(self.model.outputs(task, states, segments) for task in self.model.specs)

    def segments(self, tokens: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """-1 padding, 0 special token, 1 first text, 2 second text, (B, T), as in training."""
        template, between = self.template, len(self.template.between)
        lengths = mask.sum(1, keepdim=True)
        places = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        alone = lengths - template.after_one  # where the first text ends if there is no second
        if not self.model.uses_token_types:
            alone = torch.minimum(alone, before_first(self.separators(tokens)))
        typed = types == 1
        end = torch.where(typed.any(1, keepdim=True), before_first(typed) - between, alone)
        first = (places >= template.before) & (places < end)
        second = (places >= end + between) & (places < lengths - template.after_two)
        return torch.where(mask == 0, -1, first.int() + 2 * second.int())

    def separators(self, tokens: Tensor) -> Tensor:
        """Where the special tokens between two texts begin, bool (B, T)."""
        between, length = self.template.between, tokens.shape[1]
        padded = nn.functional.pad(tokens, (0, len(between) - 1), value=-1)
        return torch.stack(
            [padded[:, place : place + length] == one for place, one in enumerate(between)]
        ).all(0)


def before_first(found: Tensor) -> Tensor:
    """How many places are before the first True of each row (B, T): (B, 1), T where none is."""
    return (found.int().cumsum(1) == 0).sum(1, keepdim=True)


def write_graph(model: MultiTaskModel, path: Path) -> None:
    """Write a model's ONNX graph in fp32: outputs `<task>_logits`, any batch and length.

    Outputs are those of the heads, not divided by a task's temperature. Raises MtkdError where
    torch cannot export the encoder or a head.
    """
    graph, device = Graph(model.eval()), next(model.parameters()).device
    encodings = model.own_tokenizer(["a b c", "a"], ["a", "a"], padding=True, return_tensors="pt")
    example = {name: torch.zeros_like(encodings["input_ids"]) for name in INPUTS} | dict(encodings)
    outputs = [f"{task}_logits" for task in model.specs]
    axes = {name: {0: "batch", 1: "length"} for name in INPUTS} | {o: {0: "batch"} for o in outputs}
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with torch.inference_mode(), quiet():
            # torch's newer exporter (dynamo=True) gives the same answers, twenty times slower.
            torch.onnx.export(
                graph,
                tuple(example[name].to(device) for name in INPUTS),
                path,
                dynamo=False,
                input_names=list(INPUTS),
                output_names=outputs,
                dynamic_axes=axes,
                opset_version=OPSET,
            )
    except (RuntimeError, TypeError, ValueError, torch.onnx.OnnxExporterError) as error:
        reason = first_line(error)
        raise MtkdError(
            f"{model.encoder.config.model_type}: torch cannot write this encoder or one of its "
            f"heads ({', '.join(s.kind for s in model.specs.values())}) as ONNX: {reason}"
        ) from error


def write_int8(graph: Path, path: Path, way: str) -> None:
    """Write a graph with weights in 8 bits, in one of the ways of `QUANTISED`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kind, per_channel = QUANTISED[way]
    with quiet():
        quantize_dynamic(graph, path, weight_type=QuantType[kind], per_channel=per_channel)


@contextmanager
def quiet() -> Iterator[None]:
    """Without advice that is for those who write exporters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
