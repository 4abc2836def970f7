"""How the rows of each toy task are written, with the labels that they have by construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from numpy.random import Generator

from mtkd.data.tasks import GLUE, TASKS
from mtkd.data.toy.language import (
    CATEGORY,
    NAMES,
    Frame,
    added,
    ask,
    chance,
    draw,
    elsewhere,
    finish,
    loosened,
    opposed,
    pick,
    say,
    word,
)

POSITIVE = {"qqp": 0.37, "mrpc": 0.68, "cola": 0.7}  # share of the second label, as in GLUE

Row = tuple[str, str | None, str | float]  # texts, label name or score

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


def snli(rng: Generator, split: str) -> list[Row]:
    """Like MNLI, in a genre of its own that neither MNLI nor the corpus has."""
    label = pick(rng, TASKS["snli"].labels)
    return [(*inference(rng, label, "caption"), label)]


def scitail(rng: Generator, split: str) -> list[Row]:
    """Two labels, in a genre of its own: what is reported, and what follows from it or not."""
    label = pick(rng, TASKS["scitail"].labels)
    wanted = "entailment" if label == "entails" else pick(rng, ("neutral", "contradiction"))
    return [(*inference(rng, wanted, "report"), label)]


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
    writer.__name__: writer
    for writer in (mnli, rte, qqp, mrpc, stsb, qnli, wnli, ax, sst2, cola, snli, scitail)
}
