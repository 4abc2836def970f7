"""Plots of the results beside the paper's: each function returns a figure, none keeps state.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; a system has the same one
everywhere. Ours are filled marks, the paper's numbers hollow ones, in a panel of their own.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.colors
import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtkd.metrics import task_score
from mtkd.records import Record
from mtkd.statistics import FEW, task_order
from mtkd.tables import (
    OURS,
    PAPER,
    REFERENCE,
    SYSTEMS,
    ablation_values,
    entropy,
    glue_dev_values,
    read_paper,
    system_order,
    system_title,
    task_title,
)
from mtkd.tasks import GLUE

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
COLOURS = dict(zip(SYSTEMS, (BLACK, SKY, BLUE, GREEN, VERMILLION, PURPLE), strict=True))
TASK_COLOURS = dict(
    zip(
        GLUE,
        (ORANGE, SKY, GREEN, "#C7B400", BLUE, VERMILLION, PURPLE, GREY, BLACK, BLACK),
        strict=True,
    )
)
TEACHER_TASKS = ("mnli", "qqp", "rte", "qnli")  # KD paper, section 4.1
CURVES = ("mtdnn-noft", "mtdnn-kd", "mtdnn-kd-soft")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that files are the same anywhere
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "mtkd",
    "svg.fonttype": "path",
}
styled = matplotlib.rc_context(STYLE)


class Plot(Figure):
    """A figure that a notebook shows by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        return image(self, "png", dpi=110)


def image(figure: Figure, kind: str, dpi: int = 150) -> bytes:
    """The figure as PNG or SVG, without date or version, so that equal plots are equal files."""
    unstamped: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}}
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=unstamped[kind])
    return buffer.getvalue()


def colour(system: str) -> str:
    return COLOURS.get(system, ORANGE)


# ---------------------------------------------------------------------------- results


@styled
def dev_scores(scores: pd.DataFrame) -> Plot:
    """Dev score per task and mean, with intervals and seeds; the paper's in a panel of its own."""
    values, tasks = glue_dev_values(scores), task_order(scores)
    if values.empty:
        return _nothing("no dev scores")
    figure = Plot(figsize=(8, 1.6 + 0.46 * (len(tasks) + 1)), layout="constrained")
    ours, paper = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    systems = system_order(scores)
    step = 0.8 / max(len(systems), 1)
    places = {task: row for row, task in enumerate([*tasks, "mean"])}
    for number, system in enumerate(systems):
        shift = (number - (len(systems) - 1) / 2) * step
        for row in _rows(values, system):
            y = places[row["task"]] + shift
            if row["source"] == OURS:
                _estimate(ours, row, y, colour(system))
            else:
                _hollow(paper, row["value"], y, colour(system))
    _task_rows(ours, [*map(task_title, tasks), f"mean of {len(tasks)}"])
    ours.set(title=f"this run, {_seeds(values)}", xlabel="dev score, points")
    paper.set(title=PAPER, xlabel="dev score, points (own scale)")
    _rules(paper, len(places))
    handles: list[Any] = [_mark(system) for system in systems]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))
    return figure


