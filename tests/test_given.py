"""Teachers from elsewhere: files and checkpoints of any label order, read, refused, averaged."""

import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from mtkd.app.freshness import due_trainings
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.data.given_files import file_outputs
from mtkd.data.given_settings import GivenTeacher
from mtkd.data.given_values import FLOOR
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.own_settings import OwnTask
from mtkd.data.own_tasks import own_examples, own_task, read_own
from mtkd.data.tasks import Examples, Task
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import find_run, main_runs, upto
from mtkd.experiments.recipes import as_yaml, load_recipe
from mtkd.experiments.records import Record, prediction_file
from mtkd.experiments.settings import Recipe
from mtkd.experiments.systems.teachers import soft_targets
from mtkd.experiments.task_sets import present_tasks
from mtkd.experiments.validation import changed
from mtkd.method.given import given_predictions, longest_input
from mtkd.method.targets import align, average_predictions, read_predictions

INTENT = Task("intent", "classification", ("card", "loan", "other"), columns=("message",))
TOPICS = Task("topics", "multilabel", ("art", "food", "law"), columns=("message",))
HEAT = Task("heat", "regression", columns=("message",), range=(0.0, 5.0))
TEXTS = ["my card is lost", "lend me money", "what a day", "a new card please"]


def examples(task: Task, split: str = "train", start: int = 0) -> Examples:
    found = Examples.from_lists(task, TEXTS, split=split)
    return Examples(task, split, found.idx + start, found.text_a, None, None)


def write(path: Path, rows: Iterable[Any]) -> str:
    """Rows as JSONL, or as what the file's name says."""
    rows = list(rows)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        pd.DataFrame(rows).to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")
    return str(path)


def said(path: Path, rows: Iterable[Any], task: Task = INTENT, **how: Any) -> np.ndarray:
    """What a file of rows says of the four examples."""
    teacher = GivenTeacher(task.name, predictions=write(path, rows), **how)
    outputs, _ = file_outputs(teacher, {"train": examples(task)})
    return outputs["train"]


PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.0, 0.0, 1.0], [0.5, 0.25, 0.25]])
LABELS = ("other", "card", "loan")  # in another order than the task's
ORDER = [2, 0, 1]  # of its columns, of the task's


def named(values: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(LABELS, row[ORDER].tolist(), strict=True)) for row in values]


SHAPES: dict[str, Callable[[int, dict[str, float]], dict[str, Any]]] = {
    "columns": lambda at, row: {"id": at} | row,
    "scores": lambda at, row: {"id": at, "scores": row},
    "pipeline": lambda at, row: {
        "id": at,
        "scores": [{"label": k, "score": v} for k, v in sorted(row.items(), key=lambda kv: -kv[1])],
    },
    "text": lambda at, row: {"message": TEXTS[at]} | row,
    "llm": lambda at, row: {"id": at, "label_probs": row},
}


FILES = [(shape, suffix) for shape in SHAPES for suffix in (".jsonl", ".parquet")]
FILES += [(shape, suffix) for shape in ("columns", "text") for suffix in (".csv", ".tsv")]


@pytest.mark.parametrize(("shape", "suffix"), FILES)
def test_probabilities_of_any_shape_and_order_are_the_same(tmp_path, shape, suffix):
    rows = [SHAPES[shape](at, row) for at, row in enumerate(named(PROBABILITIES))]
    found = said(tmp_path / f"said{suffix}", reversed(rows))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_allclose(softmax(found, 1), PROBABILITIES, atol=1e-7)


def test_logits_stay_as_they_are(tmp_path):
    logits = np.random.default_rng(0).normal(0, 30, (4, 3)).astype(np.float32)
    rows = [{"id": at, "logits": row} for at, row in enumerate(named(logits))]
    np.testing.assert_array_equal(said(tmp_path / "said.jsonl", rows), logits)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(INTENT.labels), st.integers(0, 50), min_size=1).filter(
            lambda votes: sum(votes.values()) > 0
        ),
        min_size=4,
        max_size=4,
    )
)
def test_votes_are_shares_of_all_votes(tmp_path_factory, votes):
    rows = [{"id": at, "votes": row} for at, row in enumerate(votes)]
    found = softmax(said(tmp_path_factory.mktemp("votes") / "said.jsonl", rows), 1)
    wanted = [[row.get(name, 0) / sum(row.values()) for name in INTENT.labels] for row in votes]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=2), st.permutations(INTENT.labels))
