"""The multi-task network: one shared encoder, one head per task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtkd.common.errors import MtkdError
from mtkd.common.files import whole
from mtkd.data.tasks import TASKS, Task, check_labels
from mtkd.method.encoders import load_encoder, load_tokenizer, without_bars
from mtkd.method.heads import build_head
from mtkd.method.settings import HeadSpec

FORMAT = 2


class MultiTaskModel(nn.Module):
    """Shared layers (any Hugging Face encoder) and task-specific heads. MT-DNN Figure 1."""

    def __init__(
        self,
        encoder: transformers.PreTrainedModel,
        specs: Mapping[str, HeadSpec],
        tokenizer: transformers.PreTrainedTokenizerBase | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.specs = dict(specs)
        self.tokenizer = tokenizer  # travels with the model; the model itself reads tokens
        hidden = encoder.config.hidden_size
        self.heads = nn.ModuleDict({task: build_head(spec, hidden) for task, spec in specs.items()})
        self.uses_token_types = getattr(encoder.config, "type_vocab_size", 0) > 1

    @classmethod
    def from_encoder(
        cls,
        name: str | Path,
        tasks: Sequence[Task] | Mapping[str, HeadSpec],
        *,
        dropout: float | None = None,
        seed: int = 0,
    ) -> MultiTaskModel:
        """A model with new heads over a pre-trained encoder from a folder or the hub.

        `tasks` get the paper's heads (linear, SAN for pairs, similarity), or those of their specs.
        `dropout` is the rate on the shared layers, None the encoder's own; `seed` decides the new
        heads' weights. Raises MtkdError if the encoder cannot be loaded.
        """
        if not isinstance(tasks, Mapping):
            tasks = {task.name: HeadSpec.for_task(task) for task in tasks}
        encoder, tokenizer = load_encoder(str(name), dropout=dropout), load_tokenizer(str(name))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(encoder, tasks, tokenizer)

    @property
    def pad(self) -> int:
        """The encoder's token id of padding."""
        return self.encoder.config.pad_token_id or 0

    def forward(self, task: str, tokens: Tensor, segments: Tensor) -> Tensor:
        """Outputs (B, C) of one task's head for tokens (B, T) and segments (B, T)."""
        inputs = {"input_ids": tokens, "attention_mask": (segments >= 0).long()}
        if self.uses_token_types:
            inputs["token_type_ids"] = (segments == 2).int().cummax(1).values.long()
        states = self.encoder(**inputs).last_hidden_state
        return self.heads[task](states, segments).float()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write encoder, tokenizer and all heads to `folder`, whole or not at all."""
        if self.tokenizer is None:
            raise MtkdError(f"{folder}: the model has no tokenizer to save; set model.tokenizer")
        described = {task: spec.as_dict() for task, spec in self.specs.items()}
        text = json.dumps({"format": FORMAT, "heads": described}, indent=2)
        heads = {name: value.contiguous() for name, value in self.heads.state_dict().items()}
        with without_bars(), whole(Path(folder)) as part:
            part.mkdir()
            self.encoder.save_pretrained(part / "encoder")
            # How it was last called is no part of it, and would be saved, too.
            self.tokenizer.backend_tokenizer.no_truncation()
            self.tokenizer.backend_tokenizer.no_padding()
            self.tokenizer.save_pretrained(part / "encoder")
            save_file(heads, part / "heads.safetensors")
            (part / "mtkd.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path, dropout: float | None = None) -> MultiTaskModel:
        """Model as `save_pretrained` wrote it; `dropout` sets the shared layers' rate.

        Raises MtkdError if it is not whole, or a task's head has other labels than the task.
        """
        folder = Path(folder)
        specs = read_specs(folder)
        for task, spec in specs.items():
            if task in TASKS:
                check_labels(TASKS[task], spec.labels, f"{folder}/mtkd.json")
        encoder = load_encoder(str(folder / "encoder"), dropout=dropout)
        model = cls(encoder, specs, load_tokenizer(str(folder / "encoder")))
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
    return {task: HeadSpec(**spec) for task, spec in saved["heads"].items()}