@styled
def gain(scores: pd.DataFrame, teacher_tasks: Sequence[str] = TEACHER_TASKS) -> Plot:
    """Gain of MT-DNN-KD over MT-DNN per task, paired by seed; the paper's beside on the same scale.

    Tasks whose ensemble taught the student (`teacher_tasks`) stand on a shaded row.
    """
    values, tasks = ablation_values(scores), task_order(scores)
    found = [row for row in _rows(values, "mtdnn-kd") if row["task"] != "recovered"]
    if not any(row["source"] == OURS for row in found):
        return _nothing("no MT-DNN and MT-DNN-KD with the same seed")
    figure = Plot(figsize=(8, 1.7 + 0.33 * (len(tasks) + 1)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    places = {task: row for row, task in enumerate([*tasks, "mean"])}
    for row in found:
        y, hue = places[row["task"]], colour("mtdnn-kd")
        if row["source"] == OURS:
            _estimate(panels[0], row, y, hue)
        else:
            _hollow(panels[1], row["value"], y, hue)
    for axes in panels:
        axes.axvline(0, color=colour(REFERENCE), linewidth=1)
        for task in set(teacher_tasks) & set(tasks):
            axes.axhspan(
                places[task] - 0.5, places[task] + 0.5, color=GREEN, alpha=0.12, linewidth=0
            )
        axes.set_xlabel("gain over MT-DNN, points")
    _task_rows(panels[0], [*map(task_title, tasks), f"mean of {len(tasks)}"])
    _rules(panels[1], len(places))
    panels[0].set_title(f"this run, {_seeds(values)}")
    panels[1].set_title(PAPER)
    handles = [
        *_legend(colour("mtdnn-kd"), "MT-DNN-KD", values),
        Line2D([], [], color=colour(REFERENCE), linewidth=1, label="MT-DNN"),
        Patch(color=GREEN, alpha=0.12, linewidth=0, label="task with a teacher"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, columnspacing=1.2)
    return figure


@styled
def ablation(scores: pd.DataFrame) -> Plot:
    """Mean dev difference from MT-DNN per system, paired by seed; the paper's hollow, below."""
    values, tasks = ablation_values(scores), task_order(scores)
    means = values[values["task"] == "mean"]
    compared = set(means.loc[means["source"] == OURS, "system"])
    if not compared:
        return _nothing("no system to compare with MT-DNN")
    systems = [system for system in system_order(scores) if system in compared]
    figure = Plot(figsize=(8, 1.5 + 0.45 * len(systems)), layout="constrained")
    axes = figure.subplots()
    for y, system in enumerate(systems):
        for row in _rows(means, system):
            if row["source"] == OURS:
                _estimate(axes, row, y - 0.1, colour(system))
            else:
                _hollow(axes, row["value"], y + 0.22, colour(system))
    axes.axvline(0, color=colour(REFERENCE), linewidth=1)
    _task_rows(axes, [system_title(system) for system in systems])
    axes.set_xlabel(f"mean dev score of {_tasks(tasks)} less that of MT-DNN, points")
    handles = [
        *_legend(GREY, f"this run, {_seeds(means)}", means),
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label=PAPER),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


@styled
def learning_curves(records: Iterable[Record]) -> Plot:
    """Mean dev score by epoch of the multi-task trainings: thin lines seeds, thick their mean."""
    curves: dict[str, list[pd.Series]] = {system: [] for system in CURVES}
    for record in records:
        for system in CURVES:
            history = record.details.get("histories", {}).get(system, {"epochs": []})
            points = {e["epoch"]: e["score"] for e in history["epochs"] if "score" in e}
            if points:
                curves[system].append(pd.Series(points))
    if not any(curves.values()):
        return _nothing("no multi-task training with dev scores by epoch")
    figure = Plot(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for system, lines in curves.items():
        for line in lines:
            axes.plot(line.index, line, color=colour(system), linewidth=0.8, alpha=0.35)
        if lines:
            # Epochs that not every seed has would move the mean for another reason than training.
            mean = pd.concat(lines, axis=1).dropna().mean(axis=1)
            label = f"{system_title(system)} ({_count(len(lines), 'seed')})"
            axes.plot(
                mean.index, mean, color=colour(system), linewidth=2.4, marker="o", label=label
            )
    axes.set(xlabel="epoch", ylabel="mean dev score, points")
    _whole_epochs(axes)
    _grid(axes, "y")
    axes.legend(loc="lower right")
    return figure


# ---------------------------------------------------------------------------- one run, the teacher


@styled
def single_curve(record: Record, system: str | None = None) -> Plot:
    """Loss and dev score by epoch, task by task, of one run's system (its first one, if None)."""
    system = system or next(iter(record.details.get("systems", [])), "")
    histories = [
        history
        for name, history in record.details.get("histories", {}).items()
        if name == system or name.startswith(f"{system}.")
    ]
    if not histories:
        return _nothing(f"{record.run_id}: nothing was trained")
    figure = Plot(figsize=(8, 4), layout="constrained")
    losses, points = figure.subplots(1, 2)
    for history in histories:
        epochs = history["epochs"]
        for task in epochs[0]["loss"]:
            hue = TASK_COLOURS.get(task, BLACK)
            loss = {e["epoch"]: e["loss"][task] for e in epochs if task in e["loss"]}
            score = {
                e["epoch"]: task_score(GLUE[task], e["scores"][task])
                for e in epochs
                if task in e.get("scores", {})
            }
            losses.plot(
                list(loss), list(loss.values()), color=hue, marker=".", label=task_title(task)
            )
            points.plot(list(score), list(score.values()), color=hue, marker=".", linewidth=1.2)
    if len(histories) == 1 and len(histories[0]["epochs"][0]["loss"]) > 1:
        mean = {e["epoch"]: e["score"] for e in histories[0]["epochs"] if "score" in e}
        points.plot(list(mean), list(mean.values()), color=BLACK, linewidth=2.6, label="mean")
        losses.plot([], [], color=BLACK, linewidth=2.6, label="mean")
    losses.set(xlabel="epoch", ylabel="mean training loss", title="loss")
    points.set(xlabel="epoch", ylabel="points", title="dev score")
    for axes in (losses, points):
        _whole_epochs(axes)
        _grid(axes, "y")
    figure.suptitle(f"{system_title(system)}, seed {record.seed}", fontsize=11)
    figure.legend(*losses.get_legend_handles_labels(), loc="outside right upper")
    return figure


@styled
def teacher_knowledge(
    knowledge: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]],
) -> Plot:
    """How sure the teacher is of training examples: entropy of its soft targets, two groups apart.

    `knowledge` maps a task to (soft (N, C), label (N,), clean (N,) or None). Groups: training label
    right or wrong, where the label before annotator noise is known; else the teacher's most
    probable label agrees with the training label or not. Each histogram adds up to 100 %.
    """
    classes = {task: item for task, item in knowledge.items() if item[0].shape[1] > 1}
    if not classes:
        return _nothing("no soft targets of a classification")
    known = any(clean is not None for _, _, clean in classes.values())
    words = ("label is right", "label is wrong") if known else ("teacher agrees", "teacher differs")
    figure, panels = _small_multiples(len(classes))
    for axes, (task, (soft, label, clean)) in zip(panels, classes.items(), strict=True):
        choice = soft.argmax(axis=1)
        group = label != (choice if clean is None else clean)
        sure = entropy(soft).clip(0, 1)
        for part, hue, style in ((~group, BLUE, "-"), (group, VERMILLION, "--")):
            weights = np.full(part.sum(), 100 / max(part.sum(), 1))
            shared: dict[str, Any] = {
                "bins": np.linspace(0, 1, 21),
                "weights": weights,
                "color": hue,
            }
            axes.hist(sure[part], histtype="stepfilled", alpha=0.25, **shared)
            axes.hist(sure[part], histtype="step", linewidth=1.4, linestyle=style, **shared)
        summary = f"{words[1]}: {100 * group.mean():.0f} %"
        if clean is not None and group.any():
            summary += f", teacher right on {100 * (choice == clean)[group].mean():.0f} % of them"
        axes.set_title(f"{task_title(task)}\n{summary}", fontsize=8.5)
        axes.set_xlim(0, 1)
        _grid(axes, "y")
    figure.supxlabel("entropy of the soft target (0 sure, 1 no idea)", fontsize=9.5)
    figure.supylabel("training examples, % of their group", fontsize=9.5)
    handles = [
        Patch(
            facecolor=matplotlib.colors.to_rgba(hue, 0.25),
            edgecolor=hue,
            linestyle=style,  # type: ignore[arg-type]
            label=word,
        )
        for hue, style, word in zip((BLUE, VERMILLION), ("-", "--"), words, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


# ---------------------------------------------------------------------------- the data


@styled
def task_sizes(frame: pd.DataFrame) -> Plot:
    """Training examples per task (log scale) beside GLUE's; `frame` has columns task and train."""
    paper = read_paper()
    printed = paper[(paper["metric"] == "train_size") & (paper["table"] == "kd-1")]
    glue = dict(zip(printed["task"], printed["value"], strict=True))
    figure = Plot(figsize=(8, 1.2 + 0.28 * len(frame)), layout="constrained")
    axes = figure.subplots()
    for y, (task, size) in enumerate(zip(frame["task"], frame["train"], strict=True)):
        axes.plot([size], [y], "o", color=BLUE)
        axes.annotate(
            f"{int(size):,}",
            (size, y),
            (0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
        )
        if task in glue:
            axes.plot([glue[task]], [y], "o", color=BLUE, markerfacecolor="white")
    _task_rows(axes, [task_title(task) for task in frame["task"]])
    axes.set_ylim(len(frame) - 0.5, -0.8)
    axes.set_xscale("log")
    axes.set_xlabel("training examples (log scale)")
    handles = [
        Line2D([], [], color=BLUE, marker="o", linestyle="", label="this benchmark"),
        Line2D(
            [],
            [],
            color=BLUE,
            marker="o",
            markerfacecolor="white",
            linestyle="",
            label="GLUE, as the paper prints it",
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@styled
def lengths(tokens: Mapping[str, np.ndarray], max_length: int | None = None) -> Plot:
    """Histogram of tokens per example, a panel per task; `tokens` maps a task to lengths (N,)."""
    if not tokens:
        return _nothing("no examples")
    figure, panels = _small_multiples(len(tokens))
    longest = max(int(np.quantile(found, 0.995)) for found in tokens.values()) + 1
    width = -(-longest // 32)  # whole tokens, or some bins would hold more lengths than others
    bins = [float(edge) - 0.5 for edge in range(0, longest + 2 * width, width)]
    for axes, (task, found) in zip(panels, tokens.items(), strict=True):
        weights = np.full(len(found), 100 / max(len(found), 1))
        axes.hist(np.minimum(found, longest), bins=bins, weights=weights, color=BLUE, alpha=0.75)
        summary = f"median {np.median(found):.0f}, longest {found.max()}"
        axes.set_title(f"{task_title(task)}\n{summary}", fontsize=8.5)
        if max_length and max_length <= longest:
            axes.axvline(max_length, color=VERMILLION, linestyle="--", linewidth=1)
        _grid(axes, "y")
    figure.supxlabel("tokens per example, special tokens included", fontsize=9.5)
    figure.supylabel("training examples, %", fontsize=9.5)
    return figure


# ---------------------------------------------------------------------------- files


def write_figures(
    scores: pd.DataFrame,
    records: Iterable[Record],
    folder: Path,
    *,
    teacher_tasks: Sequence[str] = TEACHER_TASKS,
    knowledge: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]] | None = None,
) -> list[Path]:
    """Write figures/{dev_scores,gain,ablation,learning_curves,...}.{png,svg} in `folder`."""
    figures: dict[str, Callable[[], Plot]] = {
        "dev_scores": lambda: dev_scores(scores),
        "gain": lambda: gain(scores, teacher_tasks),
        "ablation": lambda: ablation(scores),
        "learning_curves": lambda: learning_curves(records),
    }
    if knowledge:
        figures["teacher_knowledge"] = lambda: teacher_knowledge(knowledge)
    return [
        path for name, draw in figures.items() for path in save(draw(), folder / "figures", name)
    ]


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in ("png", "svg"):
        path = folder / f"{name}.{kind}"
        part = path.with_name(path.name + ".part")
        part.write_bytes(image(figure, kind))
        os.replace(part, path)
        written.append(path)
    return written


# ---------------------------------------------------------------------------- parts of a plot


def _rows(values: pd.DataFrame, system: str) -> list[dict[Any, Any]]:
    return values[values["system"] == system].to_dict("records")


def _estimate(axes: Axes, row: Mapping[Any, Any], y: float, hue: str) -> None:
    """Seeds as fine ticks, the interval as a bar, the mean as a dot."""
    points = row["points"]
    if len(points) > 1:
        axes.plot(points, [y] * len(points), "|", color=hue, alpha=0.6, markersize=6, mew=1)
    if pd.notna(row["low"]) and row["n"] >= FEW:
        axes.plot(
            [row["low"], row["high"]], [y, y], color=hue, linewidth=1.4, solid_capstyle="butt"
        )
    axes.plot([row["value"]], [y], "o", color=hue, markersize=4.5)


def _hollow(axes: Axes, value: float, y: float, hue: str) -> None:
    axes.plot([value], [y], "o", color=hue, markerfacecolor="white", markersize=4.5, mew=1.2)


def _mark(system: str) -> Line2D:
    return Line2D(
        [], [], color=colour(system), marker="o", markersize=4.5, label=system_title(system)
    )


def _legend(hue: str, label: str, values: pd.DataFrame) -> list[Line2D]:
    """Legend entries of `_estimate`, of those marks that are there."""
    most = values["n"].dropna().max()
    mean = Line2D([], [], color=hue, marker="o", linestyle="", label=label)
    tick = Line2D([], [], color=hue, marker="|", linestyle="", alpha=0.8, label="one seed")
    bar = Line2D([], [], color=hue, label="95 % interval")
    return [mean, *([tick] if most > 1 else []), *([bar] if most >= FEW else [])]


def _task_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row per name, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    _rules(axes, len(names))


def _rules(axes: Axes, count: int) -> None:
    """Fine lines between the rows, and a grid to read values by."""
    for y in range(1, count):
        axes.axhline(y - 0.5, color="#DDDDDD", linewidth=0.6, zorder=0)
    axes.tick_params(axis="y", length=0)
    _grid(axes, "x")


def _grid(axes: Axes, along: Any) -> None:
    axes.grid(axis=along, color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def _whole_epochs(axes: Axes) -> None:
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))


def _small_multiples(count: int) -> tuple[Plot, list[Axes]]:
    """Panels of one size, two to four in a row."""
    across = min(count, 2 if count <= 4 else 3 if count <= 6 else 4)
    down = -(-count // across)
    figure = Plot(figsize=(8, 1.4 + 1.75 * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels[:count]


def _nothing(reason: str) -> Plot:
    figure = Plot(figsize=(8, 1.2))
    figure.text(0.5, 0.5, f"Nothing to plot: {reason}", ha="center", va="center")
    return figure


def _seeds(values: pd.DataFrame) -> str:
    return _count(int(values["n"].dropna().max()), "seed")


def _tasks(tasks: Sequence[str]) -> str:
    return _count(len(tasks), "task")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
