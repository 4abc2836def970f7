"""Rows of a file of any size, a part of it at a time: CSV, TSV, JSONL and Parquet."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from mtkd.common.errors import MtkdError, first_line
from mtkd.data.own_files import json_rows, separated_rows

Row = dict[str, Any]
Write = Callable[[Sequence[Row]], None]  # appends rows to a file
CHUNK = 1024  # rows in memory
UNFIT = (pa.ArrowException, TypeError, OverflowError)  # what Arrow raises for a value of no type


def chunks(path: Path) -> Iterator[list[tuple[str, Row]]]:
    """Where each row stands ("file.csv:12"), and the row. Raises MtkdError for a broken file."""
    if is_parquet(path):
        rows = parquet_rows(path)
    else:
        read = json_rows if path.suffix.lower() == ".jsonl" else separated_rows
        rows = ((f"{path}:{line}", row) for line, row in read(path))
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


def is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def parquet_rows(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        with pq.ParquetFile(path) as file:
            batches = (batch.to_pylist() for batch in file.iter_batches(CHUNK))
            for number, row in enumerate(itertools.chain.from_iterable(batches)):
                yield f"{path}, row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise MtkdError(
            f"{path}: not readable as Parquet ({first_line(error)}); write it again"
        ) from None


def types_of(path: Path) -> pa.Schema:
    """Types of Parquet that hold all values of a file's columns. Raises MtkdError."""
    types = pq.read_schema(path) if is_parquet(path) else pa.schema([])
    for chunk in () if is_parquet(path) else chunks(path):
        types = widened(types, chunk)
    return types


def widened(types: pa.Schema, chunk: Sequence[tuple[str, Row]]) -> pa.Schema:
    """Types that hold the values of these rows, too. Raises MtkdError at the first that cannot."""
    rows = [row for _, row in chunk]
    names = dict.fromkeys(itertools.chain.from_iterable(rows))
    try:
        found = [(name, pa.array([row.get(name) for row in rows]).type) for name in names]
        return pa.unify_schemas([types, pa.schema(found)], promote_options="permissive")
    except UNFIT as error:
        if len(chunk) == 1:
            raise MtkdError(
                f"{chunk[0][0]}: a value of another type than those before it in its column "
                f"({first_line(error)}); expected one type, or an output in .jsonl"
            ) from None
    for one in chunk:  # which of them it is
        types = widened(types, [one])
    return types


@contextmanager
def writer(path: Path, output: Path, names: Sequence[str], source: Path) -> Iterator[Write]:
    """What appends rows to a new file at `path`, of the kind of `output`, whose place it will take.

    `names` are the columns of `source`, whose types Parquet keeps; those that only the rows have
    come after them.
    """
    if is_parquet(output):
        types = types_of(source)
        with ExitStack() as stack:
            yield parquet_writer(path, output, types, names, stack)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if output.suffix.lower() == ".jsonl":
            yield lambda rows: file.writelines(as_json(row) + "\n" for row in rows)
        else:
            yield separated_writer(file, output, names)


def separated_writer(file: TextIO, output: Path, names: Sequence[str]) -> Write:
    """Of CSV, or of TSV, whose quotes are text; nested values are written as JSON."""
    how: dict[str, Any] = {"lineterminator": "\n"}
    if output.suffix.lower() == ".tsv":
        how |= {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None}
    table = csv.writer(file, **how)
    titles: list[str] = []

    def write(rows: Sequence[Row]) -> None:
        if not titles:
            titles.extend(dict.fromkeys([*names, *rows[0]]))
            table.writerow(titles)
        try:
            table.writerows([as_cell(row.get(name)) for name in titles] for row in rows)
        except csv.Error:
            raise MtkdError(
                f"{output}: a tab or a line break in a text, which .tsv cannot hold; expected "
                "an output in .csv, .jsonl or .parquet"
            ) from None

    return write


def parquet_writer(
    path: Path, output: Path, types: pa.Schema, names: Sequence[str], stack: ExitStack
) -> Write:
    """Of Parquet with these types; those of other columns are the types of the first rows."""
    files: list[pq.ParquetWriter] = []

    def write(rows: Sequence[Row]) -> None:
        try:
            if not files:
                schema = completed(types, dict.fromkeys([*names, *rows[0]]), rows)
                files.append(stack.enter_context(pq.ParquetWriter(path, schema)))
            schema = files[0].schema
            columns = [pa.array([row.get(one.name) for row in rows], one.type) for one in schema]
            files[0].write_table(pa.Table.from_arrays(columns, schema=schema))
        except UNFIT as error:
            raise MtkdError(
                f"{output}: values that Parquet cannot hold in one column ({first_line(error)}); "
                "expected values of one type, or an output in .jsonl"
            ) from None

    return write


def completed(types: pa.Schema, names: Iterable[str], rows: Sequence[Row]) -> pa.Schema:
    """Types with those of more columns, as some rows have them; text where a column is empty."""
    for name in names:
        if name not in types.names:
            types = types.append(pa.field(name, pa.array([row.get(name) for row in rows]).type))
    for place, one in enumerate(types):
        if pa.types.is_null(one.type):
            types = types.set(place, one.with_type(pa.string()))
    return types


def as_cell(value: Any) -> Any:
    return as_json(value) if isinstance(value, dict | list) else value


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
