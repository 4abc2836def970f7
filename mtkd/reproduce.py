"""Run a recipe's graph with Snakemake, and tell a person how far it is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mtkd import paths, records
from mtkd.errors import MtkdError
from mtkd.progress import duration, headless
from mtkd.recipes import as_yaml
from mtkd.runs import Run
from mtkd.settings import Recipe

# A run costs its training and, beside it, a forked kernel: as much as this many examples.
KERNEL_COST = 3000.0
POLL = 1.0  # seconds between looks at the runs
TELL = 10.0  # seconds between lines when nobody watches a screen


def results_folder(recipe: Recipe) -> Path:
    return paths.RESULTS / recipe.name


def is_done(results: Path, run: Run) -> bool:
    return (results / "runs" / run.run_id / "record.json").exists()


def reproduce(recipe: Recipe, runs: Sequence[Run], *, jobs: int, until: str | None) -> int:
    """Make every run that is missing, then the tables and figures; returns an exit status."""
    results = results_folder(recipe)
    results.mkdir(parents=True, exist_ok=True)
    with (results / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MtkdError(
                f"{results}: another `mtkd reproduce` is at work there; wait for it or stop it"
            ) from None
        tell_others(results, runs)
        text = as_yaml(recipe)
        saved = results / "recipe.yaml"
        if not saved.is_file() or saved.read_text(encoding="utf-8") != text:
            records.write_text(saved, text)
        devices = gpus()
        command = snakemake(results, jobs, until, devices)
        environment = os.environ | {"MTKD_RESULTS": str(paths.RESULTS), "MTKD_HEADLESS": "1"}
        # One thread a job: two jobs of two threads on two cores slow each other up severalfold.
        threads = str(max(1, (os.cpu_count() or 1) // jobs))
        environment |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        environment |= {"TOKENIZERS_PARALLELISM": "false", "JUPYTER_PLATFORM_DIRS": "1"}
        if any((results / ".snakemake" / "locks").glob("*")):
            # We hold the lock, so whoever left Snakemake's own locks behind is dead.
            unlock = [*command, "--unlock"]
            subprocess.run(unlock, env=environment, capture_output=True, check=False)
        log = results / "snakemake.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command if devices else warmed(command),
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],  # Snakemake keeps the lock should this process be killed
            )
            status = watch(process, results, runs)
    if status:
        explain(results, runs, log)
    return status


def warmed(command: list[str]) -> list[str]:
    """The command with forks in place of cold starts; not for GPUs, whose driver cannot fork."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-m", "mtkd.warm", "--serve", *command]


def snakemake(results: Path, jobs: int, until: str | None, devices: int) -> list[str]:
    """The command; `snakemake` with the same arguments works by hand, too."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(paths.ROOT / "Snakefile")]
    command += ["--directory", str(results), "--cores", str(jobs), "--rerun-incomplete"]
    command += ["--keep-going", "--show-failed-logs", "--nocolor"]
    # A run's parameters are in its id, so that they need no look of their own.
    command += ["--rerun-triggers", "mtime", "input", "code"]
    command += ["--resources", f"gpu={devices or jobs}"]
    config = ["recipe_file=recipe.yaml"] + ([f"until={until}"] if until else [])
    return [*command, "--config", *config]


def gpus() -> int:
    import torch

    return torch.cuda.device_count()


def tell_others(results: Path, runs: Sequence[Run]) -> None:
    """Say so when the folder holds runs of another version of the recipe."""
    known = {run.run_id for run in runs}
    others = [p.parent.name for p in results.glob("runs/*/record.json")]
    others = [name for name in others if name not in known and name[0].isalpha()]
    if others:
        print(
            f"{results}: {len(others)} finished runs belong to another version of this recipe or "
            "to later stages; they are left untouched and not counted",
            flush=True,
        )


def watch(process: subprocess.Popen[bytes], results: Path, runs: Sequence[Run]) -> int:
    """Show progress until Snakemake ends; Ctrl-C and SIGTERM stop everything below it."""
    began = told = time.monotonic()
    todo = [run for run in runs if not is_done(results, run)]
    total = sum(run.cost + KERNEL_COST for run in todo)
    seen = {run.run_id for run in runs} - {run.run_id for run in todo}
    bar = None if headless() or not todo else tqdm(total=round(total), unit="ex", bar_format=BAR)
    previous = signal.signal(signal.SIGTERM, lambda *_: stop(process))
    try:
        while process.poll() is None:
            time.sleep(POLL)
            fresh = [run for run in todo if run.run_id not in seen and is_done(results, run)]
            seen |= {run.run_id for run in fresh}
            done = sum(
                (run.cost + KERNEL_COST) * (1.0 if run.run_id in seen else share(results, run))
                for run in todo
            )
            spent = time.monotonic() - began
            for run in fresh:
                line = f"[{len(seen)}/{len(runs)}] {run.run_id} in {run_seconds(results, run)}"
                tqdm.write(line) if bar else print(line, flush=True)
            if bar:
                bar.n = round(done)
                bar.set_postfix_str(f"{left(spent, done, total)}")
            elif todo and time.monotonic() - told >= TELL:
                told = time.monotonic()
                percent = done / max(total, 1)
                print(f"  {percent:.0%} done, {left(spent, done, total)}", flush=True)
    except KeyboardInterrupt:
        stop(process)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
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
        state = json.loads((results / "runs" / run.run_id / "progress.json").read_text())
        return float(min(state["done"] / max(state["total"], 1), 1.0))
    except (OSError, ValueError, KeyError):
        return 0.0  # not begun, or between two writes


def run_seconds(results: Path, run: Run) -> str:
    return duration(records.read_record(results / "runs" / run.run_id).wall_seconds)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End Snakemake and all kernels below it; finished runs and epochs are kept."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def explain(results: Path, runs: Sequence[Run], log: Path) -> None:
    """Print what went wrong, from the runs' own error files, or the end of Snakemake's log."""
    names = [*(run.run_id for run in runs), "07_glue_results", "08_ablations", "09_open_questions"]
    errors = [results / "runs" / name / "error.txt" for name in names]
    texts = [path.read_text().strip() for path in errors if path.exists()]
    for text in texts:
        print(text, file=sys.stderr)
    if not texts:
        tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-12:])
        print(f"Snakemake stopped:\n{tail}", file=sys.stderr)
    print(f"finished runs are kept; the same command continues. Whole log: {log}", file=sys.stderr)


def read_runs(results: Path, runs: Sequence[Run]) -> list[records.Record]:
    """Records of the finished ones among a recipe's runs."""
    return [records.read_record(results / "runs" / r.run_id) for r in runs if is_done(results, r)]


def plan_rows(results: Path, runs: Sequence[Run]) -> list[tuple[str, int, int, float]]:
    """Per stage: name, runs, finished ones, training examples still to pass through a model."""
    stages = list(dict.fromkeys(run.stage for run in runs))
    rows = []
    for stage in stages:
        mine = [run for run in runs if run.stage == stage]
        todo = [run for run in mine if not is_done(results, run)]
        rows.append((stage, len(mine), len(mine) - len(todo), sum(run.cost for run in todo)))
    return rows


def seconds_per_example(finished: Sequence[records.Record]) -> float | None:
    """Measured time of one training example on this machine, from finished runs."""
    cost = sum(r.details.get("cost", 0.0) for r in finished if r.training_seconds)
    seconds = sum(r.training_seconds for r in finished if r.training_seconds)
    return seconds / cost if cost else None
