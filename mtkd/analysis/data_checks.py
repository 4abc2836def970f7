"""What a look at the data tells before any training: sizes, balance, and texts that come twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from mtkd.analysis.systems import task_title
from mtkd.data.own_splits import same_text
from mtkd.data.tasks import Examples, Task, label_counts

NAMED = 5  # labels that a line names, or a cell
Splits = Mapping[str, Examples]
Labels = dict[str, set[str]]  # by text: every label that it has, "" where there is none


def task_row(task: Task) -> dict[str, str]:
    """What is known of a task, in one row of a table."""
    labels = ", ".join(task.labels) if len(task.labels) <= NAMED else f"{len(task.labels)}"
    if task.range:
        labels = f"{task.range[0]:g} to {task.range[1]:g}"
    return {
        "task": task.name,
        "kind": task.kind,
        "text": " + ".join(task.columns),
        "label": task.own.label if task.own else "",
        "id": (task.own.id or "row number") if task.own else "",
        "labels": labels,
        "scored by": ", ".join(task.metrics),
    }


def split_row(examples: Examples) -> dict[str, str]:
    """A split in one row of a table: examples, labels, and how many the labels have."""
    task, label = examples.task, examples.label
    row = {"task": task_title(task.name), "split": examples.split, "examples": f"{len(examples):,}"}
    if label is None:
        return row | {"labels": "none", "of each": "-"}
    if not task.labels:
        return row | {
            "labels": f"{label.min():g} to {label.max():g}",
            "of each": f"mean {label.mean():.3g}",
        }
    counts = label_counts(examples)
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    many = f"{counts[least]:,} ({least}) to {counts[most]:,} ({most})"
    if counts[least] == counts[most]:
        many = f"{counts[most]:,}"
    return row | {"labels": str(sum(map(bool, counts.values()))), "of each": many}


def absent_labels(splits: Splits) -> Iterator[str]:
    """Labels that some split has no example of."""
    for split, examples in splits.items():
        if absent := [name for name, count in label_counts(examples).items() if not count]:
            more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
            yield (
                f"{task_title(examples.task.name)}: {split} has no example of "
                f"{', '.join(absent[:NAMED])}{more}"
            )


def texts_twice(tasks: Mapping[str, Splits]) -> Iterator[str]:
    """Texts that come more than once: in a split, in two splits, in two tasks' train and dev."""
    seen = {
        (task, split): labels_by_text(one)
        for task, splits in tasks.items()
        for split, one in splits.items()
    }
    for task, splits in tasks.items():
        title = task_title(task)
        for split, examples in splits.items():
            labels = seen[task, split]
            if twice := len(examples) - len(labels):
                unsure = sum(len(one) > 1 for one in labels.values())
                odd = f", {unsure:,} texts have different labels" if unsure else ""
                yield f"{title}: {twice:,} examples of {split} repeat a text of it{odd}"
        for one, other in combinations(splits, 2):
            first, second = seen[task, one], seen[task, other]
            if both := first.keys() & second.keys():
                known = "" not in set.union(*(first[t] | second[t] for t in both))
                unlike = sum(first[text].isdisjoint(second[text]) for text in both)
                odd = f", {unlike:,} of them with another label" if unlike and known else ""
                yield f"{title}: {len(both):,} texts of {other} are in {one}, too{odd}"
    for task, splits in tasks.items():
        for split in splits:
            read = {
                other: len(seen[task, split].keys() & seen[other, "train"].keys())
                for other in tasks
                if other != task and split != "train" and "train" in tasks[other]
            }
            if where := [f"{task_title(o)} ({n:,})" for o, n in read.items() if n]:
                yield (
                    f"{task_title(task)}: of the {len(seen[task, split]):,} texts of {split}, some "
                    f"are in the train of {', '.join(where)}: multi-task models have read them, "
                    "with that task's labels"
                )


def labels_by_text(examples: Examples) -> Labels:
    """Every label that a text has, "" where there is none."""
    found: Labels = {}
    names = [""] * len(examples) if examples.label is None else examples.label.tolist()
    for texts, name in zip(examples.rows, names, strict=True):
        found.setdefault(same_text(*texts), set()).add(str(name))
    return found
