"""Tasks of one's own: every kind of file, splits, what is inferred and what is not, metrics."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from conftest import MakeEncoder
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from transformers import PreTrainedTokenizerFast

import mtkd
from mtkd.common.errors import MtkdError
from mtkd.data.digests import own_identity
from mtkd.data.metrics import compute, is_degenerate
from mtkd.data.own_files import Table, hub_data, hub_table
from mtkd.data.own_splits import Example, divided
from mtkd.data.own_tasks import faults, own_task, read_own
from mtkd.data.own_values import example_id
from mtkd.data.tasks import UNLABELLED, Examples, Task
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import expand
from mtkd.experiments.recipes import as_yaml, load_recipe
from mtkd.method.model import MultiTaskModel
from mtkd.method.settings import HeadSpec

ROWS = [
    {"text": 'He said "no",\nand left', "mood": "sad"},
    {"text": "a\u2028line | é", "mood": "glad"},
    {"text": "plain", "mood": "so, so"},
] * 8
ROWS = [row | {"text": f"{row['text']} {number}"} for number, row in enumerate(ROWS)]
NAMES = ("sad", "so, so", "glad")  # as a ClassLabel has them


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Rows as a file of the kind that its name says."""
    frame = pd.DataFrame(rows)
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".tsv":
        lines = ["\t".join(rows[0]), *("\t".join(map(str, row.values())) for row in rows)]
        path.write_text("\r\n".join(lines))
    elif path.suffix == ".jsonl":
        path.write_text("\n\n".join(json.dumps(dict(reversed(row.items()))) for row in rows))
    else:
        frame.to_parquet(path)
    return str(path)


def make(folder: Path, rows: list[dict[str, Any]], name: str = "mood", **spec: Any) -> Task:
    return own_task(name, mtkd.OwnTask(write(folder / "data.jsonl", rows), **spec))


def refused(folder: Path, rows: list[dict[str, Any]], **spec: Any) -> str:
    with pytest.raises(MtkdError) as caught:
        make(folder, rows, **spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rows_of(examples: dict[str, Examples]) -> dict[str, list[tuple[Any, ...]]]:
    """Ids, texts and label names of every split."""
    return {
        split: [
            (int(one), text, found.task.labels[place])
            for one, text, place in zip(found.idx, found.text_a, found.label, strict=True)
        ]
        for split, found in examples.items()
    }


def test_every_kind_of_file_and_memory_give_the_same_examples(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    found = {
        kind: rows_of(mtkd.own_examples("mood", write(tmp_path / f"data{kind}", ROWS)))
        for kind in (".csv", ".jsonl", ".parquet")
    }
    found["frame"] = rows_of(mtkd.own_examples("mood", frame))
    found["dataset"] = rows_of(mtkd.own_examples("mood", datasets.Dataset.from_pandas(frame)))
    assert all(one == found[".csv"] for one in found.values())
    every = sorted(row for rows in found[".csv"].values() for row in rows)
    wanted = [(number, row["text"], row["mood"]) for number, row in enumerate(ROWS)]
    assert every == wanted and set(found[".csv"]) == {"train", "dev", "test"}
    # A TSV file has no way of quoting: what is between tabs is the text.
    flat = [row | {"text": row["text"].replace("\n", " ")} for row in ROWS]
    ours, theirs = (
        rows_of(mtkd.own_examples("mood", write(tmp_path / f"flat{kind}", flat)))
        for kind in (".tsv", ".parquet")
    )
    assert ours == theirs


def test_classes_that_a_data_set_declares_give_names_and_their_order(tmp_path: Path) -> None:
    tags = [["b"], [], ["a", "b"]] * 8
    rows = [row | {"tags": some} for row, some in zip(ROWS, tags, strict=True)]
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "mood": datasets.ClassLabel(names=list(NAMES)),
            "tags": datasets.List(datasets.ClassLabel(names=["b", "a"])),
        }
    )
    data = datasets.Dataset.from_list(rows, features=features)
    data.to_parquet(tmp_path / "data.parquet")
    for source in (data, str(tmp_path / "data.parquet")):
        found = mtkd.own_examples("mood", source)
        assert found["train"].task.labels == NAMES
        shuffled = mtkd.own_examples("mood", source, labels=sorted(NAMES))
        assert rows_of(found) == rows_of(shuffled)
        several = mtkd.own_examples("tags", source, label="tags")["train"]
        assert several.task.kind == "multilabel" and several.task.labels == ("b", "a")
        assert several.label[[0, 1, 2]].tolist() == [[1, 0], [0, 0], [1, 1]]


