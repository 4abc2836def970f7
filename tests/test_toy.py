"""The toy benchmark: sizes, balance, noise, no leakage, and labels that follow from meanings."""

import hashlib
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from numpy.random import default_rng

from mtkd.errors import MtkdError
from mtkd.tasks import GLUE, Examples
from mtkd.toy import NOISE, POSITIVE, SIZES, toy_corpus, toy_examples
from mtkd.toy_language import VERBS, Entity, Frame, judge, say, similarity
from mtkd.toy_tasks import FEELINGS, PHENOMENA, nli_frames, opinion

SPLITS = [(task, split) for task in SIZES for split in SIZES[task]]
TRAINED = [task for task in SIZES if task != "ax"]


@cache
def examples(task: str, split: str, seed: int = 0) -> Examples:
    return toy_examples(task, split, seed, scale=0.5)


def texts(e: Examples) -> list[str]:
    return [f"{a}\t{b}".lower() for a, b in zip(e.text_a, e.text_b or [""] * len(e), strict=True)]


def digest() -> str:
    parts = [toy_corpus(3, 50)]
    for task, split in SPLITS:
        e = toy_examples(task, split, seed=3, scale=0.02)
        parts += [e.text_a, e.text_b or [], [str(value) for value in np.asarray(e.label)]]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def test_same_in_another_process_whatever_the_hash_seed():
    code = "from tests.test_toy import digest; print(digest())"
    for hash_seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == digest()


def test_another_seed_gives_other_examples():
    assert not set(texts(examples("mnli", "dev"))) & set(texts(examples("mnli", "dev", 1)))
    assert toy_corpus(0, 20) != toy_corpus(1, 20)


@pytest.mark.parametrize(("task", "split"), SPLITS)
def test_sizes_shapes_and_labels(task, split):
    e = examples(task, split)
    n = max(16, round(SIZES[task][split] * 0.5))
    assert len(e) == len(e.label) == len(e.clean) == n
    assert e.idx.tolist() == list(range(n)) and e.idx.dtype == np.int64
    assert (e.text_b is None) == (len(GLUE[task].columns) == 1)
    assert all(text and text == text.strip() for text in e.text_a + (e.text_b or []))
    if task == "stsb":
        assert e.label.dtype == np.float32 and 0 <= e.label.min() <= e.label.max() <= 5
    else:
        assert e.label.dtype == np.int64 and set(e.label) <= set(range(len(e.task.labels)))


def test_every_split_of_the_table_but_no_other():
    assert all(set(SIZES[name]) == set(task.splits) for name, task in GLUE.items())
    assert len(toy_examples("wnli", "train", scale=0.01)) == 16
    with pytest.raises(MtkdError, match=r"ax.*it has: test"):
        toy_examples("ax", "train")
    with pytest.raises(MtkdError, match="mnli"):
        toy_examples("squad", "train")


@pytest.mark.parametrize("task", [task for task in TRAINED if task != "stsb"])
@pytest.mark.parametrize("split", ["train", "dev"])
def test_clean_labels_are_balanced_as_specified(task, split):
    share = np.bincount(examples(task, split).clean) / len(examples(task, split))
    expected = POSITIVE.get(task, 1 / len(GLUE[task].labels))
    assert share[1] == pytest.approx(expected, abs=0.01)


def test_stsb_covers_its_whole_range():
    counts, _ = np.histogram(examples("stsb", "train").clean, bins=5, range=(0, 5))
    assert counts.min() > 0.05 * counts.sum()


@pytest.mark.parametrize("task", TRAINED)
def test_noise_is_in_training_labels_only(task):
    train = examples(task, "train")
    for split in SIZES[task]:
        if split != "train":
            e = examples(task, split)
            assert np.array_equal(e.label, e.clean)
    if task == "stsb":
        assert 0.5 < np.std(train.label - train.clean) < 0.9
    else:
        assert np.mean(train.label != train.clean) == pytest.approx(NOISE[task], abs=0.02)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_qnli_has_two_candidates_a_question_one_of_them_right(split):
    e = examples("qnli", split)
    assert e.text_a[::2] == e.text_a[1::2]
    assert len(set(e.text_a)) == len(e) // 2
    assert (e.label[::2] + e.label[1::2] == 1).all()
    assert 0.3 < np.mean(e.label[::2]) < 0.7


@pytest.mark.parametrize("task", TRAINED)
def test_no_example_is_in_two_splits(task):
    seen: set[str] = set()
    for split in SIZES[task]:
        rows = set(texts(examples(task, split)))
        assert not rows & seen
        seen |= rows


def test_single_sentences_of_dev_are_rare_in_train_and_corpus():
    corpus = {line.lower() for line in toy_corpus(0, 4000)}
    for task in ("sst2", "cola"):
        known = {text.lower() for text in examples(task, "train").text_a} | corpus
        assert np.mean([text.lower() in known for text in examples(task, "dev").text_a]) < 0.05


