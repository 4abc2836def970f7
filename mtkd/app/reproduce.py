"""Run a recipe's graph with Snakemake, and tell a person how far it is."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tqdm import tqdm

from mtkd.app import fork_server
from mtkd.app.freshness import REPORTS, Due, clear_marks, done_file, find_due
from mtkd.app.signals import disturbable, kill_group, undisturbed
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.common.files import parts, remove, write_text
from mtkd.common.locks import take_soon
from mtkd.common.machine import check_gpus, cores
from mtkd.common.progress import duration, headless
from mtkd.experiments.recipes import as_yaml, results_folder
from mtkd.experiments.records import read_record, run_folder
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe

# A run costs its training and, beside it, a forked kernel: as much as this many examples.
KERNEL_COST = 3000.0
POLL = 1.0  # seconds between looks at the runs
GRACE = 30.0  # seconds for Snakemake to cancel its jobs on a cluster
FULL = (errno.ENOSPC, errno.EDQUOT)
LITTLE = 2**16  # bytes: too few for a log
TELL = 10.0  # seconds between lines when nobody watches a screen


def reproduce(
    recipe: Recipe,
    runs: Sequence[Run],
    *,
    jobs: int | None,
    until: str | None,
    executor: str | None,
) -> int:
    """Make every run that is missing or stale, then tables and figures; returns an exit status.

    Here, or where a Snakemake executor runs them, `jobs` side by side (default: one per GPU, or
    else one per core; more than one share a GPU). Raises MtkdError if that is not installed.
    """
    executor = None if executor == "local" else executor
    check_executor(executor)
    results = results_folder(recipe)
    results.mkdir(parents=True, exist_ok=True)
    with (results / ".lock").open("a") as lock:
        locked = take_soon(lock)
        if locked is False:
            raise MtkdError(
                f"{results}: another `mtkd reproduce` is at work there; wait for it or stop it"
            )
        due = find_due(recipe, runs, results, reports=until is None)
        if not due:
            keep_text(results / "recipe.yaml", as_yaml(recipe))
            print(f"{results}: nothing to do, all {len(runs)} runs are done", flush=True)
            return 0
        devices = [] if executor else gpus()
        if devices:
            check_gpus(len(devices), recipe.processes)
        jobs = side_by_side(jobs, devices, recipe.processes)
        done = f"{len(runs) - len(due.trainings)} of {len(runs)} runs are done"
        print(f"recipe {recipe.name}: {done}, {jobs} at a time, into {results}", flush=True)
        from mtkd.app.preflight import look_ahead  # slow to import, and often nothing is due

        look_ahead(recipe, runs, due.trainings, results, jobs)
        tell_others(results, runs)
        keep_text(results / "recipe.yaml", as_yaml(recipe))
        clear_marks(results, due)
        command = snakemake(results, jobs, until, executor, recipe.processes)
        if devices:
            command.append(f"devices={','.join(places(jobs * recipe.processes, devices))}")
        # A results folder's files are never imported: not by a plugin's jobs in it, either.
        environment = os.environ | {"PYTHONSAFEPATH": "1", "JUPYTER_PLATFORM_DIRS": "1"}
        environment |= {paths.RESULTS_VARIABLE: str(paths.results())}
        environment |= {"TOKENIZERS_PARALLELISM": "false"}
        if given := os.environ.get("PYTHONPATH"):  # a recipe's extensions; jobs work elsewhere
            whole = [str(Path(place).resolve()) for place in given.split(os.pathsep) if place]
            environment["PYTHONPATH"] = os.pathsep.join(whole)
        if not executor:
            # One thread a job: two jobs of two threads on two cores slow each other up severalfold.
            # A job's processes share its threads.
            threads = str(max(1, cores() // jobs))
            environment |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if locked:
            clear_leftovers(results, executor)
        log = results / "snakemake.log"
        with log.open("w") as output, ExitStack() as stack:
            # Should this process be killed, whoever is at work keeps lock and server.
            kept = [lock.fileno()]
            if not executor:
                environment |= {"TMPDIR": stack.enter_context(scratch(results))}
            if not executor and sys.platform == "linux":
                server, alive = stack.enter_context(
                    fork_server.serving(environment, output, lock.fileno())
                )
                command.append(f"server={server}")
                kept.append(alive)
            with undisturbed():  # or nobody would know the process that is to be stopped
                process = subprocess.Popen(
                    command,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=kept,
                    preexec_fn=disturbable,
                )
                stack.callback(stop, process, GRACE if executor else 0.0)
            status = watch(process, results, due, len(runs))
    if status:
        explain(results, runs, log)
    return status


def check_executor(name: str | None) -> None:
    """Refuse an executor that Snakemake does not have."""
    module = f"snakemake_executor_plugin_{name}".replace("-", "_")
    if name is None or (module.isidentifier() and importlib.util.find_spec(module)):
        return
    package = "-e '.[slurm]'" if name == "slurm" else f"snakemake-executor-plugin-{name}"
    raise MtkdError(
        f"--executor {name}: Snakemake's plugin for it is not installed; install it with "
        f"`.venv/bin/pip install {package}`"
    )


def snakemake(
    results: Path, jobs: int, until: str | None, executor: str | None, processes: int = 1
) -> list[str]:
    """The command; its last arguments are the Snakefile's configuration, as `key=value`."""
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(paths.SNAKEFILE)]
    command += ["--directory", str(results), "--rerun-incomplete"]
    command += ["--keep-going", "--show-failed-logs", "--nocolor"]
    # What is due lacks its mark (see `freshness`): Snakemake has nothing to compare.
    command += ["--rerun-triggers", "mtime"]
    if executor:
        # Network file systems show a node's files late.
        command += ["--executor", executor, "--jobs", str(jobs), "--latency-wait", "60"]
    else:
        places = jobs * processes
        command += ["--cores", str(places), "--resources", f"gpu={places}"]
    return [*command, "--config", f"until={until or ''}"]


