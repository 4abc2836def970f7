"""Forked processes stand in for cold ones, and cold ones for them when the server is gone."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from mtkd.app import fork_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are served on Linux")


@contextmanager
def serving(folder: Path, **environment: str):
    """A server that finds modules in a folder, and its process; it must end when it is left."""
    path = os.pathsep.join([str(folder), str(Path(fork_server.__file__).parents[2])])
    before = set(psutil.Process().children())
    with (
        tempfile.TemporaryFile("w+") as log,
        fork_server.serving(os.environ | {"PYTHONPATH": path} | environment, log) as (name, _),
    ):
        (process,) = set(psutil.Process().children()) - before
        yield name, process
    process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    with serving(folder) as (name, _):
        yield name, folder


def start(server, module: str, code: str, *arguments: str, **environment: str):
    """A module with this code, run through the server."""
    name, folder = server
    (folder / f"{module}.py").write_text(code)
    path = os.pathsep.join([str(folder), str(Path(fork_server.__file__).parents[2])])
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mtkd.app.fork_server", name, module, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(what) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


FORKED = "import sys; print('torch' in sys.modules); sys.exit(len(sys.argv))"


def test_the_fork_has_the_callers_arguments_folder_environment_and_streams(server):
    code = (
        "import atexit, json, os, sys\n"
        "atexit.register(print, 'the end')\n"
        "found = [len(os.environ[f'LONG{i}']) for i in range(4)]\n"
        "print(json.dumps([sys.argv[1:], os.getcwd(), found, 'torch' in sys.modules]))\n"
        "print('to stderr', file=sys.stderr)\n"
        "sys.exit(7)\n"
    )
    environment = {f"LONG{i}": "x" * 100_000 for i in range(4)}  # more than a datagram holds
    process = start(server, "seven", code, "a b", "", **environment)
    out, err = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[0]) == [["a b", ""], str(server[1]), [100_000] * 4, True]
    assert out.splitlines()[1] == "the end"
    assert err == "to stderr\n"
    assert process.returncode == 7


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("raise ValueError('that is wrong')", "ValueError: that is wrong"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ""),
    ],
)
def test_a_fork_that_fails_or_is_killed_makes_status_one(server, code, shown):
    process = start(server, "wrong", code)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "") and shown in err


SLEEP = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(300)"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_fork_ends_with_its_caller(server, number):
    process = start(server, "sleeper", SLEEP)
    fork = int(process.stdout.readline())
    process.send_signal(number)
    assert process.wait(20) == -number
    wait_for(lambda: gone(fork))


def test_a_caller_ends_with_its_parent(server):
    """Nothing works on when what has asked for it was killed."""
    code = (
        "import subprocess, sys\n"
        f"module = ['mtkd.app.fork_server', {server[0]!r}, 'sleeper']\n"
        "subprocess.run([sys.executable, '-P', '-m', *module])\n"
    )
    (server[1] / "sleeper.py").write_text(SLEEP)
    process = start(("", server[1]), "between", code)
    fork = int(process.stdout.readline())
    process.kill()
    wait_for(lambda: gone(fork))


def test_a_server_that_died_makes_a_cold_start(tmp_path):
    with serving(tmp_path) as (name, process):
        warm = start((name, tmp_path), "forked", FORKED, "x")
        assert warm.communicate(timeout=60)[0] == "True\n" and warm.returncode == 2
        sleeper = start((name, tmp_path), "sleeper", SLEEP)
        fork = int(sleeper.stdout.readline())
        process.kill()
        process.wait(20)
        cold = start((name, tmp_path), "forked", FORKED, "x")
        assert cold.communicate(timeout=60)[0] == "False\n" and cold.returncode == 2
        # What it had begun goes on.
        assert not gone(fork) and sleeper.poll() is None
        sleeper.kill()
        wait_for(lambda: gone(fork))


def test_a_server_that_dies_before_it_has_forked_makes_a_cold_start(tmp_path):
    with serving(tmp_path) as (name, process):
        process.suspend()
        asked = start((name, tmp_path), "forked", FORKED, LONG="x" * 100_000)
        time.sleep(1)
        process.kill()
        assert asked.communicate(timeout=60)[0] == "False\n" and asked.returncode == 1


def test_a_server_that_cannot_fork_makes_a_cold_start(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\ndef fork():\n    raise OSError(11, 'no more processes')\nos.fork = fork\n"
    )
    with serving(tmp_path) as (name, _):
        asked = start((name, tmp_path), "forked", FORKED)
        assert asked.communicate(timeout=60)[0] == "False\n" and asked.returncode == 1


def test_another_user_is_refused(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0mtkd-test-of-users")
        listener.listen()
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        assert fork_server.ask("mtkd-test-of-users", ["forked"], os.getppid()) is None
        caller, _ = listener.accept()
        assert not fork_server.same_user(caller) and caller.recv(1) == b""
