"""A model's answers to texts, and the temperature that makes its scores honest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeData, MakeModel
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mtkd.common.errors import MtkdError
from mtkd.data.batches import collate
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.tasks import GLUE
from mtkd.experiments.settings import Heads
from mtkd.method.answers import in_words
from mtkd.method.calibration import fit_temperature
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import predict
from mtkd.method.settings import TaskAbout
from mtkd.method.texts import padded

SINGLE, PAIRS = ("cola", "sst2"), ("mnli", "stsb", "qnli")


@pytest.fixture
def model(make_model: MakeModel) -> MultiTaskModel:
    made = make_model([*SINGLE, *PAIRS], heads=Heads(qnli="ranking", options={"steps": 2}))
    made.about = {task: TaskAbout(GLUE[task].columns) for task in made.specs}
    made.about["cola"] = TaskAbout(GLUE["cola"].columns, 2.5)
    made.tokenizer.model_max_length = 40  # as `make_data` has it
    return made


def texts_of(task: str, split: str = "dev") -> list[Any]:
    examples = load_examples(DataSource(scale=1e-4), task, split)
    if examples.text_b is None:
        return examples.text_a
    return list(zip(examples.text_a, examples.text_b, strict=True))


def test_answers_are_those_of_stored_predictions(
    model: MultiTaskModel, make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    forward = model.encoder.forward

    def counted(*arguments: Any, **inputs: Tensor) -> Any:
        passes.append(len(inputs["input_ids"]))
        return forward(*arguments, **inputs)

    monkeypatch.setattr(model.encoder, "forward", counted)
    singles, pairs = texts_of("cola"), texts_of("mnli")
    found = model.predict([*pairs, *singles])
    assert sum(passes) == len(singles) + len(pairs)  # once for all tasks
    assert [list(one) for one in (found[0], found[-1])] == [["mnli", "stsb"], ["cola", "sst2"]]

    logits = predict(model, "cola", make_data("cola", "dev"))
    scores = softmax(logits / 2.5, -1)
    for row, one in zip(scores, found[len(pairs) :], strict=True):
        assert one["cola"]["label"] == GLUE["cola"].labels[row.argmax()]
        assert one["cola"]["score"] == pytest.approx(row.max(), abs=1e-5)
    similar = predict(model, "stsb", make_data("stsb", "dev"))[:, 0]
    np.testing.assert_allclose(model.predict(texts_of("stsb"), task="stsb"), similar, atol=1e-5)
    scores = softmax(predict(model, "mnli", make_data("mnli", "dev")), -1)
    best = model.predict(pairs, task="mnli", top_k=2)
    for row, (first, second) in zip(scores, best, strict=True):
        order = row.argsort()[::-1]
        assert [first["label"], second["label"]] == [GLUE["mnli"].labels[i] for i in order[:2]]
        assert [first["score"], second["score"]] == pytest.approx(row[order[:2]], abs=1e-5)


def test_a_text_is_padded_as_in_training(
    make_data: MakeData, tokenizer: PreTrainedTokenizerFast
) -> None:
    pairs = texts_of("rte", "train")
    firsts, seconds = zip(*pairs, strict=True)
    rows = tokenizer([*firsts], [*seconds], truncation="longest_first", max_length=40).encodings
    batch = collate("rte", make_data("rte"), np.arange(len(pairs)), 7)
    assert all(map(torch.equal, padded(rows, 7), (batch.tokens, batch.segments)))


def test_one_text_in_one_answer_out(model: MultiTaskModel) -> None:
    text, pair = "the old dog ran", ("the dog ran", "it ran")
    both = {"text": pair[0], "text_pair": pair[1]}
    one = model.predict(text)
    assert one.keys() == {"cola", "sst2"} and model.predict([text]) == [one]
    assert model.predict({"text": text}) == model.predict({"text": text, "text_pair": None}) == one
    assert model.predict(pair) == model.predict(both) == model.predict([[*pair]])[0]
    assert model.predict(text, task="cola") == one["cola"]
    assert model.predict([]) == [] and len(model.predict(text, "sst2", top_k=9)) == 2
    json.dumps(model.predict([text, pair]))  # plain values


def test_a_long_text_is_cut_where_the_model_ends(model: MultiTaskModel) -> None:
    long = " ".join(["the dog ran"] * 200)
    assert model.max_length == 40
    assert model.predict(long) == model.predict(long + " and the cat")


def test_a_reloaded_model_answers_alike(model: MultiTaskModel, tmp_path: Path) -> None:
    texts = [*texts_of("cola"), *texts_of("mnli")]
    model.save_pretrained(tmp_path / "model")
    again = MultiTaskModel.from_pretrained(tmp_path / "model")
    assert again.about["cola"].temperature == 2.5
    assert again.predict(texts) == model.predict(texts)


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ("a dog", {"task": "nli"}, r"no task 'nli'; expected one of cola, sst2, mnli"),
        ("a dog", {"task": "mnli"}, r"text 0 is a single text; mnli takes pairs"),
        (["a dog", ("a", "b")], {"task": "cola"}, r"text 1 is a pair; cola takes single texts"),
        (("a", "b"), {"task": "qnli"}, r"qnli ranks a question's candidates"),
        (["a dog", 5], {}, r"text 1 is 5; expected a str, a pair"),
        ([("a", "b", "c")], {}, r"text 0 is \('a', 'b', 'c'\); expected"),
        ([("a", None)], {}, r"text 0 is \('a', None\); expected"),
        ([{"txt": "a"}], {}, r"text 0 is {'txt': 'a'}; expected"),
        ("a dog", {"top_k": 0}, "top_k is 0; expected 1 or more"),
    ],
)
def test_texts_that_no_task_fits_are_refused(
    texts: Any, options: dict[str, Any], message: str, model: MultiTaskModel
) -> None:
    with pytest.raises(MtkdError, match=message) as caught:
        model.predict(texts, **options)
    assert "\n" not in str(caught.value)


def told(objective: str, labels: Any = (), temperature: float = 1.0, **options: Any) -> Any:
    head = {"labels": labels, "options": options}
    return {"head": head, "objective": objective, "columns": [], "temperature": temperature}


def test_several_labels_and_scores_in_words() -> None:
    outputs = np.array([[2.0, -1.0, 0.0], [-3.0, -1.0, -0.5]], np.float32)
    found: Any = in_words(outputs, told("multilabel", ("a", "b", "c"), 2.0))
    assert [one["labels"] for one in found] == [["a", "c"], []]
    assert [*found[0]["scores"].values()] == pytest.approx(expit(outputs[0] / 2), abs=1e-7)
    scores = np.array([[-0.5], [2.0], [7.0]], np.float32)
    assert in_words(scores, told("regression", range=[1, 5])) == [1.0, 2.0, 5.0]
    assert in_words(scores, told("regression")) == [-0.5, 2.0, 7.0]


# ------------------------------------------------------------------------------- temperature


def logits_and_labels(temperature: float, several: bool) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too large or small by a factor, and labels drawn from what they mean."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * 2
    if several:
        return logits * temperature, (rng.random((4000, 3)) < expit(logits)).astype(np.float32)
    labels = (softmax(logits, -1).cumsum(1) < rng.random((4000, 1))).sum(1)
    return logits * temperature, labels


@pytest.mark.parametrize("objective", ["classification", "multilabel"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(objective: str, temperature: float) -> None:
    several = objective == "multilabel"
    logits, labels = logits_and_labels(temperature, several)
    found = fit_temperature(logits.astype(np.float32), labels, objective)
    assert found == pytest.approx(temperature, rel=0.05)
    # The same from torch: loss and optimiser of its own.
    loss: Callable[..., Tensor] = torch.nn.functional.cross_entropy
    share = 1 / (len(logits) + 2)
    smooth: dict[str, float] = {"label_smoothing": share * 3 / 2}  # torch shares it among all 3
    target = torch.tensor(labels)
    if several:
        loss, smooth = torch.nn.functional.binary_cross_entropy_with_logits, {}
        target = (1 - 2 * share) * target.double() + share
    heat = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([heat], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(torch.tensor(logits) / heat.exp(), target, **smooth)
        value.backward()
        return value

    optimizer.step(closure)
    assert found == pytest.approx(heat.exp().item(), rel=1e-3)


def test_scores_claim_no_more_than_dev_can_show() -> None:
    labels = np.arange(50) % 2
    logits = np.eye(2)[labels] * 3  # all right
    score = softmax(logits / fit_temperature(logits, labels, "classification"), -1).max(-1)
    assert score == pytest.approx(np.full(50, 51 / 52), abs=1e-4)  # Laplace's rule


@given(st.integers(0, 60), st.sampled_from(["classification", "multilabel", "regression"]))
def test_temperature_leaves_the_labels_alone(count: int, objective: str) -> None:
    rng = np.random.default_rng(count)
    logits = rng.normal(size=(count, 3))
    labels = rng.integers(0, 3, count)
    if objective == "multilabel":
        labels = np.eye(3)[labels]
    found = fit_temperature(logits, labels, objective)
    assert 0 < found <= 100 and (found == 1 or (count >= 20 and objective != "regression"))
    assert fit_temperature(logits * np.nan, labels, objective) == 1
