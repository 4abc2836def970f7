"""Reading GLUE: each quirk of the official files, the hub's layout, and the token cache."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtkd.common.errors import MtkdError
from mtkd.data.glue_files import tsv_name
from mtkd.data.loading import DataSource, load_examples, missing_tasks
from mtkd.data.tasks import GLUE, TASKS, Examples, Task
from mtkd.experiments.identities import data_identity

MNLI_HEAD = [
    *("index", "promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse"),
    *("sentence1_parse", "sentence2_parse", "sentence1", "sentence2"),
]
STSB_HEAD = [
    *("index", "genre", "filename", "year", "old_index", "source1", "source2"),
    *("sentence1", "sentence2"),
]
QQP_HEAD = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]


def write(root: Path, name: str, *rows: list[str], end: str = "\n", bom: str = "") -> DataSource:
    """Write a TSV file below `root` and return the source that reads it."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = bom + "\n".join("\t".join(row) for row in rows) + end
    path.write_bytes(text.encode("utf-8"))
    return DataSource(kind="folder", path=str(root))


def rte(root: Path, *rows: list[str], split: str = "train", end: str = "\n") -> DataSource:
    head = ["index", "sentence1", "sentence2", "label"]
    return write(root, f"RTE/{split}.tsv", head, *rows, end=end)


GOOD_RTE = (["0", "A cat ran.", "A cat moved.", "entailment"],)


