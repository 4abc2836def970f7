"""What code a result rests on, and what is due after a change."""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from mtkd.app import freshness
from mtkd.app.freshness import Due, clear_marks, done_file, find_due, notebook_mark, report_file
from mtkd.common import code, paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import HOST, parts, whole, write_text
from mtkd.common.objects import write_object
from mtkd.common.sums import noted, sums_of, write_sums
from mtkd.data import digests
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import expand
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.records import Outcome, Score
from mtkd.experiments.runs import Run
from mtkd.experiments.stored import stored_model

MODULES = {
    "__init__": "",
    "top": '"""Words."""\nfrom shelf import middle\n\n\ndef f():\n    return middle.g()\n',
    "middle": "def g():\n    from shelf.low import h\n\n    return h()\n",
    "low": "def h():\n    # why\n    return 1\n",
    "typed": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from shelf import top\n",
    "other": "def k():\n    return 2\n",
}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of some modules that can be edited."""
    for name, text in MODULES.items():
        write_text(tmp_path / "shelf" / f"{name}.py", text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf"]:
        del sys.modules[name]  # another test's
    forget()
    return tmp_path / "shelf"


def forget() -> None:
    """As a new process: nothing is known of any file."""
    for cached in (
        code.code_digest,
        code.import_closure,
        code.imported,
        code.parsed,
        code.file_code,
        code.find_file,
        freshness.notebook_code,
    ):
        cached.cache_clear()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    forget()


def test_a_digest_is_of_code_and_of_all_that_it_imports(shelf: Path) -> None:
    assert code.import_closure("shelf.top") == {"shelf", "shelf.top", "shelf.middle", "shelf.low"}
    assert code.import_closure("shelf.typed") == {"shelf", "shelf.typed"}
    before = code.code_digest("shelf.top")
    edit(shelf / "low.py", "# why", "# why not")
    edit(shelf / "low.py", "def h():\n", 'def h():\n    """Other words."""\n\n')
    edit(shelf / "top.py", "Words", "More words")
    edit(shelf / "other.py", "2", "3")
    assert code.code_digest("shelf.top") == before
    edit(shelf / "low.py", "return 1", "return 2")
    assert code.code_digest("shelf.top") != before


def test_packages_inside_packages_are_digested(shelf: Path) -> None:
    """A package is imported before its modules, and its `.` is itself; one may have no file."""
    write_text(shelf / "inner" / "__init__.py", "from . import one\nfrom ..low import h\n")
    write_text(shelf / "inner" / "one.py", "")
    write_text(shelf / "inner" / "two.py", "")
    found = {"shelf", "shelf.inner", "shelf.inner.one", "shelf.inner.two", "shelf.low"}
    assert code.import_closure("shelf.inner.two") == found
    write_text(shelf.parent / "bare" / "part.py", "X = 1\n")
    assert code.find_file("bare") is None and code.import_closure("bare.part") == {"bare.part"}


def test_a_digest_is_the_same_in_every_version_of_python() -> None:
    text = "@d\ndef f(x, *, y=1.5):\n    return f'{x!r:>{y}}' 'b' if x else {**y}\n"
    found = hashlib.sha256(repr(code.shape(ast.parse(text))).encode()).hexdigest()
    assert found[:16] == "c334c8651be6f32a"  # made by Python 3.11
    tree = ast.parse(text)
    for node in ast.walk(tree):  # as versions since 3.12 have it
        if isinstance(node, ast.FunctionDef):
            node._fields = (*node._fields, "type_params")
            node.type_params = []
    assert repr(code.shape(tree)) == repr(code.shape(ast.parse(text)))


def test_code_that_is_loaded_is_what_is_digested(shelf: Path) -> None:
    import shelf.low  # type: ignore[import-not-found]

    before = code.code_digest("shelf.low")
    forget()
    code.remember_loaded("shelf")
    (Path(shelf.low.__file__)).write_text("def h():\n    return 5\n")
    assert code.code_digest("shelf.low") == before
    forget()
    assert code.code_digest("shelf.low") != before


def test_what_cannot_be_digested_is_named(shelf: Path) -> None:
    with pytest.raises(MtkdError, match=r"shelf.absent: no such Python module"):
        code.code_digest("shelf.absent")
    (shelf / "low.py").write_text("def h(:\n")
    with pytest.raises(MtkdError, match=r"low.py:1: not valid Python"):
        code.code_digest("shelf.top")


def test_trainings_rest_on_the_method_and_nothing_rests_on_what_shows_it() -> None:
    recipe = replace(load_recipe("smoke"), studies=("targets", "sizes", "few-labels"))
    entries = {run.train.__module__: run.stage for run in expand(recipe)}
    assert len(set(entries.values())) == 7
    for entry, stage in entries.items():
        closure = code.import_closure(entry)
        shown = [name for name in closure if name.startswith(("mtkd.analysis", "mtkd.app"))]
        planned = [name for name in closure if "studies" in name or name.endswith(".plans")]
        assert not shown and not planned, entry
        trains = stage not in ("glue", "encoders")
        assert ("mtkd.method.losses" in closure) is trains or stage == "encoders", entry
    assert "mtkd.experiments.systems.stilts" not in code.import_closure(
        "mtkd.experiments.systems.bert"
    )


def describe(context: RunContext) -> Outcome:
    """A run that leaves one score, a prediction and a model."""
    for folder in ("predictions", "models"):
        path = context.results / folder / context.run.run_id / "x.txt"
        write_text(path, context.run.variant)
    return [Score(context.run.variant, "rte", "dev", "accuracy", 50.0, 10)], {}


class Bench:
    """A parent and its child, both made, with their notebooks executed."""

    def __init__(self, results: Path) -> None:
        self.recipe, self.results = load_recipe("smoke"), results
        self.parent = Run("mtdnn", "parent", 1, {}, (), {}, 1, describe)
        self.child = Run("distill", "child", 1, {}, (self.parent,), {}, 1, describe)
        self.runs = [self.parent, self.child]
        self.make()

    def make(self) -> None:
        due = self.due()
        for run in due.notebooks:
            RunContext(self.recipe, run, self.results, ("rte",)).execute()
            self.execute(run.run_id, done_file(self.results, run), notebook_mark(run.notebook))
        for name in due.reports:
            mark = freshness.report_mark(self.recipe, self.runs, name)
            self.execute(name, report_file(self.results, name), mark)
            if name == freshness.REPORTS[0]:
                write_text(self.table, "66.9")
                write_sums(self.results, [self.table])
        assert not self.due()

    @property
    def table(self) -> Path:
        return self.results / "tables" / "x.csv"

    def execute(self, name: str, done: Path, mark: str) -> None:
        write_text(paths.executed_copy(self.results, name), name)
        write_text(done, noted(mark, paths.executed_copy(self.results, name)))

    def due(self) -> Due:
        return find_due(self.recipe, self.runs, self.results)

    def record(self, run: Run) -> Path:
        return self.results / "runs" / run.run_id / "record.json"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    book = nbformat.v4.new_notebook()
    tags = {"tags": ["parameters"]}
    book.cells = [nbformat.v4.new_code_cell("seed: int = 1  # seed", metadata=tags)]
    book.cells.append(nbformat.v4.new_code_cell("x = 1"))
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    (tmp_path / "notebooks").mkdir()
    for name in ("04_mtdnn", "06_distill", *freshness.REPORTS):
        nbformat.write(book, tmp_path / "notebooks" / f"{name}.ipynb")
    forget()
    return Bench(tmp_path / "results")


def test_a_missing_record_makes_all_that_rests_on_it_due(bench: Bench) -> None:
    bench.record(bench.child).unlink()
    assert bench.due().trainings == (bench.child,)
    bench.record(bench.parent).unlink()
    assert bench.due().trainings == (bench.parent, bench.child)
    assert bench.due().reports == freshness.REPORTS


def test_other_code_makes_due_what_rests_on_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = json.loads(bench.record(bench.parent).read_text())
    write_object(bench.record(bench.parent), saved | {"stamp": "other"})
    assert bench.due().trainings == (bench.parent, bench.child)
    bench.make()
    assert json.loads(bench.record(bench.parent).read_text())["stamp"] == bench.parent.stamp


def test_a_missing_output_is_made_again_and_what_rests_on_it_if_it_came_out_otherwise(
    bench: Bench,
) -> None:
    made = bench.record(bench.child).stat().st_mtime_ns
    output = bench.results / "predictions" / bench.parent.run_id / "x.txt"
    output.unlink()
    assert bench.due().trainings == (bench.parent, bench.child)
    bench.make()
    assert output.exists() and bench.record(bench.child).stat().st_mtime_ns == made
    saved = json.loads(bench.record(bench.parent).read_text())
    write_object(bench.record(bench.parent), saved | {"result": "other"})
    assert bench.due().trainings == (bench.child,)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("predictions/{parent}/x.txt", "trainings"),
        ("models/{parent}/x.txt", "trainings"),
        ("runs/{parent}/record.json", "trainings"),
        ("executed/{parent}.ipynb", "notebooks"),
        ("executed/08_ablations.ipynb", "08_ablations"),
        ("tables/x.csv", "07_glue_results"),
        ("sums.json", "07_glue_results"),
    ],
)
@pytest.mark.parametrize("damage", [lambda old: old[:-2] + b"7" + old[-1:], lambda old: b""])
def test_what_has_changed_is_made_again(
    bench: Bench, file: str, expected: str, damage: Callable[[bytes], bytes]
) -> None:
    path = bench.results / file.format(parent=bench.parent.run_id)
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    due = bench.due()
    assert due.trainings == ((bench.parent, bench.child) if expected == "trainings" else ())
    if expected == "notebooks":
        assert due.notebooks == (bench.parent,)
    elif expected != "trainings":
        assert due == Due((), (), (expected,))
    bench.make()
    assert path.name == "record.json" or path.read_bytes() == sound


def test_a_model_that_has_rotted_is_not_used(bench: Bench) -> None:
    """Its date says nothing: it is read whole when it is used, and not before."""
    path = bench.results / "models" / bench.parent.run_id / "x.txt"
    found = path.stat()
    path.write_text("pabent")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    digests.digest_once.cache_clear()
    assert not bench.due()
    with pytest.raises(MtkdError, match=r"x\.txt: has changed since .* wrote it; remove it"):
        stored_model(bench.results, bench.parent.run_id)


def test_what_is_only_shown_needs_predictions_and_no_models(bench: Bench) -> None:
    models = {"models": False}
    (bench.results / "models" / bench.parent.run_id / "x.txt").unlink()
    assert bench.due().trainings == (bench.parent, bench.child)
    assert not freshness.due_trainings(bench.runs, bench.results, **models)
    (bench.results / "predictions" / bench.child.run_id / "x.txt").unlink()
    assert list(freshness.due_trainings(bench.runs, bench.results, **models).values()) == [
        bench.child
    ]


def test_parameters_and_saved_outputs_make_nothing_due_and_code_executes_again(
    bench: Bench,
) -> None:
    path = paths.NOTEBOOKS / "06_distill.ipynb"
    book = nbformat.read(path, 4)
    book.cells[0].source = "seed: int = 2  # seed"
    book.cells[1].outputs = [nbformat.v4.new_output("stream", text="1")]
    book.cells[1].execution_count = 7
    book.cells.append(nbformat.v4.new_code_cell(""))  # JupyterLab adds one below the last
    nbformat.write(book, path)
    forget()
    assert not bench.due()
    book.cells[1].source = "x = 2"
    nbformat.write(book, path)
    forget()
    assert bench.due() == Due((), (bench.child,), ())


def test_marks_are_cleared_and_records_stay(bench: Bench) -> None:
    saved = json.loads(bench.record(bench.child).read_text())
    write_object(bench.record(bench.child), saved | {"stamp": "other"})
    errors = [bench.record(run).with_name("error.txt") for run in (bench.child, bench.parent)]
    for error in errors:
        error.write_text("of last week")
    clear_marks(bench.results, bench.due())
    assert [error.exists() for error in errors] == [False, True]
    assert bench.record(bench.child).exists()
    assert done_file(bench.results, bench.parent).exists()
    assert not done_file(bench.results, bench.child).exists()
    assert not any(report_file(bench.results, name).exists() for name in freshness.REPORTS)


@pytest.mark.parametrize("name", ["/etc/hosts", "../tables/a.md", "tables/../../a.md"])
def test_a_list_of_digests_names_files_of_its_folder_alone(name: str, tmp_path: Path) -> None:
    write_object(tmp_path / "sums.json", {"files": {name: "0" * 64}})
    with pytest.raises(MtkdError, match="no digests of files of this folder"):
        sums_of(tmp_path)


def test_what_living_processes_write_is_left_alone(tmp_path: Path) -> None:
    with whole(tmp_path / "mine") as mine:
        mine.write_text("begun")
        gone = Path(str(mine).replace(f"-{os.getpid()}.", "-4194304."))
        elsewhere = Path(str(gone).replace(HOST, 8 * "0"))
        gone.write_text("")
        elsewhere.write_text("")
        assert parts(tmp_path) == [gone]
