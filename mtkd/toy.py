"""The toy benchmark: nine GLUE-shaped tasks, a diagnostic set and a corpus, made from a seed.

So that the paper's whole comparison runs on a CPU, without a download. Labels are right by
construction; training labels then get annotator noise, dev and test labels do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

import numpy as np
from numpy.random import Generator

from mtkd.errors import MtkdError
from mtkd.tasks import GLUE, Examples
from mtkd.toy_language import (
    ADJECTIVES,
    CATEGORY,
    NAMES,
    PEOPLE,
    PLACES,
    SYNONYMS,
    TIMES,
    VERBS,
    Frame,
    added,
    article,
    ask,
    chance,
    draw,
    elsewhere,
    finish,
    loosened,
    noun_phrase,
    opposed,
    other,
    pick,
    say,
    word,
)

# rows at scale 1, in GLUE's relative order of size; the test split is as large as dev
TRAIN_SIZES = {
    "mnli": 900,
    "qqp": 600,
    "qnli": 400,
    "sst2": 450,
    "cola": 300,
    "stsb": 220,
    "mrpc": 150,
    "rte": 120,
    "wnli": 60,
}
DEV_SIZES = {"rte": 300, "mrpc": 300, "wnli": 40, "ax": 200}
DEV_SIZE = 400  # of the other tasks
NOISE = 0.2  # share of wrong training labels
SCORE_NOISE = 0.8  # standard deviation of an annotator's similarity score
POSITIVE = {"qqp": 0.37, "mrpc": 0.68, "cola": 0.7}  # share of the second label, as in GLUE
SMALLEST = 16

Row = tuple[str, str | None, str | float]  # texts, label name or score


def toy_examples(task: str, split: str, seed: int = 0, scale: float = 1.0) -> Examples:
    """One split of one toy task; every split is labelled, AX and test, too.

    `scale` multiplies the training sizes only (at least 16 rows), so that scores stay comparable.
    The same arguments give the same examples on every machine. `clean` has the true labels.
    """
    if task not in GLUE or split not in GLUE[task].splits:
        raise MtkdError(f"the toy benchmark has no split {split!r} of task {task!r}")
    size = DEV_SIZES.get(task, DEV_SIZE)
    if split == "train":
        size = max(SMALLEST, round(TRAIN_SIZES[task] * scale))
    rng = np.random.default_rng((seed, crc32(f"{task}/{split}".encode())))
    rows = unique_rows(task, split, rng, size)
    labels = GLUE[task].labels
    clean: np.ndarray
    if labels:
        clean = np.array([labels.index(str(row[2])) for row in rows], np.int64)
    else:
        clean = np.array([row[2] for row in rows], np.float32)
    label = annotate(rng, task, clean, len(labels)) if split == "train" else clean
    text_b = None if rows[0][1] is None else [str(row[1]) for row in rows]
    idx = np.arange(len(rows), dtype=np.int64)
    return Examples(GLUE[task], split, idx, [row[0] for row in rows], text_b, label, clean)


def unique_rows(task: str, split: str, rng: Generator, size: int) -> list[Row]:
    """Distinct rows; by a hash of its text every row belongs to one of train, dev and test."""
    own = {"train": (0, 1), "dev": (2,), "test": (3,)}[split.removesuffix("_mm")]
    rows: list[Row] = []
    seen: set[str] = set()
    while len(rows) < size:
        new = WRITERS[task](rng, split)
        key = f"{new[0][0]} {new[0][1]}".lower()
        if key not in seen and (task == "wnli" or crc32(key.encode()) % 4 in own):
            seen.add(key)
            rows += new
    return rows[:size]


def annotate(rng: Generator, task: str, clean: np.ndarray, classes: int) -> np.ndarray:
    """Labels as noisy annotators give them; a question's two candidates stay one of each."""
    if not classes:
        noisy = clean + rng.normal(0, SCORE_NOISE, len(clean))
        return noisy.clip(0, 5).round(1).astype(np.float32)
    group = 2 if task == "qnli" else 1
    wrong = np.repeat(rng.random(-(-len(clean) // group)) < NOISE, group)[: len(clean)]
    shift = rng.integers(1, classes, len(clean))
    return np.where(wrong, (clean + shift) % classes, clean)


# ------------------------------------------------------------------------------ pair tasks


def inference(rng: Generator, label: str, genre: str = "plain") -> tuple[str, str]:
    """Premise and hypothesis with the given label."""
    f = draw(rng)
    f = replace(f, negated=chance(rng, 0.08))
    if label == "entailment":
        # A denial follows from a broader denial, not the other way round: keep it as it is.
        g = loosened(rng, f) if chance(rng, 0.75) and not f.negated else f
    elif label == "contradiction":
        g = opposed(rng, replace(f, negated=False))
        f = replace(f, negated=False)
    else:
        g = added(rng, f) if chance(rng, 0.5) else elsewhere(rng, f)
        f = replace(f, negated=False)
        g = replace(g, negated=chance(rng, 0.08))
    return say(rng, f, genre), say(rng, g)


def mnli(rng: Generator, split: str) -> list[Row]:
    label = pick(rng, GLUE["mnli"].labels)
    genre = pick(rng, ("letter", "headline")) if split.endswith("_mm") else "plain"
    return [(*inference(rng, label, genre), label)]


def rte(rng: Generator, split: str) -> list[Row]:
    """Two facts and a hypothesis about one of them."""
    label = pick(rng, GLUE["rte"].labels)
    wanted = label if label == "entailment" else pick(rng, ("neutral", "contradiction"))
    premise, hypothesis = inference(rng, wanted)
    facts = [premise, say(rng, draw(rng, 0.2))]
    return [(" ".join(facts if chance(rng, 0.5) else facts[::-1]), hypothesis, label)]


def changed(rng: Generator, f: Frame) -> Frame:
    """A frame of another meaning that shares most words with `f`."""
    return pick(rng, (opposed, elsewhere, elsewhere, added))(rng, f)


def qqp(rng: Generator, split: str) -> list[Row]:
    """Two questions, asked about the same or not."""
    label = GLUE["qqp"].labels[int(chance(rng, POSITIVE["qqp"]))]
    f = draw(rng)
    kinds = ("agent", "fact") if f.place is None else ("agent", "object", "fact", "place")
    about = asked = pick(rng, kinds)
    g = f
    if label == "not_duplicate" and chance(rng, 0.35):
        asked = pick(rng, [kind for kind in kinds if kind != about])
    elif label == "not_duplicate":
        while shown(g, about) == shown(f, about):
            g = changed(rng, f)
            g = replace(g, negated=False, place=f.place if about == "place" else g.place)
    return [(ask(rng, f, about), ask(rng, g, asked), label)]


def shown(f: Frame, hidden: str) -> Frame:
    """What a question says: the frame without the part asked for (and without its time)."""
    f = replace(f, time=None)
    if hidden == "agent":
        return replace(f, agent="person")
    if hidden == "object":
        return replace(f, object="thing", adjective=None)
    return replace(f, place=None) if hidden == "place" else f


def mrpc(rng: Generator, split: str) -> list[Row]:
    label = GLUE["mrpc"].labels[int(chance(rng, POSITIVE["mrpc"]))]
    f = draw(rng)
    g = f if label == "equivalent" else changed(rng, f)
    return [(say(rng, f), say(rng, g), label)]


def stsb(rng: Generator, split: str) -> list[Row]:
    """Similarity 0 to 5: the weighted share of the slots in which two frames agree."""
    f = g = draw(rng)
    for _ in range(int(rng.integers(4))):
        g = changed(rng, g)
    if chance(rng, 0.2):
        g = draw(rng)
    same = 1.2 * (f.agent == g.agent) + 1.2 * (f.object == g.object)
    same += 0.4 * (f.object != g.object and CATEGORY[f.object] == CATEGORY[g.object])
    same += 1.2 * (f.verb == g.verb and f.opposite == g.opposite) + 0.3 * (f.verb == g.verb)
    same += 0.4 * (f.place == g.place) + 0.3 * (f.adjective == g.adjective)
    same += 0.4 * (f.negated == g.negated)
    return [(say(rng, f), say(rng, g), round(same, 1))]


def qnli(rng: Generator, split: str) -> list[Row]:
    """A question with a sentence that answers it and one that only looks like it."""
    f = draw(rng, 0.5)
    about = "place" if f.place is not None and chance(rng, 0.5) else pick(rng, ("agent", "object"))
    g = changed(rng, f)
    while shown(g, about) == shown(f, about):
        g = changed(rng, f)
    if about == "place" and chance(rng, 0.4):
        g = replace(f, place=None)
    question = ask(rng, f, about)
    rows: list[Row] = [
        (question, say(rng, f), "entailment"),
        (question, say(rng, g), "not_entailment"),
    ]
    return rows if chance(rng, 0.5) else rows[::-1]


def wnli(rng: Generator, split: str) -> list[Row]:
    """Whom does "she" mean? "got" points to the one thanked's opposite; tiny and treacherous."""
    a, b = (str(name) for name in rng.choice(NAMES, 2, replace=False))
    deed = pick(rng, ("gave", "got"))
    right = b if deed == "gave" else a
    claim = pick(rng, (a, b))
    label = "entailment" if claim == right else "not_entailment"
    item = pick(rng, ("gift", "letter", "book"))
    return [
        (f"{a} thanked {b} because they {deed} the {item}.", f"{claim} {deed} the {item}.", label)
    ]


def ax(rng: Generator, split: str) -> list[Row]:
    label = pick(rng, GLUE["ax"].labels)
    return [(*inference(rng, label, pick(rng, ("plain", "letter", "headline"))), label)]


# ------------------------------------------------------------------------ single sentences

WORKS = (("film", "movie"), ("book", "novel"), ("play",), ("song",), ("plot", "story"))
GOOD = ("wonderful superb charming delightful funny amusing brilliant moving fresh clever").split()
BAD = "awful dreadful boring dull clumsy silly weak stale tedious empty".split()


def opinion(rng: Generator, good: bool) -> str:
    """A clause of this polarity, now and then by denying the other one."""
    work = f"the {word(rng, pick(rng, WORKS))}"
    degree = pick(rng, ("", "", "very ", "truly ", "rather "))
    if chance(rng, 0.12):
        denial = pick(rng, ("not", "never", "hardly"))
        return f"{work} is {denial} {pick(rng, BAD if good else GOOD)}"
    return f"{work} is {degree}{pick(rng, GOOD if good else BAD)}"


def review(rng: Generator, good: bool) -> str:
    """One opinion, two that agree, or two that differ: what comes after "but" counts."""
    form = rng.random()
    if form < 0.6:
        return finish(opinion(rng, good))
    if form < 0.9:
        return finish(f"{opinion(rng, good)} and {opinion(rng, good)}")
    return finish(f"{opinion(rng, not good)} , but {opinion(rng, good)}")


def sst2(rng: Generator, split: str) -> list[Row]:
    good = chance(rng, 0.5)
    return [(review(rng, good), None, "positive" if good else "negative")]


def cola(rng: Generator, split: str) -> list[Row]:
    """A sentence, or one with a word order, an auxiliary or an article gone wrong."""
    f = replace(draw(rng, 0.5), negated=chance(rng, 0.3))
    words = say(rng, f)[:-1].split()
    words[0] = words[0] if words[0] in NAMES else words[0].lower()
    if chance(rng, POSITIVE["cola"]):
        return [(finish(" ".join(words)), None, "acceptable")]
    broken = list(words)
    while broken == words:
        broken = spoil(rng, words)
    return [(finish(" ".join(broken)), None, "unacceptable")]


def spoil(rng: Generator, words: list[str]) -> list[str]:
    """The sentence with one thing wrong; unchanged where the change does not apply."""
    i = int(rng.integers(len(words)))
    way = int(rng.integers(4))
    if way == 0 and words[i] in ("the", "did", "was", "by", "in", "at"):
        return [*words[:i], *words[i + 1 :]]
    if way == 1 and i + 1 < len(words) and words[i] in ("the", "did", "was", "in"):
        return [*words[:i], words[i + 1], words[i], *words[i + 2 :]]
    if way == 2 and words[i] in ("did", "was"):
        return [*words[:i], "was" if words[i] == "did" else "did", *words[i + 1 :]]
    if way == 3 and i == 1:
        return [words[0], *words[2:], words[1]]
    return words


WRITERS: dict[str, Callable[[Generator, str], list[Row]]] = {
    "mnli": mnli,
    "rte": rte,
    "qqp": qqp,
    "mrpc": mrpc,
    "stsb": stsb,
    "qnli": qnli,
    "wnli": wnli,
    "ax": ax,
    "sst2": sst2,
    "cola": cola,
}

# --------------------------------------------------------------------------------- corpus


def toy_corpus(seed: int = 0, sentences: int = 20000) -> list[str]:
    """Lines of text for masked language modelling, which teach the lexicon; no task labels."""
    rng = np.random.default_rng((seed, crc32(b"corpus")))
    return [line(rng) for _ in range(sentences)]


def line(rng: Generator) -> str:
    form = rng.random()
    f = replace(draw(rng), negated=chance(rng, 0.12))
    genre = pick(rng, ("plain", "plain", "plain", "letter", "headline"))
    if form < 0.06:
        return say(rng, f, genre)
    if form < 0.50:  # the same event told twice, or what follows from it
        g = loosened(rng, f) if chance(rng, 0.3) and not f.negated else f
        return f"{say(rng, f, genre)} {say(rng, g)}"
    if form < 0.58:
        return quiz(rng, replace(f, negated=False))
    if form < 0.66:
        about = pick(rng, ("agent", "object") if f.place is None else ("agent", "object", "place"))
        return f"{ask(rng, f, about)} {say(rng, replace(f, negated=False))}"
    if form < 0.76:
        return definition(rng)
    good = chance(rng, 0.5)
    return f"{review(rng, good)} {finish(opinion(rng, good))}"


def quiz(rng: Generator, f: Frame) -> str:
    """A sentence, and what is said of it: a synonym or a broader word is right, others are not."""
    parts = [say(rng, f)]
    for _ in range(3):
        right = chance(rng, 0.5)
        parts.append(f"{claim(rng, f, right)} ? {'yes' if right else 'no'} .")
    return " ".join(parts)


def claim(rng: Generator, f: Frame, right: bool) -> str:
    """A few words that are said of the frame, or not."""
    part = pick(rng, ("verb", "verb", "object", "agent", "place"))
    if part == "verb":
        return word(rng, f.words if right else VERBS[f.verb][int(not f.opposite)], 0.3)
    if part == "agent":
        others = [person for person in PEOPLE if person != f.agent]
        return noun_phrase(rng, f.agent if right else pick(rng, others))
    if part == "place" and f.place is not None:
        place = f.place if right else other(rng, len(PLACES), f.place)
        return word(rng, PLACES[place], 0.3)
    others = [noun for noun in CATEGORY if noun not in (f.agent, f.object)]
    named = f.object if chance(rng, 0.6) else CATEGORY[f.object]
    return noun_phrase(rng, named if right else pick(rng, others))


def definition(rng: Generator) -> str:
    """A line about words: synonyms, opposites, what is a what."""
    form = int(rng.integers(4))
    if form == 0:
        noun = pick(rng, [n for n in CATEGORY if n not in NAMES])
        kind = CATEGORY[noun]
        shown_noun = pick(rng, SYNONYMS[noun])
        return finish(f"{article(shown_noun)} {shown_noun} is {article(kind)} {kind}")
    verbs = [side for verb in VERBS for side in verb[:2]]
    groups = [*verbs, *SYNONYMS.values(), *PLACES, *TIMES]
    if form == 1:
        words = pick(rng, [g for g in groups if len(g) > 1])
        a, b = (str(w) for w in rng.permutation(words)[:2])
        return finish(f"{a} {pick(rng, ('means', 'is the same as'))} {b}")
    if form == 2:
        pair = pick(rng, [*ADJECTIVES, *(verb[:2] for verb in VERBS)])
        a, b = pick(rng, pair[0]), pick(rng, pair[1])
        return finish(f"{a} is the opposite of {b}" if chance(rng, 0.5) else f"{b} is not {a}")
    good = pick(rng, (GOOD, BAD))
    a, b = (str(w) for w in rng.choice(good, 2, replace=False))
    return finish(f"{a} is like {b}")
