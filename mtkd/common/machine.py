"""What this machine lets a process use."""

from __future__ import annotations

import os


def cores() -> int:
    """How many processors this process may use: a container or a cluster's job may have few."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
