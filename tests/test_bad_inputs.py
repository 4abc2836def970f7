"""Bad inputs, through the command line: each is one line that says where, what and what to do.

The status is not zero, there is no traceback, and what was there before is left as it was.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from conftest import MakeEncoder, MakeModel
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    BartConfig,
    BertConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

from mtkd.app import cli, preflight, runner
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.objects import write_object
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import main_runs
from mtkd.experiments.recipes import as_yaml, load_recipe
from mtkd.experiments.records import COLUMNS, current_record
from mtkd.method.targets import Predictions, read_predictions, write_predictions

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
    """The line that a command refuses files or a recipe with."""
    put(folder, files)
    encoders = {"encoders": {"tiny": {"pretrain": True}}, "encoder": "tiny", "name": "mine"}
    candidates = {"candidates": {"encoders": ["tiny"]}, "baselines": ["bert"]}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(encoders | candidates | recipe))
    return told([str(path) if word == "RECIPE" else word for word in words], folder, capsys)


def put(folder: Path, files: Files) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def told(words: list[str], folder: Path, capsys: Any, status: int = 1) -> str:
    """The one line of a command that fails; all files in the folder stay as they are."""
    before = contents(folder)
    capsys.readouterr()
    assert cli.main(words) == status
    printed = capsys.readouterr()
    assert contents(folder) == before
    problems = [line for line in printed.out.splitlines() if line.startswith("problem: ")]
    lines = printed.err.splitlines() + problems
    assert len(lines) == 1, printed
    assert not re.search(r"Traceback|(Key|Type|Attribute|Decode)Error", lines[0]), lines
    return lines[0]


def contents(folder: Path) -> dict[Path, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".lock")
    return {file: file.read_bytes() for file in files}


# -------------------------------------------------------------------- recipes and their settings

# Settings of a recipe of two encoders, and words of the line that refuses them.
MISTAKES = """
trainig.epochs=3 | unknown key 'trainig' | did you mean 'training'
students.mtdnn-kd.temprature=2 | students.mtdnn-kd: unknown key 'temprature' | 'temperature'
encoders.cased.pth=x | encoders.cased: unknown key 'pth' | 'path'
colour=3 | unknown key 'colour' | known: name
training.epochs=many | training.epochs: | integer | 'many'
training.epochs='5' | training.epochs: | integer | '5'
training.epochs=2.5 | training.epochs: | integer | 2.5
training.epochs=true | training.epochs: | integer | True
training.clip=true | training.clip: | number | True
training.learning_rate=5e-5 | training.learning_rate: | '5e-5' | write 5.0e-5
training.learning_rate=.nan | training.learning_rate: | nan
training.epochs=0 | training.epochs: | at least 1
training.task_sampling=random | training.task_sampling: | 'random' | 'annealed'
finetuning.batch_size=0 | finetuning.batch_size: | 1, found 0
fresh_heads=1 | fresh_heads: | boolean
tasks=rte | tasks: | list | 'rte'
training=3 | training: | key: value
students=[a] | students: | name: ...
tasks=[rte, snli] | tasks: | 'snli' | mnli
tasks=[wnli] | tasks: | 'wnli'
tasks=[] | tasks: | at least one
tasks=[rte, rte] | tasks: | different
teachers.tasks=[snli] | teachers.tasks: | 'snli'
few_labels.tasks=[rte] | few_labels.tasks: | 'rte' | scitail
teachers.choose=5 | teachers.choose: | 1 to 4 | 5
candidates.dropout=[] | candidates.dropout: | at least one
candidates.dropout=[0.1, 1.5] | candidates.dropout[1]: | 1.5
dropout=1.5 | dropout: | 1.5
students.a.hard_weight=1.1 | students.a.hard_weight: | 1.1
students.a.same_seed_as=b | students.a.same_seed_as: | 'b' is no student above it
students.mtdnn-kd.taught_by=[mtdnn-kd-soft] | students.mtdnn-kd.taught_by: | above it
students.a.unlabelled_ratio=1 | students.a.unlabelled_ratio: | data.unlabelled_ratio
students.a.loss=cross_entropy | students.*.loss: | did you mean 'cross-entropy'
students.bert.hard_weight=0.5 | students.bert: | another system
students.a/b.hard_weight=1 | students.a/b: | letters
seeds=[1, 1] | seeds: | different
seeds=[-1] | seeds[0]: | -1
unlabelled.ratios=[0.5] | unlabelled.ratios: | 0 first
data.kind=zip | data.kind: | 'zip' | 'folder'
data.scale=-1 | data.scale: | -1
data.limit=0 | data.limit: | 1, found 0
name=a/b | name: | 'a/b' | letters
name=reference | name: | committed
heads.pair=sam | heads.pair: | did you mean 'san'
heads.qnli=ranking; students.a.temperature=2 | students.a.temperature: | ranking
heads.qnli=ranking; data.limit=9 | heads.qnli: | whole questions | data.limit
pretraining.attention_heads=3 | pretraining.hidden: | multiple
encoder=roberta | encoder: | 'roberta' | cased, uncased
candidates.encoders=[bert] | candidates.encoders: | 'bert'
encoders.cased.path=/tmp | encoders.cased: | exactly one
baselines=[brt] | baselines: | did you mean 'bert'
studies=[target] | studies: | did you mean 'targets'
extensions=[a b] | extensions: | cannot import 'a b'
extensions=[no_such.losses] | extensions: | cannot import 'no_such.losses'
training.epochs | key=value
name.first=x | name has no keys
training.epochs=[ | YAML
"""


@pytest.mark.parametrize("line", MISTAKES.strip().splitlines(), ids=lambda line: line.split("|")[0])
def test_settings(line: str, tmp_path: Path, capsys: Any) -> None:
    setting, *expected = (part.strip() for part in line.split(" | "))
    encoders = {"cased": {"pretrain": True, "lowercase": False}, "uncased": {"pretrain": True}}
    recipe = {"encoders": encoders, "encoder": "uncased", "tasks": ["mnli", "rte"]}
    recipe |= {"candidates": {"dropout": [0.1, 0.2]}}
    words = ["plan", "--recipe", "RECIPE", "--set", *setting.split("; ")]
    said = refused(words, {}, recipe, tmp_path, capsys)
    assert all(word in said for word in expected), said


ALIASES = "".join(f"a{n + 1}: &a{n + 1} [{9 * f'*a{n}, '}]\n" for n in range(9))
YAML: dict[str, tuple[str | bytes, str]] = {
    "open list": ("name: x\nseeds: [1\n", ":3: "),
    "a key twice": ("name: x\nname: y\n", ":2: not valid YAML: key 'name' comes twice"),
    "a key twice inside": ("name: x\ndata: {seed: 1, seed: 2}\n", ":2: not valid YAML: key 'seed'"),
    "5,000 deep and closed": ("name: " + 5000 * "[" + 5000 * "]", "nested too deeply"),
    "in itself": ("name: &a [*a]", "nested too deeply"),
    "explosive": ("a0: &a0 [1]\n" + ALIASES, "more than 10,000 values"),
    "code": ("name: !!python/object/apply:os.getcwd []", "not valid YAML"),
    "not UTF-8": (b"\xff\xfe", "byte 1 is not UTF-8"),
    "NUL": ("name: \0", "not valid YAML"),
    "tabs": ("name: x\n\tseeds: 1", "not valid YAML"),
    "a date": ("2020-01-01: x", "expected text or numbers as keys"),
    "a list": ("- a\n", "key: value"),
    "a word": ("garbage", "key: value"),
    "empty": ("", "key: value"),
    "null": ("null", "key: value"),
    "no name": ("about: x\n", "'name' is missing"),
    "studies: null": ("name: x\nstudies:\n", "studies: expected a list, found None"),
    "data: word": ("name: x\ndata: x\n", "data: expected `key: value` lines, found 'x'"),
    "long name": (f"name: {300 * 'a'}", "name: expected at most 80 bytes: it becomes a part of fi"),
}


@pytest.mark.parametrize("case", YAML)
def test_recipe_files(
    case: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, expected = YAML[case]
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path))
    put(tmp_path, {"other/recipe.yaml": content})
    path = str(tmp_path / "other" / "recipe.yaml")
    said = told(["plan", "--recipe", path, "--data-path", str(tmp_path)], tmp_path, capsys)
    assert path in said and expected in said, said
    said = told(["status", "--recipe", "other"], tmp_path, capsys)  # of the kit's own, what to do
    assert path in said and expected in said and "mtkd reproduce" in said, said


# --------------------------------------------------------------------------- the words of commands

WORDS: dict[str, tuple[str, str]] = {
    "recipe": ("plan --recipe nope", "unknown recipe 'nope': expected one of base, demo"),
    "long recipe": (f"plan --recipe {300 * 'a'}", "unknown recipe 'aaaaaaaa"),
    "recipe of another folder": ("plan --recipe ../smoke", "unknown recipe '../smoke'"),
    "missing file": ("plan --recipe nope.yaml", "nope.yaml: no such file; expected a recipe there"),
    "missing file, status": ("status --recipe nope.yaml", "nope.yaml: no such file"),
    "a folder as a recipe": (
        "plan --recipe a.yaml",
        "a.yaml: Is a directory; expected a YAML file",
    ),
    "stage": ("plan --until teecher", "expected one of"),
    "folder": ("plan --recipe realtext --data-path /no/such", "/no/such"),
    "a file as a folder": ("plan --recipe realtext --data-path a.csv", "a.csv: no such folder"),
    "no folder given": ("plan --recipe realtext", "--data-path"),
    "study": ("plan --with targts", "--with 'targts': expected one of"),
    "unlabelled": ("plan --unlabelled no.tsv", "--unlabelled no.tsv: no such file; expected text"),
    "a folder as text": ("plan --unlabelled a.yaml", "--unlabelled a.yaml: no such file"),
    "learning rate 0": ("plan --set training.learning_rate=0", "training.learning_rate: expected"),
    "executor": ("reproduce --recipe smoke --executor abacus", "plugin-abacus`"),
    "nothing to report": ("report --recipe smoke", "mtkd reproduce --recipe smoke"),
    "nothing to publish": ("publish smoke", "mtkd reproduce --recipe smoke"),
    "nothing to submit": ("submit --system bert --recipe smoke", "mtkd reproduce --recipe smoke"),
    "no results": ("compare nope paper", "nope: no such folder, and no results of that recipe"),
    "the paper alone": ("compare paper", "paper: name a recipe or a folder"),
    "no scores": ("compare a.yaml paper", "scores.csv: not there; `mtkd reproduce` writes it"),
    "no model": ("predict a.yaml a.csv --output b.csv", "a.yaml: no saved mtkd model there"),
    "no hub": ("reproduce --recipe base", "HF_HUB_OFFLINE is set, and nyu-mll/glue, google-bert"),
}


@pytest.mark.parametrize("case", WORDS)
def test_words(case: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words, expected = WORDS[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path / "results"))
    put(tmp_path, {"a.csv": CSV, "a.yaml/x": ""})
    said = told(words.split(), tmp_path, capsys)
    assert expected in said, said


USAGE = (
    "plan --jobs -1",
    "plan --jobs many",
    "plan --no-browser",
    "plan demo",
    "plan --recipe",
    "submit",
    "submit --system bert --fill so",
    "submit --system bert --seed one",
    "bogus",
    "compare",
    "check",
    "predict x",
)


@pytest.mark.parametrize("words", USAGE)
def test_usage(words: str, tmp_path: Path, capsys: Any) -> None:
    said = told(words.split(), tmp_path, capsys, status=2)
    assert said.startswith("mtkd: ") and said.endswith("; see `mtkd --help`")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("a.csv", "Not a directory: "),
        ("results", "File exists: "),  # results/smoke is a file
        ("/proc/no", "No such file or directory: /proc/no"),
        (300 * "a", "File name too long: "),
    ],
)
def test_results_that_cannot_be_made(
    place: str, expected: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"a.csv": CSV, "results/smoke": "a file"})
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path / place))
    assert expected in told(["reproduce", "--recipe", "smoke"], tmp_path, capsys)


def test_braces_in_a_path_are_no_parameters(tmp_path: Path) -> None:
    book = tmp_path / "{x} {" / "03_baselines.ipynb"
    book.parent.mkdir()
    shutil.copy(paths.NOTEBOOKS / book.name, book)
    runner.check_parameters(book, {"seed": 1})
    with pytest.raises(MtkdError, match="no parameter 'sead'; it has recipe, "):
        runner.check_parameters(book, {"sead": 1})


# ------------------------------------------------------------------------------- a results folder

Edit = Callable[[Path], object]


def whole(content: str | bytes) -> Edit:
    return lambda path: path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def keys(**changes: Any) -> Edit:
    """Other values of an object that was written so, with its digest."""
    return lambda path: write_object(path, json.loads(path.read_text()) | changes)


def without(key: str) -> Edit:
    def edit(path: Path) -> None:
        write_object(path, {k: v for k, v in json.loads(path.read_text()).items() if k != key})

    return edit


def replaced(old: str, new: str) -> Edit:
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first run of `smoke`, and a file of scores."""
    results = tmp_path_factory.mktemp("results") / "smoke"
    recipe = load_recipe("smoke")
    RunContext(recipe, main_runs(recipe)[0], results, tuple(recipe.tasks)).execute()
    rows = [
        f"bert-a-s{seed},bert-a,smoke,baselines,bert,{task},dev,accuracy,{60 + seed},100,{seed}"
        for task in ("rte", "qnli")
        for seed in range(3)
    ]
    (results / "scores.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    (results / "recipe.yaml").write_text(as_yaml(recipe))
    return results


AGAIN = "`mtkd reproduce` makes that run again"
RECORDS: dict[str, tuple[Edit, str]] = {
    "empty": (whole(""), "record.json:1: not valid JSON (Expecting value); "),
    "garbage": (whole("{{"), "record.json:1: not valid JSON"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-90]), "not valid JSON"),
    "not UTF-8": (whole(b"\xff\xfe"), "record.json: byte 1 is not UTF-8 text"),
    "a list": (whole("[]"), "record.json: JSON of another kind; expected an object"),
    "null": (whole("null"), "record.json: JSON of another kind; expected an object"),
    "a number": (whole("3"), "record.json: JSON of another kind; expected an object"),
    "5,000 deep": (whole(5000 * "["), "record.json: nested too deeply"),
    "NUL": (whole("\0"), "record.json:1: not valid JSON"),
    "a folder": (a_folder, "record.json: Is a directory; "),
    "another schema": (
        keys(schema=99),
        "made by another version of mtkd (schema 99, this one read",
    ),
    "no schema": (without("schema"), "made by another version of mtkd (schema None"),
    "a key more": (keys(colour=1), "no record of a run (colour: Unexpected keyword argument)"),
    "a key less": (without("run_id"), "no record of a run (run_id: "),
    "no scores": (keys(scores=3), "no record of a run (scores: "),
    "a score of words": (
        keys(scores=[dict(system="a", task="b", split="dev", metric="c", value="x", n_examples=1)]),
        "no record of a run (scores.0.value: ",
    ),
    "a score too little": (keys(scores=[{}]), "no record of a run (scores.0.system: "),
    "a byte": (replaced('"recipe": "smoke"', '"recipe": "smoky"'), "has changed since it was wri"),
    "a digit": (replaced('"wall_seconds": ', '"wall_seconds": 1'), "has changed since it was wri"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_records(
    case: str, finished: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, expected = RECORDS[case]
    shutil.copytree(finished, tmp_path / "smoke")
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path))
    folder = next((tmp_path / "smoke" / "runs").iterdir())
    edit(folder / "record.json")
    if case in ("another schema", "no schema"):
        for command in ("status", "reproduce"):
            assert expected in told([command, "--recipe", "smoke"], tmp_path, capsys)
        return
    assert cli.main(["status", "--recipe", "smoke"]) == 0  # it is due again, and named once
    (said,) = [line for line in capsys.readouterr().out.splitlines() if str(folder) in line]
    assert expected in said and AGAIN in said
    recipe = load_recipe("smoke")
    assert current_record(tmp_path / "smoke", main_runs(recipe)[0]) is None


SCORES_FILES: dict[str, tuple[Edit, str]] = {
    "empty": (whole(""), "scores.csv: not a table (No columns to parse from file); `mtkd report`"),
    "not UTF-8": (whole(b"\xff,\n"), "scores.csv: not a table ('utf-8' codec can't decode"),
    "garbage": (whole("a,b\n1,2,3,4\n"), "scores.csv: columns a, b; expected those of schema"),
    "ragged": (replaced(",100,0\n", ",100,0,9\n"), "seed and n_examples are not whole numbers"),
    "another column": (replaced("n_examples", "size"), "expected those of schema"),
    "a folder": (a_folder, "scores.csv: Is a directory; expected a table"),
    "words": (
        replaced(",60,", ",high,"),
        "scores.csv:2: bert rte dev accuracy 0: the score is not",
    ),
    "no score": (replaced(",61,", ",,"), "scores.csv:3: bert rte dev accuracy 1: the score is not"),
    "NaN": (replaced(",61,", ",nan,"), "scores.csv:3: bert rte dev accuracy 1: the score is not a"),
    "infinity": (
        replaced(",61,", ",inf,"),
        "scores.csv:3: bert rte dev accuracy 1: the score is n",
    ),
    "NUL": (replaced(",61,", ",\0,"), "the score is not a number"),
    "a seed of words": (replaced(",100,1\n", ",100,x\n"), "seed and n_examples are not whole numb"),
    "no seed": (replaced(",100,1\n", ",100,\n"), "seed and n_examples are not whole numbers"),
    "half an example": (replaced(",100,1\n", ",0.5,1\n"), "seed and n_examples are not whole num"),
    "a row twice": (
        lambda path: path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n"),
        "scores.csv:8: bert qnli dev accuracy 2: that score is there twice",
    ),
    "no row": (whole(",".join(COLUMNS) + "\n"), "have no system and task in common"),
}


@pytest.mark.parametrize("case", SCORES_FILES)
def test_scores(
    case: str, finished: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, expected = SCORES_FILES[case]
    for name in ("smoke", "other"):
        shutil.copytree(finished, tmp_path / name)
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path))
    edit(tmp_path / "other" / "scores.csv")
    said = told(["compare", "smoke", "other"], tmp_path, capsys)
    assert expected in said, said


