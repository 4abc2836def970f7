"""Where the time of `mtkd reproduce` went, from the records and the executed notebooks.

    python benchmarks/breakdown.py results/demo --jobs 2

Meant for a folder that one command has filled without a pause.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path

import pandas as pd

from mtkd.experiments.records import read_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder with runs/ and executed/")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, as it was made")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    options = parser.parse_args()
    found = breakdown(options.results, options.jobs)
    table = pd.DataFrame({"seconds": found})
    table["share, %"] = 100 * table["seconds"] / (found["wall"] * options.jobs)
    print(table.round(1).to_string())
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def breakdown(results: Path, jobs: int) -> dict[str, float]:
    """Seconds of the jobs' time by what it was spent on; `wall` is of the clock.

    From the first notebook's beginning to the last one's end: not Snakemake's own start, some two
    seconds. Training includes the dev scores after its epochs. Raises SystemExit without notebooks.
    """
    spans = {path.stem: span(path) for path in (results / "executed").glob("*.ipynb")}
    if not spans:
        raise SystemExit(f"{results}/executed: no executed notebooks; `mtkd reproduce` makes them")
    records = [
        read_record(results / "runs" / name)
        for name in spans
        if (results / "runs" / name / "record.json").is_file()
    ]
    runs = {record.run_id for record in records}
    stages = sum(record.wall_seconds for record in records)
    training = sum(record.training_seconds for record in records)
    # Encoders keep no history: all of their time is pre-training, or they were only looked at.
    encoders = sum(record.wall_seconds for record in records if record.stage == "encoders")
    notebooks = sum(end - begin for name, (begin, end) in spans.items() if name in runs)
    reports = sum(end - begin for name, (begin, end) in spans.items() if name not in runs)
    begins, ends = zip(*spans.values(), strict=True)
    wall = max(ends) - min(begins)
    return {
        "wall": wall,
        "training": training,
        "pre-training": encoders,
        "predictions, reading and writing data": stages - training - encoders,
        "kernels, imports, plots of the runs": notebooks - stages,
        "notebooks of results": reports,
        "between notebooks: Snakemake, waiting": wall * jobs - notebooks - reports,
    }


def span(notebook: Path) -> tuple[float, float]:
    """When papermill began and ended a notebook, in seconds."""
    times = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["papermill"]
    begin, end = (datetime.fromisoformat(times[key]) for key in ("start_time", "end_time"))
    return begin.timestamp(), end.timestamp()


if __name__ == "__main__":
    main()
