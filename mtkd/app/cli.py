"""The command `mtkd`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtkd.common import paths
from mtkd.common.errors import MtkdError

if TYPE_CHECKING:  # each command imports what it needs, so that `mtkd --help` is quick
    from mtkd.experiments.settings import Recipe

SUBMIT = "write the zip of test predictions that GLUE's server takes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run one command, turn an MtkdError into one line and exit status 1."""
    parser = build_parser()
    options, more = parser.parse_known_args(arguments)
    if more and options.command not in ("test", "lab"):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    options.more = more  # for pytest and jupyter, whose options are not ours to know
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return int(options.run(options))
    except MtkdError as error:
        print(f"mtkd: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mtkd: stopped; finished runs and epochs are kept, the same command continues")
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mtkd",
        description="Reproduce multi-task DNNs distilled from ensembles of teachers on GLUE.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, run, text in (
        ("plan", plan, "show the runs of a recipe, what is done, and an estimate"),
        ("reproduce", run_reproduce, "make every missing run, then tables and figures"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--recipe", default="demo", help="name or .yaml file (default: demo)")
        command.add_argument("--data-path", help="folder with GLUE's task folders")
        command.add_argument(
            "--unlabelled",
            metavar="FILE",
            help="text without labels for teachers: task, text and second text, with tabs",
        )
        command.add_argument("--until", metavar="STAGE", help="stop after this stage")
        command.add_argument(
            "--set",
            dest="settings",
            nargs="+",
            action="extend",
            default=[],
            metavar="key=value",
            help="change the recipe: training.epochs=3 tasks=[cola,rte]",
        )
        command.add_argument(
            "--with",
            dest="studies",
            nargs="+",
            action="extend",
            default=[],
            metavar="STUDY",
            help="studies beside the main table: ablations, or targets, ensembles, ...",
        )
        command.add_argument(
            "--jobs",
            type=int,
            default=os.cpu_count() or 1,
            help="runs side by side (default: one per core)",
        )
        if run is plan:
            command.add_argument("--device", help="hours and memory on this device, too: h100")
        else:
            command.add_argument(
                "--executor",
                metavar="NAME",
                help="where runs happen, by Snakemake's plugin of that name: slurm (default: here)",
            )
        command.set_defaults(run=run)
    for name, run, text in (
        ("status", status, "show how far a recipe is"),
        ("report", report, "write tables, figures and report.html again from the finished runs"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--recipe", default="demo", help="name (default: demo)")
        command.set_defaults(run=run)
    add_submit(commands.add_parser("submit", help=SUBMIT, description=SUBMIT))

    text = "compare results folders cell by cell: scores, differences, one verdict"
    command = commands.add_parser(
        "compare",
        help=text,
        description=f"{text[0].upper()}{text[1:]}. Differences are against the first folder.",
        epilog="Exit status: 0 where no cell differs beyond its 95 % interval "
        "(with --exact: where every row is the same), 1 where not, or on an error.",
    )
    command.add_argument(
        "sources",
        nargs="+",
        metavar="RESULTS",
        help="folder with scores.csv, name of a reproduced recipe, 'committed' (that recipe's in "
        "results/reference) or 'paper' (Table 3); a single one is compared with 'committed'",
    )
    command.add_argument("--exact", action="store_true", help="demand that every row is the same")
    command.add_argument(
        "--output", type=Path, metavar="DIR", help="write tables and figures there"
    )
    command.set_defaults(run=run_compare)
    test = commands.add_parser(
        "test",
        help="lint, types and tests",
        description="Lint, types, tests; other arguments go to pytest: mtkd test -k name",
    )
    test.set_defaults(run=run_tests)
    text = "open JupyterLab on the notebooks"
    description = f"{text[0].upper()}{text[1:]}; other arguments go to it: mtkd lab --no-browser"
    lab = commands.add_parser("lab", help=text, description=description)
    lab.set_defaults(run=run_lab)
    return parser


def add_submit(command: argparse.ArgumentParser) -> None:
    command.add_argument("--recipe", default="demo", help="name (default: demo)")
    command.add_argument("--system", required=True, help="bert, mtdnn, ensemble, mtdnn-kd, ...")
    command.add_argument("--seed", type=int, help="default: the recipe's first")
    command.add_argument(
        "--fill",
        choices=("refuse", "fallback"),
        default="refuse",
        help="without predictions for a task: refuse (default), or fill its rows with a constant",
    )
    command.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="default: results/<recipe>/submissions/<system>-s<seed>.zip",
    )
    command.set_defaults(run=run_submit)


def plan(options: argparse.Namespace) -> int:
    """Print the table of stages; imports late, so that `mtkd --help` is quick."""
    from mtkd.app.console import show_costs, show_plan
    from mtkd.experiments.plans import expand, upto

    jobs, recipe = asked_jobs(options), asked_recipe(options)
    show_plan(recipe, upto(expand(recipe), options.until), jobs)
    if options.device:
        show_costs(recipe, options.device)
    return 0


def asked_jobs(options: argparse.Namespace) -> int:
    if options.jobs < 1:
        raise MtkdError(f"--jobs {options.jobs}: expected at least 1")
    return int(options.jobs)


def asked_recipe(options: argparse.Namespace) -> Recipe:
    """The recipe with all studies asked for: by itself, by --with, and in its folder before."""
    from dataclasses import replace

    from mtkd.app.reproduce import results_folder
    from mtkd.experiments.recipes import load_recipe, saved_choices
    from mtkd.experiments.studies.registry import named

    settings = options.settings
    recipe = load_recipe(options.recipe, settings, options.data_path)
    saved, text = saved_choices(results_folder(recipe))
    text = str(Path(options.unlabelled).resolve()) if options.unlabelled else text
    if text and not any(setting.startswith("data.unlabelled=") for setting in settings):
        recipe = replace(recipe, data=replace(recipe.data, unlabelled=text))
    # Saved ones first: a run that two studies share keeps the name that it was made under.
    kept = [] if any(setting.startswith("studies=") for setting in settings) else saved
    wanted = [*recipe.studies, *kept, *named(options.studies)]
    return replace(recipe, studies=tuple(dict.fromkeys(wanted)))


def run_reproduce(options: argparse.Namespace) -> int:
    from mtkd.app.reproduce import reproduce, results_folder
    from mtkd.experiments.plans import expand, notices, upto

    jobs, recipe = asked_jobs(options), asked_recipe(options)
    runs = upto(expand(recipe), options.until)
    for line in notices(recipe):
        print(line)
    results = results_folder(recipe)
    status = reproduce(recipe, runs, jobs=jobs, until=options.until, executor=options.executor)
    if status == 0 and options.until is None:
        print((results / "tables" / "summary.md").read_text(encoding="utf-8"))
        print(f"tables, figures and scores.csv are in {results}")
        print(f"to read it all in a browser: {results / 'report.html'}")
    return status


def status(options: argparse.Namespace) -> int:
    from mtkd.app.console import show_plan
    from mtkd.app.reproduce import grouped
    from mtkd.experiments.plans import expand
    from mtkd.experiments.recipes import open_recipe

    recipe, results = open_recipe(options.recipe)
    runs = expand(recipe)
    show_plan(recipe, runs, os.cpu_count() or 1)
    for text in grouped(sorted(results.glob("runs/*/error.txt"))):
        print(f"failed: {text}")
    return 0


def report(options: argparse.Namespace) -> int:
    from mtkd.analysis.results import open_results
    from mtkd.app.gallery import update_pages
    from mtkd.app.publish import publish

    results = open_results(options.recipe)
    publish(results)
    if results.folder == paths.ROOT / "results" / "demo":
        update_pages(paths.ROOT, results.folder)
    print(f"{len(results.records)} finished runs; tables, figures, scores.csv in {results.folder}")
    print(f"to read it all in a browser: {results.folder / 'report.html'}")
    return 0


def run_submit(options: argparse.Namespace) -> int:
    """Write the zip and print what each of its files holds."""
    from rich.console import Console
    from rich.table import Table

    from mtkd.app.submission import submit

    made = submit(options.recipe, options.system, options.seed, options.fill, options.output)
    table = Table(title=f"{options.system}, {made.run_id}", title_justify="left")
    for name in ("file", "rows", "predictions"):
        table.add_column(name, justify="right" if name == "rows" else "left")
    for content in made.contents:
        table.add_row(content.file.name, f"{len(content.values):,}", content.source)
    Console().print(table)
    print(f"filled, not predicted: {', '.join(made.filled)}")
    if made.unofficial:
        print(
            f"not the size of GLUE's test sets: {', '.join(made.unofficial)}; GLUE's server does "
            "not take this zip"
        )
    print(f"written and checked: {made.path}")
    return 0


def run_compare(options: argparse.Namespace) -> int:
    from mtkd.analysis.compare import agree, compare, open_sides, table, verdict_line
    from mtkd.app.console import print_frame

    sides = open_sides(options.sources)
    comparisons = compare(sides)
    for one in comparisons:
        if len(differing := table(one, differing=True)):
            print_frame(differing, f"{one.second.label} less {one.first.label}")
    if options.output:
        from mtkd.analysis.compare_figures import comparison_view
        from mtkd.analysis.views import write

        for number, one in enumerate(comparisons, 1):
            for path in write(comparison_view(one, number), options.output):
                print(path)
    for one in comparisons:
        print(f"{one.second.label} less {one.first.label}: {verdict_line(one)}")
    return 0 if agree(comparisons, options.exact) else 1


def run_tests(options: argparse.Namespace) -> int:
    """Ruff, mypy and pytest; the first that fails decides the exit status."""
    python = [sys.executable, "-m"]
    commands = [
        [*python, "ruff", "check", "."],
        [*python, "ruff", "format", "--check", "."],
        [*python, "mypy", "mtkd"],
        [*python, "pytest", *options.more],
    ]
    for command in commands:
        print("+", " ".join(Path(part).name for part in command), flush=True)
        status = subprocess.run(command, cwd=paths.ROOT).returncode
        if status:
            return status
    return 0


def run_lab(options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "jupyter", "lab", str(paths.NOTEBOOKS), *options.more]
    return subprocess.run(command, cwd=paths.ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
