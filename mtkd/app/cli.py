"""The command `mtkd`. Each command imports what it needs, so that `mtkd --help` is quick."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from mtkd.app import own_cli  # noqa: F401 (its commands are registered)
from mtkd.app.options import (
    DataPath,
    Jobs,
    Name,
    Processes,
    Settings,
    Studies,
    Text,
    Until,
    app,
    asked_recipe,
    needs,
)
from mtkd.app.signals import Stopped, stoppable
from mtkd.common import paths
from mtkd.common.errors import MtkdError, first_line

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
LESS_MEMORY = "a smaller batch_size, or larger accumulation, needs less"
ROOM = "make room"
TO_DO = {  # of what the system refuses
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.E2BIG: "the environment is too large for a command: unset some of its variables",
    errno.EMFILE: "too many files are open: raise `ulimit -n`",
    errno.ENAMETOOLONG: "expected a shorter name",
}
KEPT = "; finished runs and epochs are kept, the same command continues"  # by `reproduce`


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what goes wrong is one line on stderr and an exit status."""
    words = spread(sys.argv[1:] if arguments is None else arguments)
    kept = KEPT if words[:1] == ["reproduce"] else ""
    try:
        with stoppable():
            status = app(words, prog_name="mtkd", standalone_mode=False) or 0
        return failed(f"stopped{kept}", 130) if status == 130 else status  # typer's for Ctrl-C
    except Stopped as stop:
        return failed(f"stopped{kept}", stop.status)
    except typer.TyperException as error:  # wrong usage
        return failed(f"{error.format_message().rstrip('.')}; see `mtkd --help`", error.exit_code)
    except MtkdError as error:
        return failed(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "mtkd").startswith("mtkd"):
            raise
        return failed(f"{error.name} is not installed; `pip install 'mtkd[lab]'` brings it")
    except MemoryError:
        return failed(f"out of memory; {LESS_MEMORY}")
    except OSError as error:
        what = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
        todo = TO_DO.get(error.errno or 0)
        return failed("; ".join(filter(None, [what, todo])) + (kept if todo == ROOM else ""))
    except RuntimeError as error:  # torch's, of a CPU or a GPU
        if "memory" not in str(error):
            raise
        return failed(f"{first_line(error)}; {LESS_MEMORY}")


def failed(text: str, status: int = 1) -> int:
    print(f"mtkd: {text}", file=sys.stderr)
    return status


def spread(words: Sequence[str]) -> list[str]:
    """`--set a=1 b=2` as `--set a=1 --set b=2`; the same for `--with`."""
    found: list[str] = []
    option = None
    for word in words:
        if word.startswith("-"):
            option = word if word in ("--set", "--with") else None
        elif option and found[-1] != option:
            found.append(option)
        found.append(word)
    return found


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"mtkd {installed('mtkd')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def plan(
    jobs: Jobs = None,
    processes: Processes = None,
    recipe: Name = "demo",
    data_path: DataPath = None,
    unlabelled: Text = None,
    until: Until = None,
    settings: Settings = [],  # noqa: B006
    studies: Studies = [],  # noqa: B006
    measure: Annotated[
        bool, typer.Option("--measure", help="time and memory here, from steps of training")
    ] = False,
) -> None:
    """Show the runs of a recipe, what is done, and an estimate."""
    from mtkd.app.console import show_plan
    from mtkd.app.reproduce import gpus, side_by_side
    from mtkd.experiments.plans import expand, upto

    asked = asked_recipe(recipe, data_path, unlabelled, settings, studies, processes)
    runs, costs = upto(expand(asked), until), None
    jobs = side_by_side(jobs, gpus(), asked.processes)
    if measure:
        from mtkd.analysis.costs import measured
        from mtkd.app.check import slow_precision

        for line in slow_precision(asked):
            print(line)
        costs = measured(asked, runs, jobs)
    show_plan(asked, runs, jobs, costs)


@app.command()
def reproduce(
    jobs: Jobs = None,
    processes: Processes = None,
    recipe: Name = "demo",
    data_path: DataPath = None,
    unlabelled: Text = None,
    until: Until = None,
    settings: Settings = [],  # noqa: B006
    studies: Studies = [],  # noqa: B006
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="where runs happen, by Snakemake's plugin of that name: slurm (default: here)",
        ),
    ] = None,
) -> int:
    """Make every missing run, then tables and figures."""
    needs("snakemake", "lab")
    from mtkd.app.reproduce import reproduce as make
    from mtkd.experiments.plans import expand, notices, upto
    from mtkd.experiments.recipes import results_folder

    asked = asked_recipe(recipe, data_path, unlabelled, settings, studies, processes)
    runs = upto(expand(asked), until)
    for line in notices(asked):
        print(line)
    status = make(asked, runs, jobs=jobs, until=until, executor=executor)
    if status == 0 and until is None:
        results = results_folder(asked)
        print((results / "tables" / "summary.md").read_text(encoding="utf-8"))
        tell_where(results)
    return status


def tell_where(folder: Path) -> None:
    print(f"tables, figures and scores.csv are in {folder}")
    print(f"to read it all in a browser: {folder / 'report.html'}")


