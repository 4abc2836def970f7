"""Load a task: the toy benchmark, a folder of files, or the hub."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from mtkd.common.errors import MtkdError, first_line
from mtkd.common.settings import STRICT
from mtkd.data.glue_files import from_table, read_folder, read_unlabelled, task_folders
from mtkd.data.own_tasks import read_own
from mtkd.data.tasks import GLUE, TASKS, UNLABELLED, Examples, Task
from mtkd.data.toy.benchmark import toy_examples, toy_text

HUB = "nyu-mll/glue"
GLUE_REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"  # of nyu-mll/glue


@dataclass(frozen=True, config=STRICT)
class DataSource:
    """Where the examples come from; see `load_examples`."""

    kind: Literal["toy", "folder", "hub"] = "toy"
    path: str | None = None  # folder: where the task folders are
    hub: str = HUB  # hub: dataset name, or a local folder with the hub's layout
    revision: str | None = GLUE_REVISION  # hub: pinned commit (of no use for a local folder)
    # Toy: seed of the generator; also of the sample that `limit` takes
    seed: Annotated[int, Field(ge=0, le=10**9)] = 0
    scale: Annotated[float, Field(ge=1e-4, le=1e4)] = 1.0  # toy: multiplies all sizes
    # At most this many training examples per task (a seeded sample)
    limit: Annotated[int, Field(ge=1)] | None = None
    # Fraction of the training examples whose labels are there
    label_fraction: Annotated[float, Field(ge=1e-6, le=1)] = 1.0
    # Text without labels for the teachers to label, as a multiple of a task's training examples
    unlabelled_ratio: Annotated[float, Field(ge=0, le=1e4)] = 0.0
    unlabelled_file: str | None = None  # of such text; none: toy text anew, else test sentences
    # Whether models predict the test splits: for an upload, or where they have labels
    predict_test: bool = True


def load_examples(source: DataSource, task: Task | str, split: str) -> Examples:
    """One split ("train", "dev", "test", MNLI also "dev_mm", "test_mm") of one task, checked.

    Raises MtkdError, one line with file and line, for anything missing or not as expected.
    """
    task = find_task(task)
    if split == UNLABELLED:
        return unlabelled_examples(source, task)
    if split not in task.splits:
        have = ", ".join(task.splits)
        raise MtkdError(f"{task.title} has no split {split!r}; expected one of {have}")
    if task.own:
        examples = read_own(task, split)
    elif source.kind == "toy":
        examples = toy_examples(task.name, split, seed=source.seed, scale=source.scale)
    elif source.kind == "folder":
        examples = read_folder(task, split, _root(source))
    else:
        examples = _read_hub(source, task, split)
    if split != "train":
        return examples
    if source.limit is not None:
        examples = _sample(examples, source.limit, source.seed)
    return first_drawn(examples, round(source.label_fraction * len(examples)), source.seed)


def unlabelled_examples(source: DataSource, task: Task) -> Examples:
    """Text of a task without labels, as much as `source.unlabelled_ratio` says or as there is.

    Of a task of one's own: its file of that split. Toy: written anew, in the language of the
    training examples. Else the lines of `source.unlabelled_file`, or the sentences of the test
    sets. Empty where there is none.
    """
    labelled = load_examples(replace(source, label_fraction=1.0), task, "train")
    count = round(source.unlabelled_ratio * len(labelled))
    if task.own:
        found = read_own(task, UNLABELLED)
    elif source.unlabelled_file is not None:
        found = read_unlabelled(task, Path(source.unlabelled_file).expanduser())
    elif source.kind == "toy":
        found = toy_text(task.name, max(count, 1), seed=source.seed)
    else:
        tests = [split for split in task.splits if split.startswith("test")]
        found = joined([load_examples(source, task, split) for split in tests])
    return first_drawn(found, count, source.seed)


def joined(parts: Sequence[Examples]) -> Examples:
    """Several splits as text without labels, numbered anew."""
    firsts = [text for part in parts for text in part.text_a]
    seconds = [text for part in parts for text in part.text_b or ()]
    return Examples.from_lists(parts[0].task, firsts, second=seconds or None, split=UNLABELLED)


def missing_tasks(source: DataSource, tasks: Sequence[str]) -> list[str]:
    """Those of GLUE's `tasks` that the source has not at all, in the order given.

    A task folder without its files is not missing: loading it says which file was expected.
    """
    if source.kind == "hub":
        apart = {name for name in tasks if find_task(name).hub}
        # GLUE itself has them all: asking would need the network for a mere plan.
        have = apart | set(GLUE if source.hub == HUB else _hub_configs(source))
    elif source.kind == "folder":
        root = _root(source)
        have = {name for name in tasks if task_folders(find_task(name), root)}
    else:
        have = set(TASKS)
    return [name for name in tasks if name not in have]


def find_task(task: Task | str) -> Task:
    """The task itself, or the known task of that name; MtkdError if there is none."""
    if isinstance(task, Task):
        return task
    if task not in TASKS:
        raise MtkdError(f"unknown task {task!r}; expected one of {', '.join(TASKS)}")
    return TASKS[task]


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
    return _rows(examples, np.sort(generator.choice(len(examples), limit, replace=False)))


def first_drawn(examples: Examples, count: int, seed: int) -> Examples:
    """`count` examples drawn at random, one at least; what a larger count draws holds them, too."""
    if count >= len(examples):
        return examples
    order = np.random.default_rng([seed, *examples.task.name.encode()]).permutation(len(examples))
    return _rows(examples, np.sort(order[: max(count, 1)]))


def _rows(examples: Examples, rows: np.ndarray) -> Examples:
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

    name, config, revision = source.hub, task.name, _revision(source)
    if task.hub is not None:  # a dataset of its own
        (name, config), revision = task.hub.split(), None
    where = f"{config}/{task.splits[split]}"
    try:
        table = datasets.load_dataset(
            name, config, split=task.splits[split], revision=revision
        ).with_format("arrow")[:]
    except Exception as error:  # the hub's clients raise from several trees of their own
        raise _hub_error(name, revision, where, error) from error
    return from_table(task, split, table, f"{name} {where}")


@functools.cache  # every variant of a study asks for it
def _hub_configs(source: DataSource) -> list[str]:
    import datasets

    try:
        return list(datasets.get_dataset_config_names(source.hub, revision=_revision(source)))
    except Exception as error:  # as above
        raise _hub_error(source.hub, _revision(source), "its task names", error) from error


def _hub_error(name: str, revision: str | None, what: str, error: Exception) -> MtkdError:
    cause = first_line(error)
    return MtkdError(
        f"{name} (revision {revision}): cannot get {what} from the hub ({cause}); "
        "check the network and data.hub, or give local files with --data-path, or use the demo "
        "recipe, which needs neither"
    )
