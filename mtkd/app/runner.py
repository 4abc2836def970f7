"""Execute one notebook with papermill: what a batch run is. `python -m mtkd.app.runner --help`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError

from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import whole, write_text
from mtkd.common.locks import free_devices
from mtkd.common.progress import PROGRESS_VARIABLE
from mtkd.common.sums import noted


def kernel_class(server: str) -> type[AsyncKernelManager]:
    """Kernels of this very Python, forked by the server of that name if there is one."""

    class Kernel(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            python = [sys.executable, "-P", "-m", "mtkd.app.fork_server", server]
            argv = [*python, "ipykernel", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, language="python", display_name="Python 3 (ipykernel)")

    return Kernel


def execute(
    notebook: Path, parameters: dict[str, Any], log: Path, executed: Path, server: str = ""
) -> None:
    """Run a notebook top to bottom; the executed copy lands in `executed` once it succeeded.

    Until then, and after a failure, it is at `log`, traceback and all. Raises MtkdError for an
    unknown parameter or a cell that failed.
    """
    check_parameters(notebook, parameters)
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            literal(notebook),
            literal(log),
            parameters=parameters,
            cwd=str(paths.home()),
            kernel_name="python3",
            kernel_manager_class=kernel_class(server),
            progress_bar=False,
            log_output=False,
        )
    except PapermillExecutionError as error:
        lines = [line for line in str(error.evalue).splitlines() if line.strip()]
        raise MtkdError(
            f"{notebook.name} cell {error.exec_count}: {error.ename}: {' '.join(lines[-1:])}\n"
            f"  executed copy with the traceback: {log}"
        ) from None
    except RuntimeError as error:  # nbclient's DeadKernelError is one
        raise MtkdError(
            f"{notebook.name}: the kernel died ({error}); often the machine ran out of memory: use "
            f"fewer --jobs or a smaller training.batch_size\n  executed so far: {log}"
        ) from None
    with whole(executed) as part:
        shutil.copyfile(log, part)


def literal(path: Path) -> str:
    """A path for papermill, which would put parameters in place of words in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def check_parameters(notebook: Path, parameters: dict[str, Any]) -> None:
    """Refuse a parameter that the notebook's parameters cell does not declare."""
    if not notebook.is_file():
        raise MtkdError(f"{notebook}: no such notebook")
    declared = papermill.inspect_notebook(literal(notebook))
    for name in parameters:
        if name not in declared:
            raise MtkdError(
                f"{notebook.name} has no parameter {name!r}; it has {', '.join(declared)}"
            )


def main() -> int:
    """Command line of a rule in the Snakefile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", help="name, 03_baselines say")
    parser.add_argument("--results", type=Path, required=True, help="results/<recipe>")
    parser.add_argument("--name", required=True, help="of the executed copy: the run's id")
    parser.add_argument("--done", type=Path, required=True, help="file to write at the end")
    parser.add_argument("--mark", required=True, help="what that file shall say")
    parser.add_argument("--parameters", type=json.loads, default={}, help="JSON object")
    parser.add_argument("--server", default="", help="name of a fork server (default: cold starts)")
    parser.add_argument(
        "--devices",
        default=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        help="GPUs, with commas, each as often as runs share it (default: those that are visible)",
    )
    parser.add_argument("--processes", type=int, default=1, help="each of which takes a GPU")
    arguments = parser.parse_args()
    results, name = arguments.results.resolve(), arguments.name
    folder = results / "runs" / name
    os.environ[PROGRESS_VARIABLE] = str(folder / "progress.json")
    devices = [device.strip() for device in arguments.devices.split(",") if device.strip()]
    error_file = folder / "error.txt"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            if len(set(devices)) > arguments.processes:
                mine = stack.enter_context(free_devices(devices, arguments.processes))
                os.environ["CUDA_VISIBLE_DEVICES"] = mine
            error_file.unlink(missing_ok=True)
            execute(
                paths.NOTEBOOKS / f"{arguments.notebook}.ipynb",
                arguments.parameters,
                folder / "notebook.ipynb",
                paths.executed_copy(results, name),
                arguments.server,
            )
            (folder / "progress.json").unlink(missing_ok=True)
            done = noted(arguments.mark, paths.executed_copy(results, name))
            write_text(results / arguments.done, done)
    except (MtkdError, OSError) as error:
        print(error, file=sys.stderr)
        with suppress(OSError):  # the disk is full
            error_file.write_text(f"{name}: {error}\n", encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
