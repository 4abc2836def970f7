"""What a recipe ran on and what it took."""

from __future__ import annotations

import pandas as pd

from mtkd.analysis.markup import NOTHING
from mtkd.analysis.results import Results, times
from mtkd.analysis.systems import task_title
from mtkd.analysis.views import View
from mtkd.data.tasks import GLUE


def data_view(results: Results) -> list[View]:
    """Examples by task and split, as the data run counted them; empty before it is finished."""
    found = [r.details["sizes"] for r in results.records if "sizes" in r.details]
    rows = []
    for task in results.tasks if found else ():
        counts: dict[str, int] = {}
        for split, count in found[0][task].items():
            counts[split.split("_")[0]] = counts.get(split.split("_")[0], 0) + count
        about = {
            "Task": task_title(task),
            "Labels": ", ".join(GLUE[task].labels) or "a similarity",
            "Scored by": " and ".join(GLUE[task].metrics),
        }
        numbers = {s.capitalize(): f"{counts.get(s, 0):,}" for s in ("train", "dev", "test")}
        rows.append(about | numbers)
    words = "How many examples each task has, its dev sets and its test sets together."
    table = pd.DataFrame(rows)
    return [View("data", "The tasks", words, table=table, section="run")] if rows else []


def cost_views(results: Results) -> list[View]:
    """Time and memory by stage, and where the runs happened: of this machine, so in no file."""
    found: dict[str, dict[str, None]] = {}
    for record in results.records:
        packages = record.environment.get("packages", {})
        for name, value in (record.environment | packages).items():
            if name != "packages":
                found.setdefault(name, {})[NOTHING if value is None else str(value)] = None
    where = {"What": list(found), "Value": [", ".join(values) for values in found.values()]}
    frame = times(results).reset_index().astype({"runs": str})
    for name in ("minutes", "training minutes"):
        frame[name] = frame[name].map("{:.1f}".format)
    frame["peak memory, MiB"] = frame["peak memory, MiB"].map("{:,.0f}".format)
    return [
        View(
            "cost",
            "Time and memory",
            "Minutes are summed over the runs of a stage; runs side by side take less on the "
            "clock. Memory is the largest resident size of one run.",
            table=frame.rename(columns=lambda name: name[0].upper() + name[1:]),
            section="cost",
        ),
        View(
            "environment",
            "Environment",
            "As the runs recorded it; several values where runs differ.",
            table=pd.DataFrame(where),
            section="cost",
        ),
    ]
