"""The whole pipeline on the smoke recipe: notebooks, tables, resume after kill -9, no-op."""

import contextlib
import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest

from mtkd.app import reproduce as graph
from mtkd.app import runner
from mtkd.common import locks, paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import write_text
from mtkd.experiments.recipes import as_yaml, load_recipe
from mtkd.experiments.records import COLUMNS, read_record
from mtkd.method.targets import read_predictions

REPRODUCE = [
    sys.executable,
    "-P",
    "-m",
    "mtkd.app.cli",
    "reproduce",
    "--recipe",
    "smoke",
    "--jobs",
    "2",
]
NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("*.ipynb"))


def environment(results: Path) -> dict[str, str]:
    return os.environ | {"MTKD_RESULTS": str(results)}


def reproduce(results: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*REPRODUCE, *more], env=environment(results), capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    results = tmp_path_factory.mktemp("whole")
    done = reproduce(results)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left" in done.stdout  # progress with time left
    return results / "smoke"


def test_every_notebook_of_the_pipeline_ran_and_left_its_results(whole):
    executed = [path.stem for path in (whole / "executed").glob("*.ipynb")]
    runs = [path.parent.name for path in (whole / "runs").glob("*/record.json")]
    assert set(runs) | {"07_glue_results", "08_ablations", "09_open_questions"} == set(executed)
    for path in (whole / "executed").glob("*.ipynb"):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code":
                assert cell.metadata.papermill.status == "completed"
    for name in ("glue_dev", "ablation"):
        for kind in ("csv", "md"):
            assert (whole / "tables" / f"{name}.{kind}").stat().st_size > 100
    pictures = {path.name for path in (whole / "figures").iterdir()}
    for name in ("dev_scores", "gain", "ablation", "learning_curves", "teacher_knowledge"):
        assert {f"{name}.svg", f"{name}.png"} <= pictures

    scores = pd.read_csv(whole / "scores.csv")
    assert list(scores.columns) == COLUMNS
    systems = {"bert", "stilts-mnli", "metal", "metal-ensemble", "mtdnn-noft", "mtdnn", "ensemble"}
    systems |= {"mtdnn-kd", "mtdnn-kd-ft", "mtdnn-kd-soft"}
    assert systems <= set(scores.system)
    keys = ["system", "task", "split", "metric", "seed"]
    assert not scores.duplicated(keys).any()
    for system in systems:
        mine = scores[scores.system == system]
        assert set(mine.task) == {"cola", "stsb", "mnli", "rte", "ax"}
        assert {"dev", "dev_mm", "test"} <= set(mine.split)


def test_second_run_has_nothing_to_do(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("[!.]*") if path.is_file()}
    done = reproduce(whole.parent)
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stdout
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())


