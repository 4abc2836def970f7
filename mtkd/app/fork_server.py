"""Run a module in a fork of a process that has made the slow imports already.

    python -P -m mtkd.app.fork_server NAME MODULE ARGUMENTS...

does what `python -P -m MODULE ARGUMENTS...` does, but sooner.

A kernel spends some ten seconds of processor time on importing torch, transformers and the rest,
and a recipe on tiny encoders starts dozens of them. The server imports once and forks a child for
each request. The child takes over the caller's streams, environment and folder, and ends when the
caller ends; the caller ends with its parent. The imports leave a GPU alone: its driver, once at
work, does not survive a fork. Without a server, the module starts cold: an empty NAME, a server
that has died, or one that cannot fork.

The server listens at a name in Linux's abstract namespace: no file is left, whatever dies. Both
sides refuse a peer of another user.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from mtkd.app.signals import kill_group, undisturbed
from mtkd.common.code import remember_loaded

PRELOADED = (
    "papermill ipykernel.kernelapp transformers.models.auto transformers.models.bert.modeling_bert "
    "transformers.models.bert.tokenization_bert matplotlib_inline.backend_inline "
    "sklearn.metrics scipy.stats "
    "mtkd.experiments.opening mtkd.analysis.run_figures mtkd.analysis.inspection"
).split()
LENGTH = struct.Struct("!Q")  # of a request, before it
STARTED = b"+"  # what a child answers before it begins, so that the caller starts nothing itself
PARENT = 1.0  # seconds between a caller's looks at its parent


@contextmanager
def serving(environment: Mapping[str, str], log: IO[Any], *kept: int) -> Iterator[tuple[str, int]]:
    """Start a server; gives its name, and a file descriptor that keeps it alive.

    The server ends when every process that holds the descriptor has closed it or died: hand it to
    the command whose jobs the server speeds up. On the way out it is killed, with all its forks.
    Server and forks hold the descriptors `kept`, too: the lock of what they work at.
    """
    name = f"mtkd-{secrets.token_hex(16)}"
    life, held = os.pipe()
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"\0{name}")
            listener.listen()
            numbers = (listener.fileno(), life)
            server = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    f"from {serve.__module__} import serve; serve{numbers}",
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(*numbers, *kept),
                start_new_session=True,
            )
        os.close(life)
        try:
            yield name, held
        finally:
            with undisturbed():
                kill_group(server)
    finally:
        os.close(held)


@dataclass
class Ending:
    """The last thing that a child does."""

    caller: socket.socket | None = None  # None in the server itself
    status: int = 1

    def tell(self) -> None:
        """Tell the caller the exit status, and skip the teardown of all that was imported."""
        if self.caller is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            with suppress(OSError):  # the caller is gone
                self.caller.sendall(bytes([self.status]))
            os._exit(self.status)


def serve(listening: int, life: int) -> None:
    """Fork a child for each request until nobody holds the other end of the pipe `life`."""
    ending = Ending()
    atexit.register(ending.tell)  # before all imports, so that it is called after their handlers
    children: list[int] = []
    with socket.socket(fileno=listening) as listener:
        while life not in select.select([listener.fileno(), life], [], [])[0]:
            caller, _ = listener.accept()
            if same_user(caller):
                preload()  # at the first request: a command with nothing to run makes none
                children = [pid for pid in children if os.waitpid(pid, os.WNOHANG) == (0, 0)]
                try:
                    child = os.fork()
                except OSError as error:
                    print(f"cannot fork ({error.strerror}): a cold start", flush=True)
                else:
                    if child == 0:
                        listener.close()
                        os.close(life)
                        ending.caller = caller
                        ending.status = become(caller)
                        return
                    children.append(child)
            caller.close()


def preload() -> None:
    """Make the slow imports, once."""
    # Read when matplotlib is imported; a kernel would set it too late.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for name in PRELOADED:
        importlib.import_module(name)
    remember_loaded()  # whatever is edited later, forks run what is loaded now


def become(caller: socket.socket) -> int:
    """In a fresh child: run the module that the caller asked for; returns its exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        header, streams, _, _ = socket.recv_fds(caller, LENGTH.size, 3)
        with caller.makefile("rb") as file:
            request = json.loads(file.read(*LENGTH.unpack(header)))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        caller.sendall(STARTED)
        threading.Thread(target=end_with, args=(caller,), daemon=True).start()
        os.environ.clear()
        os.environ.update(request["environment"])
        # A kernel would take its parent, the server, for one that has replaced its own.
        os.environ.pop("JPY_PARENT_PID", None)
        os.chdir(request["folder"])
        run(request["arguments"])
    except SystemExit as end:
        return exit_status(end.code)
    except BaseException:  # as the interpreter does at its top
        traceback.print_exc()
        return 1
    return 0


def run(arguments: list[str]) -> None:
    """Do what `python -m ARGUMENTS...` does, in this process."""
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def end_with(caller: socket.socket) -> None:
    """End this process when the caller's end of the socket closes: it was killed."""
    with suppress(OSError):
        caller.recv(1)
    os._exit(1)


def end_with_parent(parent: int) -> None:
    """End this process when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(PARENT)
    os._exit(1)


def exit_status(code: Any) -> int:
    """Status of `sys.exit(code)`."""
    if code is None or isinstance(code, int):
        return (code or 0) & 255
    print(code, file=sys.stderr)
    return 1


def same_user(peer: socket.socket) -> bool:
    """Whether a process of our own user is at the other end; anybody can find the name."""
    identity = struct.Struct("3i")  # process, user, group
    found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, identity.size)
    return bool(identity.unpack(found)[1] == os.getuid())


def ask(name: str, arguments: list[str], parent: int) -> int | None:
    """Have a server run a module and wait for it; its exit status, None if none has begun it.

    `parent` is the process to end with.
    """
    # Ctrl-C, or a kernel's shutdown, ends this process quietly, and the child with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    facts = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
    request = json.dumps(facts).encode()
    with socket.socket(socket.AF_UNIX) as server, suppress(OSError):
        server.connect(f"\0{name}")
        if not same_user(server):
            return None
        socket.send_fds(server, [LENGTH.pack(len(request))], [0, 1, 2])
        server.sendall(request)
        if server.recv(1) != STARTED:
            return None
        while not select.select([server], [], [], PARENT)[0]:
            if os.getppid() != parent:
                return 1
        answer = server.recv(1)
        return answer[0] if answer else 1  # no answer: the child was killed
    return None


def main() -> int:
    name, *arguments = sys.argv[1:]
    parent = os.getppid()
    status = ask(name, arguments, parent) if name else None
    if status is None:
        threading.Thread(target=end_with_parent, args=(parent,), daemon=True).start()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run(arguments)
    return status or 0


if __name__ == "__main__":
    sys.exit(main())
