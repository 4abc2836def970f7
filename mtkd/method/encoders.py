"""Encoders and tokenizers that others have pre-trained, from a folder or the hub."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers

from mtkd.common.errors import MtkdError, first_line
from mtkd.common.objects import read_object

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


@contextmanager
def quiet() -> Iterator[None]:
    """Weights are read and written without bars, and without reports of those that nobody needs.

    Whoever reads some refuses what is missing (`check_weights`), which the report would tell, too.
    """
    told = transformers.logging
    bars, level = told.is_progress_bar_enabled(), told.get_verbosity()
    told.disable_progress_bar()
    told.set_verbosity_error()
    try:
        yield
    finally:
        told.set_verbosity(level)
        if bars:
            told.enable_progress_bar()


@contextmanager
def loading(what: str, expected: str) -> Iterator[None]:
    """One line of whatever transformers and tokenizers raise on files that are not as expected."""
    try:
        yield
    except (MtkdError, MemoryError):
        raise
    except Exception as error:  # of any kind: they look up keys and call methods unseen
        raise MtkdError(f"{what} cannot be loaded: {first_line(error)} ({expected})") from error


def check_objects(folder: Path, *names: str) -> None:
    """Refuse a folder in which one of these JSON files is there and holds no object."""
    for name in names:
        if (folder / name).exists():
            read_object(folder / name, "save or download the encoder again")


def check_weights(loaded: Mapping[str, Any], where: str, expected: str) -> None:
    """Refuse a model of which a file lacks weights, or has some of another shape.

    `loaded` is what `from_pretrained` tells with `output_loading_info`.
    """
    if missing := sorted(loaded["missing_keys"]):
        raise MtkdError(f"{where}: no weights of {missing[0]}; expected {expected}")
    for name, found, wanted in sorted(loaded["mismatched_keys"]):
        raise MtkdError(
            f"{where}: weights {name} of shape {tuple(found)}; expected {tuple(wanted)}, as its "
            "config.json says: are both files of one model?"
        )


def load_tokenizer(name: str, revision: str | None = None) -> transformers.PreTrainedTokenizerBase:
    """Fast tokenizer of an encoder from a folder or the hub; code beside it is never run."""
    if Path(name).is_dir() and not (Path(name) / "tokenizer.json").is_file():
        raise MtkdError(
            f"tokenizer {name!r}: no tokenizer.json in that folder; save the encoder's fast "
            "tokenizer there (tokenizer.save_pretrained)"
        )
    check_objects(Path(name), "config.json", "tokenizer_config.json")
    with loading(f"tokenizer {name!r}", "expected a tokenizer.json as save_pretrained writes it"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            name, revision=revision, trust_remote_code=False
        )
    if not tokenizer.is_fast:
        raise MtkdError(f"tokenizer {name!r}: a fast tokenizer is needed (one with tokenizer.json)")
    return tokenizer


def load_encoder(
    name: str,
    *,
    revision: str | None = None,
    dropout: float | None = None,
    layers: int | None = None,
) -> transformers.PreTrainedModel:
    """Pre-trained encoder from a folder or the hub, without pooler, in fp32.

    `dropout` is the rate on the shared layers, hidden states and attention alike (the KD paper's
    candidates differ in it); None keeps the encoder's own. `layers` keeps the first so many layers.
    Code beside the weights is never run. Raises MtkdError if it cannot be loaded, lacks weights, is
    a decoder, or knows no dropout or not so many layers.
    """
    pinned = {} if revision is None else {"revision": revision}
    options: dict[str, object] = {"dtype": torch.float32, "use_safetensors": True}
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}  # to be refused below
    check_objects(Path(name), "config.json")
    expected = (
        "expected a folder with config.json and model.safetensors, or a hub name and a network; "
        "see `encoders` in the recipe"
    )
    with loading(f"encoder {name!r}", expected):
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False, **pinned)
        check_encoder(config, name)
        if dropout is not None:
            set_dropout(config, dropout, name)
        if layers is not None:
            keep_layers(config, layers, name)
        if knows_pooling(config):
            options["add_pooling_layer"] = False
        with quiet():
            encoder, loaded = transformers.AutoModel.from_pretrained(
                name, config=config, trust_remote_code=False, **options, **pinned
            )
    check_weights(loaded, f"encoder {name!r}", "those of a whole encoder in model.safetensors")
    return encoder


def check_start(
    encoder: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    name: str,
) -> None:
    """Refuse weights that are not finite, and a tokenizer that is not this encoder's."""
    for key, value in encoder.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise MtkdError(
                f"encoder {name!r}: weights {key} are not all finite; expected numbers: save or "
                "download the encoder again"
            )
    known, special = len(tokenizer), len(set(tokenizer.all_special_ids))
    if not special < known <= encoder.config.vocab_size:
        raise MtkdError(
            f"encoder {name!r}: a tokenizer of {known} tokens, {special} of them special, and "
            f"embeddings of {encoder.config.vocab_size}; expected more than special tokens, and an "
            "embedding of each: are all files of one model?"
        )


def check_encoder(config: transformers.PreTrainedConfig, name: str) -> None:
    """Refuse a model whose first token does not see the others, as a head needs it."""
    both = config.is_encoder_decoder or getattr(config, "is_decoder", False)
    if both or type(config) not in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        raise MtkdError(
            f"encoder {name!r}: {config.model_type} is no encoder; expected a model that is "
            "pre-trained by masked words, as BERT, RoBERTa or DeBERTa"
        )


def set_dropout(config: transformers.PreTrainedConfig, rate: float, name: str) -> None:
    """Set every rate on hidden states and attention that the configuration has."""
    known = [key for key in DROPOUT if hasattr(config, key)]
    if not known:
        raise MtkdError(
            f"encoder {name!r}: its config.json ({config.model_type}) has no rate of dropout that "
            f"`dropout` could set; expected one of {', '.join(DROPOUT)}: use another encoder"
        )
    for key in known:
        setattr(config, key, rate)


def keep_layers(config: transformers.PreTrainedConfig, count: int, name: str) -> None:
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


def knows_pooling(config: transformers.PreTrainedConfig) -> bool:
    """Whether the model of a configuration has a pooler that can be left out."""
    found: Any = transformers.MODEL_MAPPING.get(type(config), ())  # one class, or several
    kinds = found if isinstance(found, tuple) else (found,)
    return any("add_pooling_layer" in inspect.signature(kind).parameters for kind in kinds)
