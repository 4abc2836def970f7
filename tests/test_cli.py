"""Bad input at the command line: one clear line, exit status 1, finished work untouched."""

from types import SimpleNamespace

import pytest

from mtkd.app import cli
from mtkd.common import paths

CASES = {
    "recipe": (["plan", "--recipe", "nope"], "unknown recipe 'nope'"),
    "key": (["plan", "--set", "training.epocs=3"], "did you mean 'epochs'"),
    "value": (["plan", "--set", "training.epochs=many"], "expected int"),
    "task": (["plan", "--set", "tasks=[cola,rtee]"], "unknown task 'rtee'"),
    "no equals sign": (["plan", "--set", "training.epochs"], "expected key=value"),
    "stage": (["plan", "--until", "teecher"], "expected one of"),
    "folder": (["plan", "--recipe", "minilm", "--data-path", "/no/such"], "/no/such"),
    "no folder given": (["plan", "--recipe", "minilm"], "--data-path"),
    "jobs": (["reproduce", "--recipe", "smoke", "--jobs", "0"], "--jobs 0"),
    "jobs of a plan": (["plan", "--recipe", "smoke", "--jobs", "-1"], "--jobs -1: expected"),
    "executor": (["reproduce", "--recipe", "smoke", "--executor", "abacus"], "plugin-abacus`"),
    "nothing to report": (["report", "--recipe", "smoke"], "mtkd reproduce --recipe smoke"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line(case, capsys, tmp_path, monkeypatch):
    arguments, message = CASES[case]
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert cli.main(arguments) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_missing_encoder_folder_and_package(capsys, tmp_path, monkeypatch):
    from mtkd.common.errors import MtkdError
    from mtkd.experiments.encoder_location import encoder_location
    from mtkd.experiments.recipes import load_recipe

    recipe = load_recipe("smoke", ["encoders.uncased={path: /no/encoder}"])
    with pytest.raises(MtkdError, match="no folder '/no/encoder'"):
        encoder_location(recipe, "uncased")
    recipe = load_recipe("smoke", ["encoders.uncased={package: no_such_package/model}"])
    with pytest.raises(MtkdError, match="not installed"):
        encoder_location(recipe, "uncased")


def test_a_cluster_is_asked_for_jobs(monkeypatch, tmp_path):
    from mtkd.app import reproduce
    from mtkd.common.errors import MtkdError

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


def test_time_is_told_from_another_recipe_with_the_same_models(capsys, tmp_path, monkeypatch):
    from mtkd.experiments.recipes import as_yaml, load_recipe
    from mtkd.experiments.records import Record, write_record, write_text

    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    write_text(tmp_path / "smoke" / "recipe.yaml", as_yaml(load_recipe("smoke")))
    found = {"details": {"cost": 1000.0}, "training_seconds": 10.0}
    record = Record("mtdnn-a-s1", "mtdnn-a", "smoke", "mtdnn", "a", 1, (), {}, **found)
    write_record(tmp_path / "smoke" / "runs" / record.run_id, record)
    assert cli.main(["plan", "--recipe", "smoke", "--set", "name=other", "seeds=[5]"]) == 0
    assert "time left, from the finished runs of smoke: about" in capsys.readouterr().out
    assert cli.main(["plan", "--recipe", "smoke", "--set", "name=other", "max_length=32"]) == 0
    assert "time: not known before the first run" in capsys.readouterr().out


def test_help_without_a_command(capsys):
    assert cli.main([]) == 0
    assert "reproduce" in capsys.readouterr().out


def test_arguments_of_lab_and_test_go_to_jupyter_and_pytest(monkeypatch):
    called = []

    def run(command, **_):
        called.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(cli.subprocess, "run", run)
    assert cli.main(["lab", "--no-browser"]) == 0
    assert called[-1][-1] == "--no-browser"
    assert cli.main(["test", "-k", "heads"]) == 0
    assert called[-1][-3:] == ["pytest", "-k", "heads"]
    with pytest.raises(SystemExit):
        cli.main(["plan", "--no-browser"])