def test_what_the_first_labels_leave_is_shared_by_the_others(tmp_path_factory, first, order):
    first = [value / max(1.0, sum(first)) for value in first]
    probabilities = dict(zip(order, first, strict=False))
    if not sum(first):
        return
    rows = [{"id": at, "label_probs": probabilities} for at in range(4)]
    found = softmax(said(tmp_path_factory.mktemp("top") / "said.jsonl", rows), 1)[0]
    tail = (1 - sum(first)) / (3 - len(first))
    wanted = [probabilities.get(name, tail) for name in INTENT.labels]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_one_label_alone_is_nearly_certain(tmp_path):
    labels = ["card", "loan", "other", "card"]
    rows = [{"id": at, "label": label} for at, label in enumerate(labels)]
    for suffix in (".csv", ".jsonl"):
        found = said(tmp_path / f"said{suffix}", rows)
        np.testing.assert_allclose(softmax(found, 1), np.eye(3)[[0, 1, 2, 0]], atol=1e-8)
        assert math.exp(found.min()) == pytest.approx(FLOOR)
    # What a pipeline gives without top_k: the best label and its score.
    rows = [row | {"score": 0.8} for row in rows]
    np.testing.assert_allclose(
        softmax(said(tmp_path / "best.csv", rows), 1)[0], [0.8, 0.1, 0.1], atol=1e-7
    )


def test_several_labels_of_a_text_and_scores(tmp_path):
    values = np.array([[0.9, 0.0, 0.4], [1.0, 1.0, 0.0], [0.5, 0.2, 0.1], [0.3, 0.3, 0.3]])
    rows = [
        {"id": at} | dict(zip(TOPICS.labels, row, strict=True)) for at, row in enumerate(values)
    ]
    np.testing.assert_allclose(
        expit(said(tmp_path / "topics.csv", rows, TOPICS)), values, atol=1e-6
    )
    answers = [["art", "law"], [], ["food"], ["law"]]
    rows = [{"id": at, "label": one} for at, one in enumerate(answers)]
    wanted = [[name in one for name in TOPICS.labels] for one in answers]
    found = said(tmp_path / "answers.jsonl", rows, TOPICS)
    np.testing.assert_allclose(expit(found), wanted, atol=1e-6)
    rows = [{"id": at, "score": at + 0.5} for at in range(4)]
    np.testing.assert_array_equal(
        said(tmp_path / "heat.csv", rows, HEAT), [[0.5], [1.5], [2.5], [3.5]]
    )


def test_several_of_its_labels_may_be_one_of_ours(tmp_path):
    values = [{"Visa": 0.3, "Debit": 0.3, "loan": 0.3, "rest": 0.1}] * 4
    mapping = {"Visa": "card", "Debit": "card", "rest": "other"}
    for name in ("scores", "logits"):  # of logits, softmax of all four, then the sum
        rows = [{"id": at, name: row} for at, row in enumerate(values)]
        share = softmax([0.3, 0.3, 0.3, 0.1]) if name == "logits" else [0.3, 0.3, 0.3, 0.1]
        wanted = [share[0] + share[1], share[2], share[3]]
        found = softmax(said(tmp_path / f"{name}.jsonl", rows, labels=mapping), 1)
        np.testing.assert_allclose(found, [wanted] * 4, atol=1e-6)


def test_one_file_of_all_splits(tmp_path):
    splits = {"train": examples(INTENT), "dev": examples(INTENT, "dev", start=10)}
    rows = [{"id": at, "label": "card"} for at in (*range(4), *range(10, 20))]
    file = write(tmp_path / "said.csv", rows)
    outputs, unused = file_outputs(GivenTeacher("intent", predictions=file), splits)
    assert {split: len(found) for split, found in outputs.items()} == {"train": 4, "dev": 4}
    assert unused == 6
    # Ids that do not tell splits apart need a column that does.
    same = splits | {"dev": examples(INTENT, "dev")}
    with pytest.raises(MtkdError, match=r"train and dev of intent both have an example 0"):
        file_outputs(GivenTeacher("intent", predictions=file), same)
    rows = [
        {"id": at, "split": split, "label": label}
        for split, label in (("train", "card"), ("validation", "loan"))
        for at in range(4)
    ]
    task = Task("intent", "classification", INTENT.labels, splits={"train": "train", "dev": "dev"})
    same = {split: examples(task, split) for split in same}
    file = write(tmp_path / "splits.csv", rows)
    outputs, unused = file_outputs(GivenTeacher("intent", predictions=file), same)
    assert unused == 0
    assert [outputs[split][0].argmax() for split in same] == [0, 1]


