"""Reading GLUE: each quirk of the official files, the hub's layout, text without labels."""

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
from mtkd.experiments.data_identity import data_identity

HEAD = "index|sentence1|sentence2|label\n"
MNLI_HEAD = (
    "index|promptID|pairID|genre|sentence1_binary_parse|sentence2_binary_parse|sentence1_parse|"
    "sentence2_parse|sentence1|sentence2"
)
MNLI_CELLS = "p|q|g|( b )|( b )|( p )|( p )|It is wet.|It is dry."
STSB_HEAD = "index|genre|filename|year|old_index|source1|source2|sentence1|sentence2|score\n"
STSB_CELLS = "g|f|2012|01|none|none|A man.|A person."
QQP_HEAD = "id|qid1|qid2|question1|question2|is_duplicate\n"
BROKEN = (  # a question with a line break in it is cut in two
    "12|1|2|How far?|How long?|0\n13|3|4|Why is\nit so?|Why?|1\n15|5|6|Who?|Which one?|1\n"
)
SNLI_HEAD = "gold_label|sentence1_parse|sentence1|sentence2|captionID\n"


def write(root: Path, name: str, text: str) -> DataSource:
    """Write a file below `root`, bars as tabs, and return the source that reads it."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("|", "\t").encode("utf-8", "surrogateescape"))
    return DataSource(kind="folder", path=str(root))


def refused(source: DataSource, task: str, split: str = "train") -> str:
    with pytest.raises(MtkdError) as caught:
        load_examples(source, task, split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def labels(examples: Examples) -> list[float] | None:
    return None if examples.label is None else examples.label.tolist()


FILES: list[tuple[Any, ...]] = [
    # File, split, text, and of each example: first text, second, label, id.
    # A byte-order mark, quotation marks that are text, and ids that are not the rows' own.
    (
        *("MRPC/train.tsv", "train", "\ufeffQuality|#1 ID|#2 ID|#1 String|#2 String\n"),
        '1|70|71|" The shop is open|He said : " it opened "\n0|70|73|One " mark|None\n',
        [('" The shop is open', 'He said : " it opened "', 1, 0), ('One " mark', "None", 0, 1)],
    ),
    # No header but in test; a last line without its line break.
    (
        *("CoLA/train.tsv", "train", "", "x|1||Dogs bark.\nx|0|*|Dog bark."),
        [("Dogs bark.", None, 1, 0), ("Dog bark.", None, 0, 1)],
    ),
    ("CoLA/test.tsv", "test", "index|sentence\n", "0|Sing.\n", [("Sing.", None, None, 0)]),
    # Only line feeds end a line; an empty text on a whole line is the file's own.
    (
        *("SST-2/dev.tsv", "dev", "sentence|label\r\n", "a\u2028b\x85c\x0bd|1\r\n|0\n"),
        [("a\u2028b\x85c\x0bd", None, 1, 0), ("", None, 0, 1)],
    ),
    # Numbers of columns that differ by split, and names of files.
    (
        *("MNLI/train.tsv", "train", f"{MNLI_HEAD}|label1|gold_label\n"),
        f"0|{MNLI_CELLS}|neutral|contradiction\n",
        [("It is wet.", "It is dry.", 2, 0)],
    ),
    (
        *("MNLI/dev_mismatched.tsv", "dev_mm", f"{MNLI_HEAD}|label1|label2|gold_label\n"),
        f"7|{MNLI_CELLS}|neutral|neutral|entailment\n",
        [("It is wet.", "It is dry.", 0, 7)],
    ),
    (
        *("MNLI/test_matched.tsv", "test", f"{MNLI_HEAD}\n", f"9|{MNLI_CELLS}\n"),
        [("It is wet.", "It is dry.", None, 9)],
    ),
    # Broken rows are left out.
    (
        *("QQP/train.tsv", "train", QQP_HEAD, f"{BROKEN}16|5|6|Where?||1\n"),
        [
            ("How far?", "How long?", 0, 12),
            ("Who?", "Which one?", 1, 15),
            ("Where?", "", 1, 16),
        ],
    ),
    # Labels as names or numbers; ids that are unique, double, or no numbers.
    (
        *("RTE/dev.tsv", "dev", HEAD, "5|a|b|not_entailment\n3|c|d|0\n"),
        [("a", "b", 1, 5), ("c", "d", 0, 3)],
    ),
    (
        *("WNLI/dev.tsv", "dev", HEAD, "5|a|b|1\n5|c|d|not_entailment\n"),
        [("a", "b", 1, 0), ("c", "d", 0, 1)],
    ),
    ("RTE/train.tsv", "train", HEAD, "x|a|b|1\n5|c|d|0\n", [("a", "b", 1, 0), ("c", "d", 0, 1)]),
    (
        *("STS-B/dev.tsv", "dev", STSB_HEAD, f"0|{STSB_CELLS}|5.000\n1|{STSB_CELLS}|2.5\n"),
        [("A man.", "A person.", 5.0, 0), ("A man.", "A person.", 2.5, 1)],
    ),
    # The diagnostic set is published with labels and without.
    ("diagnostic/diagnostic.tsv", "test", HEAD, "0|a|b|neutral\n", [("a", "b", 1, 0)]),
    (
        *("diagnostic/diagnostic.tsv", "test", "index|sentence1|sentence2\n", "0|a|b\n"),
        [("a", "b", None, 0)],
    ),
    # As their authors have them: examples on which the annotators did not agree, no header.
    (
        *("SNLI/snli_1.0_dev.txt", "dev", SNLI_HEAD, "entailment|(x)|a|b|1\n-|(x)|c|d|2\n"),
        "neutral|(x)|e|f|3\n",
        [("a", "b", 0, 0), ("e", "f", 1, 1)],
    ),
    (
        *("SciTail/scitail_1.0_train.tsv", "train", "", "Ice melts.|It thaws.|neutral\n"),
        [("Ice melts.", "It thaws.", 1, 0)],
    ),
]
FOLDERS = {task.folder: task for task in TASKS.values()}


@pytest.mark.parametrize(
    ("name", "split", "parts", "rows"), [(f[0], f[1], f[2:-1], f[-1]) for f in FILES]
)
def test_files_as_they_are(
    name: str, split: str, parts: tuple[str, ...], rows: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    task = FOLDERS[name.split("/")[0]]
    found = load_examples(write(tmp_path, name, "".join(parts)), task, split)
    assert found.text_b is not None or not task.pair
    empty = [None] * len(rows)
    columns = (found.text_a, found.text_b or empty, labels(found) or empty, found.idx.tolist())
    assert list(zip(*columns, strict=True)) == rows
    kind = np.int64 if task.labels else np.float32
    assert found.label is None or found.label.dtype == kind
    assert found.skipped == {"qqp": 2, "snli": 1}.get(task.name, 0)


ROW = "0|A cat ran.|A cat moved.|entailment\n"
CUT = "and the last line does not end in a line break; expected a value; the file may be cut"
WRONG_RTE = (
    (f"{HEAD}{ROW}1|a|b|maybe\n", "3: unknown RTE label 'maybe'; expected entailment or 0, not_"),
    (f"{HEAD}{ROW}1|a|b|2\n", "3: unknown RTE label '2'"),
    (f"{HEAD}{ROW}1|a|more|b|0\n", "3: 5 columns; expected 4 (index, sentence1, sentence2, label)"),
    (f"{HEAD}{ROW}1|a", "3: 2 columns, and the last line does not end"),
    (f"{HEAD}{ROW}1|a|b|entail", "3: unknown RTE label 'entail'"),
    (HEAD, " 0 examples"),
    ("index|sentence1|label\n0|a|0\n", "1: no column sentence2 or #2 String; found index, "),
    ("index|sentence1|sentence2\n0|a|b\n", "1: no column label"),
    ("", " empty file"),
    (f"{HEAD}0|caf\udce9|b|0\n", "2: byte 6 is not UTF-8"),
)
WRONG_SCORES = ("5.01", "-0.5", "nan", "five", "")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        *(("RTE/train.tsv", text, message) for text, message in WRONG_RTE),
        ("RTE/test.tsv", "index|sentence1|sentence2\n0|a|b\n1|c|", f"3: empty sentence2, {CUT}"),
        ("CoLA/dev.tsv", "x|1||A b.\nx|1||", f"2: empty sentence, {CUT}"),
        ("QQP/dev.tsv", f"{QQP_HEAD}12|1|2|How?|Why?|", f"2: empty is_duplicate, {CUT}"),
        ("QQP/dev.tsv", f"{QQP_HEAD}{BROKEN}17|1", "6: 2 columns, and the last line"),
        ("QQP/test.tsv", "id|question1|question2\n0|a|b\n1|c\n", "3: 2 columns; expected 3"),
        *(
            ("STS-B/dev.tsv", f"{STSB_HEAD}0|{STSB_CELLS}|{bad}\n", f"2: STS-B score {bad!r}; exp")
            for bad in WRONG_SCORES
        ),
    ],
)
def test_errors_name_file_line_and_what_was_expected(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    source = write(tmp_path, name, text)
    folder, file = name.split("/")
    assert f"{file}:{message}" in refused(source, FOLDERS[folder].name, Path(file).stem)
    (tmp_path / name).unlink()
    assert f"{file}: no such file" in refused(source, FOLDERS[folder].name, Path(file).stem)


def test_source_errors(tmp_path: Path) -> None:
    source = DataSource(kind="folder", path=str(tmp_path / "nowhere"))
    assert "nowhere: no such folder" in refused(source, "rte")
    assert "--data-path" in refused(DataSource(kind="folder"), "rte")
    assert "unknown task 'cb'" in refused(DataSource(), "cb")
    assert "no split 'train'" in refused(DataSource(), "ax")


@pytest.mark.parametrize(("count", "why"), [(70, "cut short"), (71, ""), (72, "another version")])
def test_another_count_than_glue_s_is_a_notice(count: int, why: str, tmp_path: Path) -> None:
    rows = "".join(f"{row}|a|b|0\n" for row in range(count))
    source = replace(write(tmp_path, "WNLI/dev.tsv", HEAD + rows), limit=5)
    expected = f"{tmp_path}/WNLI/dev.tsv: {count} examples, GLUE has 71; {why}? (used as it is)"
    assert load_examples(source, "wnli", "dev").notice == (expected if why else "")


def test_limit_is_a_seeded_sample_in_file_order(tmp_path: Path) -> None:
    rows = [f"{i}|a {i}|b {i}|0\n" for i in range(50)]
    write(tmp_path, "RTE/dev.tsv", HEAD + "".join(rows[:20]))
    source = write(tmp_path, "RTE/train.tsv", HEAD + "".join(rows))

    def ids(seed: int = 0, limit: int = 10, split: str = "train") -> list[int]:
        examples = load_examples(replace(source, limit=limit, seed=seed), "rte", split)
        assert examples.text_b == [f"b {i}" for i in examples.idx]
        assert examples.label is not None and len(examples.label) == len(examples)
        return examples.idx.tolist()

    assert len(ids()) == 10 and ids() == sorted(ids()) == ids()
    assert ids(seed=1) != ids()
    assert ids(split="dev") == list(range(20))
    assert ids(limit=99) == list(range(50))


def test_a_fraction_of_the_labels_holds_every_smaller_one() -> None:
    def ids(fraction: float) -> list[int]:
        return load_examples(DataSource(label_fraction=fraction), "rte", "train").idx.tolist()

    assert [len(ids(fraction)) for fraction in (0.1, 0.25, 1.0)] == [12, 30, 120]
    assert set(ids(0.1)) < set(ids(0.25)) and ids(0.1) == sorted(ids(0.1))
    assert len(load_examples(DataSource(label_fraction=0.1), "rte", "dev")) == 300


def test_toy_text_without_labels_is_in_no_other_split() -> None:
    text = load_examples(DataSource(unlabelled_ratio=2.0, label_fraction=0.1), "rte", "unlabelled")
    assert text.label is None and len(text) == 2 * 120  # of all training examples
    dev = load_examples(DataSource(), "rte", "dev")
    assert not set(zip(text.text_a, text.text_b or (), strict=True)) & set(
        zip(dev.text_a, dev.text_b or (), strict=True)
    )


def test_test_sentences_or_a_file_are_text_without_labels(tmp_path: Path) -> None:
    write(tmp_path, "RTE/test.tsv", "index|sentence1|sentence2\n0|c|d\n1|e|f\n")
    source = write(tmp_path, "RTE/train.tsv", HEAD + "".join(f"{i}|a|b|0\n" for i in range(10)))
    text = load_examples(replace(source, unlabelled_ratio=1.0), "rte", "unlabelled")
    assert text.text_a == ["c", "e"] and text.label is None

    path = tmp_path / "more.txt"
    from_file = replace(source, unlabelled_ratio=1.0, unlabelled_file=str(path))
    write(tmp_path, "more.txt", "rte|e|f\ncola|one sentence\nrte|g|h\n")
    assert load_examples(from_file, "rte", "unlabelled").text_b == ["f", "h"]
    write(tmp_path, "more.txt", "cola|one sentence\n")
    assert len(load_examples(from_file, "rte", "unlabelled")) == 0
    for wrong, message in (
        (
            "rte|e|f\nrte|no second\n",
            "more.txt:2: 2 columns; expected 3: rte, sentence1, sentence2",
        ),
        ("what is this\n", "more.txt:1: 'what is this' is no task"),
        ("rte||f\n", "3 columns, an empty text among them"),
    ):
        write(tmp_path, "more.txt", wrong)
        assert message in refused(from_file, "rte", "unlabelled")
    path.unlink()
    assert "more.txt" in refused(from_file, "rte", "unlabelled")


def test_another_version_of_a_file_is_another_source(tmp_path: Path) -> None:
    source = write(tmp_path / "a", "SNLI/snli_1.0_dev.txt", f"{SNLI_HEAD}neutral|(x)|e|f|3\n")
    copy = write(tmp_path / "b", "SNLI/snli_1.0_dev.txt", f"{SNLI_HEAD}neutral|(x)|e|f|3\n")
    before = data_identity(source, [TASKS["snli"]])
    assert data_identity(copy, [TASKS["snli"]]) == before
    write(tmp_path / "a", "SNLI/snli_1.0_dev.txt", f"{SNLI_HEAD}neutral|(x)|e|f|4\n")
    assert data_identity(source, [TASKS["snli"]]) != before


def test_missing_tasks(tmp_path: Path) -> None:
    source = write(tmp_path, "RTE/train.tsv", HEAD + ROW)
    for name in ("sst2", "SNLI"):  # Parquet folders have the task's own name
        (tmp_path / name).mkdir()
    assert missing_tasks(source, ["mnli", "rte", "sst2", "cola", "snli"]) == ["mnli", "cola"]
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
    (tmp_path / "snli").mkdir()  # -1: its annotators did not agree
    undecided = {"premise": list("abc"), "hypothesis": list("def"), "label": [-1, 2, 0]}
    pq.write_table(pa.table(undecided), tmp_path / "snli" / "train.parquet")
    snli = load_examples(source, "snli", "train")
    assert (snli.text_a, labels(snli), snli.skipped) == (["b", "c"], [2, 0], 1)
    path = tmp_path / "cola" / "train-00000-of-00001.parquet"
    assert (
        "train*.parquet: 4 examples, GLUE has 8,551"
        in load_examples(source, "cola", "train").notice
    )
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