def refused(source: DataSource, task: str, split: str = "train") -> str:
    with pytest.raises(MtkdError) as caught:
        load_examples(source, task, split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def labels(examples: Examples) -> list[float]:
    assert examples.label is not None
    found: list[float] = examples.label.tolist()
    return found


def test_mrpc_byte_order_mark_and_quotes(tmp_path: Path) -> None:
    head = ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
    source = write(
        tmp_path,
        "MRPC/train.tsv",
        head,
        ["1", "70", "71", '" The shop is open', 'He said : " the shop opened "'],
        ["0", "70", "73", 'One " mark', "None"],
        bom="\ufeff",
    )
    examples = load_examples(source, "mrpc", "train")
    assert examples.text_a == ['" The shop is open', 'One " mark']
    assert examples.text_b == ['He said : " the shop opened "', "None"]
    assert labels(examples) == [1, 0]
    assert examples.label.dtype == np.int64
    assert examples.idx.tolist() == [0, 1]  # the two ids are of sentences, not of rows


def test_cola_has_no_header_but_in_test(tmp_path: Path) -> None:
    write(tmp_path, "CoLA/train.tsv", ["x1", "1", "", "Dogs bark."], ["x1", "0", "*", "Dog bark."])
    source = write(tmp_path, "CoLA/test.tsv", ["index", "sentence"], ["0", "Birds sing."])
    train, test = (load_examples(source, "cola", split) for split in ("train", "test"))
    assert train.text_a == ["Dogs bark.", "Dog bark."] and train.text_b is None
    assert labels(train) == [1, 0]
    assert test.text_a == ["Birds sing."] and test.label is None


def test_a_last_line_cut_at_a_tab_is_refused(tmp_path: Path) -> None:
    for end in ("\n", ""):
        source = write(
            tmp_path, "CoLA/dev.tsv", ["x1", "1", "", "A b."], ["x1", "1", "", ""], end=end
        )
        head = ["index", "sentence1", "sentence2"]
        write(tmp_path, "RTE/test.tsv", head, ["0", "a", "b"], ["1", "c", ""], end=end)
        write(tmp_path, "QQP/dev.tsv", QQP_HEAD, ["12", "1", "2", "How?", "Why?", ""], end=end)
        if end:  # an empty text on a whole line is the file's own
            assert load_examples(source, "cola", "dev").text_a == ["A b.", ""]
            assert load_examples(source, "rte", "test").text_b == ["b", ""]
    whole = write(tmp_path, "CoLA/train.tsv", ["x1", "1", "", "Dogs bark."], end="")
    assert load_examples(whole, "cola", "train").text_a == ["Dogs bark."]
    cut = "and the last line does not end in a line break; expected a value; the file may be cut"
    assert f"CoLA/dev.tsv:2: empty sentence, {cut}" in refused(source, "cola", "dev")
    assert f"RTE/test.tsv:3: empty sentence2, {cut}" in refused(source, "rte", "test")
    assert f"QQP/dev.tsv:2: empty is_duplicate, {cut}" in refused(source, "qqp", "dev")


def test_another_count_than_glue_s_is_a_notice(tmp_path: Path) -> None:
    head = ["index", "sentence1", "sentence2", "label"]

    def notice(count: int) -> str:
        rows = [[str(i), "a", "b", "0"] for i in range(count)]
        source = write(tmp_path, "WNLI/dev.tsv", head, *rows)
        examples = load_examples(replace(source, limit=5), "wnli", "dev")
        assert len(examples) == count
        return examples.notice

    path = tmp_path / "WNLI/dev.tsv"
    assert notice(71) == ""
    assert notice(70) == f"{path}: 70 examples, GLUE has 71; cut short? (used as it is)"
    assert notice(72) == f"{path}: 72 examples, GLUE has 71; another version? (used as it is)"
    parquet = DataSource(kind="folder", path=str(hub_folder(tmp_path / "hub")))
    found = load_examples(replace(parquet, limit=2), "cola", "train")
    assert found.notice.endswith(
        "train*.parquet: 4 examples, GLUE has 8,551; cut short? (used as it is)"
    )
    assert load_examples(DataSource(), "cola", "train").notice == ""


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    text = "one\u2028two\x85three\x0bfour"
    source = write(tmp_path, "SST-2/dev.tsv", ["sentence", "label\r"], [text, "1\r"])
    assert load_examples(source, "sst2", "dev").text_a == [text]


def test_mnli_columns_and_files(tmp_path: Path) -> None:
    cells = ["p", "q", "g", "( b )", "( b )", "( p )", "( p )", "It is wet.", "It is dry."]
    train = [*MNLI_HEAD, "label1", "gold_label"]
    write(tmp_path, "MNLI/train.tsv", train, ["0", *cells, "neutral", "contradiction"])
    dev = [*MNLI_HEAD, "label1", "label2", "label3", "label4", "label5", "gold_label"]
    votes = ["neutral"] * 5
    for name in ("matched", "mismatched"):
        write(tmp_path, f"MNLI/dev_{name}.tsv", dev, ["7", *cells, *votes, "entailment"])
        source = write(tmp_path, f"MNLI/test_{name}.tsv", MNLI_HEAD, ["9", *cells])
    found = {split: load_examples(source, "mnli", split) for split in GLUE["mnli"].splits}
    assert all(e.text_a == ["It is wet."] for e in found.values())
    assert all(e.text_b == ["It is dry."] for e in found.values())
    labels = {split: None if e.label is None else int(e.label[0]) for split, e in found.items()}
    assert labels == {"train": 2, "dev": 0, "dev_mm": 0, "test": None, "test_mm": None}
    assert [int(e.idx[0]) for e in found.values()] == [0, 7, 7, 9, 9]


def test_qqp_broken_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    rows = [
        ["12", "1", "2", "How far?", "How long?", "0"],
        ["13", "3", "4", "Why is"],
        ["it so?", "Why?", "1"],
        ["15", "5", "6", "Who?", "Which one?", "1"],
        ["16", "5", "6", "Where?", "", "1"],
    ]
    source = write(tmp_path, "QQP/train.tsv", QQP_HEAD, *rows)
    examples = load_examples(source, "qqp", "train")
    assert examples.skipped == 2 and len(examples) == 3
    assert examples.idx.tolist() == [12, 15, 16]
    write(tmp_path, "QQP/dev.tsv", QQP_HEAD, *rows, ["17", "1"], end="")  # cut short: not skipped
    assert "dev.tsv:7: 2 columns, and the last line" in refused(source, "qqp", "dev")
    write(tmp_path, "QQP/test.tsv", ["id", "question1", "question2"], ["0", "a", "b"], ["1", "c"])
    assert "test.tsv:3: 2 columns; expected 3" in refused(source, "qqp", "test")


def test_labels_as_names_or_numbers(tmp_path: Path) -> None:
    rows = [["0", "a", "b", "not_entailment"], ["1", "a", "b", "0"], ["2", "a", "b", "entailment"]]
    examples = load_examples(rte(tmp_path, *rows), "rte", "train")
    assert labels(examples) == [1, 0, 0]
    head = ["index", "sentence1", "sentence2", "label"]
    source = write(tmp_path, "WNLI/dev.tsv", head, ["0", "a", "b", "0"], ["1", "a", "b", "1"])
    wnli = load_examples(source, "wnli", "dev")
    assert labels(wnli) == [0, 1]


def test_stsb_scores(tmp_path: Path) -> None:
    cells = ["g", "f", "2012", "01", "none", "none", "A man.", "A person."]
    head = [*STSB_HEAD, "score"]
    source = write(tmp_path, "STS-B/train.tsv", head, ["0", *cells, "5.000"], ["1", *cells, "2.5"])
    examples = load_examples(source, "stsb", "train")
    assert labels(examples) == [5.0, 2.5]
    assert examples.label.dtype == np.float32
    for bad in ("5.01", "-0.5", "nan", "five", ""):
        write(tmp_path, "STS-B/dev.tsv", head, ["0", *cells, "1"], ["1", *cells, bad])
        message = refused(source, "stsb", "dev")
        assert f"dev.tsv:3: STS-B score {bad!r}; expected a number between 0 and 5" in message


@pytest.mark.parametrize("labelled", [False, True])
def test_ax(tmp_path: Path, labelled: bool) -> None:
    more = [["label"], ["neutral"]] if labelled else [[], []]
    head = ["index", "sentence1", "sentence2", *more[0]]
    source = write(tmp_path, "diagnostic/diagnostic.tsv", head, ["0", "a", "b", *more[1]])
    examples = load_examples(source, "ax", "test")
    assert (examples.label is not None) == labelled
    assert "no split 'train'" in refused(source, "ax")


def test_ids_are_row_numbers_unless_unique(tmp_path: Path) -> None:
    rows = [["5", "a", "b", "0"], ["3", "a", "b", "0"]]
    assert load_examples(rte(tmp_path, *rows), "rte", "train").idx.tolist() == [5, 3]
    rows[1][0] = "5"
    assert load_examples(rte(tmp_path, *rows), "rte", "train").idx.tolist() == [0, 1]
    rows[1][0] = "x"
    assert load_examples(rte(tmp_path, *rows), "rte", "train").idx.tolist() == [0, 1]


HEAD = "index\tsentence1\tsentence2\tlabel\n"
ROW = "0\tA cat ran.\tA cat moved.\tentailment\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + ROW + "1\ta\tb\tmaybe\n",
            "3: unknown RTE label 'maybe'; expected entailment or 0, ",
        ),
        (HEAD + ROW + "1\ta\tb\t2\n", "3: unknown RTE label '2'"),
        (
            HEAD + ROW + "1\ta\tmore\tb\t0\n",
            "3: 5 columns; expected 4 (index, sentence1, sentence2,",
        ),
        (HEAD + ROW + "1\ta", "3: 2 columns, and the last line does not end"),
        (HEAD + ROW + "1\ta\tb\tentail", "3: unknown RTE label 'entail'"),
        (HEAD, " 0 examples"),
        ("index\tsentence1\tlabel\n0\ta\t0\n", "1: no column sentence2 or #2 String; found index"),
        ("index\tsentence1\tsentence2\n0\ta\tb\n", "1: no column label"),
        ("", " empty file"),
        (HEAD + "0\tcaf\udce9\tb\t0\n", "2: byte 6 is not UTF-8"),
        (None, " no such file"),
    ],
)
def test_errors_name_file_line_and_what_was_expected(
    text: str | None, message: str, tmp_path: Path
) -> None:
    source = rte(tmp_path, *GOOD_RTE)
    path = tmp_path / "RTE" / "train.tsv"
    path.unlink()
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert f"train.tsv:{message}" in refused(source, "rte")


