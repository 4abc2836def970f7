"""The zip for GLUE's server, against contents written by hand."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtkd.app import cli
from mtkd.app.submission import (
    FILES,
    as_strings,
    label_strings,
    official_rows,
    submit,
    write_submission,
)
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import write_text
from mtkd.data.tasks import GLUE
from mtkd.experiments import records
from mtkd.experiments.plans import find_run
from mtkd.experiments.recipes import as_yaml, load_recipe
from mtkd.experiments.records import Record, Score, prediction_file, run_folder
from mtkd.experiments.runs import Run
from mtkd.method.targets import Predictions, write_predictions

TRAINED = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
# Outputs of test rows 0, 1 and 2, and what is uploaded for them.
OUTPUTS: dict[tuple[str, str], list[list[float]]] = {
    ("cola", "test"): [[0, 1], [1, 0], [-2, -1]],
    ("sst2", "test"): [[3, 0], [0, 3], [0, 3]],
    ("mrpc", "test"): [[0, 1], [0, 1], [1, 0]],
    ("stsb", "test"): [[-0.7], [2.34567], [5.2]],
    ("qqp", "test"): [[1, 0], [0, 1], [1, 0]],
    ("mnli", "test"): [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    ("mnli", "test_mm"): [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
    ("qnli", "test"): [[0, 1], [1, 0], [1, 0]],
    ("rte", "test"): [[1, 0], [0, 1], [1, 0]],
    ("ax", "test"): [[1, 0, 0], [0, 0, 1], [0, 1, 0]],
}
UPLOAD = {
    "CoLA.tsv": "index\tprediction\n0\t1\n1\t0\n2\t1\n",
    "SST-2.tsv": "index\tprediction\n0\t0\n1\t1\n2\t1\n",
    "MRPC.tsv": "index\tprediction\n0\t1\n1\t1\n2\t0\n",
    "STS-B.tsv": "index\tprediction\n0\t0.000\n1\t2.346\n2\t5.000\n",
    "QQP.tsv": "index\tprediction\n0\t0\n1\t1\n2\t0\n",
    "MNLI-m.tsv": "index\tprediction\n0\tcontradiction\n1\tentailment\n2\tneutral\n",
    "MNLI-mm.tsv": "index\tprediction\n0\tneutral\n1\tcontradiction\n2\tentailment\n",
    "QNLI.tsv": "index\tprediction\n0\tnot_entailment\n1\tentailment\n2\tentailment\n",
    "RTE.tsv": "index\tprediction\n0\tentailment\n1\tnot_entailment\n2\tentailment\n",
    "WNLI.tsv": "index\tprediction\n" + "".join(f"{i}\t0\n" for i in range(146)),
    "AX.tsv": "index\tprediction\n0\tentailment\n1\tcontradiction\n2\tneutral\n",
}
TEST_FILES = {"mnli": ("test_matched", "test_mismatched"), "ax": ("diagnostic",)}


@dataclass(frozen=True)
class StandIn:
    """A results folder with one finished run, and the GLUE folder that it is of."""

    glue: Path
    results: Path
    run: Run
    system: str

    def file(self, task: str, split: str = "test") -> Path:
        return prediction_file(self.results, self.run.run_id, self.system, task, split)

    def store(self, task: str, split: str, idx: object, outputs: object) -> None:
        rows = np.asarray(idx, np.int64), np.asarray(outputs, np.float32)
        stored = Predictions(task, split, GLUE[task].labels, *rows, self.run.run_id)
        write_predictions(self.file(task, split), stored)


def write_glue(root: Path) -> Path:
    """Test files of three rows in GLUE's layout."""
    for task in GLUE.values():
        for name in TEST_FILES.get(task.name, ("test",)):
            rows = [["index", *task.columns], *([str(i), *task.columns] for i in range(3))]
            path = root / task.folder / f"{name}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join("\t".join(row) + "\n" for row in rows))
    return root


