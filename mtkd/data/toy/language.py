"""The small language of the toy benchmark: words, meanings (frames), and how they are said.

A frame says who did what to which thing, where and when. `say` words it, choosing synonyms and
constructions at random; labels follow from frames alone, never from the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from numpy.random import Generator

T = TypeVar("T")


def table(text: str) -> list[list[tuple[str, ...]]]:
    """Rows of cells of synonyms: `a/b c/d` lines as [[("a", "b"), ("c", "d")], ...]."""
    rows = [line.split() for line in text.strip().splitlines()]
    return [[tuple(cell.split("/")) for cell in row] for row in rows]


# first cell: the category; the rest: its members, synonyms joined by a slash
NOUNS = {
    row[0][0]: row[1:]
    for row in table("""
animal dog/hound cat horse/pony fox rabbit/bunny
vehicle car/automobile truck/lorry ship/vessel bicycle/bike
fruit apple pear plum olive
garment coat/jacket hat/cap scarf/shawl shirt
flower rose lily daisy violet
gem ruby pearl diamond
document letter/note bill/invoice book/novel map/chart
""")
}
PROFESSIONS = table("""
doctor/physician lawyer/attorney thief/robber cook/chef king/monarch nurse
""")[0]
# In lower case many names are ordinary words, so that case carries information.
NAMES = (
    "Rose Lily Daisy Violet Ruby Pearl Olive Bill Grace Hope Frank Rich Anna Peter Maria Oscar"
).split()
# verb's past forms | its opposite's past forms | what it is done to ("person": anybody)
VERBS = [
    (words[0], words[1], objects)
    for words, objects in [
        (row[:2], [cell[0] for cell in row[2:]])
        for row in table("""
bought/purchased sold vehicle garment gem flower fruit
found/discovered lost animal gem document garment
repaired/fixed broke/ruined vehicle
hid/concealed showed/displayed gem document flower
stole/swiped returned vehicle gem garment document
loved/adored hated/detested person animal flower fruit
helped/assisted hindered person animal
praised/applauded blamed/scolded person
caught/captured freed/released animal person
washed/cleaned stained/soiled garment vehicle fruit
opened closed/shut document
""")
    ]
]
BASE = dict(
    pair.split(":")
    for pair in """
bought:buy purchased:purchase sold:sell found:find discovered:discover lost:lose repaired:repair
fixed:fix broke:break ruined:ruin hid:hide concealed:conceal showed:show displayed:display
stole:steal swiped:swipe returned:return loved:love adored:adore hated:hate detested:detest
helped:help assisted:assist hindered:hinder praised:praise applauded:applaud blamed:blame
scolded:scold caught:catch captured:capture freed:free released:release washed:wash cleaned:clean
stained:stain soiled:soil opened:open closed:close shut:shut
""".split()
)
PARTICIPLE = {"broke": "broken", "hid": "hidden", "showed": "shown", "stole": "stolen"}
# two poles of a scale, each with its synonyms
ADJECTIVES = [
    (row[0], row[1])
    for row in table("""