def test_rows_without_ids_are_in_the_order_of_the_file(tmp_path):
    rows = named(PROBABILITIES)
    pipeline = [[{"label": k, "score": v} for k, v in row.items()] for row in rows]
    for file, content in (("said.csv", rows), ("pipeline.jsonl", pipeline)):
        found = said(tmp_path / file, content)
        np.testing.assert_allclose(softmax(found, 1), PROBABILITIES, atol=1e-7)
    files = {"train": write(tmp_path / "a.csv", rows), "valid": write(tmp_path / "b.csv", rows)}
    splits = {split: examples(INTENT, split) for split in ("train", "dev", "test")}
    outputs, _ = file_outputs(GivenTeacher("intent", predictions=files), splits)
    assert set(outputs) == {"train", "dev"}  # nothing is learnt or chosen by a test split
    np.testing.assert_array_equal(outputs["train"], outputs["dev"])
    for wrong in ({"train": files["train"]}, files | {"tset": files["train"]}):
        with pytest.raises(MtkdError, match=r"expected `predictions: \{train: FILE, dev: FILE\}`"):
            file_outputs(GivenTeacher("intent", predictions=wrong), splits)


def own_splits(folder: Path, rows: list[dict[str, Any]], **spec: Any) -> dict[str, Examples]:
    """Splits of a task of one's own in one file."""
    task = own_task("intent", OwnTask(write(folder / "data.jsonl", rows), **spec))
    return {split: read_own(task, split) for split in task.splits}


def answered(outputs: Mapping[str, np.ndarray], splits: Mapping[str, Examples]) -> dict[str, str]:
    """The label that a teacher gives to each text."""
    return {
        text: one.task.labels[row.argmax()]
        for split, one in splits.items()
        for text, row in zip(one.text_a, outputs[split], strict=True)
    }


OWN = [{"text": f"t{n}", "label": "ab"[n % 2]} for n in range(40)]
TRUTH = {row["text"]: row["label"] for row in OWN}
KEYED = [row | {"idx": 39 - n} for n, row in enumerate(OWN)]  # ids that are no row numbers


@pytest.mark.parametrize("texts", [True, False])
@pytest.mark.parametrize("spec", [{}, {"id": "idx"}])
def test_ids_of_a_file_are_those_of_the_task(tmp_path, spec, texts):
    splits = own_splits(tmp_path, KEYED, **spec)
    said = [row if texts else {"idx": row["idx"], "label": row["label"]} for row in KEYED]
    teacher = GivenTeacher("intent", predictions=write(tmp_path / "said.csv", said))
    assert answered(file_outputs(teacher, splits)[0], splits) == TRUTH


def test_ids_that_a_task_does_not_have_are_not_used(tmp_path):
    splits = own_splits(tmp_path, OWN)
    file = write(tmp_path / "said.csv", KEYED)
    by_text = file_outputs(GivenTeacher("intent", predictions=file), splits)[0]
    assert answered(by_text, splits) == TRUTH
    memory = own_examples("intent", pd.DataFrame(OWN))
    by_text = file_outputs(GivenTeacher("intent", predictions=file), memory)[0]
    assert answered(by_text, memory) == TRUTH
    file = write(tmp_path / "ids.csv", [{"idx": n, "label": "ab"[n % 2]} for n in range(40)])
    with pytest.raises(MtkdError, match=r"ids.csv: ids in column 'idx', and .*write `id: idx` for"):
        file_outputs(GivenTeacher("intent", predictions=file), splits)
    numbers = file_outputs(GivenTeacher("intent", predictions=file, id="idx"), splits)[0]
    assert answered(numbers, splits) == TRUTH


@pytest.mark.parametrize("spec", [{}, {"range": (0.0, 4.0)}])
def test_only_a_range_that_is_stated_bounds_scores(tmp_path, spec):
    rows = [{"text": f"t{n}", "label": n / 10} for n in range(40)]
    splits = own_splits(tmp_path, rows, **spec)
    task = splits["train"].task
    assert (task.bounds is None) == (not spec) and task.range[0] < 1 and task.range[1] > 3
    rows = [{"text": row["text"], "score": 10 * row["label"]} for row in rows]
    teacher = GivenTeacher("intent", predictions=write(tmp_path / "said.csv", rows))
    if spec:
        with pytest.raises(MtkdError, match="expected 0 to 4"):
            file_outputs(teacher, splits)
    else:
        assert max(one.max() for one in file_outputs(teacher, splits)[0].values()) == 39