@pytest.mark.parametrize("names", [("train", "dev", "test"), ("Training", "validation", "testing")])
def test_splits_are_found_in_a_folder_and_in_a_mapping(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    (tmp_path / "README.md").write_text("what it is")
    for place, name in enumerate(names):
        write(tmp_path / f"{name}.jsonl", ROWS[place : place + 9])
    found = mtkd.own_examples("mood", str(tmp_path))
    given = {name: str(tmp_path / f"{name}.jsonl") for name in names}
    assert rows_of(found) == rows_of(mtkd.own_examples("mood", given))
    assert [len(found[split]) for split in ("train", "dev", "test")] == [9, 9, 9]
    assert found["dev"].text_a[0] == ROWS[1]["text"]


def test_only_what_has_no_file_is_cut_from_train(tmp_path: Path) -> None:
    train, test = (write(tmp_path / f"{name}.csv", ROWS) for name in ("a", "b"))
    task = own_task("mood", mtkd.OwnTask({"train": train, "test": test}))
    assert task.sizes == {"train": 22, "dev": 2, "test": 24}
    assert own_task("mood", mtkd.OwnTask({"train": train, "dev": test})).sizes == {
        "train": 24,
        "dev": 24,
    }
    text = write(tmp_path / "unlabelled.jsonl", [{"text": "who knows"}])
    keyed = write(tmp_path / "c.jsonl", [row | {"id": n} for n, row in enumerate(ROWS)])
    task = own_task("mood", mtkd.OwnTask({"train": keyed, "unlabelled": text}, id="id"))
    assert task.sizes == {"train": 20, "dev": 2, "test": 2}
    assert read_own(task, UNLABELLED).text_a == ["who knows"]
    assert read_own(task, UNLABELLED).label is None


def test_a_test_file_may_have_no_labels(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", ROWS)
    for number, rows in enumerate(
        ([{"text": "a"}], [{"text": "a", "mood": ""}], [{"text": "a", "mood": None}])
    ):
        test = write(tmp_path / f"test{number}.jsonl", rows)
        found = mtkd.own_examples("mood", {"train": train, "test": test})
        assert found["test"].label is None and found["test"].text_a == ["a"]


EXAMPLES = st.lists(
    st.builds(
        Example,
        st.lists(st.sampled_from("abcdef"), max_size=3, unique=True).map(tuple),
        st.integers(0, 60).map(str),
    ),
    min_size=1,
    max_size=120,
)


@given(EXAMPLES, st.integers(0, 99), st.floats(0.05, 0.4), st.floats(0, 0.4))
def test_every_row_is_in_one_part_and_every_label_in_train(
    examples: list[Example], seed: int, dev: float, test: float
) -> None:
    table = Table("file", {}, tuple(range(len(examples))))
    shares = {"dev": dev} | ({"test": test} if test else {})
    try:
        parts = divided(table, examples, shares, seed)
    except MtkdError as error:
        assert "different texts leave none to" in str(error)
        return
    rows = np.concatenate([part.rows for part in parts.values()])
    assert sorted(rows.tolist()) == list(range(len(examples)))
    texts = [{examples[row].text for row in part.rows} for part in parts.values()]
    assert sum(map(len, texts)) == len(set.union(*texts))
    labels = {label for one in examples for label in one.labels}
    assert labels == {label for row in parts["train"].rows for label in examples[row].labels}
    # Other rows first: the same texts in the same parts.
    turned = divided(table, examples[::-1], shares, seed)
    assert [{examples[::-1][row].text for row in part.rows} for part in turned.values()] == texts


def test_a_split_has_its_share_of_every_label() -> None:
    count = {"a": 400, "b": 200, "c": 30, "d": 2}
    examples = [Example((name,), f"{name}{n}") for name, many in count.items() for n in range(many)]
    table = Table("file", {}, tuple(range(len(examples))))
    parts = divided(table, examples, {"dev": 0.1, "test": 0.2}, 0)
    for part, share in (("dev", 0.1), ("test", 0.2)):
        found = [examples[row].labels[0] for row in parts[part].rows]
        assert abs(len(found) - share * len(examples)) < 1
        assert all(abs(found.count(name) - share * many) <= 1 for name, many in count.items())
    other = divided(table, examples, {"dev": 0.1, "test": 0.2}, 1)
    assert set(other["dev"].rows) != set(parts["dev"].rows)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=80), st.floats(0.05, 0.3), st.floats(0, 0.3)
)
@example([1] * 60 + [20], 0.1, 0.1)
def test_no_label_pays_for_others(counts: list[int], dev: float, test: float) -> None:
    examples = [
        Example((f"{name:02}",), f"{name}-{n}")
        for name, many in enumerate(counts)
        for n in range(many)
    ]
    table = Table("file", {}, tuple(range(len(examples))))
    shares = {"dev": dev} | ({"test": test} if test else {})
    try:
        parts = divided(table, examples, shares, 0)
    except MtkdError:
        return  # too few for every part
    for part, share in shares.items():
        found = Counter(examples[row].labels[0] for row in parts[part].rows)
        assert all(found[f"{n:02}"] <= share * many + 1.5 for n, many in enumerate(counts))


