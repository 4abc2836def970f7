"""Tables in files of one's own: CSV, TSV, JSONL, Parquet; of the hub; and in memory.

Every error is one line that names file and line, or row, and what was expected there.
"""

from __future__ import annotations

import csv
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mtkd.common.errors import MtkdError, first_line

TEXTUAL = (".csv", ".tsv", ".jsonl")
SUFFIXES = (*TEXTUAL, ".parquet")
HUB = "hf:"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")
LONGEST = 10_000_000  # characters of one cell


@dataclass(frozen=True)
class Table:
    """Columns of N rows, and where each row stands in its file."""

    source: str
    columns: dict[str, list[Any]]
    lines: tuple[int, ...]  # line of a text file, from 1; elsewhere the row, from 0
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # declared, by column

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """ "file.csv:12", or "file.parquet, row 11"."""
        between = ":" if Path(self.source).suffix.lower() in TEXTUAL else ", row "
        return f"{self.source}{between}{self.lines[row]}"

    def column(self, name: str, what: str) -> list[Any]:
        """One column. Raises MtkdError that says `what` it was to hold."""
        if name not in self.columns:
            have = ", ".join(key[:40] for key in list(self.columns)[:20])
            raise MtkdError(f"{self.source}: no column {name!r} ({what}); found {have}")
        return self.columns[name]


