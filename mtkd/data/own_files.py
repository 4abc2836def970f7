"""Tables in files of one's own: CSV, TSV, JSONL, Parquet, or a data set of the hub.

Every error is one line that names file and line, or row, and what was expected there.
"""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mtkd.common.errors import MtkdError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
HUB = "hf:"
LONGEST = 10_000_000  # characters of one cell


@dataclass(frozen=True)
class Table:
    """Columns of N rows, and where each row stands in its file."""

    source: str
    columns: dict[str, list[Any]]
    lines: tuple[int, ...]  # line of the file, from 1; in Parquet and hub data the row, from 0

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, row: int) -> str:
        """ "file.csv:12", or "file.parquet, row 11"."""
        between = ", row " if not self.source.endswith((".csv", ".tsv", ".jsonl")) else ":"
        return f"{self.source}{between}{self.lines[row]}"

    def column(self, name: str, what: str) -> list[Any]:
        """One column. Raises MtkdError that says `what` it was to hold."""
        if name not in self.columns:
            have = ", ".join(key[:40] for key in list(self.columns)[:20])
            raise MtkdError(f"{self.source}: no column {name!r} ({what}); found {have}")
        return self.columns[name]


def read_table(source: str) -> Table:
    """The table in a file, read once while it stays as it is. Raises MtkdError."""
    if source.startswith(HUB):
        return read_hub(source, "")
    path = Path(source)
    if path.suffix not in SUFFIXES:
        raise MtkdError(f"{path}: expected a file that ends in one of {', '.join(SUFFIXES)}")
    try:
        found = path.stat()
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected a file of examples there") from None
    return read_file(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(32)  # its task, its splits and its identity ask for it
def read_file(path: Path, size: int, changed: int) -> Table:
    if path.suffix == ".parquet":
        table = read_parquet(path)
    else:
        rows = json_rows(path) if path.suffix == ".jsonl" else separated_rows(path)
        names: dict[str, list[Any]] = {}
        lines: list[int] = []
        for line, row in rows:
            lines.append(line)
            for name in row.keys() - names.keys():
                names[name] = [None] * (len(lines) - 1)
            for name, column in names.items():
                column.append(row.get(name))
        table = Table(str(path), in_order(names, path), tuple(lines))
    if not len(table):
        raise MtkdError(f"{path}: no rows; expected at least one example")
    return table


def in_order(columns: dict[str, list[Any]], path: Path) -> dict[str, list[Any]]:
    """Columns sorted by name where the rows are sets of keys, else as they are."""
    return dict(sorted(columns.items())) if path.suffix == ".jsonl" else columns


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
    how: dict[str, Any] = {"strict": True}
    if path.suffix == ".tsv":
        how = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    reader = csv.reader(text_lines(path), **how)
    try:
        names = next(reader, [])
        if not names or not all(names) or len(set(names)) < len(names):
            raise MtkdError(
                f"{path}:1: columns {names[:20]}; expected a first line of different names"
            )
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not cells:
                continue  # an empty line
            if len(cells) != len(names):
                raise MtkdError(
                    f"{path}:{line}: {len(cells)} columns; expected {len(names)} "
                    f"({', '.join(name[:40] for name in names[:20])})"
                    + ('; a text with a comma needs "quotes"' if path.suffix == ".csv" else "")
                )
            yield line, dict(zip(names, (cell or None for cell in cells), strict=True))
    except csv.Error as error:
        raise MtkdError(
            f"{path}:{reader.line_num}: not valid CSV ({error}); expected quotes that are closed "
            "and doubled inside a text"
        ) from None


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and keys of each line of a JSONL file."""
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise MtkdError(f"{path}:{number}: not valid JSON ({error})") from None
        if isinstance(row, list):  # what a pipeline of Hugging Face gives of one text
            row = {"scores": row}
        if not isinstance(row, dict):
            raise MtkdError(
                f'{path}:{number}: expected an object like {{"text": ..., "label": ..}}'
            )
        yield number, row


def read_parquet(path: Path) -> Table:
    try:
        return from_arrow(pq.ParquetFile(path).read(), str(path))
    except (pa.ArrowException, OSError) as error:
        cause = str(error).splitlines()[0]
        raise MtkdError(f"{path}: not readable as Parquet ({cause}); write it again") from None


def from_arrow(table: pa.Table, source: str) -> Table:
    """Columns of an Arrow table, classes by their names where `datasets` keeps them beside it."""
    facts = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    features = (facts.get("info") or {}).get("features") or {}
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    for name, column in columns.items():
        feature = features.get(name)
        if names := feature.get("names") if isinstance(feature, dict) else None:
            columns[name] = [names[v] if isinstance(v, int) and v >= 0 else None for v in column]
    return Table(source, columns, tuple(range(table.num_rows)))


@functools.lru_cache(32)
def hub_splits(source: str) -> tuple[str, ...]:
    """Splits of "hf:name/configuration". Raises MtkdError if the hub cannot be reached."""
    return tuple(hub_data(source))


def read_hub(source: str, split: str) -> Table:
    """One split of "hf:name/configuration"."""
    data = hub_data(source)
    return from_arrow(data[split].with_format("arrow")[:], f"{source} {split}".strip())


@functools.lru_cache(4)
def hub_data(source: str) -> Any:
    import datasets  # slow to import, and needed here only

    name, at, revision = source.removeprefix(HUB).partition("@")
    owner, *rest = name.split("/")
    # "owner/name/configuration", "name/configuration" is not told from "owner/name": two are a name
    repository, config = ("/".join([owner, *rest[:1]]), rest[1] if len(rest) > 1 else None)
    try:
        return datasets.load_dataset(repository, config, revision=revision if at else None)
    except Exception as error:  # the hub's clients raise from several trees of their own
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MtkdError(
            f"{source}: cannot be had from the hub ({cause}); expected hf:owner/name or "
            "hf:owner/name/configuration, and a network"
        ) from error
