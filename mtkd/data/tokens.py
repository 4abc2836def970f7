"""Tokenise a split once, into a memory-mapped Arrow file."""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mtkd.common.errors import MtkdError
from mtkd.common.files import whole
from mtkd.data.tasks import Examples, Task

BATCH = 1024  # rows tokenised at a time
CHECKSUM = 4  # bytes of CRC-32 at the end of a cache file
CACHE_LAYOUT = "2"  # part of fingerprint and origin: raise it when the cache file changes


@dataclass(frozen=True)
class Encoded:
    """One tokenised split, memory-mapped from its Arrow cache file; its arrays are read-only."""

    task: Task
    split: str
    idx: np.ndarray  # int64 (N,)
    tokens: np.ndarray  # int32 (total,), all rows one after the other
    segments: np.ndarray  # int8 (total,): 0 special token, 1 first text, 2 second text
    offsets: np.ndarray  # int64 (N+1,): row i is tokens[offsets[i]:offsets[i + 1]]
    label: np.ndarray | None  # int64 or float32 (N,), or float32 (N, C), as in Examples
    fingerprint: str  # hash of content + tokenizer + max_length
    truncated: int  # rows cut to max_length

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each row, int64 (N,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.idx)

    def some(self, rows: np.ndarray) -> Encoded:
        """Some rows, in memory; without a fingerprint, and `truncated` as in the whole split."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        # From where a token goes to where it comes from, row by row
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return replace(
            self,
            idx=self.idx[rows],
            tokens=self.tokens[places],
            segments=self.segments[places],
            offsets=offsets,
            label=None if self.label is None else self.label[rows],
            fingerprint="",
        )


def encode(
    examples: Examples,
    tokenizer: Any,
    max_length: int,
    cache_dir: Path | None = None,
    origin: str | None = None,
) -> Encoded:
    """Tokenise a split, or map the file of an earlier call with the same content and tokenizer.

    `tokenizer` is a fast Hugging Face tokenizer. Rows longer than `max_length` tokens are cut,
    the longer text first; no example is ever dropped. Without `cache_dir` all stays in memory.
    A corrupt cache file is made again.
    `origin` tells where the examples come from: with it, `encoded_before` finds them.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise MtkdError(f"{type(tokenizer).__name__} is not a fast tokenizer; expected a fast one")
    special = tokenizer.num_special_tokens_to_add(pair=examples.text_b is not None)
    if max_length < special + 2:
        raise MtkdError(f"max_length is {max_length}; expected at least {special + 2}")
    fingerprint = _fingerprint(examples, tokenizer, max_length)
    task, split = examples.task, examples.split
    if cache_dir is None:
        return _encoded(task, split, _tokenise(examples, tokenizer, max_length, fingerprint))
    path = _cache_file(cache_dir, task, split, fingerprint)
    encoded = _read_cache(path, task, split, fingerprint)
    if encoded is None:
        _write_cache(path, _tokenise(examples, tokenizer, max_length, fingerprint))
        encoded = _read_cache(path, task, split, fingerprint)
    if encoded is None:
        raise MtkdError(f"{path}: cannot be read back after writing; expected a sound disk there")
    if origin is not None:
        _write_file(_cache_file(cache_dir, task, split, origin, "origin"), fingerprint.encode())
    return encoded


def encoded_before(task: Task, split: str, cache_dir: Path, origin: str) -> Encoded | None:
    """What `encode` made of a split of this origin; None where there is none.

    The text is not parsed again, which takes longest when a run on a large task starts.
    """
    note = _cache_file(cache_dir, task, split, origin, "origin")
    if not note.is_file():
        return None
    fingerprint = note.read_text(encoding="utf-8", errors="replace")  # a damaged one fits no file
    return _read_cache(_cache_file(cache_dir, task, split, fingerprint), task, split, fingerprint)


def _cache_file(folder: Path, task: Task, split: str, key: str, kind: str = "arrow") -> Path:
    return Path(folder) / f"{task.name}-{split}-{key[:16]}.{kind}"