def test_source_errors(tmp_path: Path) -> None:
    source = DataSource(kind="folder", path=str(tmp_path / "nowhere"))
    assert "nowhere: no such folder" in refused(source, "rte")
    assert "--data-path" in refused(DataSource(kind="folder"), "rte")
    assert "unknown task 'cb'" in refused(DataSource(), "cb")


def test_limit_is_a_seeded_sample_in_file_order(tmp_path: Path) -> None:
    rows = [[str(i), f"a {i}", f"b {i}", "0"] for i in range(50)]
    rte(tmp_path, *rows[:20], split="dev")
    path = rte(tmp_path, *rows).path

    def ids(seed: int = 0, limit: int = 10, split: str = "train") -> list[int]:
        source = DataSource(kind="folder", path=path, limit=limit, seed=seed)
        examples = load_examples(source, "rte", split)
        assert examples.text_b == [f"b {i}" for i in examples.idx]
        assert examples.label is not None and len(examples.label) == len(examples)
        return examples.idx.tolist()

    assert len(ids()) == 10 and ids() == sorted(ids()) == ids()
    assert ids(seed=1) != ids()
    assert ids(split="dev") == list(range(20))
    assert ids(limit=99) == list(range(50))


def test_a_share_of_the_labels_holds_every_smaller_one() -> None:
    def ids(share: float) -> list[int]:
        return load_examples(DataSource(label_fraction=share), "rte", "train").idx.tolist()

    assert [len(ids(share)) for share in (0.1, 0.25, 1.0)] == [12, 30, 120]
    assert set(ids(0.1)) < set(ids(0.25)) and ids(0.1) == sorted(ids(0.1))
    assert len(load_examples(DataSource(label_fraction=0.1), "rte", "dev")) == 300
    few = load_examples(DataSource(limit=20), "rte", "train")
    assert few.clean is not None and few.text_b is not None
    assert len(few) == len(few.clean) == len(few.text_b) == 20