def test_deleted_predictions_are_made_again_and_what_rests_on_them_stays(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "smoke")
    results = tmp_path / "smoke"
    records = {path: path.read_bytes() for path in results.glob("runs/*/record.json")}
    deleted = next((results / "predictions").glob("mtdnn-cased-*/*/rte.dev.safetensors"))
    text = deleted.read_bytes()
    deleted.unlink()
    done = reproduce(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert deleted.read_bytes() == text
    changed = [path.parent.name for path, old in records.items() if path.read_bytes() != old]
    assert len(changed) == 1 and changed[0].startswith("mtdnn-cased-")


def test_rules_run_in_folders_with_spaces(tmp_path, monkeypatch):
    environment, results = tmp_path / "a folder" / "venv", tmp_path / "my results"
    environment.parent.mkdir()
    environment.symlink_to(Path(sys.executable).parents[1])
    results.mkdir()
    (results / "recipe.yaml").write_text(as_yaml(load_recipe("smoke")))
    monkeypatch.setattr(graph.sys, "executable", str(environment / "bin" / "python"))
    command = [*graph.snakemake(results, 1, None, None), "--dry-run", "--printshellcmds"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr
    python = f"exec {shlex.quote(sys.executable)} -P -m mtkd.app.fork_server none"
    for notebook in ("06_distill", "08_ablations"):
        assert f"{python} mtkd.app.runner {notebook} --results . --server none --name" in told


def test_an_error_that_stops_many_runs_is_told_once(tmp_path):
    files = [tmp_path / name for name in ("a", "b", "c", "absent")]
    wrong = "MtkdError: RTE/dev.tsv:2: unknown label\n  executed copy with the traceback: "
    files[0].write_text(f"glue-s0: 01_glue.ipynb cell 4: {wrong}here\n")
    files[1].write_text("distill-s1: 06_distill.ipynb cell 9: MtkdError: another thing\n")
    files[2].write_text(f"baselines-s1: 03_baselines.ipynb cell 2: {wrong}there\n")
    first, second = graph.grouped(files)
    assert first.startswith("glue-s0: ") and first.endswith("here\n  this error stopped 2 runs")
    assert second == "distill-s1: 06_distill.ipynb cell 9: MtkdError: another thing"


def test_a_full_disk_is_one_line(tmp_path, monkeypatch, capsys):
    def execute(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "notebook.ipynb")

    monkeypatch.setattr(runner, "execute", execute)
    command = ["runner", "x", "--results", str(tmp_path), "--name", "x-s1"]
    monkeypatch.setattr(sys, "argv", [*command, "--done", "done", "--mark", "mark"])
    assert runner.main() == 1 and not (tmp_path / "done").exists()
    (told,) = capsys.readouterr().err.splitlines()
    log = tmp_path / "snakemake.log"
    log.write_text(f"Traceback (most recent call last):\n  File x\n{told}\n")
    (tmp_path / "runs" / "x-s1" / "error.txt").unlink()  # could not be written
    graph.explain(tmp_path, [], log)
    full, kept = capsys.readouterr().err.splitlines()
    assert full == f"{tmp_path}: No space left on device; make room there"
    assert "the same command continues" in kept


def test_a_job_that_a_cluster_has_ended_is_told(tmp_path):
    log = """\
Error in rule run:
    message: SLURM-job '1' failed, SLURM status is: 'CANCELLED'. Detailed failure reason unavailable
    jobid: 3
    output: runs/encoders-cased-87bfb87b-s0/done
Error in rule run:
    message: None
    jobid: 4
    output: runs/glue-data-e2373bf6-s0/done
"""
    said = "encoders-cased-87bfb87b-s0: SLURM-job '1' failed, SLURM status is: 'CANCELLED'"
    assert graph.ended_elsewhere(tmp_path, log) == [said]
    write_text(tmp_path / "runs" / "encoders-cased-87bfb87b-s0" / "error.txt", "its own words")
    assert graph.ended_elsewhere(tmp_path, log) == []


def test_runs_side_by_side_have_a_device_each(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(locks, "WAIT", 0.02)
    for name in ("CUDA_VISIBLE_DEVICES", "MTKD_PROGRESS"):
        monkeypatch.setenv(name, "")
    found: list[str] = []
    monkeypatch.setattr(
        runner, "execute", lambda *_: found.append(os.environ["CUDA_VISIBLE_DEVICES"])
    )
    command = ["runner", "x", "--results", str(tmp_path), "--name", "x-s1", "--devices", "3,5"]
    command += ["--done", "done", "--mark", "mark"]
    monkeypatch.setattr(sys, "argv", command)
    waiting = threading.Thread(target=runner.main)
    with locks.free_devices(["3", "5"]) as first:
        with locks.free_devices(["3", "5"]) as second:
            waiting.start()
            time.sleep(0.2)
            assert (first, second, found) == ("3", "5", [])  # a third waits
        waiting.join(20)
        assert found == ["5"]


def test_devices_are_those_that_we_may_use(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert graph.gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert graph.gpus() == ["2", "3"]
    assert graph.side_by_side(None, ["2", "3"], 1) == 2 and graph.side_by_side(5, ["2"], 1) == 5
    assert graph.side_by_side(None, ["2", "3", "4"], 2) == 1  # of two processes
    assert graph.places(5, ["2", "3"]) == ["2", "3", "2", "3", "2"]
    assert graph.places(1, ["2", "3"]) == ["2", "3"]


def test_breakdown_of_the_time_adds_up(whole, tmp_path):
    script, target = paths.home() / "benchmarks" / "breakdown.py", tmp_path / "found.json"
    command = [sys.executable, str(script), str(whole), "--jobs", "2", "--json", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads(target.read_text())
    wall = found.pop("wall")
    assert sum(found.values()) == pytest.approx(2 * wall) and min(found.values()) > 0


def at_work(results: Path) -> list[psutil.Process]:
    """The processes of everything that works for a folder of results."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get("MTKD_RESULTS") == str(results):
                found.append(process)
    return found


def begin_and_kill(command: list[str], environment: dict[str, str], begun) -> None:
    """Start a command and, when `begun` says so, kill -9 all that works for its results."""
    results = Path(environment["MTKD_RESULTS"])
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not begun():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    while everything := at_work(results):  # again, for what was begun in the meantime
        for one in everything:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended before the kill
                one.send_signal(signal.SIGKILL)
        process.poll()


def test_kill_in_mid_run_then_the_same_command_gives_the_same_results(whole, tmp_path):
    command, again = [*REPRODUCE, "--until", "distill"], tmp_path / "smoke"
    begin_and_kill(
        command, environment(tmp_path), lambda: len(list(tmp_path.rglob("record.json"))) >= 3
    )
    subprocess.run(command, env=environment(tmp_path), check=True, capture_output=True)
    records = list(again.glob("runs/*/record.json"))
    for path in records:
        theirs = whole / path.relative_to(again)
        results = [json.loads(record.read_text())["result"] for record in (path, theirs)]
        assert results[0] == results[1]  # digests of scores, predictions and models
    assert any(path.parent.name.startswith("distill") for path in records)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes as Linux shows them")
@pytest.mark.parametrize(
    "faults",
    ["--kills 8 --pause 4 --corruptions 15 --until mtdnn", "--kills 0 --corruptions 15"],
    ids=["killed and damaged", "damaged when finished"],
)
def test_a_campaign_of_faults_loses_nothing(whole, faults):
    """Short: 30 files at once are about as much work as one run of the recipe."""
    script = paths.home() / "benchmarks" / "faults.py"
    command = [sys.executable, str(script), *faults.split(), "--at-once", "15"]
    done = subprocess.run(
        [*command, "--undisturbed", str(whole.parent)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)  # pytest -s shows the table


def test_code_edited_between_a_kill_and_its_resume_makes_all_of_the_run_again(tmp_path):
    """No record is made by two versions of the code, whatever was finished before."""
    library, results = tmp_path / "library", tmp_path / "results"
    shutil.copytree(paths.PACKAGE, library / "mtkd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(paths.NOTEBOOKS, library / "mtkd" / "notebooks", dirs_exist_ok=True)
    small = ["--until", "mtdnn", "--set", "data.scale=0.03", "finetuning.epochs=3"]
    command, own = [*REPRODUCE, *small], {"PYTHONPATH": str(library)}
    begin_and_kill(
        command, environment(results) | own, lambda: list(results.rglob("parts/mtdnn.*.json"))
    )
    assert list(results.rglob("parts/*.json")) and not list(results.rglob("mtdnn-uncased*/record*"))
    losses = library / "mtkd" / "method" / "losses.py"
    text = losses.read_text()
    losses.write_text(text.replace("return F.cross_entropy(", "return 0.5 * F.cross_entropy("))
    assert losses.read_text() != text
    found = {}
    for folder in (results, tmp_path / "fresh"):
        done = subprocess.run(
            command, env=environment(folder) | own, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found[folder] = {
            path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.safetensors")
        }
    kept, fresh = found.values()
    assert kept == fresh and len(fresh) > 20


def test_a_failing_run_is_explained(tmp_path, monkeypatch):
    results = tmp_path / "results"
    code = (
        "import mtkd\n\n@mtkd.baseline('broken')\ndef train(context):\n    raise OSError('no luck')"
    )
    (tmp_path / "broken.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{paths.PACKAGE.parent}")
    settings = ["extensions=[broken]", "baselines=[bert, broken]", "tasks=[rte]"]
    done = reproduce(results, "--until", "baselines", "--set", *settings)
    assert done.returncode == 1
    assert re.search(
        r"^baselines-broken-\S+: 03_baselines.ipynb cell \d: OSError: no luck$", done.stderr, re.M
    )
    assert "the same command continues" in done.stderr
    # The run that does not rest on it is finished and kept.
    assert any(results.glob("smoke/runs/baselines-bert-*/record.json"))


def test_status_report_and_plan_agree(whole):
    def call(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "mtkd.app.cli", *words, "--recipe", "smoke"],
            env=environment(whole.parent) | {"COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "nothing left to run" in call("status")
    table = (whole / "tables" / "glue_dev.md").read_bytes()
    (whole / "tables" / "glue_dev.md").unlink()
    assert "finished runs" in call("report")
    assert (whole / "tables" / "glue_dev.md").read_bytes() == table


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_thin_and_clean(path):
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(code) <= 12 and len(tagged) == 1
    assert book.metadata.kernelspec.name == "python3"
    for cell in code:
        assert not cell.outputs and cell.execution_count is None
        assert not re.search(r"^\s*(def|class) ", cell.source, re.M)
    for line in tagged[0].source.splitlines():
        assert re.fullmatch(r"\w+: \w+ = .+  # .+", line), line


def test_unknown_notebook_parameter_is_refused():
    with pytest.raises(MtkdError, match="no parameter 'sead'"):
        runner.check_parameters(paths.NOTEBOOKS / "03_baselines.ipynb", {"sead": 1})


def compare_tuned_again(results):
    """Teachers of further text fine-tune the default candidate again: the very same outputs."""
    compared = 0
    for path in (results / "runs").glob("teachers-*/record.json"):
        record = read_record(path.parent)
        if "text" not in record.settings:
            continue
        for candidate in record.details["ranking"]:
            theirs = results / "predictions" / candidate["run_id"] / "mtdnn"
            system = f"teacher-{candidate['variant']}"
            for file in (results / "predictions" / record.run_id / system).glob("*.safetensors"):
                if (theirs / file.name).exists():
                    pair = (read_predictions(p).logits for p in (theirs / file.name, file))
                    assert np.array_equal(*pair)
                    compared += 1
    assert compared


def test_studies_run_beside_the_main_table_and_share_its_runs(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "smoke")
    done = reproduce(tmp_path, "--with", "open-questions")
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "smoke"
    # What is finished is kept: the same scores, and only variants are new.
    assert (results / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()
    stages = {path.name.split("-")[0] for path in (results / "runs").iterdir()} - {
        path.name.split("-")[0] for path in (whole / "runs").iterdir()
    }
    assert stages == {"transfer"}
    compare_tuned_again(results)
    page = (results / "report.html").read_text()
    for name in ("sizes", "generations", "unlabelled", "few_labels"):
        table = pd.read_csv(results / "tables" / f"study_{name}.csv")
        assert table["value"].notna().any()
        assert f"study_{name}" in page
    again = reproduce(tmp_path)  # the studies that are there stay, without being asked for
    assert "nothing to do" in again.stdout
