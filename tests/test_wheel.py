"""What an installed package can do by itself: the wheel, unpacked, in empty folders."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mtkd.common import paths

# Of the extra `lab`: nothing below the command line may need them.
LAB = "IPython ipykernel jinja2 jupyterlab markdown_it nbformat papermill rich snakemake".split()
LAYERS = ("common", "data", "method", "experiments")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, in a folder that is no checkout."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    for name in ("mtkd", "notebooks"):
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(paths.home() / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md"):
        shutil.copy(paths.home() / name, source / name)
    build = "import sys, setuptools.build_meta as b; b.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(work)], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = work.glob("mtkd-*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(work / "installed")
    ours = {p.relative_to(source).as_posix() for p in (source / "mtkd").rglob("*") if p.is_file()}
    ours |= {f"mtkd/notebooks/{path.name}" for path in (source / "notebooks").iterdir()}
    theirs = {p.relative_to(work / "installed").as_posix() for p in (work / "installed").rglob("*")}
    assert ours <= theirs and {"mtkd/app/Snakefile", "mtkd/analysis/paper.csv"} <= ours
    return work / "installed"


def call(unpacked: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Python with the wheel's files alone, at work in a folder."""
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    environment.pop(paths.RESULTS_VARIABLE, None)
    return subprocess.run(
        [sys.executable, "-P", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


MTKD = ("-m", "mtkd.app.cli")


def test_a_recipe_runs_in_an_empty_folder_and_imports_nothing_from_it(
    unpacked: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results" / "smoke"
    results.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "results", results):
        for name in ("socket", "mtkd", "papermill", "sitecustomize", "ipykernel"):
            mark = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\n"
            (folder / f"{name}.py").write_text(mark)
    asked = ["--recipe", "smoke", "--until", "encoders", "--jobs", "2"]
    done = call(unpacked, tmp_path, *MTKD, "reproduce", *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "imported").exists()
    assert len(list(results.glob("runs/encoders-*/record.json"))) == 2
    assert "nothing left" in call(unpacked, tmp_path, *MTKD, "plan", *asked).stdout
    assert not list(unpacked.rglob("results"))


def test_compare_says_that_a_wheel_has_no_committed_results(unpacked: Path, tmp_path: Path) -> None:
    scores = "system,task,split,metric,value,count,stage,what,seed,recipe,run_id\n"
    (tmp_path / "scores.csv").write_text(scores)
    done = call(unpacked, tmp_path, *MTKD, "compare", ".")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr


def test_lab_opens_copies_and_overwrites_none(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    mine = tmp_path / "notebooks" / "01_glue.ipynb"
    mine.write_text("mine")
    code = (
        "import os\n"
        "def become(file, command, env):\n"
        "    print(command[-2:], os.getcwd(), env['MTKD_RESULTS'])\n"
        "os.execve = become\n"
        "from mtkd.app.lab import open_lab\n"
        "open_lab(['--no-browser'])\n"
    )
    done = call(unpacked, tmp_path, "-c", code)
    assert done.stdout.split() == [
        "['notebooks',",
        "'--no-browser']",
        str(tmp_path),
        str(tmp_path / "results"),
    ]
    assert mine.read_text() == "mine"
    copies = {path.name for path in (tmp_path / "notebooks").iterdir()}
    assert copies == {path.name for path in paths.NOTEBOOKS.glob("*.ipynb")}


def test_the_method_needs_nothing_of_the_lab(unpacked: Path, tmp_path: Path) -> None:
    modules = [
        ".".join(path.relative_to(unpacked).with_suffix("").parts)
        for layer in LAYERS
        for path in (unpacked / "mtkd" / layer).rglob("*.py")
    ]
    assert len(modules) > 40
    code = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({[*LAB, 'matplotlib']}))\n"
        f"for name in {modules}:\n    importlib.import_module(name)\n"
    )
    done = call(unpacked, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