def test_what_is_beside_the_records_stops_nobody(
    finished: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished, tmp_path / "smoke")
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path))
    folder = next((tmp_path / "smoke" / "runs").iterdir())
    put(folder, {"error.txt": b"\xff bad", "done": b"\xff", "progress.json": "[]"})
    assert cli.main(["status", "--recipe", "smoke"]) == 0
    assert "failed: \ufffd bad" in capsys.readouterr().out


# ----------------------------------------------------------------------------------- predictions


def tensors(**changes: Any) -> Edit:
    def edit(path: Path) -> None:
        saved = load_file(path) | changes
        meta = {"format": 1, "task": "rte", "split": "dev", "labels": ["a", "b"], "run": "x"}
        kept = {name: value for name, value in saved.items() if value is not None}
        save_file(kept, path, {"mtkd": json.dumps(meta)})

    return edit


def metadata(text: str) -> Edit:
    return lambda path: save_file(load_file(path), path, {"mtkd": text})


PREDICTIONS: dict[str, tuple[Edit, str]] = {
    "none": (Path.unlink, "no stored predictions; run the stage that makes them"),
    "empty": (whole(""), "damaged predictions ("),
    "garbage": (whole("not safetensors at all"), "damaged predictions ("),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-7]), "damaged predictions ("),
    "a folder": (a_folder, "damaged predictions ("),
    "another format": (
        metadata('{"format": 9}'),
        "predictions of format 9, expected 1; delete the",
    ),
    "no metadata": (lambda path: save_file(load_file(path), path), "format None, expected 1"),
    "metadata of garbage": (metadata("{"), "damaged predictions ("),
    "a list": (metadata("[]"), "damaged predictions ("),
    "no task": (metadata('{"format": 1, "labels": ["a", "b"]}'), "damaged predictions (no 'task')"),
    "no outputs": (tensors(logits=None), "damaged predictions ("),
    "fewer outputs": (tensors(logits=torch.zeros(2, 2)), "shape (2, 2), expected (3, 2)"),
    "more classes": (tensors(logits=torch.zeros(3, 5)), "shape (3, 5), expected (3, 2)"),
    "ids of floats": (tensors(idx=torch.zeros(3)), "damaged predictions ("),
}