@app.command()
def status(recipe: Name = "demo") -> None:
    """Show how far a recipe is."""
    from mtkd.app.console import show_plan
    from mtkd.app.freshness import REPORTS
    from mtkd.app.reproduce import gpus, grouped, side_by_side
    from mtkd.experiments.plans import expand
    from mtkd.experiments.recipes import open_recipe
    from mtkd.experiments.records import run_folder

    asked, results = open_recipe(recipe)
    runs = expand(asked)
    names = sorted([*(run.run_id for run in runs), *REPORTS])
    show_plan(asked, runs, side_by_side(None, gpus(), asked.processes))
    for text in grouped(run_folder(results, name) / "error.txt" for name in names):
        print(f"failed: {text}")


@app.command()
def report(recipe: Name = "demo") -> None:
    """Write tables, figures and report.html again from the finished runs."""
    from mtkd.analysis.results import open_results
    from mtkd.app.publish import publish as write_all

    results = open_results(recipe)
    write_all(results)
    print(f"{len(results.records)} finished runs")
    tell_where(results.folder)


@app.command()
def publish(
    recipe: Annotated[str, typer.Argument(metavar="[RECIPE]", help="name")] = "demo",
) -> None:
    """Renew the committed results of a recipe from yours, and the pages that show them."""
    from mtkd.app.reference import renew_reference

    print(f"committed results, README.md and results/README.md: {renew_reference(recipe)}")


@app.command()
def submit(
    system: Annotated[str, typer.Option(metavar="NAME", help="bert, mtdnn, mtdnn-kd, ...")],
    recipe: Name = "demo",
    seed: Annotated[int | None, typer.Option(help="default: the recipe's first")] = None,
    fill: Annotated[
        Literal["refuse", "fallback"],
        typer.Option(help="without predictions for a task: refuse, or fill in a constant"),
    ] = "refuse",
    output: Annotated[
        Path | None,
        typer.Option(help="default: results/<recipe>/submissions/<system>-s<seed>.zip"),
    ] = None,
) -> None:
    """Write the zip of test predictions that GLUE's server takes."""
    from mtkd.app.console import show_submission
    from mtkd.app.submission import submit as write

    show_submission(system, write(recipe, system, seed, fill, output))


@app.command(
    epilog="Exit status: 0 where no cell differs beyond its 95 % interval "
    "(with --exact: where every row is the same), 1 where not, or on an error."
)
def compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS...",
            help="folder with scores.csv, name of a reproduced recipe, 'committed' (that recipe's "
            "in results/reference) or 'paper' (Table 3); one is compared with 'committed'",
        ),
    ],
    exact: Annotated[
        bool, typer.Option("--exact", help="demand that every row is the same")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write tables and figures there")
    ] = None,
) -> int:
    """Compare results folders cell by cell; differences are against the first one."""
    from mtkd.analysis import compare as comparison
    from mtkd.app.console import print_frame

    sides = comparison.open_sides(sources)
    found = comparison.compare(sides)
    for one in found:
        if len(differing := comparison.table(one, differing=True)):
            print_frame(differing, f"{one.second.label} less {one.first.label}")
    if output:
        from mtkd.analysis.compare_figures import comparison_view
        from mtkd.analysis.views import write

        for number, one in enumerate(found, 1):
            for path in write(comparison_view(one, number), output):
                print(path)
    for one in found:
        print(f"{one.second.label} less {one.first.label}: {comparison.verdict_line(one)}")
    return 0 if comparison.agree(found, exact) else 1


@app.command(context_settings=PASS_ON)
def test(context: typer.Context) -> int:
    """Lint, types, imports and tests; other arguments go to pytest: mtkd test -k name"""
    if paths.CHECKOUT is None:
        raise MtkdError("the tests are in a checkout of the repository, not in the package")
    for module in ("ruff", "mypy", "importlinter", "pytest"):
        needs(module, "dev")
    python = [sys.executable, "-m"]
    for command in (
        [*python, "ruff", "check", "."],
        [*python, "ruff", "format", "--check", "."],
        [*python, "mypy", "mtkd"],
        [str(Path(sys.executable).with_name("lint-imports"))],
        [*python, "pytest", *context.args],
    ):
        print("+", " ".join(Path(part).name for part in command), flush=True)
        if status := subprocess.run(command, cwd=paths.CHECKOUT).returncode:
            return status
    return 0


@app.command()
def docs() -> None:
    """Build the documentation as a site, with the notebooks as `demo` has run them."""
    if paths.CHECKOUT is None:
        raise MtkdError("the documentation is in a checkout of the repository, not in the package")
    needs("myst_nb", "docs")
    from mtkd.app.site import build_site

    print(f"to read it in a browser: {build_site(paths.CHECKOUT)}")


@app.command(context_settings=PASS_ON)
def lab(context: typer.Context) -> int:
    """Open JupyterLab on the notebooks; other arguments go to it: mtkd lab --no-browser"""
    needs("jupyterlab", "lab")
    from mtkd.app.lab import open_lab

    return open_lab(context.args)


if __name__ == "__main__":
    sys.exit(main())
