"""One of the processes that make a run together; started by `mtkd.experiments.processes`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from torch.distributed import FileStore  # type: ignore[attr-defined]  # documented there

from mtkd.common.errors import MtkdError, first_line
from mtkd.experiments.context import RunContext, finish
from mtkd.experiments.plans import find_run
from mtkd.experiments.recipes import import_extensions
from mtkd.experiments.validation import validated


def work(folder: Path, rank: int) -> None:
    """Train as all the others do; the first one stores what is found, the record last."""
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    recipe = validated(facts["recipe"], "the run's recipe")
    import_extensions(recipe)
    run = find_run(recipe, *facts["named"])
    if run.run_id != facts["run_id"]:
        raise MtkdError(f"expected the run {facts['run_id']}, found {run.run_id}")
    context = RunContext(recipe, run, Path(facts["results"]), tuple(facts["tasks"]))
    count = int(os.environ["WORLD_SIZE"])
    # They meet by a file, not at a port that somebody else may take.
    state = PartialState(
        parse_flag_from_env("ACCELERATE_USE_CPU"),
        store=FileStore(str(folder / "meeting"), count),
        rank=rank,
        world_size=count,
    )
    began = time.perf_counter()
    outcome = run.train(context)
    if state.is_main_process:
        finish(context, outcome, time.perf_counter() - began)
    state.wait_for_everyone()
    state.destroy_process_group()


def end_with_parent() -> None:
    """End this process when the one that started it closes the pipe, or dies."""
    os.read(0, 1)  # not sys.stdin, whose lock an interpreter that ends would want
    os._exit(1)


def main() -> None:
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        work(folder, rank)
    except BaseException as error:
        said = "" if isinstance(error, MtkdError) else f"{type(error).__name__}: "
        # Of the first one alone: what fails later fails because that one is gone.
        with suppress(FileExistsError), (folder / "error").open("x", encoding="utf-8") as file:
            file.write(f"process {rank}: {said}{first_line(error)}")
        traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # a teardown may wait for the others


if __name__ == "__main__":
    main()
