"""Malformed inputs: each is one line that says where, what was expected and what to do."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mtkd.app import cli

Files = dict[str, str | bytes]
ROWS = "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(30))
CSV = f"text,label\n{ROWS}"
LINES = "".join(f'{{"text": "text {n}", "label": {n % 2}}}\n' for n in range(30))
SCORES = "".join(f"text {n},{n / 7}\n" for n in range(30))
PAIRS = "text_a,text_b,label\n" + "".join(f"one {n},two {n},{'ab'[n % 2]}\n" for n in range(30))


def parquet(table: dict[str, list[Any]], names: list[str] | None = None, damage: int = 0) -> bytes:
    """A Parquet file, with `datasets`' names of classes, or cut short by some bytes."""
    feature = {"label": {"names": names, "_type": "ClassLabel"}} if names else {}
    facts = {"huggingface": json.dumps({"info": {"features": feature}})}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(table).replace_schema_metadata(facts), sink)
    found = sink.getvalue().to_pybytes()
    return found[: len(found) - damage]


# Files by name, what the recipe says of the task `mood`, and the line that refuses it.
DATA: dict[str, tuple[Files, dict[str, Any], str]] = {
    # ------------------------------------------------------------------------------ whole files
    "no file": ({}, {"data": "a.csv"}, "{}/a.csv: No such file or directory; expected a file of"),
    "no such kind": ({"a.xlsx": "x"}, {"data": "a.xlsx"}, "{}/a.xlsx: expected a file that ends"),
    "empty": ({"a.csv": ""}, {}, "{}/a.csv:1: columns []; expected a first line of different"),
    "no row": ({"a.csv": "text,label\n"}, {}, "{}/a.csv: no rows; expected at least one example"),
    "no object": ({"a.jsonl": "\n"}, {}, "{}/a.jsonl: no rows; expected at least one example"),
    "latin-1": (
        {"a.csv": CSV.encode() + b"caf\xe9,a\n"},
        {},
        "{}/a.csv:32: byte 4 is not UTF-8; expected a UTF-8 file: save it as UTF-8",
    ),
    "utf-16": ({"a.csv": CSV.encode("utf-16")}, {}, "{}/a.csv:1: byte 1 is not UTF-8"),
    "zeros": ({"a.jsonl": LINES + "\0"}, {}, "{}/a.jsonl:31: a NUL byte; expected text"),
    "cut parquet": (
        {"a.parquet": parquet({"text": ["a"], "label": ["b"]}, damage=9)},
        {},
        "{}/a.parquet: not readable as Parquet (",
    ),
    "folder without train": (
        {"d/dev.csv": CSV, "d/other.csv": CSV},
        {"data": "d"},
        "{}/d: no training split (found dev); expected `train: FILE`, or a file train with one",
    ),
    "folder with two": (
        {"d/train.csv": CSV, "d/training.tsv": CSV},
        {"data": "d"},
        "{}/d/training.tsv: {}/d/train.csv is a train split, too; expected one file a split",
    ),
    "unknown split": (
        {"a.csv": CSV},
        {"data": {"train": "a.csv", "eval": "a.csv"}},
        "tasks.mood.data: split 'eval'; expected some of train, dev, test, unlabelled",
    ),
    "a split twice": (
        {"a.csv": CSV},
        {"data": {"train": "a.csv", "dev": "a.csv", "valid": "a.csv"}},
        "tasks.mood.data: 'valid' is a second dev split; expected one",
    ),
    "hub": ({}, {"data": "hf:imdb"}, "hf:imdb: expected hf:owner/name or hf:owner/name/conf"),
    "hub as a split": (
        {"a.csv": CSV},
        {"data": {"train": "a.csv", "dev": "hf:me/mood"}},
        "tasks.mood.data: hf:me/mood as a split; expected files, or a data set of the hub as a wh",
    ),
    # -------------------------------------------------------------------------- lines and columns
    "one cell more": (
        {"a.csv": CSV + "a, b,a\n"},
        {},
        '{}/a.csv:32: 3 columns; expected 2 (text, label); a text with a comma needs "quotes"',
    ),
    "one cell less": ({"a.tsv": CSV.replace(",", "\t") + "a\n"}, {}, "{}/a.tsv:32: 1 columns; exp"),
    "open quotes": (
        {"a.csv": CSV + '"never closed,a\nb,a\n'},
        {},
        "{}/a.csv:32: not valid CSV, in the row that begins there (unexpected end of data); exp",
    ),
    "quotes inside": (
        {"a.csv": CSV + '"a "b" c",a\n'},
        {},
        "{}/a.csv:32: not valid CSV, in the row that begins there",
    ),
    "a name twice": (
        {"a.csv": "text,text\na,b\n"},
        {},
        "{}/a.csv:1: columns ['text', 'text']; exp",
    ),
    "no name": (
        {"a.csv": "text,\na,b\n"},
        {},
        "{}/a.csv:1: columns ['text', '']; expected a first",
    ),
    "semicolons": (
        {"a.csv": CSV.replace(",", ";")},
        {},
        "{}/a.csv:1: one column, with semicolons in its name; expected commas between columns: sav",
    ),
    "tabs": ({"a.csv": CSV.replace(",", "\t")}, {}, "{}/a.csv:1: one column, with tabs in its na"),
    "commas": (
        {"a.tsv": CSV},
        {},
        "{}/a.tsv:1: one column, with commas in its name; expected tabs",
    ),
    "broken object": (
        {"a.jsonl": LINES + '{"text": "a", "label": \n'},
        {},
        "{}/a.jsonl:31: not valid JSON (Expecting value",
    ),
    "no keys": (
        {"a.jsonl": LINES + '"a text alone"\n'},
        {},
        '{}/a.jsonl:31: expected an object like {"text": ..., "label": ...}',
    ),
    "half a pair": (
        {"a.jsonl": LINES + '{"text": "\\ud83d", "label": 1}\n'},
        {},
        "{}/a.jsonl:31: not valid JSON (",
    ),
    "which text": (
        {"a.csv": "sentence,review,label\na,b,c\n"},
        {},
        "{}/a.csv: which column is the text? write `text: NAME`, or `text: [NAME, NAME]` for "
        "pairs, in tasks.mood; found sentence, review, label",
    ),
    "which label": (
        {"a.csv": "text,target,score\na,b,c\n"},
        {},
        "{}/a.csv: which column is the label? write `label: NAME` in tasks.mood; found text, ",
    ),
    "no such text": (
        {"a.csv": CSV},
        {"text": "words"},
        "{}/a.csv: no column 'words' (a text of task mood); found text, label",
    ),
    "no such label": (
        {"a.csv": CSV},
        {"label": "mood"},
        "{}/a.csv: no column 'mood' (the label of",
    ),
    "no such id": (
        {"a.csv": CSV},
        {"id": "key"},
        "{}/a.csv: no column 'key' (the id of task mood)",
    ),
    "no such text in dev": (
        {"a.csv": PAIRS, "b.csv": "text_a,label\none,a\n"},
        {"data": {"train": "a.csv", "dev": "b.csv"}},
        "{}/b.csv: no column 'text_b' (of task mood); found text_a, label",
    ),
    "a class beyond the names": (
        {"a.parquet": parquet({"text": ["a", "b"], "label": [0, 7]}, ["x", "y"])},
        {},
        "{}/a.parquet: column 'label' has class 7; expected 0 to 1",
    ),
    # ---------------------------------------------------------------------------- texts and labels
    "no text": ({"a.csv": CSV + ",a\n"}, {}, "{}/a.csv:32: column 'text': empty; expected a text"),
    "spaces": ({"a.csv": CSV + '"x\n\n",a\n" ",b\n'}, {}, "{}/a.csv:35: column 'text': empty; exp"),
    "a number as text": (
        {"a.jsonl": LINES + '{"text": 7, "label": 1}'},
        {},
        "{}/a.jsonl:31: column 'text': 7; expected a text",
    ),
    "no text in parquet": (
        {"a.parquet": parquet({"text": ["a", None, *"cdefgh"], "label": [*"xyxyxyxy"]})},
        {},
        "{}/a.parquet, row 1: column 'text': empty; expected a text",
    ),
    "no label": (
        {"a.csv": CSV + "a,\n"},
        {},
        "{}/a.csv:32: column 'label': no label; expected one",
    ),
    "new label in dev": (
        {"a.csv": CSV.replace(",a\n", ",angry\n"), "b.csv": "text,label\nx,angri\n"},
        {"data": {"train": "a.csv", "dev": "b.csv"}},
        "{}/b.csv:2: column 'label': label 'angri'; expected one of angry, b; did you mean 'a",
    ),
    "not among the labels": (
        {"a.csv": CSV + "x,c\n"},
        {"labels": ["a", "b"]},
        "{}/a.csv:32: column 'label': label 'c'; expected one of a, b",
    ),
    "not a number": (
        {"a.csv": "text,label\n" + SCORES + "a,high\n"},
        {"kind": "regression"},
        "{}/a.csv:32: column 'label': score 'high'; expected a number",
    ),
    "infinity": (
        {"a.csv": "text,label\n" + SCORES + "a,inf\n"},
        {"kind": "regression"},
        "{}/a.csv:32: column 'label': score 'inf'; expected a number",
    ),
    "out of range": (
        {"a.csv": "text,label\n" + SCORES},
        {"range": [0, 4.1]},
        "{}/a.csv:31: column 'label': score '4.142857142857143'; expected a number from 0 to 4.1",
    ),
    "equal scores": (
        {"a.csv": "text,label\n" + "".join(f"text {n},5\n" for n in range(30))},
        {"kind": "regression"},
        "{}/a.csv: all scores of mood are 5; expected different ones, or write `range: [LO",
    ),
    "classes or scores": (
        {"a.csv": "text,label\n" + "".join(f"text {n},{n % 5}\n" for n in range(30))},
        {},
        "{}/a.csv: column 'label' has 5 different numbers, which may be classes or scores; write "
        "`kind: classification` or `kind: regression` in tasks.mood",
    ),
    "one label or several": (
        {"a.csv": CSV + "x,a|b\n"},
        {},
        "{}/a.csv: column 'label' has '|' in it; write `kind: multilabel`, or `kind: c",
    ),
    "one label": (
        {"a.csv": CSV.replace(",b\n", ",a\n")},
        {},
        "{}/a.csv: column 'label' has 1 different labels; expected 2 to 1000: check `label` and",
    ),
    "labels that are texts": (
        {"a.csv": "text,label\n" + "".join(f"a {n},b {n}\n" for n in range(1001))},
        {},
        "{}/a.csv: column 'label' has 1001 different labels; expected 2 to 1000: check `label` and",
    ),
    "an id twice": (
        {
            "a.csv": "id,text,label\n"
            + "".join(f"q{n % 29},text {n},{'ab'[n % 2]}\n" for n in range(30))
        },
        {"data": {"train": "a.csv", "dev": "a.csv"}, "id": "id"},
        "{}/a.csv:31: id 'q0' is that of {}/a.csv:2, too; expected ids that are unique",
    ),
    "no id": (
        {"a.csv": "id,text,label\n,x,a\n" + "".join(f"{n},t {n},b\n" for n in range(30))},
        {"data": {"train": "a.csv", "dev": "a.csv"}, "id": "id"},
        "{}/a.csv:2: column 'id': empty; expected an id",
    ),
    "too few": (
        {"a.csv": "text,label\na,x\nb,y\n"},
        {},
        "{}/a.csv: 2 different texts leave none to dev; expected more, or a file of that split, or",
    ),
    "no dev": (
        {"a.csv": CSV},
        {"split": {"dev": 0}},
        "{}/a.csv: 30 different texts leave none to d",
    ),
    "which is right": (
        {"a.csv": PAIRS},
        {"kind": "ranking"},
        "{}/a.csv: ranking needs to know which of two labels is the right candidate's, and both t",
    ),
    # ------------------------------------------------------------------------------- recipe's keys
    "misspelt key": ({"a.csv": CSV}, {"txt": "a"}, "tasks.mood: unknown key 'txt'; did you mean"),
    "no data": ({}, {"data": None, "text": "a"}, "tasks.mood"),
    "unknown kind": ({"a.csv": CSV}, {"kind": "classes"}, "tasks.mood.kind: expected 'classific"),
    "three texts": (
        {"a.csv": CSV},
        {"text": ["a", "b", "c"]},
        "tasks.mood.text: expected the name of one column, or two different names for pairs",
    ),
    "labels twice": ({"a.csv": CSV}, {"labels": ["a", "a"]}, "tasks.mood.labels: expected differ"),
    "labels and range": (
        {"a.csv": CSV},
        {"labels": ["a", "b"], "range": [0, 1]},
        "tasks.mood: expected either `labels` or scores",
    ),
    "range upside down": (
        {"a.csv": CSV},
        {"range": [5, 1]},
        "tasks.mood.range: expected [low, high",
    ),
    "shares": (
        {"a.csv": CSV},
        {"split": {"dev": 0.5, "test": 0.5}},
        "tasks.mood.split: dev and tes",
    ),
    "unknown metric": (
        {"a.csv": CSV},
        {"metrics": ["acc"]},
        "mood: metric 'acc'; expected some of accuracy, f1, macro_f1",
    ),
    "metric of another kind": (
        {"a.csv": CSV},
        {"metrics": ["accuracy", "pearson"]},
        "mood: metric 'pearson'; expected some of accuracy",
    ),
    "weights of some": (
        {"a.csv": CSV},
        {"weights": {"a": 2}},
        "tasks.mood.weights: {'a': 2.0}; expected a number above 0 for each of a, b",
    ),
    "weights of none": (
        {"a.csv": CSV},
        {"labels": ["a", "b", "c"], "weights": "balanced"},
        "tasks.mood.weights: no training example of 'c' to balance; expected one, or weights as",
    ),
    "weights of scores": (
        {"a.csv": "text,label\n" + SCORES},
        {"kind": "regression", "weights": "balanced"},
        "tasks.mood: expected no `weights`: regression has none",
    ),
}


