"""Load a task from toy, folder or hub; tokenise it once into a memory-mapped Arrow file."""

import contextlib
import hashlib
import itertools
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from mtkd.errors import MtkdError
from mtkd.glue_files import from_table, read_folder, task_folders
from mtkd.tasks import GLUE, Examples, Task
from mtkd.toy import toy_examples

GLUE_REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"  # of nyu-mll/glue
BATCH = 1024  # rows tokenised at a time
CHECKSUM = 4  # bytes of CRC-32 at the end of a cache file
CACHE_LAYOUT = "1"  # part of the fingerprint: raise it when the cache file changes


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


@dataclass(frozen=True)
class Encoded:
    """One tokenised split, memory-mapped from its Arrow cache file; its arrays are read-only."""

    task: Task
    split: str
    idx: np.ndarray  # int64 (N,)
    tokens: np.ndarray  # int32 (total,), all rows one after the other
    segments: np.ndarray  # int8 (total,): 0 special token, 1 first text, 2 second text
    offsets: np.ndarray  # int64 (N+1,): row i is tokens[offsets[i]:offsets[i + 1]]
    label: np.ndarray | None  # int64 or float32 (N,)
    fingerprint: str  # hash of content + tokenizer + max_length
    truncated: int  # rows cut to max_length

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each row, int64 (N,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.idx)


def encode(examples: Examples, tokenizer: Any, max_length: int, cache_dir: Path) -> Encoded:
    """Tokenise a split, or map the file of an earlier call with the same content and tokenizer.

    `tokenizer` is a fast Hugging Face tokenizer. Rows longer than `max_length` tokens are cut,
    the longer text first; no example is ever dropped. A corrupt cache file is made again.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise MtkdError(f"{type(tokenizer).__name__} is not a fast tokenizer; expected a fast one")
    special = tokenizer.num_special_tokens_to_add(pair=examples.text_b is not None)
    if max_length < special + 2:
        raise MtkdError(f"max_length is {max_length}; expected at least {special + 2}")
    fingerprint = _fingerprint(examples, tokenizer, max_length)
    path = Path(cache_dir) / f"{examples.task.name}-{examples.split}-{fingerprint[:16]}.arrow"
    encoded = _read_cache(path, examples, fingerprint)
    if encoded is None:
        _write_cache(path, *_tokenise(examples, tokenizer, max_length), fingerprint)
        encoded = _read_cache(path, examples, fingerprint)
    if encoded is None:
        raise MtkdError(f"{path}: cannot be read back after writing; expected a sound disk there")
    return encoded


def _fingerprint(examples: Examples, tokenizer: Any, max_length: int) -> str:
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    # A tokenizer remembers the truncation and padding of its last call: not part of what it is.
    rules.update(truncation=None, padding=None)
    digest = hashlib.sha256(json.dumps(rules, sort_keys=True).encode())
    names = [examples.task.name, examples.split, max_length, tokenizer.truncation_side]
    digest.update(json.dumps([CACHE_LAYOUT, *names, len(examples)]).encode())
    for texts in (examples.text_a, examples.text_b or []):
        digest.update(np.fromiter(map(len, texts), np.int64, len(texts)).tobytes())
        digest.update("".join(texts).encode())
    for array in (examples.idx, examples.label):
        if array is not None:
            digest.update(str(array.dtype).encode() + array.tobytes())
    return digest.hexdigest()


def _tokenise(
    examples: Examples, tokenizer: Any, max_length: int
) -> tuple[dict[str, pa.Array], int]:
    """Columns of the cache file, and the number of rows that were cut."""
    tokens: list[np.ndarray] = []
    segments: list[np.ndarray] = []
    lengths: list[int] = []
    truncated = 0
    for start in range(0, len(examples), BATCH):
        rows = slice(start, start + BATCH)
        pairs = None if examples.text_b is None else examples.text_b[rows]
        batch = tokenizer(
            examples.text_a[rows], pairs, truncation="longest_first", max_length=max_length
        ).encodings
        flat = itertools.chain.from_iterable
        tokens.append(np.fromiter(flat(row.ids for row in batch), np.int32))
        texts = flat(row.sequence_ids for row in batch)  # None for a special token, else 0 or 1
        segments.append(np.fromiter((0 if s is None else s + 1 for s in texts), np.int8))
        lengths.extend(len(row.ids) for row in batch)
        truncated += sum(len(row.ids) == max_length and bool(row.overflowing) for row in batch)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64))
    columns = {
        "idx": pa.array(examples.idx, pa.int64()),
        "tokens": pa.LargeListArray.from_arrays(offsets, pa.array(_joined(tokens, np.int32))),
        "segments": pa.LargeListArray.from_arrays(offsets, pa.array(_joined(segments, np.int8))),
    }
    if examples.label is not None:
        columns["label"] = pa.array(examples.label)
    return columns, truncated


def _joined(parts: list[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _write_cache(path: Path, columns: dict[str, pa.Array], truncated: int, key: str) -> None:
    facts = {"fingerprint": key, "truncated": str(truncated)}
    batch = pa.record_batch(columns).replace_schema_metadata(facts)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    body = sink.getvalue()
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(body)
            file.write(_checksum(body))  # after the end of the stream, where Arrow does not look
        os.replace(part, path)  # readers see the whole file or none
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected to write the cache here") from error
    finally:
        with contextlib.suppress(OSError):  # mostly: there is none, it has its name by now
            part.unlink()


def _read_cache(path: Path, examples: Examples, key: str) -> Encoded | None:
    """Map a cache file; None where there is none, or it is not whole and right."""
    if not path.is_file() or path.stat().st_size <= CHECKSUM:
        return None
    whole = pa.memory_map(str(path)).read_buffer()
    body = whole.slice(0, whole.size - CHECKSUM)
    # Checked before Arrow parses a byte: a damaged file can crash it, and so the process.
    if whole.slice(body.size).to_pybytes() != _checksum(body):
        return None
    batch = pa.ipc.open_stream(body).read_next_batch()
    facts = batch.schema.metadata
    if facts[b"fingerprint"].decode() != key:
        return None
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return Encoded(
        task=examples.task,
        split=examples.split,
        idx=columns["idx"].to_numpy(),
        tokens=columns["tokens"].values.to_numpy(),
        segments=columns["segments"].values.to_numpy(),
        offsets=columns["tokens"].offsets.to_numpy(),
        label=columns["label"].to_numpy() if "label" in columns else None,
        fingerprint=key,
        truncated=int(facts[b"truncated"]),
    )


def _checksum(body: pa.Buffer) -> bytes:
    return zlib.crc32(body).to_bytes(CHECKSUM, "little")
