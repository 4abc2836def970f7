"""Signals end `mtkd reproduce` as people expect, and nothing that worked for it is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mtkd.app import reproduce
from mtkd.common.locks import take

# What Snakemake stands for here: jobs with forks, one of them without a server, and a temporary
# file; it ends soon after SIGINT, or not at all.
GRAPH = """
import os, signal, subprocess, sys, tempfile, time
tempfile.mkstemp()
name = sys.argv[-1].partition("=")[2]
for server in (name, ""):
    module = ["mtkd.app.fork_server", server, "sleeper"]
    subprocess.Popen([sys.executable, "-P", "-m", *module])
if os.environ["STUBBORN"]:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(300)
"""
SLEEPER = """
import os, pathlib, time
pathlib.Path(os.environ["BEGUN"], str(os.getpid())).touch()
time.sleep(300)
"""
# Of every process here: no slow imports.
CUSTOM = "from mtkd.app import fork_server\nfork_server.PRELOADED = []\n"
# The command line, with the graph above in Snakemake's place.
COMMAND = """
import signal, sys
from mtkd.app import cli, reproduce
reproduce.gpus = list
reproduce.find_due = lambda *_, **__: reproduce.Due((), (), reproduce.REPORTS)
graph, ignored = sys.argv.pop(1), sys.argv.pop(1)
reproduce.snakemake = lambda *_: [sys.executable, "-c", graph]
reproduce.check_executor = lambda name: None
# Whatever the tests were started by.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
for number in ignored.split():
    signal.signal(int(number), signal.SIG_IGN)
sys.exit(cli.main())
"""


def begin(folder: Path, *more: str, ignored: str = "", stubborn: str = "") -> subprocess.Popen[str]:
    """`mtkd reproduce`, with its jobs at work."""
    for name in ("begun", "modules", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "modules" / "sleeper.py").write_text(SLEEPER)
    (folder / "modules" / "sitecustomize.py").write_text(CUSTOM)
    path = os.pathsep.join([str(folder / "modules"), str(Path(reproduce.__file__).parents[2])])
    environment = {"MTKD_RESULTS": str(folder / "results"), "PYTHONPATH": path}
    environment |= {"TMPDIR": str(folder / "tmp"), "BEGUN": str(folder / "begun")}
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, GRAPH, ignored, "reproduce", "--recipe", "smoke", *more],
        env=os.environ | environment | {"STUBBORN": stubborn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(list((folder / "begun").iterdir())) == 2, process)
    return process


def wait_for(what, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)


def at_work(folder: Path) -> list[int]:
    """The processes that work for a folder of results."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MTKD_RESULTS") == str(folder / "results"):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            pass  # it has ended, or is not ours
    return found


@pytest.mark.parametrize(
    ("sent", "status", "ignored"),
    [
        ([signal.SIGINT], 130, ""),
        ([signal.SIGHUP], 129, ""),
        # As nohup starts it, and as a script does in its background.
        (
            [signal.SIGHUP, signal.SIGINT, signal.SIGTERM],
            143,
            f"{signal.SIGHUP:d} {signal.SIGINT:d}",
        ),
    ],
    ids=["interrupt", "hang up", "terminate under nohup"],
)
def test_a_signal_ends_all_of_it(tmp_path, sent, status, ignored):
    process = begin(tmp_path, ignored=ignored)
    for number in sent:
        assert process.poll() is None
        process.send_signal(number)
        time.sleep(0.3 if len(sent) > 1 else 0)
    began = time.monotonic()
    _, told = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == status
    assert "the same command continues" in told and "fail" not in told
    gone(tmp_path)
    assert not list((tmp_path / "tmp").iterdir())


def test_on_a_cluster_a_second_signal_ends_it_at_once(tmp_path):
    """Snakemake is asked to cancel its jobs; it takes its time here."""
    process = begin(tmp_path, "--executor", "slurm", stubborn="yes")
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130 and time.monotonic() - began < 5
    gone(tmp_path)


def test_the_lock_is_held_until_the_last_of_them_is_gone(tmp_path):
    process = begin(tmp_path)
    children = psutil.Process(process.pid).children()
    (server,) = [one for one in children if "fork_server" in one.cmdline()[-1]]
    (graph,) = [one for one in children if one.pid != server.pid]
    for one in (server, psutil.Process(process.pid)):
        one.kill()
        time.sleep(1.5)
        assert graph.is_running() and len(at_work(tmp_path)) >= 3
        assert not free(tmp_path)
    process.communicate()
    graph.kill()
    gone(tmp_path)
    assert free(tmp_path)


def free(folder: Path) -> bool:
    """Whether another `mtkd reproduce` would begin."""
    with (folder / "results" / "smoke" / ".lock").open("a") as lock:
        return take(lock) is True


def gone(folder: Path) -> None:
    deadline = time.monotonic() + 5
    while at_work(folder):
        assert time.monotonic() < deadline
        time.sleep(0.1)