def test_places_are_shared_by_splits_of_a_file_without_ids(tmp_path):
    rows = [{"label": row["label"]} for row in OWN]
    teacher = GivenTeacher("intent", predictions=write(tmp_path / "said.csv", rows))
    splits = own_splits(tmp_path, OWN)
    assert answered(file_outputs(teacher, splits)[0], splits) == TRUTH
    with pytest.raises(MtkdError, match=r"without ids or texts; expected .*\{train: FILE, dev"):
        file_outputs(teacher, own_splits(tmp_path, KEYED))


def rows_with(**change: Any) -> list[dict[str, Any]]:
    """Good rows, the third of them changed."""
    rows: list[dict[str, Any]] = [
        {"id": at} | row for at, row in enumerate(named(PROBABILITIES[[0, 1, 0, 3]]))
    ]
    rows[2] |= change
    return rows


BAD_ROWS: dict[str, tuple[str, Iterable[Any], Mapping[str, Any], str]] = {
    "not a number": ("a.csv", rows_with(card="much"), {}, r"a.csv:4: card is 'much'"),
    "NaN": ("a.jsonl", rows_with(card=math.nan), {}, r"a.jsonl:3: card is 'nan'"),
    "true": ("a.jsonl", rows_with(card=True), {}, r"a.jsonl:3: card is 'True'"),
    "negative": ("a.csv", rows_with(card=-0.3), {}, r"a.csv:4: card is -0.3.*format: logits"),
    "sum": ("a.csv", rows_with(card=0.9), {}, r"a.csv:4: .*sum to 1.2; expected 1"),
    "empty cell": ("a.csv", rows_with(card=None), {}, r"a.csv:4: no value of 'card'"),
    "id twice": ("a.csv", rows_with(id=1), {}, r"a.csv:4: the same id as in a.csv:3"),
    "id missing": ("a.jsonl", rows_with(id=None), {}, r"a.jsonl:3: column 'id' is empty"),
    "id of nobody": ("a.csv", rows_with(id=77), {}, r"no row of 1 of 4 .* id 2, 'what a day'"),
    "Parquet": ("a.parquet", rows_with(card=0.9), {}, r"a.parquet, row 2: .*sum to 1.2"),
    "label missing": (
        "a.csv",
        [{"id": at, "card": 0.5, "loan": 0.5} for at in range(4)],
        {},
        r"a.csv: .*no 'other'; write which is which, `labels: \{",
    ),
    "label too many": ("a.csv", rows_with(Loan=0.0), {}, r"'Loan' is none;.*\{Loan: loan\}"),
    "LABEL_0": (
        "a.jsonl",
        [{"id": at, "scores": {"LABEL_0": 1.0}} for at in range(4)],
        {},
        r"a.jsonl:1: label 'LABEL_0'.*labels: \{LABEL_0",
    ),
    "places": (
        "a.jsonl",
        [{"id": at, "label": 0} for at in range(4)],
        {},
        r"a.jsonl:1: label '0'; expected one of card, loan, other",
    ),
    "list": (
        "a.jsonl",
        [{"id": at, "logits": [0.1, 0.2, 0.3]} for at in range(4)],
        {},
        r'a.jsonl:1: \[0.1, 0.2, 0.3\]; expected \{"label"',
    ),
    "label twice": (
        "a.jsonl",
        [{"id": at, "scores": [{"label": "card", "score": 0.5}] * 2} for at in range(4)],
        {},
        r"a.jsonl:1: a label comes twice",
    ),
    "no label": (
        "a.jsonl",
        [{"id": at, "label": {"card": 1.0}} for at in range(4)],
        {},
        r"a.jsonl:1: \{'card': 1.0\}; expected a label: text",
    ),
    "no votes": (
        "a.jsonl",
        [{"id": at, "votes": {"card": 0}} for at in range(4)],
        {},
        r"a.jsonl:1: no label has anything",
    ),
    "two holders": (
        "a.jsonl",
        [{"id": at, "votes": {"card": 1}, "scores": {}} for at in range(4)],
        {},
        r"a.jsonl: both scores and votes",
    ),
    "nothing": ("a.jsonl", [{"id": at} for at in range(4)], {}, r"a.jsonl: no column 'label'"),
    "mapping": ("a.csv", rows_with(), {"labels": {"x": "Card"}}, r"labels.x: 'Card' is no label"),
    "id column": ("a.csv", rows_with(), {"id": "key"}, r"a.csv: no column 'key' \(the ids"),
    "rows": ("a.csv", named(PROBABILITIES[:3]), {}, r"a.csv: 3 rows, and intent train has 4; exp"),
    "texts": (
        "a.csv",
        [{"message": text, "label": "card"} for text in [*TEXTS[:3], "something else"]],
        {},
        r"no row of 1 of 4 examples .*'a new card please'",
    ),
    "text twice": (
        "a.csv",
        [{"message": "hi", "label": label} for label in INTENT.labels],
        {},
        r"a.csv:3: the same text as in a.csv:2",
    ),
    "split": (
        "a.csv",
        [{"id": at, "split": "final", "label": "card"} for at in range(4)],
        {},
        r"a.csv:2: split 'final'",
    ),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_malformed_file_is_refused_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    file, rows, how, message = BAD_ROWS[name]
    with pytest.raises(MtkdError, match=message) as caught:
        said(Path(file), rows, **how)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        (TOPICS, [{"id": 0, "votes": {"art": 2}}], "votes of topics"),
        (TOPICS, [{"id": 0, "art": 1.5, "food": 0, "law": 0}], "a probability of 1.5"),
        (HEAT, [{"id": 0, "score": 9.0}], "score 9; expected 0 to 5"),
        (HEAT, [{"id": 0, "heat": 9.0}], "no column 'score'"),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path, task, rows, message):
    with pytest.raises(MtkdError, match=message):
        said(tmp_path / "a.jsonl", rows, task)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "exactly one of `model` and `predictions`"),
        ({"model": "a", "predictions": "b.csv"}, "exactly one"),
        ({"model": "a", "format": "logits"}, "no `format`"),
        ({"predictions": "b.csv", "revision": "x"}, "no `revision`"),
    ],
)
def test_teacher_is_a_model_or_a_file(how, message):
    with pytest.raises(ValueError, match=message):
        GivenTeacher("intent", **how)