@pytest.mark.parametrize("case", PREDICTIONS)
def test_predictions(case: str, tmp_path: Path) -> None:
    edit, expected = PREDICTIONS[case]
    path, three = tmp_path / "rte.dev.safetensors", torch.arange(3)
    logits = torch.zeros(3, 2).numpy()
    write_predictions(path, Predictions("rte", "dev", ("a", "b"), three.numpy(), logits, "x"))
    assert read_predictions(path).run == "x"
    edit(path)
    with pytest.raises(MtkdError, match=re.escape(expected)) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


# ---------------------------------------------------------------------------- encoders and models


def config(**changes: Any) -> Edit:
    def edit(folder: Path) -> None:
        saved = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(saved | changes))

    return edit


def file(name: str, edit: Edit) -> Edit:
    return lambda folder: edit(folder / name)


def weight(name: str, value: float) -> Edit:
    def edit(folder: Path) -> None:
        saved = load_file(folder / "model.safetensors")
        saved[name].view(-1)[0] = value
        save_file(saved, folder / "model.safetensors", {"format": "pt"})

    return edit


def lacking(name: str) -> Edit:
    def edit(folder: Path) -> None:
        saved = load_file(folder / "model.safetensors")
        del saved[name]
        save_file(saved, folder / "model.safetensors", {"format": "pt"})

    return edit