def test_texts_that_read_alike_stay_together(tmp_path: Path) -> None:
    rows = [{"text": form.format(n), "mood": "ab"[n % 2]} for n in range(30) for form in FORMS]
    task = make(tmp_path, rows)
    numbers = [{t.split()[-1] for t in read_own(task, split).text_a} for split in task.splits]
    assert sum(map(len, numbers)) == 30 and len(numbers) == 3


FORMS = ("Number {}", "number  {}", " NUMBER\u00a0{}")


# What a label column holds; kind and labels that follow from it, or words of the refusal.
INFERRED: list[tuple[list[Any], str, tuple[str, ...]]] = [
    (["b", "a"], "classification", ("a", "b")),
    ([True, False], "classification", ("false", "true")),
    ([0, 1], "classification", ("0", "1")),
    (["1", "0"], "classification", ("0", "1")),
    ([["x"], ["y", "x"], []], "multilabel", ("x", "y")),
    ([n / 7 for n in range(40)], "regression", ()),
]
DOUBTFUL: list[tuple[list[Any], str]] = [
    ([1, 2, 3, 4, 5], "5 different numbers, which may be classes or scores; write `kind: class"),
    (["10", "9"], "2 different numbers"),
    ([0.0, 1.0], "2 different numbers"),
    (list(range(50)), "50 different numbers"),
    (["x|y", "y"], "column 'mood' has '|' in it; write `kind: multilabel`"),
    (["a"], "has 1 different labels; expected 2 to 1000"),
    (
        [*(n / 7 for n in range(39)), "n/a"],
        "data.jsonl:79: column 'mood': 'n/a' among numbers; exp",
    ),
]


@pytest.mark.parametrize(("values", "kind", "labels"), INFERRED)
def test_kinds_and_labels_that_are_clear(
    tmp_path: Path, values: list[Any], kind: str, labels: tuple[str, ...]
) -> None:
    task = make(tmp_path, labelled(values))
    assert (task.kind, task.labels) == (kind, labels)


@pytest.mark.parametrize(("values", "words"), DOUBTFUL)
def test_kinds_that_are_not_clear(tmp_path: Path, values: list[Any], words: str) -> None:
    told = refused(tmp_path, labelled(values))
    assert words in told and "tasks.mood" in told


