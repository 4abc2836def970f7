"""Bad input at the command line: one clear line, exit status 1, finished work untouched."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtkd.app import cli
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import write_text


def test_a_cluster_is_asked_for_jobs(monkeypatch, tmp_path):
    from mtkd.app import reproduce

    monkeypatch.setattr(reproduce.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MtkdError, match=r"\.venv/bin/pip install -e '\.\[slurm\]'"):
        reproduce.check_executor("slurm")
    monkeypatch.setattr(reproduce.importlib.util, "find_spec", lambda name: name)
    reproduce.check_executor("slurm")
    command = " ".join(reproduce.snakemake(tmp_path, 20, "mtdnn", "slurm"))
    assert "--executor slurm --jobs 20" in command and "until=mtdnn" in command
    assert "--cores" not in command and "--resources" not in command
    here = " ".join(reproduce.snakemake(tmp_path, 2, None, None))
    assert "--cores 2 --resources gpu=2" in here and "--executor" not in here
    here = " ".join(reproduce.snakemake(tmp_path, 2, None, None, 3))
    assert "--cores 6 --resources gpu=6" in here  # two runs of three processes


def test_without_words_there_is_help(capsys):
    assert cli.main([]) == 0
    assert "reproduce" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (MtkdError("a reason"), 1, "mtkd: a reason"),
        (KeyboardInterrupt(), 130, "stopped"),
        (OSError(28, "No space left on device", "/results/x"), 1, "No space left on device: /resu"),
        (MemoryError(), 1, "out of memory"),
        (ModuleNotFoundError("no", name="matplotlib.pyplot"), 1, "pip install 'mtkd[lab]'"),
    ],
)
def test_what_goes_wrong_is_one_line(error, status, words, capsys, monkeypatch):
    def fails(name):
        raise error

    monkeypatch.setattr("mtkd.experiments.recipes.open_recipe", fails)
    assert cli.main(["status"]) == status
    told = capsys.readouterr().err
    assert words in told and len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("module", "words"),
    [("jupyterlab", ["lab"]), ("snakemake", ["reproduce"]), ("pytest", ["test"])],
)
def test_what_a_light_install_lacks(module, words, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(words) == 1
    assert f"{module} is not installed; `pip install 'mtkd[" in capsys.readouterr().err


def test_lab_and_test_pass_unknown_options_on(monkeypatch):
    called = []

    def run(command, **_):
        called.append([Path(word).name for word in command])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.chdir(paths.home())  # and back, at the end
    monkeypatch.setattr("os.execve", lambda path, command, environment: run(command) and 0)
    assert cli.main(["lab", "--no-browser"]) == 0
    assert called[-1][-2:] == ["notebooks", "--no-browser"]
    assert cli.main(["test", "-k", "heads"]) == 0
    assert called[-1][-3:] == ["pytest", "-k", "heads"]
    assert ["lint-imports"] in called


def test_settings_and_studies_take_several_words():
    spread = cli.spread("plan --set a=1 b=2 --with heads sizes --jobs 2 --set c=-1".split())
    expected = "plan --set a=1 --set b=2 --with heads --with sizes --jobs 2 --set c=-1"
    assert spread == expected.split()


def test_publish_refuses_missing_runs_and_keeps_notes(tmp_path, monkeypatch):
    from mtkd.app import reference
    from mtkd.experiments.recipes import load_recipe

    made, target = tmp_path / "made", tmp_path / "results" / "reference" / "smoke"
    recipe, pages = load_recipe("smoke"), []
    for name, text in (("scores.csv", "new"), ("tables/a.md", "table"), ("runs/x.json", "own")):
        write_text(made / name, text)
    for name in ("README.md", "scores.csv", "tables/gone.md"):
        write_text(target / name, "old")
    monkeypatch.setattr(paths, "REFERENCE", target.parent)
    results = SimpleNamespace(recipe=recipe, folder=made)
    monkeypatch.setattr(reference, "open_results", lambda name: results)
    monkeypatch.setattr(
        reference, "publish", lambda *_, **__: [made / "scores.csv", made / "tables/a.md"]
    )
    monkeypatch.setattr(reference, "update_pages", lambda *given: pages.append(given))
    with pytest.raises(MtkdError, match=r"runs are missing.*mtkd reproduce --recipe smoke"):
        reference.renew_reference("smoke")
    assert (target / "scores.csv").read_text() == "old" and not pages
    monkeypatch.setattr(reference, "due_trainings", lambda *_, **__: {})
    reference.renew_reference("smoke")
    found = {str(p.relative_to(target)): p.read_text() for p in target.rglob("*") if p.is_file()}
    assert found == {"scores.csv": "new", "tables/a.md": "table", "README.md": "old"} and pages


@pytest.mark.parametrize("module", ["mtkd", "mtkd.app.cli"])
def test_version_needs_no_heavy_import(module):
    command = [sys.executable, "-X", "importtime", "-m", module, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mtkd ")
    imported = {line.split()[-1] for line in done.stderr.splitlines()}
    assert "typer" in imported and not {"torch", "pandas"} & imported
