"""Forked processes stand in for cold ones: streams, folder, environment, status, end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are served on Linux")

COMMAND = "import os, sys, time; print(os.environ['MTKD_WARM'], flush=True); sys.stdin.read()"


@pytest.fixture(scope="module")
def address():
    """A server, up for as long as its command waits for the end of its input."""
    server = subprocess.Popen(
        [sys.executable, "-m", "mtkd.app.fork_server", "--serve", sys.executable, "-c", COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = server.stdout.readline().strip()
    yield found
    server.stdin.close()
    assert server.wait(20) == 0
    assert not os.path.exists(os.path.dirname(found))


def start(address, folder, code, *arguments, **environment):
    """A module with this code, run through the server in its folder."""
    (folder / "asked.py").write_text(code)
    return subprocess.Popen(
        [sys.executable, "-m", "mtkd.app.fork_server", "asked", *arguments],
        cwd=folder,
        env=os.environ | {"MTKD_WARM": address} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_fork_has_the_callers_arguments_folder_environment_and_streams(address, tmp_path):
    code = (
        "import json, os, sys\n"
        "loaded = 'torch' in sys.modules\n"
        "print(json.dumps([sys.argv[1:], os.getcwd(), os.environ['COLOUR'], loaded]))\n"
        "print('to stderr', file=sys.stderr)\n"
        "sys.exit(7)\n"
    )
    process = start(address, tmp_path, code, "a b", "", COLOUR="blue")
    out, err = process.communicate(timeout=60)
    assert json.loads(out) == [["a b", ""], str(tmp_path), "blue", True]
    assert err == "to stderr\n"
    assert process.returncode == 7


def test_an_exception_is_shown_and_makes_status_one(address, tmp_path):
    process = start(address, tmp_path, "raise ValueError('that is wrong')")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "ValueError: that is wrong" in err


def test_a_fork_that_is_killed_makes_status_one(address, tmp_path):
    process = start(address, tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate(timeout=60)
    assert process.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_fork_ends_with_its_caller(address, tmp_path, number):
    code = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(300)"
    process = start(address, tmp_path, code)
    fork = int(process.stdout.readline())
    process.send_signal(number)
    assert process.wait(20) == -number
    deadline = time.monotonic() + 20
    while alive(fork):
        assert time.monotonic() < deadline, "the fork outlived its caller"
        time.sleep(0.05)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_a_server_the_module_runs_as_usual(tmp_path):
    process = start("", tmp_path, "import sys; sys.exit(len(sys.argv))", "x")
    process.communicate(timeout=60)
    assert process.returncode == 2
