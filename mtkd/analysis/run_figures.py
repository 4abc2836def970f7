"""Plots of one run and of the data, for the notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mtkd.analysis import plotting
from mtkd.analysis.colours import BLACK, BLUE
from mtkd.analysis.paper import read_paper
from mtkd.analysis.plotting import Plot
from mtkd.analysis.systems import system_title, task_title
from mtkd.experiments.records import Record


@plotting.styled
def single_curve(record: Record) -> Plot:
    """Loss and dev score by epoch, task by task, of a run's first system."""
    system = next(iter(record.details.get("systems", [])), "")
    histories = [
        history
        for name, history in record.details.get("histories", {}).items()
        if name == system or name.startswith(f"{system}.")
    ]
    if not histories:
        return plotting.nothing_to_plot(f"{record.run_id}: nothing was trained")
    figure = Plot(figsize=(8, 4), layout="constrained")
    losses, points = figure.subplots(1, 2)
    for history in histories:
        epochs = history["epochs"]
        for task in epochs[0]["loss"]:
            hue = plotting.task_colour(task)
            loss = {e["epoch"]: e["loss"][task] for e in epochs if task in e["loss"]}
            score = {
                e["epoch"]: float(np.mean(list(e["scores"][task].values())))
                for e in epochs
                if task in e.get("scores", {})
            }
            shared: dict[str, Any] = {"color": hue, "marker": "."}
            losses.plot(list(loss), list(loss.values()), label=task_title(task), **shared)
            points.plot(list(score), list(score.values()), linewidth=1.2, **shared)
    if len(histories) == 1 and len(histories[0]["epochs"][0]["loss"]) > 1:
        mean = {e["epoch"]: e["score"] for e in histories[0]["epochs"] if "score" in e}
        points.plot(list(mean), list(mean.values()), color=BLACK, linewidth=2.6, label="mean")
        losses.plot([], [], color=BLACK, linewidth=2.6, label="mean")
    losses.set(xlabel="epoch", ylabel="mean training loss", title="loss")
    points.set(xlabel="epoch", ylabel="points", title="dev score")
    for axes in (losses, points):
        plotting.whole_epochs(axes)
        plotting.grid_lines(axes, "y")
    figure.suptitle(f"{system_title(system)}, seed {record.seed}", fontsize=11)
    figure.legend(*losses.get_legend_handles_labels(), loc="outside right upper")
    return figure


@plotting.styled
def task_sizes(frame: pd.DataFrame) -> Plot:
    """Training examples per task (log scale) beside GLUE's; `frame` has columns task and train."""
    paper = read_paper()
    printed = paper[(paper["metric"] == "train_size") & (paper["table"] == "kd-1")]
    glue = dict(zip(printed["task"], printed["value"], strict=True))
    figure = Plot(figsize=(8, 1.2 + 0.28 * len(frame)), layout="constrained")
    axes = figure.subplots()
    for y, (task, size) in enumerate(zip(frame["task"], frame["train"], strict=True)):
        axes.plot([size], [y], color=BLUE, **plotting.MARK)
        number: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 7.5}
        axes.annotate(f"{int(size):,}", (size, y), (0, 5), **number)
        if task in glue:
            axes.plot([glue[task]], [y], color=BLUE, **plotting.HOLLOW)
    plotting.name_rows(axes, [task_title(task) for task in frame["task"]])
    axes.set_ylim(len(frame) - 0.5, -0.8)
    axes.set_xscale("log")
    axes.set_xlabel("training examples (log scale)")
    hollow = plotting.legend_mark(BLUE, "GLUE, as the paper prints it", **plotting.HOLLOW)
    handles = [plotting.legend_mark(BLUE, "this benchmark"), hollow]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@plotting.styled
def lengths(words: Mapping[str, np.ndarray]) -> Plot:
    """Histogram of words per example, a panel per task; `words` maps a task to counts (N,)."""
    if not words:
        return plotting.nothing_to_plot("no examples")
    figure, panels = plotting.small_multiples(len(words))
    longest = max(int(np.quantile(found, 0.995)) for found in words.values()) + 1
    width = -(-longest // 32)  # whole words, or some bins would hold more lengths than others
    bins = [float(edge) - 0.5 for edge in range(0, longest + 2 * width, width)]
    for axes, (task, found) in zip(panels, words.items(), strict=True):
        weights = np.full(len(found), 100 / max(len(found), 1))
        axes.hist(np.minimum(found, longest), bins=bins, weights=weights, color=BLUE, alpha=0.75)
        summary = f"median {np.median(found):.0f}, longest {found.max()}"
        axes.set_title(f"{task_title(task)}\n{summary}", fontsize=8.5)
        plotting.grid_lines(axes, "y")
    figure.supxlabel("words per example, both texts together", fontsize=9.5)
    figure.supylabel("training examples, %", fontsize=9.5)
    return figure