def test_wnli_dev_turns_sentences_of_train_around():
    train, dev = examples("wnli", "train"), examples("wnli", "dev")
    right = {
        (a.split(" she ")[0], b.split()[0]): label
        for a, b, label in zip(train.text_a, train.text_b, train.clean, strict=True)
    }
    for a, b, label in zip(dev.text_a, dev.text_b, dev.label, strict=True):
        assert right[a.split(" she ")[0], b.split()[0]] == 1 - label


def test_the_mismatched_genre_differs():
    def words(split: str) -> set[str]:
        return {
            w.lower().strip(",.") for text in examples("mnli", split).text_a for w in text.split()
        }

    assert {"dear", "remember", "sadly"} <= words("dev_mm") - words("train")
    headlines = [not text.endswith(".") for text in examples("mnli", "dev_mm").text_a]
    assert 0.2 < np.mean(headlines) < 0.6
    assert all(text.endswith(".") for text in examples("mnli", "dev").text_a)


def test_the_corpus_teaches_the_lexicon_and_tells_no_labels():
    corpus = toy_corpus(0, 6000)
    assert len(corpus) == 6000 and max(len(line.split()) for line in corpus) < 50
    text = " ".join(corpus).lower()
    for label in ("entailment", "contradiction", "neutral", "duplicate", "acceptable", "\t"):
        assert label not in text
    assert "means big" in text or "as big" in text or "for big" in text
    assert "is an animal" in text
    known = {word.strip(".,:?") for word in text.split()}
    assert {w.past for verb in VERBS.values() for w in verb.words} <= known
    assert 400 < len(known) < 800


def test_names_are_ordinary_words_too():
    words = {
        word.strip(".,?") for text in examples("mnli", "train").text_b for word in text.split()
    }
    assert {"Rose", "rose", "Bill", "bill", "Mark", "Hunter", "hunter"} <= words


def test_the_same_meaning_is_said_in_many_ways():
    f = Frame(Entity("Anna"), "buy", Entity("car"), place="rome")
    said = {say(default_rng(i), f) for i in range(60)}
    assert len(said) > 15
    assert any("purchased" in text for text in said) and any(" by Anna" in text for text in said)


FACT = Frame(Entity("Anna"), "buy", Entity("car", "red"), place="rome")
BOUGHT = Frame(Entity("Anna"), "buy", Entity("vehicle"), place="italy")
NOT_BOUGHT = Frame(Entity("Anna"), "buy", Entity("vehicle"), negated=True)
SOLD = Frame(Entity("Anna"), "sell", Entity("car"))
CHASED = Frame(Entity("Anna"), "chase", Entity("Rose"))


@pytest.mark.parametrize(
    ("premise", "hypothesis", "label"),
    [
        (FACT, FACT, "entailment"),
        (FACT, BOUGHT, "entailment"),
        (BOUGHT, FACT, "neutral"),
        (FACT, NOT_BOUGHT, "contradiction"),
        (NOT_BOUGHT, FACT, "contradiction"),
        (NOT_BOUGHT, Frame(FACT.agent, "buy", FACT.patient, negated=True), "entailment"),
        (FACT, SOLD, "contradiction"),
        (FACT, Frame(SOLD.agent, "sell", SOLD.patient, negated=True), "entailment"),
        (CHASED, Frame(CHASED.patient, "chase", CHASED.agent), "contradiction"),
        (CHASED, Frame(CHASED.agent, "chase", Entity("person")), "entailment"),
        (CHASED, Frame(Entity("Anna"), "draw", Entity("rose")), "neutral"),
        (FACT, Frame(FACT.agent, "buy", Entity("car", "blue"), place="rome"), "contradiction"),
        (FACT, Frame(FACT.agent, "buy", FACT.patient, place="cairo"), "contradiction"),
        (FACT, Frame(FACT.agent, "buy", FACT.patient, place="garden"), "neutral"),
    ],
)
def test_the_logic_of_labels(premise, hypothesis, label):
    assert judge(premise, hypothesis) == label


def test_every_phenomenon_has_its_label():
    for name, (label, _, _) in PHENOMENA.items():
        for i in range(5):
            assert judge(*nli_frames(default_rng(i), name)) == label
    e = toy_examples("ax", "test")
    assert np.bincount(e.label).min() >= 40


def test_similarity_is_of_meanings():
    assert similarity(FACT, FACT) == 5
    assert 5 > similarity(FACT, BOUGHT) > similarity(FACT, CHASED)
    assert similarity(CHASED, Frame(Entity("goat"), "eat", Entity("plum"))) < 1


def test_opinions_deny_the_other_polarity():
    said = [" ".join(opinion(default_rng(i), "negative")) for i in range(200)]
    bare = [text for text in said if " is " in text and text.split(" is ")[1].count(" ") == 0]
    good = set(" ".join(FEELINGS["positive"][0].split()).replace("/", " ").split())
    assert bare and not any(text.split()[-1] in good for text in bare)
    assert any(text.split()[-1] in good for text in said if " not " in text)
