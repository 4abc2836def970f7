"""Files that one process holds at a time: a results folder, a run, a device."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of a file system that has none
PATIENCE = 5  # looks at a lock that another process holds
WAIT = 1.0  # seconds between looks for what is free


def take(file: IO[Any]) -> bool | None:
    """Lock a file: False if another process holds it, None if its file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return None
    return True


def take_soon(file: IO[Any]) -> bool | None:
    """As `take`, with some patience: a process that was killed holds its files a moment longer."""
    for _ in range(PATIENCE):
        if (found := take(file)) is not False:
            return found
        time.sleep(WAIT)
    return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; wait for another process that holds it, an orphaned runner say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        if take(file) is False:
            print(f"{path.parent.name}: another process is at this run, waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def devices() -> list[str]:
    """The GPUs that runs share: from `mtkd reproduce`, or from whoever has called Snakemake."""
    given = os.environ.get("MTKD_DEVICES") or os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return [name.strip() for name in given.split(",") if name.strip()]


@contextmanager
def free_device(names: Sequence[str]) -> Iterator[str]:
    """Hold a device that no other run of this user holds; wait for one if need be."""
    folder = Path(tempfile.gettempdir())  # of this machine, as the devices are
    while True:
        for name in names:
            lock = folder / f"mtkd-{os.getuid()}-device-{name.replace('/', '-')}"
            with lock.open("w") as file:
                if take(file) is not False:
                    yield name
                    return
        time.sleep(WAIT)
