"""What this machine lets a process use."""

from __future__ import annotations

from mtkd.common.errors import MtkdError


def cores() -> int:
    """How many processors this process may use: a container or a cluster's job may have few."""
    import joblib  # slow to import

    return int(joblib.cpu_count())


def check_gpus(usable: int, processes: int) -> None:
    """Raise MtkdError if there are not as many GPUs as processes that train together."""
    if usable < processes:
        raise MtkdError(
            f"processes: {processes}, and GPUs that may be used: {usable}; expected one for each "
            "process"
        )
