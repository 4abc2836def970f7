"""Load a task: the toy benchmark, a folder of files, or the hub."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mtkd.errors import MtkdError
from mtkd.glue_files import from_table, read_folder, task_folders
from mtkd.tasks import GLUE, Examples, Task
from mtkd.toy import toy_examples

GLUE_REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"  # of nyu-mll/glue


@dataclass(frozen=True)
class DataSource:
    """Where the examples come from; see `load_examples`."""

    kind: Literal["toy", "folder", "hub"] = "toy"
    path: str | None = None  # folder: where the task folders are
    hub: str = "nyu-mll/glue"  # hub: dataset name, or a local folder with the hub's layout
    revision: str | None = GLUE_REVISION  # hub: pinned commit (of no use for a local folder)
    seed: int = 0  # toy: seed of the generator; also of the sample that `limit` takes
    scale: float = 1.0  # toy: multiplies all sizes
    limit: int | None = None  # at most this many training examples per task (a seeded sample)


def load_examples(source: DataSource, task: Task | str, split: str) -> Examples:
    """One split ("train", "dev", "test", MNLI also "dev_mm", "test_mm") of one task, checked.

    Raises MtkdError, one line with file and line, for anything missing or not as expected.
    """
    task = find_task(task)
    if split not in task.splits:
        have = ", ".join(task.splits)
        raise MtkdError(f"{task.title} has no split {split!r}; expected one of {have}")
    if source.limit is not None and source.limit < 1:
        raise MtkdError(f"data.limit is {source.limit}; expected at least 1, or none for no limit")
    if source.kind == "toy":
        examples = toy_examples(task.name, split, seed=source.seed, scale=source.scale)
    elif source.kind == "folder":
        examples = read_folder(task, split, _root(source))
    elif source.kind == "hub":
        examples = _read_hub(source, task, split)
    else:
        raise MtkdError(f"data.kind is {source.kind!r}; expected toy, folder or hub")
    if split == "train" and source.limit is not None:
        return _sample(examples, source.limit, source.seed)
    return examples


def missing_tasks(source: DataSource, tasks: Sequence[str]) -> list[str]:
    """Those of `tasks` that the source has not at all, in the order given.

    A task folder without its files is not missing: loading it says which file was expected.
    """
    if source.kind == "hub":
        have = set(_hub_configs(source))
    elif source.kind == "folder":
        root = _root(source)
        have = {name for name in tasks if task_folders(find_task(name), root)}
    else:
        have = set(GLUE)
    return [name for name in tasks if name not in have]


def find_task(task: Task | str) -> Task:
    """The task itself, or the GLUE task of that name; MtkdError if there is none."""
    if isinstance(task, Task):
        return task
    if task not in GLUE:
        raise MtkdError(f"unknown task {task!r}; expected one of {', '.join(GLUE)}")
    return GLUE[task]


def _root(source: DataSource) -> Path:
    if source.path is None:
        raise MtkdError("data.path is not set; expected the folder of the GLUE tasks: --data-path")
    root = Path(source.path).expanduser()
    if not root.is_dir():
        raise MtkdError(f"{root}: no such folder; expected GLUE's task folders: check --data-path")
    return root


def _sample(examples: Examples, limit: int, seed: int) -> Examples:
    """A random `limit` of the examples, in the order of the file; all if there are fewer."""
    if len(examples) <= limit:
        return examples
    # The task's name takes part, so that tasks of one size do not share their row numbers.
    generator = np.random.default_rng([seed, *examples.task.name.encode()])
    rows = np.sort(generator.choice(len(examples), limit, replace=False))
    text_b = examples.text_b
    return replace(
        examples,
        idx=examples.idx[rows],
        text_a=[examples.text_a[row] for row in rows],
        text_b=None if text_b is None else [text_b[row] for row in rows],
        label=None if examples.label is None else examples.label[rows],
        clean=None if examples.clean is None else examples.clean[rows],
    )


def _revision(source: DataSource) -> str | None:
    return None if Path(source.hub).is_dir() else source.revision


def _read_hub(source: DataSource, task: Task, split: str) -> Examples:
    import datasets  # slow to import, and needed here only

    try:
        table = datasets.load_dataset(
            source.hub, task.name, split=task.splits[split], revision=_revision(source)
        ).with_format("arrow")[:]
    except Exception as error:  # the hub's clients raise from several trees of their own
        raise _hub_error(source, f"{task.name}/{task.splits[split]}", error) from error
    return from_table(task, split, table, f"{source.hub} {task.name}/{task.splits[split]}")


def _hub_configs(source: DataSource) -> list[str]:
    import datasets

    try:
        return list(datasets.get_dataset_config_names(source.hub, revision=_revision(source)))
    except Exception as error:  # as above
        raise _hub_error(source, "its task names", error) from error


def _hub_error(source: DataSource, what: str, error: Exception) -> MtkdError:
    cause = (str(error).strip() or type(error).__name__).splitlines()[0]
    return MtkdError(
        f"{source.hub} (revision {_revision(source)}): cannot get {what} from the hub ({cause}); "
        "check the network and data.hub, or give local files with --data-path, or use the demo "
        "recipe, which needs neither"
    )
