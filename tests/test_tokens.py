"""Tokens of examples: what is cut, what is cached, and what the cache is keyed by."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from mtkd.common.errors import MtkdError
from mtkd.data import tokens as encoding
from mtkd.data.digests import data_origin
from mtkd.data.loading import DataSource, load_examples
from mtkd.data.tasks import GLUE, TASKS, Examples, Task
from mtkd.data.tokens import encode, encoded_before, tokenizer_rules


def rte(root: Path, first: str = "A cat ran.") -> DataSource:
    """A folder with one example of RTE."""
    (root / "RTE").mkdir(parents=True)
    row = f"0\t{first}\tA cat moved.\tentailment\n"
    (root / "RTE" / "train.tsv").write_text(f"index\tsentence1\tsentence2\tlabel\n{row}")
    return DataSource(kind="folder", path=str(root))


def tiny_tokenizer(words: str = "a b c d e f") -> PreTrainedTokenizerFast:
    """A word-level tokenizer with BERT's template."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words.split()]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    special = {
        "unk_token": "[UNK]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
    }
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


def pairs(*texts: tuple[str, str], labels: bool = True) -> Examples:
    firsts, seconds = zip(*texts, strict=True)
    given = [row % 2 for row in range(len(texts))] if labels else None
    return Examples.from_lists(GLUE["rte"], firsts, given, second=seconds, split="dev")


def rows(values: np.ndarray, offsets: np.ndarray) -> list[list[int]]:
    return [part.tolist() for part in np.split(values, offsets[1:-1])]


def test_encode(tmp_path: Path) -> None:
    examples = pairs(("a b", "c"), ("", "d"), ("a b c d e", "f a"))
    encoded = encode(examples, tiny_tokenizer(), 7, tmp_path)
    assert rows(encoded.tokens, encoded.offsets) == [
        [2, 4, 5, 3, 6, 3],
        [2, 3, 7, 3],
        [2, 4, 5, 3, 9, 4, 3],  # the longer text gave up its end
    ]
    assert rows(encoded.segments, encoded.offsets) == [
        [0, 1, 1, 0, 2, 0],
        [0, 0, 2, 0],
        [0, 1, 1, 0, 2, 2, 0],
    ]
    assert encoded.truncated == 1 and len(encoded) == 3
    assert encoded.lengths.tolist() == [6, 4, 7]
    assert encoded.idx.tolist() == [0, 1, 2]
    assert encoded.label is not None and encoded.label.tolist() == [0, 1, 0]
    kinds = [encoded.tokens.dtype, encoded.segments.dtype, encoded.offsets.dtype]
    assert kinds == [np.int32, np.int8, np.int64]
    assert not encoded.tokens.flags.writeable


def test_encode_single_texts_without_labels(tmp_path: Path) -> None:
    examples = Examples(GLUE["cola"], "test", np.arange(3), ["a", "b [SEP] c", "zz"], None, None)
    encoded = encode(examples, tiny_tokenizer(), 8, tmp_path)
    assert rows(encoded.tokens, encoded.offsets)[0] == [2, 4, 3]
    assert rows(encoded.segments, encoded.offsets)[1] == [0, 1, 1, 1, 0]  # [SEP] here is text
    assert encoded.label is None and encoded.truncated == 0
    none = Examples(GLUE["rte"], "train", np.arange(0), [], [], None)
    assert len(encode(none, tiny_tokenizer(), 16, tmp_path)) == 0


def test_encode_agrees_with_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "BATCH", 3)
    rng = np.random.default_rng(0)
    words = [" ".join(rng.choice(list("abcdef"), rng.integers(0, 9))) for _ in range(40)]
    examples = pairs(*zip(words[:20], words[20:], strict=True))
    encoded = encode(examples, tiny_tokenizer(), 9, tmp_path)
    tokenizer, cut = tiny_tokenizer(), 0
    for row, (a, b) in enumerate(zip(words[:20], words[20:], strict=True)):
        # Lists of one: given an empty string alone, transformers would see no second text at all.
        (whole,) = tokenizer([a], [b])["input_ids"]
        cut += len(whole) > 9
        (part,) = tokenizer([a], [b], truncation="longest_first", max_length=9)["input_ids"]
        assert encoded.tokens[slice(*encoded.offsets[row : row + 2])].tolist() == part
    assert encoded.truncated == cut > 0