def read_table(source: str) -> Table:
    """The table in a file, read once while it stays as it is. Raises MtkdError."""
    path = Path(source)
    if path.suffix.lower() not in SUFFIXES and path.exists():
        raise MtkdError(f"{path}: expected a file that ends in one of {', '.join(SUFFIXES)}")
    try:
        found = path.stat()
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected a file of examples there") from None
    return read_file(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(32)  # its task, its splits and its identity ask for it
def read_file(path: Path, size: int, changed: int) -> Table:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        table = read_parquet(path)
    else:
        columns: dict[str, list[Any]] = {}
        lines: list[int] = []
        for line, row in json_rows(path) if suffix == ".jsonl" else separated_rows(path):
            for name in row:
                columns.setdefault(name, [None] * len(lines))
            for name, column in columns.items():
                column.append(row.get(name))
            lines.append(line)
        if suffix == ".jsonl":
            columns = dict(sorted(columns.items()))
        table = Table(str(path), columns, tuple(lines))
    if not len(table):
        raise MtkdError(f"{path}: no rows; expected at least one example")
    return table


def text_lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file with their ends, without a byte-order mark."""
    try:
        with path.open("rb") as file:  # bytes: only "\n" ends a line; U+2028 and friends are text
            for number, raw in enumerate(file, 1):
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise MtkdError(
                        f"{path}:{number}: byte {error.start + 1} is not UTF-8; expected a UTF-8 "
                        "file: save it as UTF-8"
                    ) from None
                if "\0" in line:
                    raise MtkdError(f"{path}:{number}: a NUL byte; expected text: is it whole?")
                yield line
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected a file that can be read") from None


def separated_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and cells of each row of a CSV file, or of a TSV file, whose quotes are text."""
    csv.field_size_limit(LONGEST)
    comma = path.suffix.lower() == ".csv"
    how: dict[str, Any] = {"strict": True} if comma else {"delimiter": "\t"}
    how["quoting"] = csv.QUOTE_MINIMAL if comma else csv.QUOTE_NONE
    reader = csv.reader(text_lines(path), **how)
    line = 1  # where the row begins: a text in quotes may go over several
    try:
        names = [name.strip() for name in next(reader, [])]
        check_names(names, path, comma)
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) not in (0, len(names)):
                raise MtkdError(
                    f"{path}:{line}: {len(cells)} columns; expected {len(names)} "
                    f"({', '.join(name[:40] for name in names[:20])})"
                    + ('; a text with a comma needs "quotes"' if comma else "")
                )
            if cells:  # no empty line
                yield line, dict(zip(names, (cell or None for cell in cells), strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise MtkdError(
            f"{path}:{line}: not valid CSV, in the row that begins there ({error}); expected "
            "quotes that are closed, and doubled inside a text"
        ) from None


def check_names(names: list[str], path: Path, comma: bool) -> None:
    """Refuse a first line that names no columns."""
    if not names or not all(names) or len(set(names)) < len(names):
        raise MtkdError(f"{path}:1: columns {names[:20]}; expected a first line of different names")
    others = {";": "semicolons", "\t": "tabs", "|": "bars"} if comma else {",": "commas"}
    if len(names) == 1 and (found := [word for mark, word in others.items() if mark in names[0]]):
        wanted = "commas" if comma else "tabs"
        raise MtkdError(
            f"{path}:1: one column, with {found[0]} in its name; expected {wanted} between "
            f"columns: save the file with {wanted}" + (", or as .tsv" if "\t" in names[0] else "")
        )


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and keys of each line of a JSONL file."""
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            json.dumps(row, ensure_ascii=False).encode()  # no half of a pair, as "\ud83d"
        except (ValueError, RecursionError) as error:
            raise MtkdError(
                f"{path}:{number}: not valid JSON ({error}); expected one whole object a line"
            ) from None
        if isinstance(row, list):  # what a pipeline of Hugging Face gives of one text
            row = {"scores": row}
        if not isinstance(row, dict):
            raise MtkdError(
                f'{path}:{number}: expected an object like {{"text": ..., "label": ...}}'
            )
        yield number, row


def read_parquet(path: Path) -> Table:
    try:
        return from_arrow(pq.ParquetFile(path).read(), str(path))
    except (pa.ArrowException, OSError) as error:
        cause = first_line(error)
        raise MtkdError(f"{path}: not readable as Parquet ({cause}); write it again") from None


def from_arrow(table: pa.Table, source: str) -> Table:
    """Columns of an Arrow table, classes by their names where `datasets` keeps them beside it."""
    if len(set(table.column_names)) < table.num_columns:
        raise MtkdError(f"{source}: columns {table.column_names}; expected different names")
    columns = {
        name: column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    classes = {}
    for name, column in columns.items():
        if names := declared_classes(table, name, source):
            classes[name] = names
            columns[name] = [named(value, names, f"{source}: column {name!r}") for value in column]
    return Table(source, columns, tuple(range(table.num_rows)), classes)


def declared_classes(table: pa.Table, column: str, source: str) -> tuple[str, ...]:
    """Names of a column's classes, or of its lists of classes, as `datasets` keeps them."""
    try:
        facts = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
        feature = ((facts.get("info") or {}).get("features") or {}).get(column)
        feature = feature.get("feature", feature) if isinstance(feature, dict) else {}
        return tuple(str(name) for name in feature.get("names") or ())
    except (ValueError, AttributeError):
        raise MtkdError(
            f"{source}: the metadata that `datasets` keeps in a Parquet file cannot be read; "
            "write the file again"
        ) from None


def named(value: Any, names: tuple[str, ...], where: str) -> Any:
    """A class's name, or those of a list of classes; none for the -1 of a class not known."""
    if isinstance(value, list):
        return [named(one, names, where) for one in value]
    if value is None or value == -1:
        return None
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise MtkdError(f"{where} has class {value!r}; expected 0 to {len(names) - 1}")
    return names[value]


def in_memory(data: Any, source: str) -> Table:
    """The table of a pandas DataFrame or a `datasets.Dataset`. Raises MtkdError."""
    import pandas as pd  # slow to import, and needed here only

    if not isinstance(data, pd.DataFrame) and not hasattr(data, "with_format"):
        raise MtkdError(
            f"{source}: a {type(data).__name__}; expected a file, a pandas DataFrame, a "
            "datasets.Dataset, or a mapping of split to one of them"
        )
    try:
        frame = isinstance(data, pd.DataFrame)
        arrow = pa.Table.from_pandas(data, preserve_index=False) if frame else whole(data)
    except pa.ArrowException as error:
        cause = first_line(error)
        raise MtkdError(f"{source}: {cause}; expected one type of values in a column") from None
    if not arrow.num_rows:
        raise MtkdError(f"{source}: no rows; expected at least one example")
    return from_arrow(arrow, source)


def whole(data: Any) -> pa.Table:
    """All rows of a `datasets.Dataset`, as they are."""
    return data.with_format("arrow")[:]


def hub_splits(source: str) -> tuple[str, ...]:
    """Names of the splits of "hf:owner/name/configuration@commit". Raises MtkdError."""
    return tuple(hub_data(source))


@functools.lru_cache(32)
def hub_table(source: str, split: str) -> Table:
    """One of its splits. Raises MtkdError."""
    return from_arrow(whole(hub_data(source)[split]), f"{source} {split}")


@functools.lru_cache(256)  # a data set stays on disk until its rows are asked for
def hub_data(source: str) -> Any:
    import datasets  # slow to import, and needed here only

    name, _, revision = source.removeprefix(HUB).partition("@")
    owner, repository, *configuration = [*name.split("/"), ""][:3]
    local = Path(owner, repository).exists()  # which `datasets` would take in place of the hub's
    if local or not HUB_NAME.fullmatch(source.removeprefix(HUB)):
        raise MtkdError(
            f"{source}: expected hf:owner/name or hf:owner/name/configuration of the hub, with "
            "@commit behind it or not; a local folder goes without hf:"
        )
    try:
        return datasets.load_dataset(
            f"{owner}/{repository}", *filter(None, configuration), revision=revision or None
        )
    except Exception as error:  # the hub's clients raise from several trees of their own
        cause = first_line(error)
        raise MtkdError(
            f"{source}: cannot be had from the hub ({cause}); check its name, its configuration "
            "and the network"
        ) from error
