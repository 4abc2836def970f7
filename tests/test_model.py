"""Heads, above all the stochastic answer network, and the multi-task model on disk."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import MakeData, MakeEncoder, MakeModel
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scipy.special import expit, softmax
from torch import Tensor
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from mtkd.common.errors import MtkdError
from mtkd.data.batches import collate
from mtkd.data.tasks import GLUE
from mtkd.experiments.settings import Heads
from mtkd.method.encoders import load_encoder, load_tokenizer
from mtkd.method.heads import SanHead, average_steps, build_head
from mtkd.method.model import MultiTaskModel, read_tasks
from mtkd.method.settings import HeadSpec, TaskAbout

HIDDEN = 8
LABELS = ("entailment", "neutral", "contradiction")
ALL_KINDS = ("cola", "mnli", "stsb", "qnli")  # linear, san, similarity, ranking


def san(steps: int = 4, dropout: float = 0.0, step_dropout: float = 0.0) -> SanHead:
    torch.manual_seed(1)
    options = {"steps": steps, "step_dropout": step_dropout}
    head = build_head(HeadSpec("san", LABELS, dropout, options), HIDDEN)
    assert isinstance(head, SanHead)
    for parameter in head.parameters():  # far from linear, so that every detail shows
        torch.nn.init.normal_(parameter, std=0.7)
    return head


def rows() -> tuple[Tensor, Tensor]:
    """Three examples of several lengths with padding, and states full of garbage there."""
    segments = torch.full((3, 9), -1, dtype=torch.int8)
    for row, (first, second) in enumerate([(3, 3), (1, 2), (2, 1)]):
        marks = [0, *[1] * first, 0, *[2] * second, 0]
        segments[row, : len(marks)] = torch.tensor(marks, dtype=torch.int8)
    states = torch.randn(3, 9, HIDDEN, generator=torch.Generator().manual_seed(2))
    return torch.where((segments < 0)[:, :, None], 1e3, states), segments


def san_by_hand(head: SanHead, premise: np.ndarray, hypothesis: np.ndarray) -> list[np.ndarray]:
    """Probabilities of each step for one example, MT-DNN Eq. 3 and 4 in numpy."""
    w = {name: value.detach().double().numpy() for name, value in head.state_dict().items()}
    state = softmax(hypothesis @ w["query.weight"][0]) @ hypothesis
    steps = []
    for _ in range(head.steps):
        context = softmax(premise @ (w["bilinear.weight"] @ state)) @ premise
        pair = np.concatenate([state, context, abs(state - context), state * context])
        steps.append(softmax(w["output.weight"] @ pair + w["output.bias"]))
        from_input = w["update.weight_ih"] @ context + w["update.bias_ih"]
        from_state = w["update.weight_hh"] @ state + w["update.bias_hh"]
        (ri, zi, ni), (rs, zs, ns) = np.split(from_input, 3), np.split(from_state, 3)
        update = expit(zi + zs)
        state = (1 - update) * np.tanh(ni + expit(ri + rs) * ns) + update * state
    return steps


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_san_averages_the_probabilities_of_its_steps(steps: int) -> None:
    head = san(steps).eval()
    states, segments = rows()
    found = head(states, segments)
    assert head.step_logits(states, segments).shape == (3, steps, 3)
    for row in range(3):
        one = states[row].double().numpy()
        marks = segments[row].numpy()
        by_hand = np.mean(san_by_hand(head, one[marks == 1], one[marks == 2]), 0)
        np.testing.assert_allclose(found[row].exp().detach(), by_hand, atol=2e-6)


def test_san_does_not_see_padding() -> None:
    head = san().eval()
    states, segments = rows()
    short = 6  # length of the second example
    alone = head(states[1:2, :short], segments[1:2, :short])
    torch.testing.assert_close(head(states, segments)[1:2], alone, atol=1e-5, rtol=1e-5)


def test_san_step_dropout() -> None:
    states, segments = rows()
    head = san(4, step_dropout=0.6).train()
    many = torch.zeros(4000, 1)
    kept = head.keep_mask(many)
    assert kept is not None and kept.shape == (4000, 4) and bool(kept.any(1).all())
    # One step in four is forced, the others stay with probability 0.4.
    assert float(kept.float().mean()) == pytest.approx(0.25 + 0.75 * 0.4, abs=0.02)
    assert head.eval().keep_mask(many) is None
    only = san(4, step_dropout=1.0).train().keep_mask(many)
    assert only is not None and bool((only.sum(1) == 1).all())

    logits = head.step_logits(states, segments)
    keep = torch.tensor([[True, False, True, False], [False] * 3 + [True], [True] * 4])
    found = average_steps(logits, keep)
    for row in range(3):
        kept_probs = torch.softmax(logits[row][keep[row]], -1).mean(0)
        torch.testing.assert_close(found[row].exp(), kept_probs)


def test_san_survives_a_text_cut_to_nothing() -> None:
    head = san(step_dropout=0.5).train()
    states, segments = rows()
    segments = torch.where(segments == 2, 0, segments)
    segments[0] = torch.where(segments[0] == 1, 0, segments[0])
    outputs = head(states.clamp(max=1), segments)
    outputs.sum().backward()
    assert bool(outputs.isfinite().all())
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in head.parameters())


def test_gradients_reach_every_parameter_of_the_san() -> None:
    head = san().train()
    head(*rows())[:, 0].sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name


def test_head_spec_refuses_what_it_cannot_build() -> None:
    with pytest.raises(MtkdError, match=r"unknown head 'softmax'; expected one of linear, .*san"):
        build_head(HeadSpec("softmax", LABELS), HIDDEN)
    with pytest.raises(MtkdError, match="ranking"):
        build_head(HeadSpec("ranking", LABELS), HIDDEN)
    with pytest.raises(MtkdError, match=r"'linear' with options .*unexpected.*'steps'"):
        build_head(HeadSpec("linear", LABELS, options={"steps": 2}), HIDDEN)


def test_heads_of_several_labels_and_of_a_range() -> None:
    torch.manual_seed(0)
    states, segments = rows()
    plain, ranged, weighted, several = (
        build_head(spec, HIDDEN).eval()
        for spec in (
            HeadSpec("similarity"),
            HeadSpec("similarity", options={"range": [1, 5]}),
            HeadSpec("linear", LABELS, options={"weights": [1.0, 2.0, 3.0]}),  # of the loss alone
            HeadSpec("multilabel", LABELS),
        )
    )
    ranged.load_state_dict(plain.state_dict())
    torch.testing.assert_close(ranged(states, segments), 1 + 4 * plain(states, segments))
    several.load_state_dict(weighted.state_dict())
    torch.testing.assert_close(several(states, segments), weighted(states, segments))
    assert several.objective == "multilabel" and several(states, segments).shape == (3, 3)


# ------------------------------------------------------------------------------------- model


def some_rows(make_data: MakeData) -> tuple[Tensor, Tensor]:
    """Tokens and segments of a few pairs."""
    batch = collate("rte", make_data("rte"), np.arange(6), 0)
    return batch.tokens, batch.segments


def outputs_of(model: MultiTaskModel, make_data: MakeData) -> dict[str, Tensor]:
    model.eval()
    found = {}
    with torch.inference_mode():
        for task in model.specs:
            batch = collate(task, make_data(task), np.arange(6), 0)
            found[task] = model(task, batch.tokens, batch.segments)
    return found


def test_encoder_gets_what_the_tokenizer_would_give_it(
    make_model: MakeModel, make_data: MakeData, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = make_model(["rte"], heads=Heads(pair="linear")).eval()
    texts = ["the dog ran", "a very long cat slept on the mat"], ["it ran", "so"]
    inputs = tokenizer(*texts, padding=True, return_tensors="pt", return_token_type_ids=True)
    assert inputs["token_type_ids"].unique().tolist() == [0, 1]
    marks = [
        [
            -1 if not seen else 0 if text is None else text + 1
            for text, seen in zip(*row, strict=True)
        ]
        for row in zip(
            [inputs.sequence_ids(i) for i in range(2)], inputs["attention_mask"], strict=True
        )
    ]
    states = model.encoder(**inputs).last_hidden_state
    found = model("rte", inputs["input_ids"], torch.tensor(marks, dtype=torch.int8))
    # Padding has another token type than the tokenizer gives it; nothing attends to it.
    torch.testing.assert_close(found, model.heads["rte"].output(states[:, 0]))


@given(st.lists(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=5, max_size=5), min_size=1))
def test_token_types_are_one_from_the_second_text_on(rows: list[list[int]]) -> None:
    seen: dict[str, Tensor] = {}

    def encoder(**inputs: Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=seen.update(inputs))

    segments = torch.tensor(rows, dtype=torch.int8)
    model = SimpleNamespace(encoder=encoder, uses_token_types=True)
    MultiTaskModel.states(model, segments.long(), segments)
    expected = (segments == 2).int().cummax(1).values.long()
    assert torch.equal(seen["token_type_ids"], expected)
    assert seen["token_type_ids"].dtype == expected.dtype


def test_saved_model_is_the_same_model(
    tmp_path: Path, make_model: MakeModel, make_data: MakeData
) -> None:
    heads = Heads(qnli="ranking", options={"steps": 2})
    folder = tmp_path / "model"
    make_model(["rte"], seed=5).save_pretrained(folder)  # is replaced as a whole
    model = make_model(ALL_KINDS, dropout=0.25, heads=heads)
    model.about["mnli"] = TaskAbout(GLUE["mnli"].columns, 1.75)
    model.save_pretrained(folder)
    again = MultiTaskModel.from_pretrained(folder)

    assert [spec.kind for spec in again.specs.values()] == [
        "linear",
        "san",
        "similarity",
        "ranking",
    ]
    assert read_tasks(folder) == (again.specs, again.about) == (model.specs, model.about)
    assert again.specs["mnli"].labels == GLUE["mnli"].labels
    expected = outputs_of(model, make_data)
    for task, found in outputs_of(again, make_data).items():
        assert torch.equal(found, expected[task]), task
    assert again.encoder.config.hidden_dropout_prob == 0.25
    other = MultiTaskModel.from_pretrained(folder, dropout=0.4)
    assert other.encoder.config.hidden_dropout_prob == 0.4
    assert other.encoder.config.attention_probs_dropout_prob == 0.4

    alone, states = AutoModel.from_pretrained(folder).eval(), model.states(*some_rows(make_data))
    tokens, segments = some_rows(make_data)
    seen = alone(tokens, (segments >= 0).long(), (segments == 2).cummax(1).values.long())
    assert torch.equal(seen.last_hidden_state, states)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt"}
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_what_is_no_saved_model_is_refused(tmp_path: Path, make_model: MakeModel) -> None:
    folder = tmp_path / "model"
    make_model(["rte", "stsb"]).save_pretrained(folder)
    saved = (folder / "mtkd.json").read_text()
    turned = json.loads(saved)
    turned["tasks"]["rte"]["head"]["labels"].reverse()
    own = json.loads(saved)  # what is no task may have any labels
    own["tasks"]["mine"] = own["tasks"].pop("rte")
    cold = json.loads(saved)
    cold["tasks"]["rte"]["temperature"] = 0
    for content, message in (
        (json.dumps(json.loads(saved) | {"format": 99}), "format 99"),
        ("{", "mtkd.json:1: not valid JSON"),
        (json.dumps(turned), r"the rte head has labels \['not_.*expected \['entailment', 'not_"),
        (json.dumps(own), "heads.safetensors"),
        (json.dumps(cold), r"mtkd.json: no description of tasks .*temperature"),
        ('{"format": 3}', r"mtkd.json: no description of tasks \('tasks'\)"),
    ):
        (folder / "mtkd.json").write_text(content)
        with pytest.raises(MtkdError, match=message):
            MultiTaskModel.from_pretrained(folder)
    with pytest.raises(MtkdError, match=r"none: no saved mtkd model"):
        MultiTaskModel.from_pretrained(tmp_path / "none")


SIZE = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 4, "intermediate_size": 16}
ENCODERS: dict[str, Callable[..., PreTrainedConfig]] = {
    "bert": partial(BertConfig, **SIZE),
    "roberta": partial(RobertaConfig, type_vocab_size=1, **SIZE),
    "distilbert": partial(DistilBertConfig, dim=8, n_heads=2, n_layers=4, hidden_dim=16),
    "modernbert": partial(ModernBertConfig, **SIZE, bos_token_id=2, cls_token_id=2),
}


def rates(encoder: torch.nn.Module) -> set[float]:
    """Every rate of dropout in a model: of its modules, and of attention that keeps a number."""
    found = {module.p for module in encoder.modules() if isinstance(module, torch.nn.Dropout)}
    numbers = (getattr(module, "attention_dropout", None) for module in encoder.modules())
    return found | {rate for rate in numbers if isinstance(rate, float)}


@pytest.mark.parametrize("kind", ENCODERS)
def test_encoders_of_other_kinds(
    kind: str, tmp_path: Path, make_data: MakeData, tokenizer: PreTrainedTokenizerFast
) -> None:
    torch.manual_seed(0)
    longest = 40 + (kind == "roberta")  # its positions begin after the padding's
    config = ENCODERS[kind](
        vocab_size=len(tokenizer),
        max_position_embeddings=longest,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=3,
    )
    AutoModel.from_config(config).save_pretrained(tmp_path / "made")
    encoder = load_encoder(str(tmp_path / "made"), dropout=0.25)
    assert getattr(encoder, "pooler", None) is None and rates(encoder) == {0.25}
    assert rates(load_encoder(str(tmp_path / "made"))) != {0.25}

    specs = {task: Heads(options={"steps": 2}).spec(GLUE[task]) for task in ("cola", "rte")}
    model = MultiTaskModel(encoder, specs, tokenizer)
    model.save_pretrained(tmp_path / "model")
    expected = outputs_of(model, make_data)
    again = MultiTaskModel.from_pretrained(tmp_path / "model", dropout=0.5)
    assert rates(again.encoder) == {0.5}
    # Positions of RoBERTa begin after the padding's.
    assert again.max_length == again.tokenizer.model_max_length == 40
    for task, found in outputs_of(again, make_data).items():
        assert bool(found.isfinite().all()) and torch.equal(found, expected[task])
        item = make_data(task)
        alone = collate(task, item, np.arange(1), tokenizer.pad_token_id)
        longer = F.pad(alone.tokens, (0, 40 - alone.tokens.shape[1]), value=tokenizer.pad_token_id)
        padded = F.pad(alone.segments, (0, 40 - alone.tokens.shape[1]), value=-1)
        with torch.inference_mode():  # nothing attends to padding, and it moves no position
            torch.testing.assert_close(again(task, longer, padded), found[:1], atol=1e-5, rtol=1e-5)

    part = load_encoder(str(tmp_path / "made"), layers=2)
    part.save_pretrained(tmp_path / "part")
    weights = load_encoder(str(tmp_path / "part")).state_dict()
    whole = encoder.state_dict()
    assert part.config.num_hidden_layers == 2 and len(weights) < len(whole)
    assert all(torch.equal(whole[name], value) for name, value in weights.items())
    with pytest.raises(MtkdError, match="num_hidden_layers 4; expected at least 5, as `layers`"):
        load_encoder(str(tmp_path / "made"), layers=5)


def test_what_a_file_of_weights_lacks_is_refused_and_what_it_has_beside_is_no_news(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    AutoModel.from_config(BertConfig(vocab_size=20, **SIZE)).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    capfd.readouterr()
    load_encoder(str(tmp_path))  # without the pooler that is there
    assert capfd.readouterr().err == ""
    some, name = dict(weights), "encoder.layer.0.output.dense.bias"
    del some[name]
    save_file(some, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(MtkdError, match=f"no weights of {name}; expected those of a whole"):
        load_encoder(str(tmp_path))
    save_file(weights | {name: torch.zeros(3)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(MtkdError, match=rf"weights {name} of shape \(3,\); expected \(\d+,\)"):
        load_encoder(str(tmp_path))


def test_a_decoder_is_refused(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(MtkdError, match="gpt2 is no encoder"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("load", [load_encoder, load_tokenizer])
def test_code_beside_an_encoder_is_never_run(
    load: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = tmp_path / "touched"
    (tmp_path / "evil.py").write_text(f"open({str(touched)!r}, 'w')\nclass Evil: pass\n")
    maps = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": maps}))
    (tmp_path / "tokenizer.json").write_text("{}")
    told = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # whoever asks gets a yes
    with pytest.raises(MtkdError) as caught:
        load(str(tmp_path))
    assert "\n" not in str(caught.value) and not touched.exists()


def test_an_encoder_without_its_tokenizer_is_refused(tmp_path: Path) -> None:
    AutoModel.from_config(BertConfig(vocab_size=20, **SIZE)).save_pretrained(tmp_path)
    with pytest.raises(MtkdError, match=r"no tokenizer\.json"):
        MultiTaskModel.from_encoder(tmp_path, [GLUE["cola"]])


def test_missing_encoder_is_one_clear_line(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none"), "nobody/no-such-encoder"):
        with pytest.raises(MtkdError) as caught:
            load_encoder(name)
        message = str(caught.value)
        assert name in message and "\n" not in message and "config.json" in message


def test_a_task_may_be_called_as_a_method_of_modules(make_encoder: MakeEncoder) -> None:
    names = ("type", "train", "values")
    specs = {name: HeadSpec("linear", ("no", "yes")) for name in names}
    model = MultiTaskModel(make_encoder(), specs)
    assert {key.split(".")[0] for key in model.heads.state_dict()} == set(names)
    assert sum(1 for _ in model.heads.parameters()) == 6 and model.train().training
