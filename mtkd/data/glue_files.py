"""Read one split of one task from a file: the official GLUE TSV layout, or the hub's Parquet.

Every quirk of the official files that could silently change the data is handled, or refused
with one line that names file and line: byte-order mark (MRPC), no header (CoLA), quotation
marks that are text, broken rows (QQP), labels as names in one file and numbers in another.
"""

import codecs
import reprlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mtkd.common.errors import MtkdError, first_line
from mtkd.data.label_names import class_names, class_places
from mtkd.data.tasks import GLUE, UNLABELLED, Examples, Task

# Files without a header.
COLUMNS = {
    "cola": ["source", "label", "mark", "sentence"],  # train and dev
    "scitail": ["premise", "hypothesis", "label"],
}
# Labels of examples on which the annotators did not agree.
UNDECIDED: dict[str, tuple[object, ...]] = {"snli": ("-", -1, "-1")}
# What the official files call the hub's columns, where the names differ.
TEXT_NAMES = {
    "premise": "sentence1",
    "hypothesis": "sentence2",
    "sentence1": "#1 String",
    "sentence2": "#2 String",
}
LABEL_NAMES = ("label", "gold_label", "Quality", "is_duplicate", "score")
INDEX_NAMES = ("idx", "index", "id")
LABEL = -2  # place among the `_wanted` columns: texts, label, id
SCORES = (0.0, 5.0)  # STS-B
RELOAD = "the file may be cut short or not the official one: download it again"

Where = Callable[[int], str]  # row number, from 0 -> "folder/file.tsv:12"


def read_folder(task: Task, split: str, root: Path) -> Examples:
    """Read a split below `root`: `RTE/train.tsv`, or the hub's `rte/train-00000-of-00001.parquet`.

    Raises MtkdError if neither is there or a file is not what it should be.
    """
    tsv = root / task.folder / tsv_name(task, split)
    if tsv.is_file():
        return read_tsv(task, split, tsv)
    for folder in task_folders(task, root):
        if files := _parquet_files(folder, task.splits[split]):
            return read_parquet(task, split, files)
    hub = Path(task.name, f"{task.splits[split]}-00000-of-00001.parquet")
    raise MtkdError(
        f"{tsv}: no such file, nor {hub}; expected the {split} split of {task.title} there: "
        "check --data-path, or leave the task out of the recipe"
    )


def task_folders(task: Task, root: Path) -> list[Path]:
    """Existing folders below `root` that may hold the task, as TSV or Parquet."""
    names = dict.fromkeys(name for name in (task.folder, task.name) if name)
    return [root / name for name in names if (root / name).is_dir()]


def tsv_name(task: Task, split: str) -> str:
    """The official file name of a split, as "dev_matched.tsv"."""
    return task.file.format(split=task.splits[split].replace("validation", "dev"))


def read_tsv(task: Task, split: str, path: Path) -> Examples:
    """Read one official TSV file.

    Broken rows of QQP's train and dev, and SNLI's rows without a label, are skipped and counted.
    Raises MtkdError for any other, and for a last line that is cut inside a column.
    """
    lines = _lines(path)
    headless = task.name in COLUMNS and (task.name, split) != ("cola", "test")
    names = COLUMNS[task.name] if headless else next(lines)[1].split("\t")
    wanted = _wanted(task, split, names, path)
    # A question with a line break in it is cut in two: known rows of the official QQP files. A
    # test row is never skipped, since the upload needs every one.
    skip = task.name == "qqp" and split != "test"
    rows: list[list[str | None]] = []  # the wanted cells of each row
    numbers: list[int] = []  # and the row's line
    broken, last = 0, len(names) - 1
    for number, line, ended in lines:
        cells = line.split("\t")
        if len(cells) == len(names):
            if not (ended or cells[last]) and last in wanted:
                raise MtkdError(
                    f"{path}:{number}: empty {names[last][:40]}, and the last line does not end in "
                    f"a line break; expected a value; {RELOAD}"
                )
            rows.append([None if at is None else cells[at] for at in wanted])
            numbers.append(number)
        elif skip and ended:
            broken += 1
        else:
            cut = "" if ended else ", and the last line does not end in a line break"
            expected = f"{len(names)} ({', '.join(name[:40] for name in names)})"
            raise MtkdError(
                f"{path}:{number}: {len(cells)} columns{cut}; expected {expected}; {RELOAD}"
            )
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in wanted]
    return _examples(task, split, columns, path, lambda row: f"{path}:{numbers[row]}", broken)


