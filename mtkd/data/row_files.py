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

from mtkd.common.errors import MtkdError
from mtkd.data.own_files import json_rows, separated_rows

Row = dict[str, Any]
Write = Callable[[Sequence[Row]], None]  # appends rows to a file
CHUNK = 1024  # rows in memory


def chunks(path: Path) -> Iterator[list[tuple[str, Row]]]:
    """Where each row stands ("file.csv:12"), and the row. Raises MtkdError for a broken file."""
    if path.suffix == ".parquet":
        rows = parquet_rows(path)
    else:
        read = json_rows if path.suffix == ".jsonl" else separated_rows
        rows = ((f"{path}:{line}", row) for line, row in read(path))
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


def parquet_rows(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        with pq.ParquetFile(path) as file:
            batches = (batch.to_pylist() for batch in file.iter_batches(CHUNK))
            for number, row in enumerate(itertools.chain.from_iterable(batches)):
                yield f"{path}, row {number}", row
    except (pa.ArrowException, OSError) as error:
        cause = str(error).splitlines()[0]
        raise MtkdError(f"{path}: not readable as Parquet ({cause}); write it again") from None


@contextmanager
def writer(path: Path, output: Path, names: Sequence[str], source: Path) -> Iterator[Write]:
    """What appends rows to a new file at `path`, of the kind of `output`, whose place it will take.

    `names` are the columns of `source`, whose types Parquet keeps; those that only the rows have
    come after them.
    """
    if output.suffix == ".parquet":
        types = pq.read_schema(source) if source.suffix == ".parquet" else pa.schema([])
        with ExitStack() as stack:
            yield parquet_writer(path, output, types, names, stack)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        if output.suffix == ".jsonl":
            yield lambda rows: file.writelines(as_json(row) + "\n" for row in rows)
        else:
            yield separated_writer(file, output, names)


def separated_writer(file: TextIO, output: Path, names: Sequence[str]) -> Write:
    """Of CSV, or of TSV, whose quotes are text; nested values are written as JSON."""
    how: dict[str, Any] = {"lineterminator": "\n"}
    if output.suffix == ".tsv":
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
            files[0].write_table(pa.Table.from_pylist([*rows], files[0].schema))
        except (pa.ArrowException, TypeError) as error:
            cause = str(error).splitlines()[0]
            raise MtkdError(
                f"{output}: a column with values of several types ({cause}); expected one type, or "
                "an output in .jsonl"
            ) from None

    return write


def completed(types: pa.Schema, names: Iterable[str], rows: Sequence[Row]) -> pa.Schema:
    """Types with those of more columns, as some rows have them; text where these are empty."""
    for name in names:
        if name not in types.names:
            found = pa.array([row.get(name) for row in rows]).type
            types = types.append(pa.field(name, pa.string() if pa.types.is_null(found) else found))
    return types


def as_cell(value: Any) -> Any:
    return as_json(value) if isinstance(value, dict | list) else value


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