# What no label is, of which row (each is followed by an empty line), and what the recipe says.
NO_LABELS: list[tuple[list[Any], str, dict[str, Any]]] = [
    (["a", {"a": 1.0}], ":3: column 'mood': {'a': 1.0}; expected a label: text", {}),
    ([["a"], ["b", None]], ":3: column 'mood': no label; expected one", {}),
    ([["a"], ["b", " "]], ":3: column 'mood': no label; expected one", {}),
    ([["a"], ["b", ["c"]]], ":3: column 'mood': ['c']; expected a label: text", {}),
    (["a", "b", ["a"]], ":5: column 'mood': ['a']; expected a label", {"kind": "classification"}),
    ([["a"], ["b"]], "expected no `weights`: multilabel has none, and", {"weights": "balanced"}),
    (
        ["0", "1"],
        "expected `text: [question, candidate]`: ranking is of pairs",
        {"kind": "ranking"},
    ),
]


@pytest.mark.parametrize(("values", "words", "spec"), NO_LABELS)
def test_what_is_no_label_is_refused(
    tmp_path: Path, values: list[Any], words: str, spec: dict[str, Any]
) -> None:
    told = refused(tmp_path, labelled(values), **spec)
    assert words in told and "data.jsonl:" in told


def labelled(values: list[Any]) -> list[dict[str, Any]]:
    """Enough rows to divide, with these labels in turn."""
    return [
        {"text": f"t{number}", "mood": values[number % len(values)]}
        for number in range(max(40, len(values)))
    ]


def test_what_is_said_settles_the_doubt(tmp_path: Path) -> None:
    rows = labelled([10, 9, 2])
    assert make(tmp_path, rows, kind="classification").labels == ("2", "9", "10")
    scores = make(tmp_path, rows, kind="regression")
    assert scores.range == (2, 10) and scores.metrics == ("pearson", "spearman")
    assert make(tmp_path, rows, range=(0.0, 10.0)).range == (0, 10)
    assert read_own(scores, "train").label.dtype == np.float32
    piped = labelled(["x;y", "y", ""])
    several = make(tmp_path, piped, kind="multilabel", separator=";")
    assert several.labels == ("x", "y") and several.metrics == ("micro_f1",)
    assert {tuple(row) for row in read_own(several, "train").label} == {(1, 1), (0, 1), (0, 0)}
    whole = make(tmp_path, labelled(["x|y", "y"]), kind="classification")
    assert whole.labels == ("x|y", "y")


TEXTS = ("text", "words", "message", "premise", "id")


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        ("text label", "text", "label"),
        ("words mood", "words", "mood"),
        ("text flavour", "text", "flavour"),
        ("id message mood extra", "message", "mood"),
        ("id premise hypothesis label genre", ("premise", "hypothesis"), "label"),
        ("text text_pair score", ("text", "text_pair"), "score"),
        ("words flavour", None, "which column is the label"),
        ("words more label", None, "which column is the text"),
        ("text target score", None, "which column is the label"),
        ("sentence review label", None, "which column is the text"),
        ("question answer", None, "which column is the label"),
    ],
)
def test_columns_by_their_names(tmp_path: Path, columns: str, text: Any, label: str) -> None:
    names = columns.split()
    rows = [
        {one: f"{one} {number % (2, 20)[one in TEXTS]}" for one in names} for number in range(20)
    ]
    if text is None:
        assert label in refused(tmp_path, rows)
    else:
        own = make(tmp_path, rows).own
        assert own is not None and (own.text, own.label) == (text, label)


def test_ids(tmp_path: Path) -> None:
    ids = [7, "7a", "007", -3, "q1", 12.0, *range(100, 134)]
    rows = [row | {"id": one} for row, one in zip(labelled(["a", "b"]), ids, strict=True)]
    task = make(tmp_path, rows, id="id")
    found = {text: int(one) for s in task.splits for text, one in by_text(read_own(task, s))}
    numbers = [found[f"t{place}"] for place in range(40)]
    assert (numbers[0], numbers[5], numbers[6:]) == (7, 12, list(range(100, 134)))
    assert all(one < 0 for one in numbers[1:5]) and len(set(numbers)) == 40
    assert numbers[1] == example_id("7a") and example_id("7") == 7
    assert make(tmp_path, rows).own == task.own  # as it is called
    rows[9]["id"] = "12"
    path = tmp_path / "data.jsonl"
    write(path, rows)
    two = own_task("mood", mtkd.OwnTask({"train": str(path), "dev": str(path)}, id="id"))
    with pytest.raises(MtkdError, match=r"data.jsonl:19: id '12' is that of .*:11, too"):
        read_own(two, "train")
    assert make(tmp_path, rows).own == replace(task.own, id="")