def test_cache_is_used_and_keyed_by_all_that_matters(tmp_path: Path) -> None:
    texts = [("a b", "c"), ("d", "e")]
    tokenizer = tiny_tokenizer()
    first = encode(pairs(*texts), tokenizer, 16, tmp_path)
    (path,) = tmp_path.glob("*.arrow")
    stamp = path.stat().st_mtime_ns
    tokenizer(["a", "b"], padding=True, truncation=True, max_length=3)  # leaves state behind
    again = encode(pairs(*texts), tokenizer, 16, tmp_path)
    assert again.fingerprint == first.fingerprint and path.stat().st_mtime_ns == stamp
    others = [
        encode(pairs(*texts), tiny_tokenizer("a c b d e f"), 16, tmp_path),
        encode(pairs(*texts), tokenizer, 15, tmp_path),
        encode(pairs(*texts, labels=False), tokenizer, 16, tmp_path),
        encode(pairs(("a", "b c"), ("d", "e")), tokenizer, 16, tmp_path),
        encode(pairs(("a b", "cd"), ("", "e")), tokenizer, 16, tmp_path),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 6
    assert len(list(tmp_path.iterdir())) == 6  # and no temporary file left


def test_several_labels_of_a_text_are_kept(tmp_path: Path) -> None:
    task = Task("topics", "multilabel", ("x", "y", "z"))
    labels: list[list[str]] = [["z", "x"], [], ["y"]]
    examples = Examples.from_lists(task, ["a", "b", "c"], labels)
    for cache in (None, tmp_path, tmp_path):  # in memory, written, and mapped again
        encoded = encode(examples, tiny_tokenizer(), 16, cache)
        assert encoded.label is not None and encoded.label.dtype == np.float32
        assert encoded.label.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_origin_stands_for_the_text(tmp_path: Path) -> None:
    source, task, tokenizer = rte(tmp_path / "glue"), GLUE["rte"], tiny_tokenizer()
    rules, cache = tokenizer_rules(tokenizer), tmp_path / "cache"
    first = data_origin(source, task, rules, 16)
    assert first is not None and encoded_before(task, "train", cache, first) is None
    made = encode(load_examples(source, "rte", "train"), tokenizer, 16, cache, first)
    found = encoded_before(task, "train", cache, first)
    assert found is not None and found.fingerprint == made.fingerprint
    assert encoded_before(task, "dev", cache, first) is None
    (arrow,) = cache.glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:-1])
    assert encoded_before(task, "train", cache, first) is None


def test_origin_knows_all_that_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(source: DataSource, rules: str = "rules", longest: int = 16) -> str | None:
        return data_origin(source, GLUE["rte"], rules, longest)

    source, hub = rte(tmp_path / "glue"), DataSource(kind="hub")
    first = of(source)
    assert of(rte(tmp_path / "elsewhere")) == first
    text = tmp_path / "text.tsv"
    text.write_text("rte\ta\tb\n")
    others = [
        of(source, rules="other rules"),
        of(source, longest=15),
        of(replace(source, limit=1)),
        of(replace(source, label_fraction=0.5)),
        of(replace(source, unlabelled_ratio=1.0)),
        of(replace(source, unlabelled_ratio=1.0, unlabelled_file=str(text))),
        of(rte(tmp_path / "new", "A cow ran.")),  # as long as before
        of(DataSource()),
        of(DataSource(seed=1)),
        of(hub),
        of(replace(hub, revision="0" * 40)),
    ]
    text.write_text("rte\ta\tc\n")
    others.append(of(replace(source, unlabelled_ratio=1.0, unlabelled_file=str(text))))
    monkeypatch.setattr(encoding, "CACHE_LAYOUT", "another")
    others.append(of(source))
    assert None not in others and len({first, *others}) == 14
    # What may change without a sign has no origin, and text that is not used need not be there.
    assert of(replace(hub, revision="main")) is None and of(replace(hub, revision=None)) is None
    assert of(replace(hub, hub=str(tmp_path))) is None
    assert of(DataSource(kind="folder", path=str(tmp_path))) is None
    assert data_origin(hub, TASKS["snli"], "rules", 16) is None
    assert of(replace(source, unlabelled_file="/no/such")) is not None


def test_corrupt_cache_is_made_again(tmp_path: Path) -> None:
    examples, tokenizer = pairs(("a b", "c"), ("d e", "f")), tiny_tokenizer()
    wanted = encode(examples, tokenizer, 16, tmp_path).tokens.tolist()
    (path,) = tmp_path.glob("*.arrow")
    whole = path.read_bytes()
    damages = [b"", b"not arrow at all", whole[:-1], whole[: len(whole) // 2]]
    # One byte changed, here and there: Arrow alone would not notice most of these.
    damages += [
        whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :] for at in range(0, len(whole), 29)
    ]
    for damage in damages:
        path.unlink()
        path.write_bytes(damage)
        assert encode(examples, tokenizer, 16, tmp_path).tokens.tolist() == wanted


def test_encode_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for tokenizer, longest, message in (
        (tiny_tokenizer(), 4, "max_length is 4; expected at least 5"),
        (object(), 16, "not a fast tokenizer"),
        (tiny_tokenizer(), 16, "expected to write the cache"),
    ):
        with pytest.raises(MtkdError, match=message):
            encode(pairs(("a", "b")), tokenizer, longest, tmp_path / "file")
