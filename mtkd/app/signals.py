"""Stop as people expect: Ctrl-C, SIGTERM and SIGHUP end a command and all that works for it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGTERM, signal.SIGHUP)  # beside SIGINT, which Python makes a KeyboardInterrupt


class Stopped(BaseException):
    """SIGTERM or SIGHUP has come; like KeyboardInterrupt no error, so that nobody catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number  # what a shell shows of a process that a signal has ended


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Stopped`; a signal that the caller has ignored stays so.

    Under nohup that is SIGHUP, and SIGINT in a script's background. For the processes that are
    started here SIGINT is never ignored: Snakemake cancels a cluster's jobs by it.
    """
    before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGINT)}
    for number in ENDING:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, raise_stopped)
    if before[signal.SIGINT] is signal.SIG_IGN:
        # A handler that does nothing: unlike SIG_IGN, it is not handed down.
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_stopped(number: int, _: FrameType | None) -> NoReturn:
    raise Stopped(number)


@contextmanager
def undisturbed() -> Iterator[None]:
    """No signal that can wait comes between."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*ENDING, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def disturbable() -> None:
    """In a process that was started `undisturbed`: signals come through again."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*ENDING, signal.SIGINT})


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the leader of a process group and all of the group, wherever its parents are."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