def read_unlabelled(
    task: Task, path: Path, known: Collection[str] = GLUE.keys(), split: str = UNLABELLED
) -> Examples:
    """A task's lines of a file of text without labels: task, text and second text, with tabs.

    `known` are the names of tasks that a line may begin with. Raises MtkdError.
    """
    width = 1 + len(task.columns)
    rows = []
    for number, line, _ in _lines(path):
        name, *texts = line.split("\t")
        if name not in known:
            own = "; text of a task of your own goes into its `data: {unlabelled: FILE}`"
            raise MtkdError(
                f"{path}:{number}: {name[:40]!r} is no task; expected one of "
                f"{', '.join(known)}, then its text or two texts, with tabs between them"
                f"{own if known == GLUE.keys() else ''}"
            )
        if name == task.name:
            if len(texts) != len(task.columns) or not all(texts):
                empty = "" if all(texts) else ", an empty text among them"
                raise MtkdError(
                    f"{path}:{number}: {1 + len(texts)} columns{empty}; expected {width}: "
                    f"{task.name}, {', '.join(task.columns)}"
                )
            rows.append(texts)
    firsts, *seconds = ([row[at] for row in rows] for at in range(len(task.columns)))
    return Examples.from_lists(task, firsts, second=next(iter(seconds), None), split=split)


def read_parquet(task: Task, split: str, files: Sequence[Path]) -> Examples:
    """Read the Parquet shards of one split, in their order."""
    path = files[0]
    try:
        # ParquetFile takes the file alone: no columns are guessed from folder names.
        tables = [pq.ParquetFile(path := file).read() for file in files]
        table = pa.concat_tables(tables)
    except (pa.ArrowException, OSError) as error:
        cause = first_line(error)
        raise MtkdError(f"{path}: not readable as Parquet ({cause}); {RELOAD}") from error
    return from_table(task, split, table, str(files[0].parent / f"{task.splits[split]}*.parquet"))


def from_table(task: Task, split: str, table: pa.Table, source: str) -> Examples:
    """Examples of a table with the hub's columns; `source` names it in error lines.

    Where the table names its classes, the names decide which is which, whatever their order.
    """
    wanted = _wanted(task, split, table.column_names, source)
    columns: list[list[Any]] = [
        [None] * table.num_rows if at is None else table.column(at).to_pylist() for at in wanted
    ]
    label = wanted[LABEL]
    if label is not None:
        named = class_names(task, table, table.column_names[label], source)
        columns[LABEL] = [named.get(value, value) for value in columns[LABEL]]
    return _examples(task, split, columns, source, lambda row: f"{source}, row {row}")


