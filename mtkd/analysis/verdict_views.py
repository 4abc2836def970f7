"""The verdict on a recipe's student as it is shown: sentence, table and forest plot."""

from __future__ import annotations

import pandas as pd
from matplotlib.lines import Line2D

from mtkd.analysis.charts import rows_figure
from mtkd.analysis.colours import BLACK
from mtkd.analysis.comparisons import MEAN, numbers, printed_p
from mtkd.analysis.plotting import Plot, colour, legend_mark, styled
from mtkd.analysis.results import Results
from mtkd.analysis.systems import ENSEMBLE, NO_TEACHER, system_title, task_title
from mtkd.analysis.tables import cell, decimal, mean_title
from mtkd.analysis.verdict import Verdict, judge
from mtkd.analysis.views import View

NOUNS = {ENSEMBLE: "ensemble", NO_TEACHER: "no teachers"}
READING = (
    "A difference is the student minus the other, in points, on the same dev examples and seeds. "
    "In brackets its 95 % interval over dev examples and seeds together: the paired bootstrap over "
    "examples and the spread over seeds, by Student's t. With one seed it is of these very models."
)
SEEDS = "Over seeds alone: Student's t on the differences by seed, as everywhere else; n seeds."
TESTS = (
    "p: McNemar's exact test where one seed's accuracy is compared, else that of the interval; "
    "adjusted for the number of tasks (Holm). A gain or a loss is one where p is below 5 % and the "
    "interval leaves out zero."
)
VISIBLE = (
    "Smallest visible: the true difference that these dev examples show in four of five cases."
)


def verdict_view(results: Results) -> View | None:
    """Is the student worth shipping, and what did its teachers add? Of any recipe.

    None where student or ensemble have no finished runs. Raises MtkdError where stored predictions
    are missing.
    """
    found = judge(results)
    if found is None:
        return None
    values = verdict_values(found)
    margin = (
        f"The recipe's `margin`, {found.margin:g} of the mean score, is what the student may lose "
        "against the ensemble and still be the one to ship: the dashed line in the figure."
    )
    seeds = [SEEDS] if values["seeds_low"].notna().any() else []
    return View(
        "verdict",
        "Is the student worth shipping?",
        str(found),
        (READING, *seeds, TESTS, VISIBLE, margin),
        verdict_table(values),
        values,
        verdict_figure(values, found.margin),
        "verdict",
    )


def verdict_values(found: Verdict) -> pd.DataFrame:
    """Numbers by task and `other` system, as `comparisons.numbers`, with an adjusted `p`."""
    rows = []
    for comparison in filter(None, (found.ensemble, found.control)):
        for task, one in comparison.rows.items():
            more = {
                "other": comparison.other,
                "p": comparison.p[task],
                "verdict": comparison.words[task],
            }
            rows.append(numbers(found.student, task, one) | more)
    return pd.DataFrame(rows).astype({"seeds_low": "float64", "seeds_high": "float64"})


def verdict_table(values: pd.DataFrame) -> pd.DataFrame:
    """The numbers as printed, a row by task and other system."""
    names = row_names(values)
    rows = []
    for row in values.to_dict("records"):
        alone = row | {"low": row["seeds_low"], "high": row["seeds_high"], "points": ()}
        rows.append(
            {
                "Task": names[row["task"]],
                "Student minus": NOUNS.get(row["other"], system_title(row["other"])),
                "Dev examples": f"{row['examples']:,}",
                "Student": decimal(row["student"], 1, False),
                "Other": decimal(row["score"], 1, False),
                "Difference": cell(row, signed=True),
                "Over seeds alone": cell(alone, signed=True),
                "Seeds": str(row["n"]),
                "p": printed_p(row["p"]),
                "Smallest visible": decimal(row["visible"], 1, False),
                "Verdict": row["verdict"],
            }
        )
    table = pd.DataFrame(rows)
    return table if values["seeds_low"].notna().any() else table.drop(columns="Over seeds alone")


def row_names(values: pd.DataFrame) -> dict[str, str]:
    tasks = [task for task in dict.fromkeys(values["task"]) if task != MEAN]
    return {task: task_title(task) for task in tasks} | {MEAN: mean_title(tasks)}


@styled
def verdict_figure(values: pd.DataFrame, margin: float) -> Plot:
    """The student minus the ensemble, and minus the student without teachers, by task."""
    student = str(values["system"].iloc[0])
    present = dict.fromkeys(values["other"])
    panels = {other: f"student minus {NOUNS.get(other, other)}, points" for other in present}
    names = {n: title for n, title in row_names(values).items() if n in set(values["task"])}
    figure = rows_figure(values, names, panels, row="task", panel="other", height=0.33, zero=True)
    figure.axes[0].axvline(-margin, color=BLACK, linewidth=1, linestyle="--")
    hue, seeds = colour(student), [legend_mark(colour(student), "one seed", marker="|", alpha=0.8)]
    handles = [
        legend_mark(hue, system_title(student)),
        *(seeds if values["n"].max() > 1 else []),
        Line2D([], [], color=hue, label="95 % interval"),
        Line2D([], [], color=BLACK, linestyle="--", linewidth=1, label="margin"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure
