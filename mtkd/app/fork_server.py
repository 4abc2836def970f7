"""Run a module in a fork of a process that has made the slow imports already.

    python -m mtkd.app.fork_server --serve COMMAND...   run COMMAND, serve the processes below it
    python -m mtkd.app.fork_server MODULE ARGUMENTS...  `python -m MODULE ARGUMENTS...`, but sooner

A kernel spends some ten seconds of processor time on importing torch, transformers and the rest,
and a recipe on tiny encoders starts dozens of them. The server imports once and forks a child for
each request. The child takes over the caller's streams, environment and folder, and ends when the
caller ends; the server ends with its command. Without a server the module runs as usual.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

SOCKET = "MTKD_WARM"  # environment variable: where the server listens
PRELOADED = (
    "papermill ipykernel.kernelapp transformers.models.bert.modeling_bert "
    "transformers.models.bert.tokenization_bert matplotlib_inline.backend_inline "
    "mtkd.experiments.opening mtkd.analysis.run_figures mtkd.analysis.inspection"
).split()
LIMIT = 1 << 20  # bytes of a request: arguments and environment
ACCEPT = 0.2  # seconds between looks at the command and at finished children


def serve(command: list[str]) -> int:
    """Run a command with the server's address in its environment; returns its exit status."""
    # Not a TemporaryDirectory: every child would remove it at its end.
    folder = Path(tempfile.mkdtemp(prefix="mtkd-"))
    address = str(folder / "warm")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(address)
            listener.listen()
            # Ctrl-C is for the command, which ends in its own time; a handler, unlike SIG_IGN, is
            # not inherited.
            signal.signal(signal.SIGINT, lambda *_: None)
            process = subprocess.Popen(command, env=os.environ | {SOCKET: address})
            listener.settimeout(ACCEPT)
            children: list[int] = []
            while process.poll() is None:
                children = [pid for pid in children if os.waitpid(pid, os.WNOHANG) == (0, 0)]
                try:
                    caller, _ = listener.accept()
                except TimeoutError:
                    continue
                preload()  # at the first request: a command with nothing to run asks for none
                child = os.fork()
                if child == 0:
                    listener.close()
                    become(caller)
                caller.close()
                children.append(child)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return process.returncode


def preload() -> None:
    """Make the slow imports, once."""
    # Read when matplotlib is imported; a kernel would set it too late.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for name in PRELOADED:
        importlib.import_module(name)


def become(caller: socket.socket) -> NoReturn:
    """In a fresh child: run the module that the caller asked for, in the caller's place."""
    status = 1
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        caller.settimeout(None)
        message, streams, _, _ = socket.recv_fds(caller, LIMIT, 3)
        request = json.loads(message)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.path[0] = request["folder"]  # as `python -m` has it
        threading.Thread(target=end_with, args=(caller,), daemon=True).start()
        sys.argv = request["arguments"]
        runpy.run_module(request["arguments"][0], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = exit_status(end.code)
    except BaseException:  # as the interpreter does at its top
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        caller.send(bytes([status]))
        os._exit(status)


def end_with(caller: socket.socket) -> None:
    """End this process when the caller's end of the socket closes: it was killed."""
    if not caller.recv(1):
        os._exit(1)


def exit_status(code: Any) -> int:
    """Status of `sys.exit(code)`."""
    if code is None or isinstance(code, int):
        return (code or 0) & 255
    print(code, file=sys.stderr)
    return 1


def call(address: str, arguments: list[str]) -> int:
    """Have the server run a module and wait for it; returns its exit status."""
    # Ctrl-C, or a kernel's shutdown, ends this process quietly, and the child with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        request = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
        answer = server.recv(1)
    return answer[0] if answer else 1  # no answer: the child was killed


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    if arguments[0] == "--serve":
        return serve(arguments[1:])
    if address := os.environ.get(SOCKET):
        return call(address, arguments)
    os.execv(sys.executable, [sys.executable, "-m", *arguments])


if __name__ == "__main__":
    sys.exit(main())