def _lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Number (from 1), text, and whether it ends in a line break, of each line of a UTF-8 file."""
    try:
        file = path.open("rb")  # bytes: only "\n" ends a line; U+2028 and friends are text
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected a TSV file there") from error
    number = 0
    with file:
        for number, raw in enumerate(file, start=1):
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise MtkdError(
                    f"{path}:{number}: byte {error.start + 1} is not UTF-8; expected a UTF-8 file: "
                    "convert it, or download it again"
                ) from error
            if "\0" in line:
                raise MtkdError(f"{path}:{number}: a NUL byte; expected text; {RELOAD}")
            yield number, line.removesuffix("\n").removesuffix("\r"), line.endswith("\n")
    if number == 0:
        raise MtkdError(f"{path}: empty file; expected a tab-separated table; {RELOAD}")


def _wanted(task: Task, split: str, names: Sequence[str], source: Path | str) -> list[int | None]:
    """Places of the columns of texts, label and id; None for a label or id that is not there.

    Raises MtkdError for a text, or outside the test splits a label, that is not there.
    """

    def find(candidates: Sequence[str | None], optional: bool = False) -> int | None:
        for candidate in candidates:
            if candidate in names:
                return names.index(candidate)
        if optional:
            return None
        line = ":1" if isinstance(source, Path) else ""
        raise MtkdError(
            f"{source}{line}: no column {' or '.join(c for c in candidates if c)}; "
            f"found {', '.join(n[:40] for n in names[:20])}; {RELOAD}"
        )

    texts = [find((column, TEXT_NAMES.get(column))) for column in task.columns]
    label = find(LABEL_NAMES, optional=split.startswith("test"))
    return [*texts, label, find(INDEX_NAMES, optional=True)]


def _examples(
    task: Task,
    split: str,
    columns: list[list[Any]],
    source: Path | str,
    where: Where,
    broken: int = 0,
) -> Examples:
    """Examples of the `_wanted` columns, without those that have no label for good."""
    undecided = UNDECIDED.get(task.name, ())
    rows = [row for row, label in enumerate(columns[LABEL]) if label not in undecided]
    skipped = broken + len(columns[LABEL]) - len(rows)
    if len(rows) <= skipped:
        raise MtkdError(
            f"{source}: {len(rows)} examples and {skipped} broken rows; expected {task.title}'s "
            f"{split} examples; {RELOAD}"
        )
    *texts, labels, ids = ([column[row] for row in rows] for column in columns)

    def place(row: int) -> str:
        return where(rows[row])

    for column in texts:
        for row, text in enumerate(column):
            if not isinstance(text, str) or "\0" in text:
                said = reprlib.repr(text)
                raise MtkdError(f"{place(row)}: a text is {said}; expected a string; {RELOAD}")
    empty = sum(not text.strip() for column in texts for text in column)
    label = _labels(task, labels, place)
    if label is None and not split.startswith("test"):
        raise MtkdError(f"{place(0)}: no label at all; expected labels in the {split} split")
    return Examples(
        task=task,
        split=split,
        idx=_row_ids(ids),
        text_a=texts[0],
        text_b=texts[1] if len(texts) > 1 else None,
        label=label,
        skipped=skipped,
        notice="; ".join(_oddities(task, split, len(rows), empty, source)),
    )


def _oddities(task: Task, split: str, count: int, empty: int, source: Path | str) -> Iterator[str]:
    """What is odd about a file that is used as it is.

    Extracts have fewer examples than GLUE, and so has a file that was cut short; a few questions
    of QQP are empty.
    """
    known = task.sizes.get(split, count)
    if count != known:
        why = "cut short" if count < known else "another version"
        yield f"{source}: {count:,} examples, GLUE has {known:,}; {why}? (used as it is)"
    if empty:
        yield f"{source}: {empty:,} empty texts (used as they are)"


def _labels(task: Task, values: list[Any], where: Where) -> np.ndarray | None:
    """Class indices (int64) or scores (float32); None where all are missing or the hub's -1."""
    if all(value in (None, -1, "-1") for value in values):
        return None
    if not task.labels:
        scores = [_score(task, value, row, where) for row, value in enumerate(values)]
        return np.array(scores, np.float32)
    known = class_places(task)
    for row, value in enumerate(values):
        if value not in known:
            expected = ", ".join(f"{name} or {at}" for at, name in enumerate(task.labels))
            raise MtkdError(
                f"{where(row)}: unknown {task.title} label {value!r}; expected {expected}"
            )
    return np.array([known[value] for value in values], np.int64)


def _score(task: Task, value: Any, row: int, where: Where) -> float:
    low, high = SCORES if task.name == "stsb" else (-np.inf, np.inf)
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = np.nan
    if np.isfinite(score) and low <= score <= high:
        return score
    between = f" between {low:g} and {high:g}" if np.isfinite(low) else ""
    raise MtkdError(f"{where(row)}: {task.title} score {value!r}; expected a number{between}")


def _row_ids(values: list[Any]) -> np.ndarray:
    """The file's own ids if they are whole numbers and unique, else row numbers from 0."""
    rows = np.arange(len(values), dtype=np.int64)
    try:
        ids = np.array([int(value) for value in values], np.int64)
    except (TypeError, ValueError, OverflowError):
        return rows
    return ids if len(np.unique(ids)) == len(ids) else rows


def _parquet_files(folder: Path, split: str) -> list[Path]:
    """The shards of a split, as `train-00000-of-00001.parquet` or `train.parquet`; all of them."""
    files = sorted([*folder.glob(f"{split}-*-of-*.parquet"), *folder.glob(f"{split}.parquet")])
    if files and "-of-" in files[-1].stem:
        total = files[-1].stem.rpartition("-of-")[2]
        if not total.isdigit() or int(total) != len(files):
            raise MtkdError(f"{files[-1]}: {len(files)} shards found; expected {total}; {RELOAD}")
    return files
