"""Small things that many tests share: a tokenizer, an encoder, tokenised toy tasks."""

import os

# Before torch and the hub's clients are imported, which read these only once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("ACCELERATE_USE_CPU", "true")  # tests compare bits: the same device anywhere

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from mtkd.common import paths
from mtkd.data.batches import TaskData
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.tasks import GLUE
from mtkd.data.tokens import encode
from mtkd.experiments.settings import Heads
from mtkd.method.model import MultiTaskModel
from mtkd.method.pretraining import train_tokenizer
from mtkd.method.settings import HeadSpec

torch.set_num_threads(1)
settings.register_profile("kit", deadline=None)  # a busy machine is no failure
settings.load_profile("kit")

MakeEncoder = Callable[..., BertModel]
MakeModel = Callable[..., MultiTaskModel]
MakeData = Callable[..., TaskData]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    examples = load_examples(DataSource(scale=0.05), "mnli", "train")
    return train_tokenizer(examples.text_a, lowercase=True, vocabulary=300)


@pytest.fixture(scope="session")
def make_encoder(tokenizer: PreTrainedTokenizerFast) -> MakeEncoder:
    """A BERT of one layer, 16 wide; equal for equal seeds."""

    def make(dropout: float = 0.0, seed: int = 0) -> BertModel:
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
        return BertModel(config, add_pooling_layer=False)

    return make


@pytest.fixture(scope="session")
def make_model(make_encoder: MakeEncoder, tokenizer: PreTrainedTokenizerFast) -> MakeModel:
    """Tiny encoder and the heads of the given tasks, every dropout at the one rate."""

    def make(
        tasks: Sequence[str], dropout: float = 0.0, seed: int = 0, heads: Heads | None = None
    ) -> MultiTaskModel:
        encoder = make_encoder(dropout, seed)
        specs: dict[str, HeadSpec] = {}
        for task in tasks:
            given = (heads or Heads(options={"steps": 3})).spec(GLUE[task])
            options = given.options | {"step_dropout": dropout} if given.options else {}
            specs[task] = replace(given, dropout=dropout, options=options)
        return MultiTaskModel(encoder, specs, tokenizer)

    return make


@pytest.fixture(scope="session")
def make_data(
    tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> MakeData:
    """A tokenised split of a toy task: 16 rows at the default scale."""
    cache: Path = tmp_path_factory.mktemp("cache")

    def make(
        task: str, split: str = "train", scale: float = 1e-4, ranking: bool = False
    ) -> TaskData:
        examples = load_examples(DataSource(scale=scale), task, split)
        encoded = encode(examples, tokenizer, 40, cache)
        if not ranking:
            return TaskData(encoded)
        from mtkd.experiments.inputs import candidate_groups

        return TaskData(encoded, None, candidate_groups(examples))

    return make


def with_documents(root: Path) -> Path:
    """`root` with copies of what the documentation's site is built from."""
    for name in ("docs", "notebooks", "results/reference"):
        shutil.copytree(paths.home() / name, root / name)
    for name in ("README.md", "DEVIATIONS.md", "LICENSE", "results/README.md"):
        shutil.copy(paths.home() / name, root / name)
    return root