def test_toy_text_without_labels_is_in_the_language_of_the_task() -> None:
    text = load_examples(DataSource(unlabelled_ratio=2.0, label_fraction=0.1), "rte", "unlabelled")
    assert text.label is None and len(text) == 2 * 120  # of all training examples
    dev = load_examples(DataSource(), "rte", "dev")
    assert not set(zip(text.text_a, text.text_b or (), strict=True)) & set(
        zip(dev.text_a, dev.text_b or (), strict=True)
    )


def test_test_sentences_or_a_file_are_text_without_labels(tmp_path: Path) -> None:
    rows = [[str(i), f"a {i}", f"b {i}", "0"] for i in range(10)]
    source = rte(tmp_path, *rows)
    (tmp_path / "RTE" / "test.tsv").write_text(
        "index\tsentence1\tsentence2\n" + "".join(f"{i}\tc {i}\td {i}\n" for i in range(4))
    )
    text = load_examples(replace(source, unlabelled_ratio=1.0), "rte", "unlabelled")
    assert text.text_a == [f"c {i}" for i in range(4)] and text.label is None

    path = tmp_path / "more.txt"
    path.write_text("rte\te\tf\ncola\tone sentence\nrte\tg\th\n")
    from_file = replace(source, unlabelled_ratio=1.0, unlabelled_file=str(path))
    assert load_examples(from_file, "rte", "unlabelled").text_b == ["f", "h"]
    path.write_text("rte\te\tf\nrte\tno second\n")
    message = refused(from_file, "rte", "unlabelled")
    assert "more.txt:2: 2 columns; expected 3: rte, sentence1, sentence2" in message
    path.write_text("what is this\n")
    assert "more.txt:1: 'what is this' is no task" in refused(from_file, "rte", "unlabelled")
    path.write_text("rte\t\tf\n")
    assert "3 columns, an empty text among them" in refused(from_file, "rte", "unlabelled")
    path.write_text("cola\tone sentence\n")
    assert len(load_examples(from_file, "rte", "unlabelled")) == 0
    path.unlink()
    assert "more.txt" in refused(from_file, "rte", "unlabelled")


