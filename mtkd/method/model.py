"""The multi-task network: one shared encoder, one head per task."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from mtkd.common.errors import MtkdError
from mtkd.common.files import whole
from mtkd.data.tasks import check_labels
from mtkd.method.heads import build_head
from mtkd.method.settings import HeadSpec

FORMAT = 1
# Bars of reading and writing weights, which take no time here, would fill the notebooks.
disable_progress_bar()
# What configurations call the rates of dropout on hidden states and on attention.
DROPOUT = (
    "hidden_dropout_prob",  # BERT, RoBERTa, DeBERTa, ELECTRA
    "attention_probs_dropout_prob",
    "dropout",  # DistilBERT
    "attention_dropout",
    "embedding_dropout",  # ModernBERT
    "mlp_dropout",
    "hidden_dropout",  # Funnel
)


class MultiTaskModel(nn.Module):
    """Shared layers (any Hugging Face encoder) and task-specific heads. MT-DNN Figure 1."""

    def __init__(self, encoder: PreTrainedModel, specs: Mapping[str, HeadSpec]) -> None:
        super().__init__()
        self.encoder = encoder
        self.specs = dict(specs)
        hidden = encoder.config.hidden_size
        self.heads = nn.ModuleDict({task: build_head(spec, hidden) for task, spec in specs.items()})
        self.uses_token_types = getattr(encoder.config, "type_vocab_size", 0) > 1

    def forward(self, task: str, tokens: Tensor, segments: Tensor) -> Tensor:
        """Outputs (B, C) of one task's head for tokens (B, T) and segments (B, T)."""
        inputs = {"input_ids": tokens, "attention_mask": (segments >= 0).long()}
        if self.uses_token_types:
            inputs["token_type_ids"] = (segments == 2).int().cummax(1).values.long()
        states = self.encoder(**inputs).last_hidden_state
        return self.heads[task](states, segments).float()

    def save_pretrained(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write encoder, tokenizer and all heads to `folder`, whole or not at all."""
        described = {task: spec.as_dict() for task, spec in self.specs.items()}
        text = json.dumps({"format": FORMAT, "heads": described}, indent=2)
        heads = {name: value.contiguous() for name, value in self.heads.state_dict().items()}
        with whole(folder) as part:
            part.mkdir()
            self.encoder.save_pretrained(part / "encoder")
            tokenizer.save_pretrained(part / "encoder")
            save_file(heads, part / "heads.safetensors")
            (part / "mtkd.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: Path, dropout: float | None = None) -> MultiTaskModel:
        """Model with every head it was saved with; `dropout` sets the shared layers' rate.

        Raises MtkdError if it is not whole, or a task's head has other labels than the task.
        """
        specs = read_specs(folder)
        for task, spec in specs.items():
            check_labels(task, spec.labels, f"{folder}/mtkd.json")
        model = cls(load_encoder(str(folder / "encoder"), dropout=dropout), specs)
        try:
            model.heads.load_state_dict(load_file(folder / "heads.safetensors"))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise MtkdError(
                f"{folder}/heads.safetensors: missing, cut short or of another model ({reason}); "
                "train the model again"
            ) from error
        return model


def read_specs(folder: Path) -> dict[str, HeadSpec]:
    """Head specifications of a saved model, by task."""
    try:
        saved = json.loads((folder / "mtkd.json").read_text())
    except FileNotFoundError:
        raise MtkdError(
            f"{folder}: no saved mtkd model there (mtkd.json is missing); run the stage that "
            "makes it, or give another folder"
        ) from None
    except json.JSONDecodeError as error:
        raise MtkdError(
            f"{folder}/mtkd.json:{error.lineno}: not valid JSON; train it again"
        ) from None
    if saved.get("format") != FORMAT:
        raise MtkdError(
            f"{folder}/mtkd.json: format {saved.get('format')!r}, this version reads {FORMAT}; "
            "train the model again"
        )
    return {
        task: HeadSpec(**{**spec, "labels": tuple(spec["labels"])})
        for task, spec in saved["heads"].items()
    }


def load_encoder(
    name: str,
    *,
    revision: str | None = None,
    dropout: float | None = None,
    layers: int | None = None,
) -> PreTrainedModel:
    """Pre-trained encoder from a folder or the hub, without pooler, in fp32.

    `dropout` is the rate on the shared layers, hidden states and attention alike (the KD paper's
    candidates differ in it); None keeps the encoder's own. `layers` keeps the first so many layers.
    Raises MtkdError if it cannot be loaded, or knows no dropout or not so many layers.
    """
    pinned = {} if revision is None else {"revision": revision}
    options: dict[str, object] = {"dtype": torch.float32, "use_safetensors": True}
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, **pinned)
        if dropout is not None:
            set_dropout(config, dropout, name)
        if layers is not None:
            keep_layers(config, layers, name)
        if knows_pooling(config):
            options["add_pooling_layer"] = False
        return AutoModel.from_pretrained(name, config=config, **options, **pinned)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MtkdError(
            f"encoder {name!r} cannot be loaded: {reason} (expected a folder with config.json and "
            "model.safetensors, or a hub name and a network; see `encoders` in the recipe)"
        ) from error


def set_dropout(config: PreTrainedConfig, rate: float, name: str) -> None:
    """Set every rate on hidden states and attention that the configuration has."""
    known = [key for key in DROPOUT if hasattr(config, key)]
    if not known:
        raise MtkdError(
            f"encoder {name!r}: its config.json ({config.model_type}) has no rate of dropout that "
            f"`dropout` could set; expected one of {', '.join(DROPOUT)}: use another encoder"
        )
    for key in known:
        setattr(config, key, rate)


def keep_layers(config: PreTrainedConfig, count: int, name: str) -> None:
    """Keep the first so many layers of the configuration."""
    found = getattr(config, "num_hidden_layers", None)
    if found is None or found < count:
        raise MtkdError(
            f"encoder {name!r}: its config.json ({config.model_type}) has num_hidden_layers "
            f"{found}; expected at least {count}, as `layers` says: ask for fewer layers"
        )
    config.num_hidden_layers = count
    if kinds := getattr(config, "layer_types", None):  # ModernBERT lists each layer's attention
        config.layer_types = kinds[:count]


def knows_pooling(config: PreTrainedConfig) -> bool:
    """Whether the model of a configuration has a pooler that can be left out."""
    found: Any = MODEL_MAPPING.get(type(config), ())  # one class, or several
    kinds = found if isinstance(found, tuple) else (found,)
    return any("add_pooling_layer" in inspect.signature(kind).parameters for kind in kinds)