# ----------------------------------------------------------------------------------- checkpoints


@pytest.fixture(scope="module")
def checkpoint(tokenizer: PreTrainedTokenizerFast, tmp_path_factory) -> Callable[..., str]:
    """A tiny fine-tuned BERT with these labels, saved by transformers."""

    def make(labels: Iterable[str], seed: int = 0, **more: Any) -> str:
        torch.manual_seed(seed)
        names = dict(enumerate(labels))
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
            initializer_range=0.5,  # outputs that differ from text to text
            id2label=names,
            label2id={name: at for at, name in names.items()},
            **more,
        )
        folder = tmp_path_factory.mktemp("models") / "fine-tuned"
        model = BertForSequenceClassification(config)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return make


def outputs_by_hand(folder: str, tokenizer: Any) -> np.ndarray:
    """A checkpoint's logits, one text at a time."""
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        rows = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in TEXTS]
    return np.stack([row.numpy() for row in rows])


def test_checkpoints_of_other_orders_and_a_file_make_the_soft_targets_of_a_hand_calculation(
    checkpoint, tokenizer, tmp_path
):
    folders = {
        checkpoint(("loan", "other", "card"), seed=1): [2, 0, 1],
        checkpoint(("LABEL_0", "LABEL_1", "LABEL_2"), seed=2): [1, 2, 0],
    }
    mapping = {"LABEL_0": "other", "LABEL_1": "card", "LABEL_2": "loan"}
    labels = [{}, mapping]
    teachers = [
        GivenTeacher("intent", model=folder, labels=one)
        for folder, one in zip(folders, labels, strict=True)
    ]
    rows = [{"id": at, "label_probs": {"loan": 0.5, "other": 0.1 * at}} for at in range(4)]
    file = write(tmp_path / "llm.jsonl", rows)
    teachers.append(GivenTeacher("intent", predictions=file))
    split = {"train": examples(INTENT)}
    members = [given_predictions(teacher, split)["train"] for teacher in teachers]
    soft = average_predictions(members, np.array([3, 1, 0]), INTENT.labels)

    by_hand = [
        softmax(outputs_by_hand(folder, tokenizer), 1)[:, order]
        for folder, order in folders.items()
    ]
    by_hand.append(np.array([[0.5 - 0.1 * at, 0.5, 0.1 * at] for at in range(4)]))
    np.testing.assert_allclose(soft, np.mean(by_hand, 0)[[3, 1, 0]], atol=1e-6)
    assert soft.std(0).min() > 1e-2