def gpus() -> list[str]:
    """The GPUs that we may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:count] if visible else [str(number) for number in range(count)]


def side_by_side(jobs: int | None, devices: Sequence[str], processes: int) -> int:
    """How many runs are made at a time: as asked, else one per GPU or core that each takes."""
    return jobs or max(1, (len(devices) or cores()) // processes)


def places(count: int, devices: Sequence[str]) -> list[str]:
    """Where processes find room: every GPU as often as they share it, the first ones once more."""
    return [devices[place % len(devices)] for place in range(max(count, len(devices)))]


def keep_text(path: Path, text: str) -> None:
    """Write a text file, unless it says so already."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)


def clear_leftovers(results: Path, executor: str | None) -> None:
    """Remove what processes that were killed have left behind; we hold the folder's lock.

    Snakemake's own notes, which nothing needs: what is due lacks its mark. Of those on a cluster,
    where jobs may still be at work, its locks alone.
    """
    for name in ("locks",) if executor else ("locks", "incomplete", "metadata", "tmp"):
        remove(results / ".snakemake" / name)
    if not executor:
        for leftover in (*parts(results), *results.glob("runs/*/progress.json")):
            remove(leftover)


@contextmanager
def scratch(results: Path) -> Iterator[str]:
    """A folder for the temporary files of all that works here; the next start clears it, too."""
    folder = results / ".snakemake" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield str(folder.resolve())
    finally:
        remove(folder)


def tell_others(results: Path, runs: Sequence[Run]) -> None:
    """Say so when the folder holds runs of another version of the recipe."""
    known = {run.run_id for run in runs}
    others = [p.parent.name for p in results.glob("runs/*/record.json")]
    if others := [name for name in others if name not in known]:
        print(
            f"{results}: {len(others)} finished runs belong to another version of this recipe or "
            "to later stages; they are left untouched and not counted",
            flush=True,
        )


