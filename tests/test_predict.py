"""A model's answers to texts, and the temperature that makes its scores honest."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import MakeData, MakeModel
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mtkd.app.cli import main
from mtkd.app.predict import predict_file
from mtkd.common.errors import MtkdError
from mtkd.data.answers import in_words
from mtkd.data.batches import collate
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.row_files import chunks
from mtkd.data.tasks import GLUE
from mtkd.experiments.settings import Heads
from mtkd.method.calibration import fit_temperature
from mtkd.method.model import MultiTaskModel
from mtkd.method.prediction import predict
from mtkd.method.settings import HeadSpec, TaskAbout
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


def told(objective: str, labels: Any = (), temperature: float = 1.0, bounds: Any = None) -> Any:
    head = {"labels": labels, "options": {}}
    about = {"columns": [], "temperature": temperature, "bounds": bounds}
    return {"head": head, "objective": objective} | about


def test_several_labels_and_scores_in_words() -> None:
    outputs = np.array([[2.0, -1.0, 0.0], [-3.0, -1.0, -0.5]], np.float32)
    found: Any = in_words(outputs, told("multilabel", ("a", "b", "c"), 2.0))
    assert [one["labels"] for one in found] == [["a", "c"], []]
    assert [*found[0]["scores"].values()] == pytest.approx(expit(outputs[0] / 2), abs=1e-7)
    scores = np.array([[-0.5], [2.0], [7.0]], np.float32)
    assert in_words(scores, told("regression", bounds=[1, 5])) == [1.0, 2.0, 5.0]
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


# ------------------------------------------------------------------------------ mtkd predict


@pytest.fixture(scope="module")
def folder(make_encoder: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model: one task each of classes, several labels, a range, and pairs."""
    labels = ("a", "b", "c")
    specs = {
        "intent": HeadSpec("linear", labels),
        "topics": HeadSpec("multilabel", labels),
        "urgency": HeadSpec("similarity", options={"range": [0, 10]}),
        "same": HeadSpec("san", ("no", "yes")),
    }
    columns = {"topics": ("body",), "same": ("one", "other")}
    about = {task: TaskAbout(columns.get(task, ("message",)), 1.5) for task in specs}
    torch.manual_seed(0)
    model = MultiTaskModel(make_encoder(), specs, tokenizer, about)
    for parameter in model.heads.parameters():
        torch.nn.init.normal_(parameter)  # so that answers differ
    made = tmp_path_factory.mktemp("predict") / "model"
    model.save_pretrained(made)
    return made


TEXTS = ['the "old" dog ran, far', "it ran\nand ran", "ein Hund läuft", "so", "NULL", "a, b", "1"]
ROWS = [
    {"id": f"q{i}", "message": text, "n": i, "intent": "a", "note": None}
    for i, text in enumerate(TEXTS)
]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        how: Any = {"sep": "\t", "quoting": 3} if path.suffix == ".tsv" else {}
        pd.DataFrame(rows).to_csv(path, index=False, **how)
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [row for chunk in chunks(path) for _, row in chunk]