def another(kind: Any, **sizes: Any) -> Edit:
    return lambda folder: AutoModel.from_config(kind(vocab_size=300, **sizes)).save_pretrained(
        folder
    )


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def few_words(folder: Path) -> None:
    saved = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = saved["model"]["vocab"]
    saved["model"]["vocab"] = {word: place for word, place in vocabulary.items() if place < 5}
    (folder / "tokenizer.json").write_text(json.dumps(saved))


def no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


LLAMA = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}
BART = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
BART |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
T5 = {"d_model": 8, "num_layers": 1, "num_heads": 2, "d_kv": 4, "d_ff": 8}
WORD = "embeddings.word_embeddings.weight"
ENCODERS: dict[str, tuple[Edit, str]] = {
    "none": (shutil.rmtree, "no folder '{}'; expected a folder with config.json"),
    "no tokenizer": (no_tokenizer, "no tokenizer.json in that folder; save the encoder's fast tok"),
    "no fast tokenizer": (file("tokenizer.json", Path.unlink), "no tokenizer.json in that folder"),
    "tokenizer: a folder": (file("tokenizer.json", a_folder), "no tokenizer.json in that folder"),
    "a tokenizer without words": (few_words, "a tokenizer of 5 tokens, 5 of them special, and emb"),
    "a tokenizer of another": (
        lambda folder: AutoModel.from_config(BertConfig(vocab_size=20, **LLAMA)).save_pretrained(
            folder
        ),
        "and embeddings of 20; expected more than special tokens, and an embedding of each",
    ),
    "token types": (config(type_vocab_size=3), "of shape (2, 16); expected (3, 16)"),
    "no config": (file("config.json", Path.unlink), "cannot be loaded: "),
    "config: a folder": (file("config.json", a_folder), "config.json: Is a directory; save or dow"),
    "no model type": (file("config.json", whole("{}")), "cannot be loaded: Unrecognized model"),
    "an unknown type": (config(model_type="nope"), "model type `nope`"),
    "a decoder": (
        config(is_decoder=True),
        "bert is no encoder; expected a model that is pre-train",
    ),
    "Llama": (another(LlamaConfig, **LLAMA), "llama is no encoder"),
    "BART": (another(BartConfig, **BART), "bart is no encoder"),
    "T5": (another(T5Config, **T5), "t5 is no encoder"),
    "width": (config(hidden_size=32), "expected (32,), as its config.json says: are both files of"),
    "odd width": (config(hidden_size=7), "cannot be loaded: The hidden size (7) is not a multiple"),
    "width of words": (config(hidden_size="x"), "cannot be loaded: Validation error for field 'hi"),
    "negative width": (config(hidden_size=-16), "cannot be loaded: Trying to create tensor with"),
    "huge width": (config(hidden_size=10**9), "can't allocate memory"),
    "vocabulary": (config(vocab_size=5), "; expected (5, 16), as its config.json says"),
    "positions": (config(max_position_embeddings=9), "of shape (64, 16); expected (9, 16)"),
    "more layers": (config(num_hidden_layers=3), "no weights of encoder.layer.1."),
    "activation": (config(hidden_act="nope"), "cannot be loaded: no 'nope'"),
    "no weights": (file("model.safetensors", Path.unlink), "no file named model.safetensors"),
    "weights: a folder": (file("model.safetensors", a_folder), "no file named model.safetensors"),
    "weights: empty": (file("model.safetensors", whole("")), "header too small"),
    "weights: garbage": (file("model.safetensors", whole(99 * "x")), "cannot be loaded: "),
    "weights: a pickle": (pickled, "no file named model.safetensors"),
    "weights: one less": (lacking(WORD), f"no weights of {WORD}; expected those of a whole"),
    "NaN": (weight(WORD, float("nan")), f"weights {WORD} are not all finite; expected numbers"),
    "infinity": (weight("embeddings.LayerNorm.bias", float("inf")), "are not all finite"),
}
for kind, content in {
    "a list": "[]",
    "a number": "3",
    "empty": "",
    "garbage": "{",
    "not UTF-8": b"\xff",
}.items():
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json"):
        line = "tokenizer '{}' cannot be loaded: " if name == "tokenizer.json" else f"{{}}/{name}:"
        ENCODERS[f"{name}: {kind}"] = (file(name, whole(content)), line)


