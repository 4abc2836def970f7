"""One task as an ordinary sequence classifier of transformers, so that `pipeline` answers it.

Such a classifier puts a hidden layer, activation(W h + b), between the state h of the first token
and its output layer; the kit's linear head has none. So the hidden layer is made to pass h on, and
the output layer to undo what that costs. Where the activation has a slope at zero (tanh 1, gelu
1/2), W = s I with s = 2^-40: of a state below 2^15 its curvature changes less than fp32 rounds
(tanh x = x - x^3 / 3, gelu x = x / 2 + 0.4 x^2), and a power of two costs no digit. Relu has none:
there W = I, and b = 64 raises states above zero, for six of fp32's 24 binary digits.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from mtkd.method.encoders import quiet
from mtkd.method.model import MultiTaskModel

SMALL = 2.0**-40
PASSING = ((SMALL, 0.0, 1.0), (SMALL, 0.0, 0.5), (1.0, 64.0, 1.0))  # factor, shift, slope
PROBLEMS: dict[str, Any] = {
    "classification": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}
CLOSE = 1e-4  # difference of outputs, of large ones relative to them
UNIT = 2.0**12  # of the states that a head is probed with: a large bias then hides no weight
AFFINE = 1e-5  # of the largest output


def write_classifier(model: MultiTaskModel, task: str, folder: Path) -> str:
    """Write one task as an `AutoModelForSequenceClassification` with its tokenizer.

    The task's temperature is in its weights, so that scores are calibrated. Where the head or the
    encoder's classifier does not allow it nothing is written, and the reason returned, else "".
    """
    told = model.described()[task]
    affine = as_affine(model.heads[task], model.encoder.config.hidden_size)
    if affine is None or told["objective"] not in PROBLEMS:
        return f"a head {told['head']['kind']!r} is no linear layer on the first token"
    weight, bias = (part / told["temperature"] for part in affine)
    labels = told["head"]["labels"] or [task]
    config = copy.deepcopy(model.encoder.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: place for place, label in enumerate(labels)}
    config.problem_type = PROBLEMS[told["objective"]]
    found, layers = empty_classifier(config, model.encoder)
    if found is None:
        return (
            f"transformers' classifier for {config.model_type} is not a hidden and a linear layer"
        )
    inputs = model.own_tokenizer(["a", "a b c"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = found.base_model(**inputs).last_hidden_state[:, 0]
        wanted = states.double() @ weight.T + bias
        for factor, shift, slope in PASSING:
            pass_on(layers[0], layers[1], weight, bias, factor, shift, slope)
            far = (found(**inputs).logits - wanted).abs() / wanted.abs().clamp(min=1)
            if far.max() < CLOSE:
                with quiet():
                    found.save_pretrained(folder)
                model.own_tokenizer.save_pretrained(folder)
                return ""
    return f"the hidden layer of transformers' classifier for {config.model_type} passes nothing on"


def as_affine(head: nn.Module, hidden: int) -> tuple[Tensor, Tensor] | None:
    """Weights (C, H) and bias (C,), float64, of a head that is affine in the first token's state.

    None for any other head.
    """
    head = copy.deepcopy(head).cpu().double().eval()
    segments = torch.tensor([[0, 1, 1, 0, 2, 0]])
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(4, segments.shape[1], hidden, dtype=torch.float64, generator=generator)
    units = torch.zeros(hidden + 1, segments.shape[1], hidden, dtype=torch.float64)
    units[1:, 0] = UNIT * torch.eye(hidden, dtype=torch.float64)
    with torch.inference_mode():
        found, bases = (head(x, segments.expand(len(x), -1)).double() for x in (states, units))
    bias, weight = bases[0], (bases[1:] - bases[0]).T / UNIT
    expected = states[:, 0] @ weight.T + bias
    far = (found - expected).abs().max()
    return (weight, bias) if far <= AFFINE * expected.abs().max() else None


def empty_classifier(
    config: transformers.PreTrainedConfig, encoder: nn.Module
) -> tuple[transformers.PreTrainedModel | None, list[nn.Linear]]:
    """A classifier on the encoder's weights, with its hidden and output layer.

    None where it has other layers.
    """
    kind = type(config)
    if kind not in transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        return None, []
    with torch.random.fork_rng(devices=[]):
        found = transformers.AutoModelForSequenceClassification.from_config(config).float().eval()
    # A pooler of the encoder's own is nothing that the kit's heads read.
    names = [name for name in encoder.state_dict() if not name.startswith("pooler.")]
    own = {f"{found.base_model_prefix}.{name}" for name in names}
    known = found.state_dict().keys()
    added = dict.fromkeys(name.rpartition(".")[0] for name in known if name not in own)
    layers = [found.get_submodule(name) for name in added]
    plain = [layer for layer in layers if isinstance(layer, nn.Linear) and layer.bias is not None]
    if len(plain) != 2 or len(layers) != 2 or not own <= known:
        return None, []
    found.base_model.load_state_dict(encoder.state_dict(), strict=False)
    return found, plain


def pass_on(
    hidden: nn.Linear,
    output: nn.Linear,
    weight: Tensor,
    bias: Tensor,
    factor: float,
    shift: float,
    slope: float,
) -> None:
    """Set both layers so that together they are `weight` and `bias` on the state."""
    hidden.weight.copy_(factor * torch.eye(len(hidden.weight)))
    hidden.bias.fill_(shift)
    output.weight.copy_(weight / (factor * slope))
    output.bias.copy_(bias - shift * weight.sum(1))