def finished(results: Path, glue: Path, stage: str, variant: str, system: str) -> StandIn:
    """A finished run of the smoke recipe on a GLUE folder, without predictions yet."""
    recipe = load_recipe("smoke", [f"tasks=[{','.join(TRAINED)}]"], str(glue))
    run = find_run(recipe, stage, variant, 1)
    write_text(results / "smoke" / "recipe.yaml", as_yaml(recipe))
    listed = [] if system == "ensemble" else [system]
    scores = (Score(system, "rte", "dev", "accuracy", 50.0, 3),)
    about = (run.run_id, run.config_id, recipe.name, stage, variant, 1)
    record = Record(*about, {}, {}, "", scores=scores, details={"systems": listed})
    records.write_record(run_folder(results / "smoke", run.run_id), record)
    return StandIn(glue, results / "smoke", run, system)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StandIn]:
    """A stand-in with all predictions, stored in another order than the test files have."""
    monkeypatch.setenv("MTKD_RESULTS", str(tmp_path / "results"))

    def build(stage: str = "baselines", variant: str = "bert", system: str = "bert") -> StandIn:
        made = finished(paths.results(), write_glue(tmp_path / "glue"), stage, variant, system)
        for (task, split), outputs in OUTPUTS.items():
            made.store(task, split, [2, 0, 1], [outputs[2], outputs[0], outputs[1]])
        return made

    return build