def watch(process: subprocess.Popen[bytes], results: Path, due: Due, count: int) -> int:
    """Show progress until Snakemake ends; returns its exit status."""
    began = told = time.monotonic()
    bar, todo = None, due.trainings
    try:
        total, seen = sum(run.cost + KERNEL_COST for run in todo), set[str]()
        if todo and not headless():
            bar = tqdm(total=round(total), unit="ex", bar_format=BAR)
        while process.poll() is None:
            time.sleep(POLL)
            for run in todo:
                if run.run_id not in seen and done_file(results, run).exists():
                    seen.add(run.run_id)
                    place = count - len(todo) + len(seen)
                    seconds = read_record(run_folder(results, run.run_id)).wall_seconds
                    line = f"[{place}/{count}] {run.run_id} in {duration(seconds)}"
                    tqdm.write(line) if bar else print(line, flush=True)
            done = sum(
                (run.cost + KERNEL_COST) * (1.0 if run.run_id in seen else share(results, run))
                for run in todo
            )
            spent = time.monotonic() - began
            if bar:
                bar.n = round(done)
                bar.set_postfix_str(f"{left(spent, done, total)}")
            elif todo and time.monotonic() - told >= TELL:
                told = time.monotonic()
                percent = done / max(total, 1)
                print(f"  {percent:.0%} done, {left(spent, done, total)}", flush=True)
    finally:
        if bar:
            bar.close()
    if process.returncode == 0:
        took = duration(time.monotonic() - began)
        print(f"{results}: {'all done' if todo else 'nothing to train'}, {took}", flush=True)
    return process.returncode


BAR = "{percentage:3.0f}% |{bar}| {elapsed} spent, {postfix}"


def left(spent: float, done: float, total: float) -> str:
    if done < 0.01 * total:
        return "time left not known yet"
    if done >= total:
        return "tables and figures left"
    return f"about {duration(spent / done * (total - done))} left"


def share(results: Path, run: Run) -> float:
    """How much of an unfinished run is done, from the progress file that its kernel writes."""
    try:
        state = json.loads((run_folder(results, run.run_id) / "progress.json").read_text())
        return float(min(state["done"] / max(state["total"], 1), 1.0))
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0  # not begun, or damaged


def stop(process: subprocess.Popen[bytes], grace: float) -> None:
    """End Snakemake and all kernels below it; finished runs and epochs are kept.

    For `grace` seconds it may cancel what it runs elsewhere, unless a second signal comes. What
    runs here is killed, since every file is whole or not there.
    """
    if process.returncode == 0:
        return
    try:
        if grace and process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(grace)
    except subprocess.TimeoutExpired:
        print(f"Snakemake has not ended within {grace:.0f} s: killed", file=sys.stderr)
    finally:
        with undisturbed():
            kill_group(process)


def explain(results: Path, runs: Sequence[Run], log: Path) -> None:
    """Print what went wrong, from the runs' own error files, or the end of Snakemake's log."""
    names = [*(run.run_id for run in runs), *REPORTS]
    texts = grouped(run_folder(results, name) / "error.txt" for name in names)
    texts += ended_elsewhere(results, log.read_text(errors="replace"))
    for text in texts:
        print(text, file=sys.stderr)
    if is_full(results, log):
        print(f"{results}: {os.strerror(errno.ENOSPC)}; make room there", file=sys.stderr)
    elif not texts:
        tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-12:])
        print(f"Snakemake stopped:\n{tail}", file=sys.stderr)
    print(f"finished runs are kept; the same command continues. Whole log: {log}", file=sys.stderr)


def is_full(results: Path, log: Path) -> bool:
    """Whether a full disk has stopped Snakemake: its log says so, or could not even be written."""
    full = any(os.strerror(number) in log.read_text(errors="replace") for number in FULL)
    return full or shutil.disk_usage(results).free < LITTLE


def ended_elsewhere(results: Path, log: str) -> list[str]:
    """What a cluster says, by Snakemake's log, of jobs that died without a word of their own."""
    told = re.findall(r"^    message: (?!None)(.+)\n.+\n    output: runs/([^/\n]+)/done", log, re.M)
    found = {name: message.partition(". ")[0] for message, name in told}
    silent = [name for name in found if not (run_folder(results, name) / "error.txt").exists()]
    return [f"{name}: {found[name]}" for name in silent]


def grouped(errors: Iterable[Path]) -> list[str]:
    """What error files say, if they are there; of runs that one error stopped, the first's text."""
    found: dict[str, list[str]] = {}
    there = (path for path in errors if path.is_file())
    for text in (path.read_text(encoding="utf-8", errors="replace").strip() for path in there):
        # "<run>: <notebook> cell <number>: " comes before what was wrong.
        what = re.sub(r"^\S+: (\S+ cell \d+: )?", "", text.partition("\n")[0])
        found.setdefault(what, []).append(text)
    return [
        text + (f"\n  this error stopped {1 + len(more)} runs" if more else "")
        for text, *more in found.values()
    ]
