"""Dropout by random bits: as many, as large and as reproducible as torch's."""

from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeData, MakeModel
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from mtkd.method import dropout
from mtkd.method.dropout import BITS, Dropout, draw_masks, drop
from mtkd.method.settings import Training
from mtkd.method.training import train

SMALL: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {"intermediate_size": 32, "vocab_size": 60}


@pytest.mark.parametrize("share", [0.03, 0.1, 0.5])
def test_share_and_size(share: float) -> None:
    torch.manual_seed(0)
    count = 1_000_003  # no multiple of four
    x = torch.full((count,), 3.0, requires_grad=True)
    y = drop(x, share)
    zero = float((y == 0).float().mean())
    assert abs(zero - share) < 5 * np.sqrt(share * (1 - share) / count)
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 3 / (1 - share)))
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach() / 3)
    for part in range(4):  # each of the elements that share a draw
        own = float((y[part::4] == 0).float().mean())
        assert abs(own - share) < 5 * np.sqrt(share * (1 - share) / (count / 4))
    pairs = ((y[:-1] == 0) & (y[1:] == 0)).float().mean()  # neighbours drop independently
    assert abs(float(pairs) - share**2) < 5 * share / np.sqrt(count)


def test_torch_s_seed_decides() -> None:
    x = torch.ones(5, 7)
    torch.manual_seed(3)
    first, second = drop(x, 0.5), drop(x, 0.5)
    torch.manual_seed(3)
    torch.testing.assert_close(drop(x, 0.5), first, rtol=0, atol=0)
    assert not torch.equal(first, second)
    module = Dropout(0.5).eval()
    assert module(x) is x


@pytest.mark.parametrize(
    ("model", "places"),  # of dropout: the embeddings, and two or three in each of two layers
    [
        (BertModel(BertConfig(**SMALL), add_pooling_layer=False), 7),
        (RobertaModel(RobertaConfig(**SMALL), add_pooling_layer=False), 7),
        (
            DistilBertModel(
                DistilBertConfig(dim=16, n_layers=2, n_heads=4, hidden_dim=32, vocab_size=60)
            ),
            5,
        ),
    ],
    ids=["bert", "roberta", "distilbert"],
)
def test_attention_is_torch_s_but_for_the_masks(
    model: PreTrainedModel, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = torch.randint(5, 60, (3, 9))
    mask = torch.ones_like(tokens)
    mask[1, 4:] = 0

    def states() -> torch.Tensor:
        return model(tokens, attention_mask=mask).last_hidden_state[mask > 0]

    model.eval()
    expected = states()
    draw_masks(model, "bits")
    assert torch.equal(states(), expected)
    calls = []

    def nothing_dropped(x: torch.Tensor, share: float) -> torch.Tensor:
        calls.append(share)
        return x

    monkeypatch.setattr(dropout, "drop", nothing_dropped)
    model.train()
    torch.testing.assert_close(states(), expected, rtol=1e-5, atol=1e-5)
    assert calls == [0.1] * places


def test_training_by_bits(make_model: MakeModel, make_data: MakeData) -> None:
    data = {"rte": make_data("rte", "train")}

    def losses(by: Any) -> list[float]:
        torch.manual_seed(0)
        model = make_model(["rte"], dropout=0.1)
        settings = Training(
            epochs=3, batch_size=8, learning_rate=3e-3, keep="last", dropout_masks=by
        )
        history = train(model, data, settings, seed=1, pad=0)
        # The model leaves as it came: nothing of ours is saved with it.
        assert {type(m) for m in model.modules() if isinstance(m, nn.Dropout)} == {nn.Dropout}
        assert model.encoder.config._attn_implementation == "sdpa" != BITS
        return [epoch["loss"]["rte"] for epoch in history.epochs]

    bits = losses("bits")
    assert bits == losses("bits") and bits != losses("torch")
    assert bits[-1] < bits[0]