big/large small/little
old/ancient new/modern
expensive/costly cheap
red/scarlet blue
heavy light
""")
]
PLACES = [
    ("in the garden", "in the yard"),
    ("in the forest", "in the woods"),
    ("in the cellar", "in the basement"),
    ("in the kitchen",),
    ("by the river", "by the stream"),
]
TIMES = [
    ("at dawn", "at sunrise"),
    ("at dusk", "at sunset"),
    ("at noon", "at midday"),
    ("at midnight",),
]


@dataclass(frozen=True)
class Frame:
    """A meaning. Words are given by their first synonym; None says nothing."""

    agent: str
    verb: int  # row of VERBS
    opposite: bool  # the verb's opposite is meant
    object: str
    adjective: str | None = None
    place: int | None = None
    time: int | None = None
    negated: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        meant, opposite, _ = VERBS[self.verb]
        return opposite if self.opposite else meant


SYNONYMS: dict[str, tuple[str, ...]] = {name: (name,) for name in NAMES}
SYNONYMS |= {words[0]: words for row in NOUNS.values() for words in row}
SYNONYMS |= {words[0]: words for words in PROFESSIONS}
SYNONYMS |= {words[0]: words for pair in ADJECTIVES for words in pair}
CATEGORY = {words[0]: kind for kind, row in NOUNS.items() for words in row}
CATEGORY |= {name: "person" for name in (*NAMES, *(words[0] for words in PROFESSIONS))}
OPPOSITE = {a[0]: b[0] for pair in ADJECTIVES for a, b in (pair, pair[::-1])}
PEOPLE = [*NAMES, *(words[0] for words in PROFESSIONS)]
THINGS = {kind: [words[0] for words in row] for kind, row in NOUNS.items()}


def pick(rng: Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def chance(rng: Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def word(rng: Generator, synonyms: Sequence[str], usual: float = 0.6) -> str:
    """One of the synonyms; the first is the usual one."""
    return synonyms[0] if chance(rng, usual) else pick(rng, synonyms)


def draw(rng: Generator, modified: float = 0.35) -> Frame:
    """A random event; `modified` is the chance of an adjective, of a place and of a time each."""
    verb = int(rng.integers(len(VERBS)))
    agent = pick(rng, PEOPLE)
    kind = pick(rng, VERBS[verb][2])
    thing = pick(rng, [p for p in PEOPLE if p != agent] if kind == "person" else THINGS[kind])
    return Frame(
        agent,
        verb,
        chance(rng, 0.4),
        thing,
        pick(rng, list(OPPOSITE)) if kind != "person" and chance(rng, modified) else None,
        int(rng.integers(len(PLACES))) if chance(rng, modified) else None,
        int(rng.integers(len(TIMES))) if chance(rng, modified / 2) else None,
    )


def noun_phrase(rng: Generator, head: str, adjective: str | None = None) -> str:
    """A name, "the big dog", or for a category "an animal"."""
    if head in NAMES:
        return head
    if head == "person":
        return "someone"
    if head in NOUNS:
        return f"{article(head)} {head}"
    noun = word(rng, SYNONYMS[head])
    return f"the {word(rng, SYNONYMS[adjective])} {noun}" if adjective else f"the {noun}"


def article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


OPENINGS = {
    "caption": ("in this picture", "a photograph shows how", "we see that"),
    "report": ("studies show that", "it is known that", "scientists found that"),
}


def say(rng: Generator, f: Frame, genre: str = "plain") -> str:
    """A frame as a sentence.

    Genres: plain, letter (another opening and tense), headline; caption and report, which are in
    the tasks of the study few-labels alone.
    """
    agent, thing = noun_phrase(rng, f.agent), noun_phrase(rng, f.object, f.adjective)
    past = word(rng, f.words)
    done = PARTICIPLE.get(past, past)
    tail = [word(rng, PLACES[f.place])] if f.place is not None else []
    tail += [word(rng, TIMES[f.time])] if f.time is not None else []
    if genre == "headline":
        agent, thing = agent.removeprefix("the "), thing.removeprefix("the ")
    if genre == "letter":
        parts = [agent, "has", *(["not"] if f.negated else []), done, thing, *tail]
        parts = [pick(rng, ("my friend ,", "believe me ,", "as you know ,")), *parts]
    elif chance(rng, 0.12):
        parts = [thing, "was", *(["not"] if f.negated else []), done, "by", agent, *tail]
    else:
        verb = f"did not {BASE[past]}" if f.negated else past
        parts = [agent, verb, thing, *tail]
        if tail and chance(rng, 0.1):
            parts = [tail[0], ",", agent, verb, thing, *tail[1:]]
    if genre in OPENINGS:
        parts = [pick(rng, OPENINGS[genre]), *parts]
    text = " ".join(parts)
    if genre == "headline":
        return " ".join(w.capitalize() for w in text.split())
    return finish(text)


def ask(rng: Generator, f: Frame, about: str) -> str:
    """A question about a frame: about "agent", "object", "place" or "fact"."""
    agent, thing = noun_phrase(rng, f.agent), noun_phrase(rng, f.object, f.adjective)
    past = word(rng, f.words)
    place = [word(rng, PLACES[f.place])] if f.place is not None and about != "place" else []
    if about == "agent":
        return finish(" ".join(["who", past, thing, *place]), "?")
    if about == "object":
        return finish(" ".join(["what did", agent, BASE[past], *place]), "?")
    start = "where did" if about == "place" else "did"
    return finish(" ".join([start, agent, BASE[past], thing, *place]), "?")


def finish(text: str, mark: str = ".") -> str:
    """Capital and full stop."""
    text = text.replace(" ,", ",")
    return text[0].upper() + text[1:] + mark


# --------------------------------------------------------------------- changes of a frame


def opposed(rng: Generator, f: Frame) -> Frame:
    """A frame that excludes `f`: opposite verb or adjective, other place or time, or denial."""
    ways = [replace(f, opposite=not f.opposite)] * 4 + [replace(f, negated=not f.negated)] * 5
    if f.adjective:
        ways += [replace(f, adjective=OPPOSITE[f.adjective])] * 2
    if f.place is not None:
        ways += [replace(f, place=other(rng, len(PLACES), f.place))] * 2
    if f.time is not None:
        ways += [replace(f, time=other(rng, len(TIMES), f.time))] * 2
    return pick(rng, ways)


def other(rng: Generator, count: int, one: int) -> int:
    return (one + 1 + int(rng.integers(count - 1))) % count


def loosened(rng: Generator, f: Frame) -> Frame:
    """A frame that follows from `f`: a broader word, or a detail left out. `f` itself if none."""
    ways = [replace(f, object=CATEGORY[f.object], adjective=None), replace(f, agent="person")]
    ways += [replace(f, adjective=None)] if f.adjective else []
    ways += [replace(f, place=None)] * 2 if f.place is not None else []
    ways += [replace(f, time=None)] * 2 if f.time is not None else []
    return pick(rng, [way for way in ways if way.object not in ("person",)])


def elsewhere(rng: Generator, f: Frame) -> Frame:
    """Another event that shares some of `f`: other object, other agent, or other verb."""
    g = draw(rng)
    while g.verb == f.verb or g.object == f.object or g.agent == f.agent:
        g = draw(rng)
    kind = CATEGORY[f.object]
    pool = [p for p in PEOPLE if p not in (f.agent, f.object)] if kind == "person" else THINGS[kind]
    same = pick(rng, [p for p in pool if p != f.object])
    others = [p for p in PEOPLE if p not in (f.agent, f.object)]
    ways = [replace(g, agent=f.agent) if g.object != f.agent else g, replace(f, object=same)]
    return pick(rng, [*ways, replace(f, agent=pick(rng, others))])


def added(rng: Generator, f: Frame) -> Frame:
    """`f` with a detail that it does not give; another event if it gives all."""
    ways = [replace(f, place=int(rng.integers(len(PLACES))))] if f.place is None else []
    ways += [replace(f, time=int(rng.integers(len(TIMES))))] if f.time is None else []
    if f.adjective is None and CATEGORY.get(f.object) != "person":
        ways.append(replace(f, adjective=pick(rng, list(OPPOSITE))))
    return pick(rng, ways) if ways else elsewhere(rng, f)