def test_snli_and_scitail_as_their_authors_have_them(tmp_path: Path) -> None:
    for name in ("SNLI", "SciTail"):
        (tmp_path / name).mkdir()
    head = "gold_label\tsentence1_parse\tsentence1\tsentence2\tcaptionID\n"
    lines = [
        "entailment\t(x)\tA dog runs.\tIt moves.\t1",
        "-\t(x)\tA.\tB.\t2",
        "neutral\t(x)\tC.\tD.\t3",
    ]
    (tmp_path / "SNLI" / "snli_1.0_dev.txt").write_text(head + "\n".join(lines) + "\n")
    (tmp_path / "SciTail" / "scitail_1.0_train.tsv").write_text("Ice melts.\tIt thaws.\tneutral\n")
    source = DataSource(kind="folder", path=str(tmp_path))
    assert missing_tasks(source, ["snli", "scitail", "rte"]) == ["rte"]
    snli = load_examples(source, "snli", "dev")
    assert labels(snli) == [0, 1] and snli.skipped == 1
    scitail = load_examples(source, "scitail", "train")
    assert labels(scitail) == [1]
    assert scitail.text_b == ["It thaws."]
    table = pa.table({"premise": list("abc"), "hypothesis": list("def"), "label": [-1, 2, 0]})
    pq.write_table(table, tmp_path / "SNLI" / "train.parquet")
    before = data_identity(source, ("snli",))
    with (tmp_path / "SNLI" / "snli_1.0_dev.txt").open("a") as file:
        file.write("neutral\t(x)\tE.\tF.\t4\n")
    assert data_identity(source, ("snli",)) != before  # another version of a file is another source
    hub = load_examples(source, "snli", "train")
    assert hub.label is not None and (hub.label.tolist(), hub.skipped) == ([2, 0], 1)


def test_missing_tasks(tmp_path: Path) -> None:
    source = rte(tmp_path, *GOOD_RTE)
    (tmp_path / "sst2").mkdir()  # Parquet folders have the task's own name
    assert missing_tasks(source, ["mnli", "rte", "sst2", "cola"]) == ["mnli", "cola"]
    assert missing_tasks(DataSource(), ["rte", "ax"]) == []


def hub_folder(root: Path) -> Path:
    """A stand-in for the hub's dataset: README with configs, Parquet, labels -1 in test."""
    card, tables = ["---", "configs:"], {"rte": GLUE["rte"], "cola": GLUE["cola"]}
    for name, task in tables.items():
        card += [f"- config_name: {name}", "  data_files:"]
        for split in ("train", "validation", "test"):
            card += [f"  - split: {split}", f"    path: {name}/{split}-*"]
            size = 4
            columns: dict[str, Any] = {c: [f"{c} {i}" for i in range(size)] for c in task.columns}
            columns["label"] = [-1] * size if split == "test" else [0, 1, 1, 0]
            columns["idx"] = pa.array(range(10, 10 + size), pa.int32())
            (root / name).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), root / name / f"{split}-00000-of-00001.parquet")
    (root / "README.md").write_text("\n".join([*card, "---", ""]))
    return root


def test_parquet_in_a_folder(tmp_path: Path) -> None:
    source = DataSource(kind="folder", path=str(hub_folder(tmp_path)))
    dev, test = load_examples(source, "rte", "dev"), load_examples(source, "rte", "test")
    assert dev.text_a[0] == "sentence1 0" and dev.idx.tolist() == [10, 11, 12, 13]
    assert labels(dev) == [0, 1, 1, 0]
    assert test.label is None
    assert load_examples(source, "cola", "train").text_b is None
    path = tmp_path / "cola" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    bad = table.set_column(1, "label", pa.array([0, 1, 5, 0]))
    pq.write_table(bad, path)
    assert "row 2: unknown CoLA label 5" in refused(source, "cola")
    pq.write_table(table.set_column(0, "sentence", pa.array(["a", None, "b", "c"])), path)
    assert "row 1: a text is None" in refused(source, "cola")
    path.write_bytes(path.read_bytes()[:-20])
    assert "train-00000-of-00001.parquet: not readable as Parquet" in refused(source, "cola")
    path.rename(path.with_name("train-00000-of-00002.parquet"))
    assert "1 shards found; expected 00002" in refused(source, "cola")