def test_multilabel_and_regression_checkpoints(checkpoint, tokenizer):
    several = checkpoint(("law", "art", "food"), problem_type="multi_label_classification")
    found = given_predictions(GivenTeacher("topics", model=several), {"dev": examples(TOPICS)})
    np.testing.assert_allclose(
        found["dev"].logits, outputs_by_hand(several, tokenizer)[:, [1, 2, 0]], atol=1e-5
    )
    one = checkpoint(("LABEL_0",), problem_type="regression")
    found = given_predictions(GivenTeacher("heat", model=one), {"dev": examples(HEAT)})
    np.testing.assert_allclose(found["dev"].logits, outputs_by_hand(one, tokenizer), atol=1e-5)


def test_long_texts_are_cut_to_what_the_model_can_read_or_is_to_read(checkpoint, tokenizer):
    folder = checkpoint(INTENT.labels)
    model = BertForSequenceClassification.from_pretrained(folder)
    assert longest_input(model, tokenizer) == 32
    long = Examples.from_lists(INTENT, ["the card " * 100, "the card " * 200])
    for most in (None, 512, 12):
        found = given_predictions(
            GivenTeacher("intent", model=folder, max_length=most), {"a": long}
        )
        np.testing.assert_array_equal(*found["a"].logits)


@pytest.mark.parametrize(
    ("labels", "more", "task", "message"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), {}, INTENT, r"'LABEL_0' is none; write which is which"),
        (("card", "loan"), {}, INTENT, r"no 'other'; write which is which"),
        (("Card", "loan", "other"), {}, INTENT, r"labels: \{Card: card\}"),
        (("card", "True", "my loan"), {}, INTENT, r'labels: \{"True": \.\.\., "my loan": \.\.\.\}'),
        (("card", "loan", "other", "art"), {}, INTENT, r"'art' is none"),
        (TOPICS.labels, {}, TOPICS, r"problem_type None.*'multi_label_classification'"),
        (
            INTENT.labels,
            {"problem_type": "multi_label_classification"},
            INTENT,
            r"problem_type 'multi_label_classification'.*expected 'single_label",
        ),
        (INTENT.labels, {}, HEAT, r"3 outputs, and heat is a regression; expected 1"),
        (("LABEL_0",), {}, INTENT, r"1 outputs, and intent is a classification; expected 3"),
    ],
)
def test_checkpoint_that_does_not_fit_is_refused(checkpoint, labels, more, task, message):
    folder = checkpoint(labels, **more)
    with pytest.raises(MtkdError, match=message) as caught:
        given_predictions(GivenTeacher(task.name, model=folder), {"dev": examples(task)})
    assert "\n" not in str(caught.value)


def test_folder_that_is_no_fine_tuned_classifier_is_refused(checkpoint, tmp_path):
    def refused(folder: Path, message: str) -> None:
        with pytest.raises(MtkdError, match=message) as caught:
            given_predictions(GivenTeacher("intent", model=str(folder)), {"dev": examples(INTENT)})
        assert "\n" not in str(caught.value)

    refused(tmp_path / "absent", "cannot be loaded")
    good = Path(checkpoint(INTENT.labels))
    encoder = tmp_path / "encoder"
    model = BertForSequenceClassification.from_pretrained(good)
    model.bert.config.id2label = model.config.id2label
    model.bert.save_pretrained(encoder)
    refused(encoder, "no weights of classifier.bias; expected a fine-tuned classifier")
    pickled = tmp_path / "pickled"
    shutil.copytree(good, pickled)
    (pickled / "model.safetensors").unlink()
    torch.save(model.state_dict(), pickled / "pytorch_model.bin")
    refused(pickled, "cannot be loaded: .*safetensors")
    untold = tmp_path / "untold"
    shutil.copytree(good, untold)
    (untold / "tokenizer.json").unlink()
    refused(untold, "no tokenizer.json")


# ------------------------------------------------------------------------------------- in a recipe