def by_text(examples: Examples) -> list[tuple[str, int]]:
    return list(zip(examples.text_a, examples.idx.tolist(), strict=True))


def test_lines_of_texts_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('text,mood\n"a\nb",x\n\n"c\n\nd",y\ne,\n')
    both = mtkd.OwnTask({"train": str(path), "dev": str(path)}, labels=("x", "y"))
    with pytest.raises(MtkdError, match=r"data.csv:8: column 'mood': no label; expected one"):
        own_task("mood", both)
    path.write_text('text,mood\n"a\nb",x\n" ",y\n"c\n\nd",z\ne,\n')
    assert [line.removeprefix(str(path)) for line in faults("mood", both)][:3] == [
        ":4: column 'text': empty; expected a text",
        ":5: column 'mood': label 'z'; expected one of x, y",
        ":8: column 'mood': no label; expected one",
    ]


def test_weights_are_those_of_scikit_learn(tmp_path: Path) -> None:
    rows = labelled(["a", "a", "b", "a", "c"])
    task = make(tmp_path, rows, weights="balanced")
    label = read_own(task, "train").label
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=label)
    assert task.weights == pytest.approx(wanted.tolist())
    given = make(tmp_path, rows, weights={"c": 3.0, "a": 1.0, "b": 2.0})
    assert given.weights == (1, 2, 3)
    assert "expected a number above 0 for each of a, b, c" in refused(
        tmp_path, rows, weights={"a": 1.0, "b": 0.0, "c": 1.0}
    )
    assert "no training example of 'd'" in refused(
        tmp_path, rows, weights="balanced", labels=("a", "b", "c", "d")
    )


def test_ranking_keeps_questions_whole_and_knows_the_right_one(tmp_path: Path) -> None:
    rows = [
        {"q": f"question {n}", "a": f"answer {n} {m}", "right": m == n % 3}
        for n in range(30)
        for m in range(3)
    ]
    task = make(tmp_path, rows, kind="ranking", text=("q", "a"), label="right")
    assert task.labels == ("true", "false") and task.metrics == ("average_precision",)
    asked = [set(read_own(task, split).text_a) for split in task.splits]
    assert sum(map(len, asked)) == 30
    words = [row | {"right": "good" if row["right"] else "bad"} for row in rows]
    said = {"kind": "ranking", "text": ("q", "a"), "label": "right"}
    assert "which of two labels is the right" in refused(tmp_path, words, **said)
    assert make(tmp_path, words, **said, labels=("good", "bad")).labels == ("good", "bad")


# ---------------------------------------------------------------------------------------- metrics


def score(kind: str, metrics: str, labels: np.ndarray, outputs: np.ndarray) -> list[float]:
    names = tuple(f"c{place}" for place in range(outputs.shape[1])) if kind != "regression" else ()
    task = Task("mood", kind, names, metrics=tuple(metrics.split()))
    return [value / 100 for value in compute(task, outputs, labels).values()]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 30))
