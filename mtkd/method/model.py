"""The multi-task network: one shared encoder, one head per task."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtkd.common.errors import MtkdError, first_line
from mtkd.common.files import whole
from mtkd.common.objects import read_object
from mtkd.data.answers import Text, answer
from mtkd.data.tasks import TASKS, Task, check_labels
from mtkd.method.encoders import check_start, load_encoder, load_tokenizer, quiet
from mtkd.method.heads import build_head, objective_of
from mtkd.method.settings import HeadSpec, TaskAbout
from mtkd.method.texts import text_outputs

FORMAT = 3


class HeadsByTask(nn.ModuleDict):
    """Heads by the names of their tasks, which may be those of a module's attributes: "type"."""

    def add_module(self, name: str, module: nn.Module | None) -> None:
        self._modules[name] = module  # type: ignore[assignment]


class MultiTaskModel(nn.Module):
    """Shared layers (any Hugging Face encoder) and task-specific heads. MT-DNN Figure 1."""

    def __init__(
        self,
        encoder: transformers.PreTrainedModel,
        specs: Mapping[str, HeadSpec],
        tokenizer: transformers.PreTrainedTokenizerBase | None = None,
        about: Mapping[str, TaskAbout] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.specs = dict(specs)
        self.about = {task: TaskAbout() for task in specs} | dict(about or {})
        self.tokenizer = tokenizer  # travels with the model; the model itself reads tokens
        hidden = encoder.config.hidden_size
        self.heads = HeadsByTask({task: build_head(spec, hidden) for task, spec in specs.items()})
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
        about: dict[str, TaskAbout] = {}
        if not isinstance(tasks, Mapping):
            about = {task.name: TaskAbout(task.columns, bounds=task.bounds) for task in tasks}
            tasks = {task.name: HeadSpec.for_task(task) for task in tasks}
        encoder, tokenizer = load_encoder(str(name), dropout=dropout), load_tokenizer(str(name))
        check_start(encoder, tokenizer, str(name))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(encoder, tasks, tokenizer, about)

    @property
    def pad(self) -> int:
        """The encoder's token id of padding."""
        return self.encoder.config.pad_token_id or 0

    @property
    def max_length(self) -> int:
        """Tokens of the longest text that it reads whole; longer ones are cut to it."""
        return min(self.own_tokenizer.model_max_length, positions(self.encoder))

    @property
    def own_tokenizer(self) -> transformers.PreTrainedTokenizerBase:
        """Its tokenizer; MtkdError where it was made without one."""
        if self.tokenizer is None:
            raise MtkdError("the model has no tokenizer; set model.tokenizer")
        return self.tokenizer

    def forward(self, task: str, tokens: Tensor, segments: Tensor) -> Tensor:
        """Outputs (B, C) of one task's head for tokens (B, T) and segments (B, T)."""
        return self.outputs(task, self.states(tokens, segments), segments)

    def states(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """The encoder's states (B, T, H), which every head reads."""
        inputs = {"input_ids": tokens, "attention_mask": (segments >= 0).long()}
        if self.uses_token_types:
            # 1 from the second text on. No `cummax`, which torch cannot export to ONNX.
            inputs["token_type_ids"] = ((segments == 2).int().cumsum(1) > 0).long()
        return self.encoder(**inputs).last_hidden_state

    def outputs(self, task: str, states: Tensor, segments: Tensor) -> Tensor:
        """Outputs (B, C) of one task's head for the encoder's states (B, T, H)."""
        return self.heads[task](states, segments).float()

    def predict(self, texts: Text | Iterable[Text], task: str | None = None, top_k: int = 1) -> Any:
        """Label names and scores for texts, of every task from one pass of the encoder.

        A text is a str; a pair is a tuple, or {"text": ..., "text_pair": ...}. For one of them
        {task: answer}, for a list a list; with `task` the answer alone. An answer is {"label",
        "score"}, with `top_k` above 1 a list of these, best first; of several labels {"labels":
        those at 0.5 or above, "scores": {label: score}}; of a regression the number, inside the
        range that the task states. Scores are probabilities 0 to 1 at the temperature that dev has
        given. Pairs are answered by tasks of pairs, single texts by the others; a head that ranks
        answers neither. Raises MtkdError for a text that no task asked for fits.
        """
        return answer(texts, self.described(), partial(text_outputs, self), task, top_k)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write encoder, tokenizer and all heads to `folder`, whole or not at all.

        `AutoModel` and `AutoTokenizer` load encoder and tokenizer from it.
        """
        tokenizer = self.own_tokenizer
        text = json.dumps({"format": FORMAT, "tasks": self.described()}, indent=2)
        heads = {name: value.contiguous() for name, value in self.heads.state_dict().items()}
        with quiet(), whole(Path(folder)) as part:
            self.encoder.save_pretrained(part)
            # How it was last called is no part of it, and would be saved, too.
            tokenizer.backend_tokenizer.no_truncation()
            tokenizer.backend_tokenizer.no_padding()
            tokenizer.model_max_length = self.max_length
            # transformers leaves out token types unless it is told of them.
            types = ["token_type_ids"] if self.uses_token_types else []
            names = ["input_ids", *types, "attention_mask"]
            tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names
            tokenizer.save_pretrained(part)
            save_file(heads, part / "heads.safetensors")
            (part / "mtkd.json").write_text(text + "\n", encoding="utf-8")

    def described(self) -> dict[str, Any]:
        """Its tasks as `mtkd.json` has them: what a user of the folder must know."""
        return {
            task: {
                "head": spec.as_dict(),
                "objective": objective_of(spec),
                **asdict(self.about[task]),
            }
            for task, spec in self.specs.items()
        }

    @classmethod
    def from_pretrained(cls, folder: str | Path, dropout: float | None = None) -> MultiTaskModel:
        """Model as `save_pretrained` wrote it; `dropout` sets the shared layers' rate.

        Raises MtkdError if it is not whole, or a task's head has other labels than the task.
        """
        folder = Path(folder)
        specs, about = read_tasks(folder)
        for task, spec in specs.items():
            if task in TASKS:
                check_labels(TASKS[task], spec.labels, f"{folder}/mtkd.json")
        encoder = load_encoder(str(folder), dropout=dropout)
        model = cls(encoder, specs, load_tokenizer(str(folder)), about)
        try:
            model.heads.load_state_dict(load_file(folder / "heads.safetensors"))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = first_line(error)
            raise MtkdError(
                f"{folder}/heads.safetensors: missing, cut short or of another model ({reason}); "
                "train the model again"
            ) from error
        return model


def positions(encoder: nn.Module) -> int:
    """The longest sequence of tokens that an encoder has positions for."""
    count = getattr(encoder.config, "max_position_embeddings", None) or sys.maxsize
    for name, module in encoder.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return count - padding - 1  # RoBERTa's begin after the padding's
    return count


def read_tasks(folder: Path) -> tuple[dict[str, HeadSpec], dict[str, TaskAbout]]:
    """Head and description of each task of a saved model. Raises MtkdError if it is none."""
    path = folder / "mtkd.json"
    if not path.exists():
        raise MtkdError(
            f"{folder}: no saved mtkd model there (mtkd.json is missing); run the stage that "
            "makes it, or give another folder"
        )
    saved = read_object(path, "train the model again")
    if saved.get("format") != FORMAT:
        raise MtkdError(
            f"{path}: format {saved.get('format')!r}, this version reads {FORMAT}; "
            "train the model again"
        )
    try:
        found = saved["tasks"].items()
        specs = {task: HeadSpec(**told["head"]) for task, told in found}
        keys = [field.name for field in fields(TaskAbout)]
        about = {
            task: TaskAbout(**{key: told[key] for key in keys if key in told})
            for task, told in found
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise MtkdError(f"{path}: no description of tasks ({reason}); train it again") from error
    return specs, about