@pytest.mark.parametrize("case", DATA)
def test_data_and_what_is_said_of_it(case: str, tmp_path: Path, capsys: Any) -> None:
    files, spec, expected = DATA[case]
    spec = {"data": next(iter(files), "")} | spec
    recipe = {"name": "mine", "tasks": {"mood": {k: v for k, v in spec.items() if v is not None}}}
    told = refused(["check", "RECIPE"], files, recipe, tmp_path, capsys)
    assert expected.replace("{}", str(tmp_path)) in told, told


# Files, keys of the recipe beside the usual ones, the command's words, and its line.
COMMANDS: dict[str, tuple[Files, dict[str, Any], str, str]] = {
    "a name of GLUE's": (
        {"a.csv": CSV},
        {"tasks": {"rte": {"data": "a.csv"}}},
        "plan --recipe RECIPE",
        "tasks.rte: a task of GLUE has that name; choose another one",
    ),
    "a dot in a name": (
        {"a.csv": CSV},
        {"tasks": {"my.mood": {"data": "a.csv"}}},
        "plan --recipe RECIPE",
        "tasks.my.mood: a dot in the name of a task; expected letters, digits, '-' and '_'",
    ),
    "a task of nobody's": (
        {},
        {"tasks": ["rte", "mood"]},
        "plan --recipe RECIPE",
        "tasks: unknown task 'mood'; expected some of cola",
    ),
    "ranking of a sample": (
        {"a.csv": PAIRS},
        {"tasks": {"mood": {"data": "a.csv", "kind": "ranking"}}, "data": {"limit": 10}},
        "plan --recipe RECIPE",
        "tasks.mood.kind: ranking needs whole questions: no data.limit",
    ),
    "own text in the file of GLUE's": (
        {"a.csv": CSV, "t.tsv": "mood\tsome text\n"},
        {"tasks": {"rte": None, "mood": {"data": "a.csv"}}, "data": {"unlabelled_ratio": 1}},
        "check RECIPE --set data.unlabelled_file=t.tsv students.mtdnn-kd.unlabelled_ratio=1",
        "goes into its `data: {unlabelled: FILE}`",
    ),
    "init: no file": ({}, {}, "init a.csv", "a.csv: No such file or directory"),
    "init: both": (
        {"a.csv": CSV, "a_train.csv": CSV},
        {},
        "init a.csv a_train.csv",
        "init: a.csv, a_train.csv are all of task 'a'; expected one file, or names that end in",
    ),
    "init: one twice": (
        {"a_dev.csv": CSV, "a_valid.csv": CSV},
        {},
        "init a_dev.csv a_valid.csv",
        "init: a_dev.csv, a_valid.csv are all of task 'a'",
    ),
    "init: no training file": (
        {"a_dev.csv": CSV},
        {},
        "init a_dev.csv",
        "tasks.a.data: no training split (found dev); expected `train: FILE`",
    ),
    "init: in doubt": (
        {"a.csv": "text,target,score\na,b,c\n"},
        {},
        "init a.csv",
        "write `label: NAME` in tasks.a; found text, target, score (here: --set tasks.a.KEY=VALUE)",
    ),
    "init: there already": (
        {"a.csv": CSV, "own.yaml": "mine"},
        {},
        "init a.csv",
        "own.yaml: is there already; choose another --output, or remove it",
    ),
    "init: no recipe's name": ({"a.csv": CSV}, {}, "init a.csv --output a.txt", "to end in .yaml"),
    "init: a recipe of the kit": ({"a.csv": CSV}, {}, "init a.csv --name demo", "another --name"),
    "init: a name of GLUE's": (
        {"rte.csv": CSV},
        {},
        "init rte.csv",
        "a task of GLUE has that name",
    ),
    "init: a key of nobody's": (
        {"a.csv": CSV},
        {},
        "init a.csv --set tasks.a.labl=x",
        "init: tasks.a: unknown key 'labl'; did you mean 'label'?",
    ),
    "check: no recipe": ({}, {}, "check nope", "unknown recipe 'nope'"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_recipes_and_commands(
    case: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, keys, words, expected = COMMANDS[case]
    monkeypatch.chdir(tmp_path)
    told = refused(words.split(), files, keys, tmp_path, capsys)
    assert expected in told, told


def refused(
    words: list[str], files: Files, recipe: dict[str, Any], folder: Path, capsys: Any
) -> str:
    """The line that a command refuses files or a recipe with; all files stay as they are."""
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(raw)
    encoders = {"encoders": {"tiny": {"pretrain": True}}, "encoder": "tiny", "name": "mine"}
    candidates = {"candidates": {"encoders": ["tiny"]}, "baselines": ["bert"]}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(encoders | candidates | recipe))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    status = cli.main([str(path) if word == "RECIPE" else word for word in words])
    after = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    printed = capsys.readouterr()
    assert status == 1 and after == before, printed
    problems = [line for line in printed.out.splitlines() if line.startswith("problem: ")]
    lines = printed.err.splitlines() + problems
    assert len(lines) == 1, lines
    assert not re.search(r"Traceback|Error\b", lines[0])
    return lines[0]