def with_names(path: Path, names: list[str]) -> None:
    """Name the classes of a Parquet file as Hugging Face `datasets` does."""
    feature = {"label": {"names": names, "_type": "ClassLabel"}}
    facts = {b"huggingface": json.dumps({"info": {"features": feature}}).encode()}
    pq.write_table(pq.read_table(path).replace_schema_metadata(facts), path)


@pytest.mark.parametrize("task", [task for task in TASKS.values() if task.labels and task.trained])
def test_label_names_of_a_parquet_file_decide(task: Task, tmp_path: Path) -> None:
    source = DataSource(kind="folder", path=str(tmp_path))
    (tmp_path / task.name).mkdir()
    path = tmp_path / task.name / "train.parquet"
    numbers = list(range(len(task.labels)))
    columns: dict[str, Any] = {column: list("abc")[: len(numbers)] for column in task.columns}
    pq.write_table(pa.table(columns | {"label": numbers}), path)

    def read_as(names: list[str]) -> list[float]:
        with_names(path, names)
        return labels(load_examples(source, task, "train"))

    named = list(task.labels)
    assert read_as(named) == read_as(list(map(str, numbers))) == numbers
    assert read_as(named[::-1]) == numbers[::-1]
    for wrong in (["yes", "no"], [*named, "other"], named[:1] * len(named)):
        with_names(path, wrong)
        message = refused(source, task.name)
        assert f"train*.parquet: column label has classes {', '.join(wrong)}; " in message
        assert f"expected {', '.join(named)}, in any order" in message


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("offline")
def test_hub(tmp_path: Path) -> None:
    source = DataSource(kind="hub", hub=str(hub_folder(tmp_path / "glue")))
    train, test = load_examples(source, "rte", "train"), load_examples(source, "rte", "test")
    assert train.text_b == [f"sentence2 {i}" for i in range(4)]
    assert labels(train) == [0, 1, 1, 0]
    assert train.idx.tolist() == [10, 11, 12, 13] and test.label is None
    assert missing_tasks(source, ["rte", "mnli", "cola"]) == ["mnli"]
    for path in hub_folder(tmp_path / "other").glob("rte/*.parquet"):
        with_names(path, ["not_entailment", "entailment"])
    turned = load_examples(replace(source, hub=str(tmp_path / "other")), "rte", "train")
    assert labels(turned) == [1, 0, 0, 1]
    message = refused(source, "mnli", "dev_mm")
    assert "cannot get mnli/validation_mismatched" in message


@pytest.mark.usefixtures("offline")
def test_hub_without_network_says_what_to_do() -> None:
    source = DataSource(kind="hub", hub="nobody/no-such-data")
    message = refused(source, "rte")
    assert "nobody/no-such-data (revision bcdcba79" in message
    assert "--data-path" in message and "demo recipe" in message
    with pytest.raises(MtkdError, match="--data-path"):
        missing_tasks(source, ["rte"])


@pytest.mark.skipif("MTKD_GLUE" not in os.environ, reason="MTKD_GLUE: folder of the official files")
@pytest.mark.parametrize(
    ("task", "split"), [(task, split) for task in GLUE.values() for split in task.sizes]
)
def test_official_files(task: Task, split: str) -> None:
    path = Path(os.environ["MTKD_GLUE"]) / task.folder / tsv_name(task, split)
    if not path.is_file() or path.read_bytes().count(b"\n") < task.sizes[split] - 1:
        pytest.skip(f"{path}: not there, or an extract")
    source = DataSource(kind="folder", path=os.environ["MTKD_GLUE"])
    examples = load_examples(source, task, split)
    assert len(examples) == task.sizes[split] and not examples.notice
    assert (examples.label is None) == split.startswith("test") or task.name == "ax"
    assert len(set(examples.idx.tolist())) == len(examples)