@pytest.mark.parametrize("given", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("made", [".csv", ".jsonl", ".parquet"])
def test_every_row_of_a_file_is_answered(
    given: str, made: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtkd.data.row_files.CHUNK", 3)
    rows = [row for row in ROWS if given != ".tsv" or "\n" not in row["message"]]
    source, output = write_rows(tmp_path / f"in{given}", rows), tmp_path / "deep" / f"out{made}"
    reads = predict_file(folder, source, output)
    assert reads == {"intent": ("message",), "urgency": ("message",)}
    found = read_rows(output)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    model, texts = MultiTaskModel.from_pretrained(folder), [row["message"] for row in rows]
    told = {name: model.predict(texts, name) for name in reads}
    as_text = given in (".csv", ".tsv") or made == ".csv"
    for number, (row, before) in enumerate(zip(found, rows, strict=True)):
        kept = {name: str(v) if as_text and v is not None else v for name, v in before.items()}
        added = {name: row.pop(name) for name in row.keys() - kept.keys()}
        assert row == kept and list(row) == list(kept)
        # The file's own labels stay, and answers have another name.
        assert added["intent_predicted"] == told["intent"][number]["label"]
        scores = (added["intent_predicted_score"], added["urgency"])
        expected = (told["intent"][number]["score"], told["urgency"][number])
        assert tuple(map(float, scores)) == pytest.approx(expected, abs=1e-5)


def test_types_of_a_parquet_file_are_kept(folder: Path, tmp_path: Path) -> None:
    table = pa.table(
        {
            "body": ["a dog", "it ran"],
            "when": pa.array([1, None], pa.timestamp("ns", "UTC")),
            "price": pa.array([Decimal("1.50"), None]),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "several": pa.array([[1, 2], []], pa.list_(pa.int8())),
            "nested": pa.array([{"a": 1.5}, None]),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    predict_file(folder, tmp_path / "in.parquet", tmp_path / "out.parquet", "topics")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.column_names).equals(table)
    [one, two] = MultiTaskModel.from_pretrained(folder).predict(["a dog", "it ran"], "topics")
    assert found["topics"].to_pylist() == ["|".join(one["labels"]), "|".join(two["labels"])]
    assert json.loads(found["topics_score"][0].as_py()) == pytest.approx(one["scores"])
    predict_file(folder, tmp_path / "in.parquet", tmp_path / "out.jsonl", "topics")
    assert read_rows(tmp_path / "out.jsonl")[0]["topics_score"] == pytest.approx(one["scores"])


def test_types_of_later_rows_are_seen(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtkd.data.row_files.CHUNK", 2)
    values = [{"n": 1, "d": {"a": 1}}, {"n": 2}, {"n": 1.5, "d": {"b": [0.5]}}, {"late": "x"}]
    rows = [{"message": "a dog", "none": None} | more for more in values]
    source, output = tmp_path / "in.JSONL", tmp_path / "out.PARQUET"
    write_rows(tmp_path / "in.jsonl", rows).rename(source)
    predict_file(folder, source, output, "intent")
    found = pq.read_table(output)
    assert found["n"].to_pylist() == [1, 2, 1.5, None]
    kept = found["d"].to_pylist()
    assert (kept[0]["a"], kept[2]["b"]) == (1, [0.5]) and found["late"].to_pylist()[3] == "x"
    for value, words in (("x", "in.jsonl:4: a value of another type"), (2**70, "in.jsonl:4")):
        source = write_rows(tmp_path / "in.jsonl", [*rows[:3], rows[3] | {"n": value}])
        with pytest.raises(MtkdError, match=words):
            predict_file(folder, source, output, "intent")
    exact = [{"message": "a dog", "n": value} for value in (2**60 + 1, 1, 1.5, 2)]
    with pytest.raises(MtkdError, match=r"out.PARQUET: values that Parquet cannot hold"):
        predict_file(folder, write_rows(tmp_path / "in.jsonl", exact), output, "intent")


def test_columns_of_texts_can_be_named(folder: Path, tmp_path: Path) -> None:
    rows = [{"text": "a dog", "left": "it ran", "right": "a dog ran"}]
    source, output = write_rows(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    assert predict_file(folder, source, output) == dict.fromkeys(
        ("intent", "topics", "urgency"), ("text",)
    )
    given = ("left", "right")
    assert predict_file(folder, source, output, text=given) == {"same": given}
    assert predict_file(folder, source, output, "intent", ["left"]) == {"intent": ("left",)}


FINE = '{"message": "a dog"}\n'


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("in.txt", FINE, {}, r"in\.txt: expected a name that ends in one of \.csv, "),
        ("in.jsonl", FINE, {"output": "out.xls"}, r"out\.xls: expected a name that ends"),
        ("in.jsonl", FINE, {"model": "."}, "no saved mtkd model there"),
        ("in.jsonl", FINE, {"task": "mood"}, "--task mood: expected a task of the model, intent"),
        ("in.jsonl", FINE, {"task": "same"}, "for same; expected 'one' and 'other', found message"),
        ("in.jsonl", FINE, {"text": ["body"]}, "expected 'body', found message"),
        ("in.csv", "body,n\na,1\n,2\n", {}, r"in\.csv:3: column 'body' is None; expected a text"),
        ("in.csv", "body,n\na,1\nb\n", {}, r"in\.csv:3: 1 columns; expected 2"),
        ("in.jsonl", FINE + "{}\n", {}, r"in\.jsonl:2: column 'message' is None"),
        ("in.jsonl", FINE + '{"message": 5}', {}, r"in\.jsonl:2: column 'message' is 5"),
        ("in.jsonl", FINE + "{", {}, r"in\.jsonl:2: not valid JSON"),
        ("in.jsonl", "", {}, "found no row"),
        ("in.parquet", "PAR1", {}, r"in\.parquet: not readable as Parquet"),
        ("in.jsonl", '{"message": "a\\tb"}', {"output": "out.tsv"}, r"out\.tsv: a tab"),
        (
            "in.csv",
            "message,intent,intent_predicted\na,b,c\n",
            {},
            "columns intent and intent_predicted are taken",
        ),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    name: str,
    content: str,
    options: dict[str, Any],
    message: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    output = tmp_path / options.get("output", "out.csv")
    model = tmp_path if "model" in options else folder
    more = ["--task", options["task"]] if "task" in options else []
    more += [word for column in options.get("text", ()) for word in ("--text", column)]
    assert main(["predict", str(model), str(tmp_path / name), "--output", str(output), *more]) == 1
    said = capsys.readouterr().err
    assert re.search(message, said) and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing half done


def test_the_command_says_what_it_has_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path / "in.csv", ROWS)
    assert main(["predict", str(folder), str(source), "--output", str(tmp_path / "out.csv")]) == 0
    said = capsys.readouterr().out
    assert "predict: 100%" in said and "intent: of message\n" in said
    assert said.endswith(f"written: {tmp_path / 'out.csv'}\n")