RECIPE = """
name: tiny
data: {kind: toy, seed: 0, scale: 0.02}
tasks: [cola, stsb, rte]
max_length: 64
encoders: {uncased: {pretrain: true}}
pretraining: {layers: 1, hidden: 16, attention_heads: 2, vocabulary: 600, sentences: 200, epochs: 1}
heads: {pair: linear}
baselines: [bert]
training: {epochs: 1, learning_rate: 0.002}
finetuning: {epochs: 1, learning_rate: 0.001}
teachers:
  choose: 0
  given:
    - {task: rte, model: tiny-rte}
    - {task: rte, predictions: llm.jsonl}
    - {task: stsb, name: sts, predictions: {train: train.csv, validation: dev.csv, test: test.csv}}
students: {mtdnn-kd: {hard_weight: 0.5}}
"""


@pytest.fixture(scope="module")
def recipe_file(checkpoint, tmp_path_factory) -> Path:
    """A recipe with a checkpoint, a language model's answers and a file of scores beside it."""
    folder = tmp_path_factory.mktemp("recipe")
    shutil.copytree(checkpoint(("not_entailment", "entailment")), folder / "tiny-rte")
    source = DataSource(scale=0.02)
    rows = []
    for split in ("train", "dev"):
        found = load_examples(source, "rte", split)
        for at in found.idx.tolist():
            rows.append({"id": at, "split": split, "label_probs": {"entailment": at % 5 / 5 + 0.1}})
    write(folder / "llm.jsonl", [*rows, rows[0] | {"id": 10**6}])
    for split in ("train", "dev", "test"):
        idx = load_examples(source, "stsb", split).idx
        write(folder / f"{split}.csv", [{"idx": at, "score": at % 6} for at in idx.tolist()])
    (folder / "tiny.yaml").write_text(RECIPE)
    return folder / "tiny.yaml"


def execute(recipe: Recipe, results: Path) -> dict[str, Record]:
    """Make the students of a recipe, and what they rest on; records by the run's name."""
    runs = upto(main_runs(recipe), "distill")
    return {
        f"{run.stage} {run.variant}": RunContext(
            recipe, run, results, present_tasks(recipe)
        ).execute()
        for run in runs
    }


@pytest.fixture(scope="module")
def made(recipe_file, tmp_path_factory) -> tuple[Recipe, Path, dict[str, Record]]:
    recipe, results = load_recipe(str(recipe_file)), tmp_path_factory.mktemp("results") / "tiny"
    return recipe, results, execute(recipe, results)


def test_given_teachers_alone_teach_the_student(made, recipe_file, tokenizer):
    recipe, results, records = made
    given = ["given rte-tiny-rte", "given rte-llm", "given sts"]
    assert list(records) == ["encoders uncased", *given, "teachers given", "distill mtdnn-kd"]
    runs = upto(main_runs(recipe), "distill")
    assert not due_trainings(runs, results)
    student = RunContext(recipe, runs[-1], results, present_tasks(recipe))
    assert student.teacher_tasks == ("stsb", "rte")  # of CoLA there are labels alone
    losses = records["distill mtdnn-kd"].details["histories"]["mtdnn-kd"]["epochs"][0]["loss"]
    assert set(losses) == {"cola", "stsb", "rte"}

    pairs = load_examples(recipe.data, "rte", "train")
    model = BertForSequenceClassification.from_pretrained(recipe_file.parent / "tiny-rte").eval()
    cut = {"truncation": "longest_first", "max_length": 32}
    with torch.inference_mode():
        logits = [
            model(**tokenizer(a, b, return_tensors="pt", **cut)).logits[0].numpy()
            for a, b in zip(pairs.text_a, pairs.text_b or (), strict=True)
        ]
    entailed = (pairs.idx % 5 / 5 + 0.1 + softmax(logits, 1)[:, 1]) / 2
    soft = soft_targets(student, "rte", pairs.idx)
    np.testing.assert_allclose(soft, np.stack([entailed, 1 - entailed], 1), atol=1e-6)
    scores = load_examples(recipe.data, "stsb", "train").idx
    np.testing.assert_array_equal(soft_targets(student, "stsb", scores)[:, 0], scores % 6)

    spoken = {(score.task, score.split) for score in records["teachers given"].scores}
    assert spoken == {("stsb", "dev"), ("stsb", "test"), ("rte", "dev")}  # not RTE's test set
    assert records["given rte-llm"].details["unused_rows"] == 1


