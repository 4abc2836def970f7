"""What this machine lets a process use."""

from __future__ import annotations

import os

from mtkd.common.errors import MtkdError


def cores() -> int:
    """How many processors this process may use: a container or a cluster's job may have few."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_gpus(usable: int, processes: int) -> None:
    """Raise MtkdError if there are not as many GPUs as processes that train together."""
    if usable < processes:
        raise MtkdError(
            f"processes: {processes}, and GPUs that may be used: {usable}; expected one for each "
            "process"
        )