@pytest.fixture(scope="session")
def encoder_folder(
    make_encoder: MakeEncoder,
    tokenizer: PreTrainedTokenizerFast,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    make_encoder().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("case", ENCODERS)
def test_encoders(case: str, encoder_folder: Path, tmp_path: Path, capsys: Any) -> None:
    edit, expected = ENCODERS[case]
    place = tmp_path / "e"
    shutil.copytree(encoder_folder, place)
    edit(place)
    encoders = {"encoders": {"tiny": {"path": str(place)}}, "tasks": ["rte"]}
    recipe = encoders | {"data": {"scale": 1e-4}}
    said = refused(["check", "RECIPE"], {}, recipe, tmp_path, capsys)
    assert expected.replace("{}", str(place)) in said, said


MODELS: dict[str, tuple[Edit, str]] = {
    "a list": (whole("[]"), "mtkd.json: JSON of another kind; expected an object; train the model"),
    "empty": (whole(""), "mtkd.json:1: not valid JSON"),
    "not UTF-8": (whole(b"\xff"), "mtkd.json: byte 1 is not UTF-8 text; train the model again"),
    "a folder": (a_folder, "mtkd.json: Is a directory"),
    "another format": (keys(format=99), "mtkd.json: format 99, this version reads 3"),
    "no tasks": (without("tasks"), "mtkd.json: no description of tasks ('tasks')"),
    "tasks of words": (keys(tasks="rte"), "mtkd.json: no description of tasks ("),
    "a head of words": (keys(tasks={"rte": {"head": "x"}}), "mtkd.json: no description of tasks ("),
    "other tasks": (keys(tasks={}), "heads.safetensors: missing, cut short or of another model"),
}


@pytest.mark.parametrize("case", MODELS)
def test_models(case: str, make_model: MakeModel, tmp_path: Path, capsys: Any) -> None:
    edit, expected = MODELS[case]
    make_model(["sst2"]).save_pretrained(tmp_path / "model")
    edit(tmp_path / "model" / "mtkd.json")
    put(tmp_path, {"in.csv": "sentence\na dog\n"})
    words = ["predict", *(str(tmp_path / name) for name in ("model", "in.csv"))]
    said = told([*words, "--output", str(tmp_path / "out.csv")], tmp_path, capsys)
    assert expected in said, said


# --------------------------------------------------------------------------------- before any work


def test_an_encoder_is_looked_at_before_any_run(
    encoder_folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path / "results"))
    shutil.copytree(encoder_folder, tmp_path / "e")
    weight(WORD, float("nan"))(tmp_path / "e")
    setting = f"encoders.uncased={{path: {tmp_path / 'e'}}}"
    words = ["reproduce", "--recipe", "smoke", "--set", setting]
    assert "are not all finite" in told(words, tmp_path, capsys)