def test_given_teachers_beside_a_chosen_candidate(made):
    recipe, results, _ = made
    changes = ["teachers.choose=1", "candidates.encoders=[uncased]", "candidates.dropout=[0.1]"]
    both = changed(recipe, [*changes, "teachers.tasks=[rte]"])
    record = execute(both, results)["teachers best1"]
    (candidate,) = record.details["members"]
    assert [task for _, _, task in record.details["given"]] == ["rte", "rte", "stsb"]
    for task, count in (("cola", 1), ("rte", 3), ("stsb", 2)):
        members = [candidate, *(one[:2] for one in record.details["given"] if one[2] == task)]
        assert len(members) == count
        found = [
            read_predictions(prediction_file(results, run_id, system, task, "dev"))
            for run_id, system in [*members, (record.run_id, "ensemble")]
        ]
        *outputs, ensemble = (align(one, found[0].idx, one.labels) for one in found)
        if task == "stsb":
            np.testing.assert_allclose(ensemble, np.mean(outputs, 0), atol=1e-5)
        else:
            wanted = np.mean([softmax(one, 1) for one in outputs], 0)
            np.testing.assert_allclose(softmax(ensemble, 1), wanted, atol=1e-6)


@pytest.mark.parametrize("notebook", ["13_given_teachers", "05_teachers"])
def test_notebooks_show_finished_teachers(made, recipe_file, monkeypatch, notebook):
    _, results, _ = made
    monkeypatch.setenv("MTKD_RESULTS", str(results.parent))
    book = nbformat.read(paths.NOTEBOOKS / f"{notebook}.ipynb", 4)
    shown: dict[str, Any] = {}
    for cell in book.cells:
        if cell.cell_type == "code":
            exec(cell.source, shown)  # the cell's own last line shows nothing here
            shown["recipe"] = str(recipe_file)
    heard = shown["teacher_outputs"].teachers_heard if notebook[:2] == "05" else None
    rows = heard(shown["run"]) if heard else shown["heard"]
    assert {one.teacher for one in rows} == {"rte-tiny-rte", "rte-llm", "sts"}


def test_ids_hold_the_content_of_files_and_not_their_place(recipe_file, tmp_path):
    before = load_recipe(str(recipe_file))
    shutil.copytree(recipe_file.parent, tmp_path / "moved")
    moved = load_recipe(str(tmp_path / "moved" / "tiny.yaml"))
    assert moved.teachers.given[0].model == str(tmp_path / "moved" / "tiny-rte")
    assert load_recipe(written(moved, tmp_path / "saved.yaml")) == moved
    assert ids(moved) == ids(before)
    file = tmp_path / "moved" / "llm.jsonl"
    file.write_text(file.read_text().replace('"entailment": 0.1', '"entailment": 0.2'))
    changed_stages = {name.split("-")[0] for name in ids(moved) - ids(before)}
    assert changed_stages == {"given", "teachers", "distill"} and len(ids(moved) - ids(before)) == 3


def ids(recipe: Recipe) -> set[str]:
    return {run.run_id for run in main_runs(recipe)}


def written(recipe: Recipe, path: Path) -> str:
    path.write_text(as_yaml(recipe))
    return str(path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("teachers.given=[]", r"teachers.choose: expected 1 to 6.*0 is for given teachers alone"),
        ("teachers.given=[{task: mnli, model: a}]", r"given\[0\].task: 'mnli' is no task"),
        (
            "teachers.given=[{task: rte, model: a}, {task: rte, model: b/a}]",
            r"given\[1\]: another one is called 'rte-a'; give it a `name`",
        ),
        ("teachers.given=[{task: rte}]", r"given\[0\]: expected exactly one of `model` and"),
        ("teachers.given=[{task: rte, modle: a}]", r"unknown key 'modle'; did you mean 'model'"),
        ("teachers.given=[{task: rte, predictions: a.csv, format: p}]", r"given\[0\].format"),
    ],
)
def test_recipe_with_unfit_teachers_is_refused(recipe_file, setting, message):
    with pytest.raises(MtkdError, match=message) as caught:
        load_recipe(str(recipe_file), [setting])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("{task: rte, predictions: absent.csv}", r"absent.csv: No such file.*a teacher's predict"),
        ("{task: rte, model: ./absent}", r"given teacher rte-absent: no folder .*absent"),
    ],
)
def test_absent_files_are_told_before_any_work(recipe_file, teacher, message):
    recipe = load_recipe(str(recipe_file), [f"teachers.given=[{teacher}]"])
    with pytest.raises(MtkdError, match=message):
        main_runs(recipe)


def test_recipe_without_given_teachers_says_where_they_would_be():
    with pytest.raises(MtkdError, match=r"no given teachers; expected some under `teachers.given`"):
        find_run(load_recipe("smoke"), "given", None, 0)