def texts(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(MtkdError) as caught:
        work()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_official_names_rows_and_labels() -> None:
    """The table of GLUE's files: lines with the header, and the predictions that it allows."""
    binary, nli = ("0", "1"), ("entailment", "neutral", "contradiction")
    table = {
        "CoLA.tsv": (1064, binary),
        "SST-2.tsv": (1822, binary),
        "MRPC.tsv": (1726, binary),
        "STS-B.tsv": (1380, ()),
        "QQP.tsv": (390966, binary),
        "MNLI-m.tsv": (9797, nli),
        "MNLI-mm.tsv": (9848, nli),
        "QNLI.tsv": (5464, ("entailment", "not_entailment")),
        "RTE.tsv": (3001, ("entailment", "not_entailment")),
        "WNLI.tsv": (147, binary),
        "AX.tsv": (1105, nli),
    }
    found = {f.name: (official_rows(f) + 1, label_strings(f.task)) for f in FILES}
    assert found == table


@pytest.mark.parametrize(
    "run", [("baselines", "bert", "bert"), ("teachers", "best2", "ensemble")], ids=lambda r: r[2]
)
def test_contents_by_hand(make: Callable[..., StandIn], run: tuple[str, str, str]) -> None:
    made = make(*run)
    found = submit("smoke", made.system)
    assert found.path == made.results / "submissions" / f"{made.system}-s1.zip"
    assert texts(found.path) == UPLOAD
    assert found.filled == ["WNLI.tsv"] and found.run_id == made.run.run_id
    assert found.unofficial == [name for name in UPLOAD if name != "WNLI.tsv"]  # three rows
    assert [path.name for path in found.path.parent.iterdir()] == [found.path.name]


def test_equal_predictions_give_equal_bytes(make: Callable[..., StandIn], tmp_path: Path) -> None:
    made = make()
    path = submit("smoke", "bert").path
    first = path.read_bytes()
    with zipfile.ZipFile(path) as archive:  # no clock in it
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    for (task, split), outputs in OUTPUTS.items():
        made.store(task, split, [0, 1, 2], outputs)
    again = submit("smoke", "bert", 1, "refuse", tmp_path / "deep" / "again.zip").path
    assert again.read_bytes() == first
    made.store("rte", "test", [0, 1, 2], [[0, 1], [0, 1], [0, 1]])
    assert submit("smoke", "bert").path.read_bytes() != first


@given(arrays(np.float32, (5, 1), elements=st.floats(width=32, allow_nan=False)))
def test_similarities_are_cut_to_the_scale(outputs: np.ndarray) -> None:
    strings = as_strings(GLUE["stsb"], outputs)
    expected = [min(max(float(value), 0.0), 5.0) for value in outputs[:, 0]]
    assert [float(s) for s in strings] == pytest.approx(expected, abs=0.00051)
    assert all(len(s) == 5 and s[0] in "012345" for s in strings)  # never "-0.000"


def test_missing_predictions_are_refused(make: Callable[..., StandIn]) -> None:
    made = make()
    path = submit("smoke", "bert").path
    before = path.read_bytes()
    made.file("mnli", "test_mm").unlink()
    made.file("rte").unlink()
    made.file("ax").unlink()
    message = refusal(lambda: submit("smoke", "bert"))
    assert "bert for MNLI-mm.tsv, RTE.tsv, AX.tsv;" in message and "--fill fallback" in message
    assert path.read_bytes() == before


def test_missing_predictions_are_filled_on_demand(make: Callable[..., StandIn]) -> None:
    made = make()
    for task in ("stsb", "rte", "ax"):
        made.file(task).unlink()
    found = submit("smoke", "bert", fill="fallback")
    assert found.filled == ["STS-B.tsv", "RTE.tsv", "WNLI.tsv", "AX.tsv"]
    values = {
        "STS-B.tsv": ["2.500"] * 1379,
        "RTE.tsv": ["entailment"] * 3000,
        "AX.tsv": ["entailment"] * 1104,
    }
    filled = {
        name: "index\tprediction\n" + "".join(f"{i}\t{value}\n" for i, value in enumerate(rows))
        for name, rows in values.items()
    }
    assert texts(found.path) == UPLOAD | filled


def test_predictions_of_other_rows_are_refused(make: Callable[..., StandIn]) -> None:
    made = make()
    cases = {
        "1 examples are not in it, the first has id 2": ([0, 1], [[0, 1], [1, 0]]),
        "1 examples are not in it": ([0, 1, 5], [[0, 1]] * 3),
        "4 predictions, finite ones for 3 of 3 rows": ([0, 1, 2, 3], [[0, 1]] * 4),
        "4 predictions, finite": ([0, 1, 2, 2], [[0, 1]] * 4),
        "3 predictions, finite ones for 2 of 3 rows": ([0, 1, 2], [[0, 1], [0, np.nan], [1, 0]]),
    }
    for expected, (idx, outputs) in cases.items():
        made.store("qnli", "test", idx, outputs)
        message = refusal(lambda: submit("smoke", "bert"))
        assert expected in message and "qnli" in message.lower()
    made.store("qnli", "test", [0, 1, 2], OUTPUTS["qnli", "test"])
    path = made.glue / "QNLI" / "test.tsv"
    path.write_text(path.read_text().replace("\n2\t", "\n7\t"))
    # Other content is another run, which stored what it saw
    made = finished(paths.results(), made.glue, "baselines", "bert", "bert")
    for (task, split), outputs in OUTPUTS.items():
        made.store(task, split, [0, 1, 2], outputs)
    assert "QNLI test: its ids are not 0 to 2" in refusal(lambda: submit("smoke", "bert"))
    assert not (made.results / "submissions").exists()


def test_what_fails_the_check_gets_no_name(make: Callable[..., StandIn]) -> None:
    make()
    found = submit("smoke", "bert")
    before = found.path.read_bytes()
    wrong = replace(found.contents[0], values=("0", "1", "yes"))
    message = refusal(lambda: write_submission(found.path, [wrong, *found.contents[1:]]))
    assert "CoLA.tsv" in message
    assert found.path.read_bytes() == before
    assert [path.name for path in found.path.parent.iterdir()] == [found.path.name]


def test_command(make: Callable[..., StandIn], capsys: pytest.CaptureFixture[str]) -> None:
    made = make()
    assert cli.main(["submit", "--recipe", "smoke", "--system", "bert"]) == 0
    printed = capsys.readouterr().out
    assert "filled, not predicted: WNLI.tsv" in printed and "not trained, majority" in printed
    assert str(made.results / "submissions" / "bert-s1.zip") in printed.replace("\n", "")
    for arguments, expected in (
        (["--system", "mtdn"], "no finished run has system 'mtdn' with seed 1; expected one of: b"),
        (["--system", "bert", "--seed", "9"], "expected one of: seed 1;"),
        (["--system", "bert", "--output", str(made.results)], "a folder; expected a file"),
        (["--system", "bert", "--output", str(made.glue / "RTE/test.tsv/a.zip")], "--output"),
    ):
        assert cli.main(["submit", "--recipe", "smoke", *arguments]) == 1
        message = capsys.readouterr().err
        assert expected in message and len(message.splitlines()) == 1