def test_text_is_read_before_any_run(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path / "results"))
    words = ["reproduce", "--recipe", "smoke", "--with", "unlabelled", "--unlabelled"]
    for content, expected in (
        ("rte\tone text\n", "t.tsv:1: 2 columns; expected 3: rte, sentence1, sentence2"),
        ("mnli\tone\t\n", "t.tsv:1: 3 columns, an empty text among them"),
        ("rte\tone\0\ttwo\n", "t.tsv:1: a NUL byte; expected text"),
        ("", "t.tsv: empty file"),
    ):
        put(tmp_path, {"t.tsv": content})
        said = told([*words, str(tmp_path / "t.tsv")], tmp_path, capsys)
        assert expected in said, said


def test_a_disk_without_room_is_told_before_any_run(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path))
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: real._replace(free=2**10))
    words = ["reproduce", "--recipe", "smoke", "--set", "pretraining.hidden=1024"]
    said = told(words, tmp_path, capsys)
    assert "1.00kB of the disk are free; expected about" in said and "make room" in said


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MtkdError, match=r"127.0.0.1:9: it does not answer, and nobody/none is not"):
        preflight.check_hub(["nobody/none"])
    monkeypatch.setattr(preflight, "downloaded", lambda name: True)
    preflight.check_hub(["nobody/none"])


def test_there_are_enough_of_them() -> None:
    tables = (DATA, COMMANDS, YAML, WORDS, RECORDS, SCORES_FILES, PREDICTIONS, ENCODERS, MODELS)
    count = sum(map(len, tables)) + len(USAGE) + len(MISTAKES.strip().splitlines())
    assert count >= 200
