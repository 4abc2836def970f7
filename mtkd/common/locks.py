"""Files that one process holds at a time: a results folder, a run, a device."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from mtkd.common.errors import MtkdError

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
    with path.open("a") as file:
        if take(file) is False:
            print(f"{path.parent.name}: another process is at this run, waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def free_devices(names: Sequence[str], count: int = 1) -> Iterator[str]:
    """Hold devices of this machine that no other run of this user holds; wait if need be.

    Gives `count` different ones, with commas. A name that comes n times is a device that n runs
    share. Raises MtkdError where the lock files are not this user's own.
    """
    folder = own_folder()
    while True:
        with ExitStack() as stack:
            held: list[str] = []
            for place, name in enumerate(names):
                if name in held or len(held) == count:
                    continue
                # A home folder may be shared by many machines.
                share = names[:place].count(name)
                lock = f"device-{socket.gethostname()}-{name.replace('/', '-')}"
                path = folder / (f"{lock}-{share}" if share else lock)
                if take(stack.enter_context(open(path, "w", opener=without_links))) is not False:
                    held.append(name)
            if len(held) == count:
                yield ",".join(held)
                return
        # All or none are held, and runs that want several do not look in step.
        time.sleep(WAIT * (0.5 + random.random()))


def own_folder() -> Path:
    """A folder that this user alone can write to."""
    # Not XDG_RUNTIME_DIR, which a desktop has and ssh, cron and nohup have not.
    folder = Path.home() / ".cache" / "mtkd"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise MtkdError(
            f"{folder}: a link, or others can write there; expected a folder of your own for the "
            "locks of devices: remove it"
        )
    return folder


def without_links(path: str, flags: int) -> int:
    """Open a file, as `open` does it, but not through a symbolic link."""
    try:
        return os.open(path, flags | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected a lock file: remove it") from None
