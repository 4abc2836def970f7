"""The toy benchmark's corpus: text in the tasks' language, for pre-training the toy encoders."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import numpy as np
from numpy.random import Generator

from mtkd.data.toy.language import (
    ADJECTIVES,
    CATEGORY,
    NAMES,
    PEOPLE,
    PLACES,
    SYNONYMS,
    TIMES,
    VERBS,
    Frame,
    article,
    ask,
    chance,
    draw,
    finish,
    loosened,
    noun_phrase,
    other,
    pick,
    say,
    word,
)
from mtkd.data.toy.tasks import BAD, GOOD, opinion, review


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