def test_metrics_of_classes_are_those_of_scikit_learn(seed: int, classes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    labels, outputs = rng.integers(0, classes, count), rng.normal(size=(count, classes))
    answers = outputs.argmax(axis=1)
    found = score("classification", "accuracy macro_f1 micro_f1 balanced_accuracy", labels, outputs)
    assert found == pytest.approx(
        [
            sklearn.metrics.accuracy_score(labels, answers),
            sklearn.metrics.f1_score(labels, answers, average="macro", zero_division=0),
            sklearn.metrics.f1_score(labels, answers, average="micro"),
            np.mean([(answers == one)[labels == one].mean() for one in set(labels)]),
        ]
    )
    several = rng.integers(0, 2, (count, classes)).astype(np.float32)
    assert score("multilabel", "macro_f1 micro_f1 exact_match", several, outputs) == pytest.approx(
        [
            sklearn.metrics.f1_score(several, outputs >= 0, average="macro", zero_division=0),
            sklearn.metrics.f1_score(several, outputs >= 0, average="micro", zero_division=0),
            sklearn.metrics.accuracy_score(several, outputs >= 0),
        ]
    )


def test_areas_and_r2_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(200, 2))
    two = rng.integers(0, 2, 200)
    soft = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    wanted = [
        sklearn.metrics.average_precision_score(two, soft[:, 1]),
        sklearn.metrics.roc_auc_score(two, soft[:, 1]),
        sklearn.metrics.f1_score(two, outputs.argmax(axis=1)),
    ]
    names = "average_precision roc_auc f1"
    assert score("classification", names, two, outputs) == pytest.approx(wanted)
    # In a ranking the first label is the right candidate's.
    assert score("ranking", names, 1 - two, outputs[:, ::-1]) == pytest.approx(wanted)
    four = rng.integers(0, 2, (200, 4)).astype(np.float32)
    logits = rng.normal(size=(200, 4)) + four
    assert score("multilabel", "average_precision roc_auc", four, logits) == pytest.approx(
        [
            sklearn.metrics.average_precision_score(four, logits, average="macro"),
            sklearn.metrics.roc_auc_score(four, logits, average="macro"),
        ]
    )
    values = rng.normal(size=200).astype(np.float32)
    constant = np.full((200, 1), 0.5)
    for outputs in (constant, values[:, None] * 0.5):
        expected = sklearn.metrics.r2_score(values, outputs[:, 0])
        assert score("regression", "r2", values, outputs) == pytest.approx([expected])


def test_broken_outputs_score_zero_and_are_flagged() -> None:
    broken = np.array([[np.nan, 1.0], [0.0, 1.0]])
    assert score("classification", "average_precision roc_auc", np.array([0, 1]), broken) == [0, 0]
    assert score("regression", "r2", np.array([0.0, 1.0]), broken[:, :1]) == [0]
    assert score("multilabel", "roc_auc", np.ones((2, 2)), np.zeros((2, 2))) == [0]  # all right
    assert is_degenerate(np.array([[1.0, -1], [2, -2]]), "multilabel")
    assert not is_degenerate(np.array([[-3.0, -0.1], [-2.0, -0.2]]), "ranking")  # none is likely


def test_metrics_that_do_not_fit(tmp_path: Path) -> None:
    rows = labelled(["a", "b", "c"])
    for metric, words in (
        ("f1", "metric 'f1'; expected some of accuracy, macro_f1"),
        ("pearson", "which are of classification with 3 labels"),
        ("acuracy", "metric 'acuracy'"),
    ):
        assert words in refused(tmp_path, rows, metrics=(metric,))
    task = make(tmp_path, rows, metrics=("accuracy", "macro_f1"))
    assert task.metrics == ("accuracy", "macro_f1")


# ---------------------------------------------------------------------------------------- recipes


def test_a_task_may_have_any_name(
    tmp_path: Path, make_encoder: MakeEncoder, tokenizer: PreTrainedTokenizerFast
) -> None:
    names = ("type", "items", "train", "weight", "my-task")
    specs = {name: HeadSpec("linear", ("a", "b")) for name in names}
    model = MultiTaskModel(make_encoder(), specs, tokenizer)
    model.save_pretrained(tmp_path)
    again = MultiTaskModel.from_pretrained(tmp_path)
    assert again.predict("a man", top_k=2) == model.predict("a man", top_k=2)
    assert list(again.predict("a man")) == list(names)