def tokenizer_rules(tokenizer: Any) -> str:
    """All that decides how a fast tokenizer cuts a text, as JSON."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    # A tokenizer remembers the truncation and padding of its last call: not part of what it is.
    rules.update(truncation=None, padding=None)
    return json.dumps([rules, tokenizer.truncation_side], sort_keys=True)


def _fingerprint(examples: Examples, tokenizer: Any, max_length: int) -> str:
    digest = hashlib.sha256(tokenizer_rules(tokenizer).encode())
    names = [examples.task.name, examples.split, max_length]
    digest.update(json.dumps([CACHE_LAYOUT, *names, len(examples)]).encode())
    for texts in (examples.text_a, examples.text_b or []):
        digest.update(np.fromiter(map(len, texts), np.int64, len(texts)).tobytes())
        digest.update("".join(texts).encode())
    for array in (examples.idx, examples.label):
        if array is not None:
            digest.update(str(array.dtype).encode() + array.tobytes())
    return digest.hexdigest()


def _tokenise(examples: Examples, tokenizer: Any, max_length: int, key: str) -> pa.RecordBatch:
    """All that a cache file holds."""
    tokens, segments, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int8)], [0]
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
    offsets = pa.array(np.cumsum(lengths, dtype=np.int64))
    columns = {
        "idx": pa.array(examples.idx, pa.int64()),
        "tokens": pa.LargeListArray.from_arrays(offsets, pa.array(np.concatenate(tokens))),
        "segments": pa.LargeListArray.from_arrays(offsets, pa.array(np.concatenate(segments))),
    }
    if examples.label is not None:
        columns["label"] = _label_column(examples.label)
    return pa.record_batch(columns, metadata={"fingerprint": key, "truncated": str(truncated)})


def _label_column(label: np.ndarray) -> pa.Array:
    """Labels (N,), or (N, C), as a column; `_label_array` gives them back."""
    column = pa.array(label.ravel())
    return column if label.ndim == 1 else pa.FixedSizeListArray.from_arrays(column, label.shape[1])


def _label_array(column: pa.Array) -> np.ndarray:
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()
    return column.flatten().to_numpy().reshape(-1, column.type.list_size)


def _write_cache(path: Path, batch: pa.RecordBatch) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    body = sink.getvalue()
    # The checksum comes after the end of the stream, where Arrow does not look.
    _write_file(path, body, _checksum(body))


def _write_file(path: Path, *parts: Any) -> None:
    """Write bytes so that readers see the whole file or none."""
    try:
        with whole(path) as part, part.open("wb") as file:
            for piece in parts:
                file.write(piece)
    except OSError as error:
        raise MtkdError(f"{path}: {error.strerror}; expected to write the cache here") from error


def _read_cache(path: Path, task: Task, split: str, key: str) -> Encoded | None:
    """Map a cache file; None where there is none, or it is not whole and right."""
    if not path.is_file() or path.stat().st_size <= CHECKSUM:
        return None
    content = pa.memory_map(str(path)).read_buffer()
    body = content.slice(0, content.size - CHECKSUM)
    # Checked before Arrow parses a byte: a damaged file can crash it, and so the process.
    if content.slice(body.size).to_pybytes() != _checksum(body):
        return None
    encoded = _encoded(task, split, pa.ipc.open_stream(body).read_next_batch())
    return encoded if encoded.fingerprint == key else None


def _encoded(task: Task, split: str, batch: pa.RecordBatch) -> Encoded:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    facts = batch.schema.metadata
    return Encoded(
        task=task,
        split=split,
        idx=columns["idx"].to_numpy(),
        tokens=columns["tokens"].values.to_numpy(),
        segments=columns["segments"].values.to_numpy(),
        offsets=columns["tokens"].offsets.to_numpy(),
        label=_label_array(columns["label"]) if "label" in columns else None,
        fingerprint=facts[b"fingerprint"].decode(),
        truncated=int(facts[b"truncated"]),
    )


def _checksum(body: pa.Buffer) -> bytes:
    return zlib.crc32(body).to_bytes(CHECKSUM, "little")