def test_own_and_toy_tasks_in_one_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")  # files are looked for beside the recipe
    write(tmp_path / "mood.csv", ROWS)
    (tmp_path / "mine.yaml").write_text(
        "name: mine\n"
        "tasks: {rte: , mood: {data: mood.csv, labels: [sad, 'so, so', glad]}}\n"
        "data: {scale: 0.1}\n"
        "encoders: {uncased: {pretrain: true}}\n"
        "candidates: {encoders: [uncased]}\n"
    )
    recipe = load_recipe(str(tmp_path / "mine.yaml"))
    assert recipe.task("mood").labels == NAMES and recipe.taught[-1] == "mood"
    (tmp_path / "copy.yaml").write_text(as_yaml(recipe))
    runs = expand(recipe)
    again = expand(load_recipe(str(tmp_path / "copy.yaml")))
    assert [run.run_id for run in again] == [run.run_id for run in runs]
    write(tmp_path / "moved.csv", ROWS)
    moved = load_recipe(str(tmp_path / "copy.yaml"), [f"tasks.mood.data={tmp_path}/moved.csv"])
    assert [run.run_id for run in expand(moved)] == [run.run_id for run in runs]
    other = load_recipe(str(tmp_path / "copy.yaml"), ["tasks.mood.split.seed=1"])
    assert expand(other)[0].run_id != runs[0].run_id
    record = RunContext(recipe, runs[0], tmp_path / "results", ("rte", "mood")).execute()
    own = record.details["own"]
    assert list(own) == ["mood"] and own["mood"]["split"] == {"dev": 0.1, "test": 0.1, "seed": 0}
    assert own["mood"]["cut"] == ["dev", "test"]
    counts = own["mood"]["labels"]
    assert [sum(counts[split][name] for split in counts) for name in NAMES] == [8, 8, 8]
    assert record.details["sizes"]["mood"] == {"skipped": 0, "train": 20, "dev": 2, "test": 2}
    scored = {(score.task, score.split) for score in record.scores}
    assert scored >= {("mood", "dev"), ("mood", "test"), ("rte", "dev")}


def test_ids_of_runs_tell_what_they_use(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", ROWS)
    text = write(tmp_path / "text.csv", [{"text": f"who knows {n}"} for n in range(30)])
    path = tmp_path / "mine.yaml"

    def ids(*said: str, text: str = "") -> list[str]:
        more = f", unlabelled: {text}" if text else ""
        path.write_text(
            f"name: mine\ntasks: {{mood: {{data: {{train: {train}{more}}}}}}}\n"
            "encoders: {uncased: {pretrain: true}}\ncandidates: {encoders: [uncased]}\n"
        )
        return [run.run_id for run in expand(load_recipe(str(path), said))]

    assert ids() == ids(text=text) == ids("data.kind=hub") == ids(f"data.path={tmp_path}")
    used = ids("data.unlabelled_ratio=1", text=text)
    assert used != ids("data.unlabelled_ratio=1", text=write(tmp_path / "more.csv", ROWS))


def test_the_hub_is_asked_for_names_of_the_hub_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load_dataset(*names: str, revision: str | None) -> Any:
        asked.append((*names, revision))
        data = datasets.Dataset.from_list(ROWS)
        return {"train": data, "validation": data, "extra": data}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = mtkd.own_examples("mood", "hf:me/moods/all@abc")
    for number in range(40):  # none of many is had twice
        own_task(f"mood{number}", mtkd.OwnTask(f"hf:me/mood{number}"))
    for number in range(40):
        own_identity(own_task(f"mood{number}", mtkd.OwnTask(f"hf:me/mood{number}")))
    assert len(asked) == 41
    del asked[1:]
    assert asked == [("me/moods", "all", "abc")]
    assert [len(found[split]) for split in ("train", "dev")] == [24, 24] and len(found) == 2
    assert "'own'" not in repr(found) and found["dev"].text_a[0] == ROWS[0]["text"]
    hub_data.cache_clear()
    hub_table.cache_clear()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "moods").mkdir(parents=True)
    for name in ("hf:me/moods", "hf:./me", "hf:moods", "hf:"):
        with pytest.raises(MtkdError, match="expected hf:owner/name"):
            mtkd.own_examples("mood", name)
    assert len(asked) == 1


def test_yes_and_no_are_labels_in_a_recipe(tmp_path: Path) -> None:
    write(tmp_path / "mood.csv", labelled(["yes", "no"]))
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntasks: {mood: {data: mood.csv, labels: [yes, no], weights: {yes: 2, no: 1}}}\n"
        "encoders: {uncased: {pretrain: true}}\ncandidates: {encoders: [uncased]}\n"
    )
    task = load_recipe(str(tmp_path / "mine.yaml")).task("mood")
    assert task.labels == ("yes", "no") and task.weights == (2, 1)
    assert mtkd.OwnTask("a.csv", labels=(True, 2)).labels == ("true", "2")
