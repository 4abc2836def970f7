"""The little language of the toy benchmark: a lexicon, meanings (frames) and how they are said.

A meaning is a `Frame` (who did what to which thing, where, when, and whether it happened). `say`
puts a frame into words in one of several constructions, choosing synonyms at random, and `relate`
reads the logical relation of two frames, so that no label depends on the words chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from numpy.random import Generator

T = TypeVar("T")

# category (with its own synonyms): members; a slash joins synonyms, a colon gives the plural
_NOUNS = {
    "animal/creature": "dog/hound cat horse fox",
    "person": "doctor/physician lawyer/attorney thief:thieves/robber cook/chef king/monarch baker",
    "vehicle": "car/automobile truck/lorry ship/vessel bicycle/bike",
    "fruit": "apple pear plum olive",
    "garment": "coat/jacket hat/cap scarf:scarves/shawl",
    "flower/blossom": "rose lily violet",
    "gem/jewel": "ruby pearl diamond",
    "document": "letter/note bill/invoice book/novel",
}
# Many names are ordinary words in lower case, so case carries information.
_NAMES = """
Rose Lily Violet Ruby Pearl Olive Bill Grace Hope Frank Baker Rich Anna Peter Maria Oscar
"""
NAMES = tuple(_NAMES.split())
# verb | antonym | subjects | objects; a slash joins synonyms, colons give past and participle
_VERBS = """
buy:bought/purchase | sell:sold | person | vehicle garment gem flower
find:found/discover | lose:lost | person | gem document garment animal
repair/fix | break:broke:broken | person | vehicle
hide:hid:hidden/conceal | show:showed:shown/display | person | gem document
steal:stole:stolen | return | person | gem vehicle garment document
love/adore | hate/detest | person | person animal flower fruit
chase/pursue | | person animal | person animal
help/assist | hinder | person | person
praise/applaud | blame | person | person
catch:caught/capture | free:freed/release | person | animal person
wash/clean | stain | person | garment vehicle fruit
"""
# scale | poles (two words of one scale exclude each other) | what they describe
_ADJECTIVES = """
size | big/large small/little | animal thing
age | old/ancient new/modern | thing
price | expensive/costly cheap | thing
colour | red/scarlet blue white | thing
mood | happy/glad sad/gloomy | person animal
wealth | rich/wealthy poor | person
honesty | honest/frank dishonest/crooked | person
"""
# key | kind | broader key | phrases; two of one kind exclude each other, unless one is broader
_ADVERBIALS = """
indoors | spot | | indoors/inside
outdoors | spot | | outdoors/outside
kitchen | spot | indoors | in the kitchen
cellar | spot | indoors | in the cellar/in the basement
garden | spot | outdoors | in the garden/in the yard
forest | spot | outdoors | in the forest/in the woods
morning | clock | | in the morning
evening | clock | | in the evening
dawn | clock | morning | at dawn/at sunrise
dusk | clock | evening | at dusk/at sunset
"""
NUMBERS = ("some", "one", "two", "three")  # index: the count; 0 is "some"


@dataclass(frozen=True)
class VerbWord:
    """One verb in its four forms."""

    base: str
    third: str
    past: str
    participle: str


@dataclass(frozen=True)
class Verb:
    """A verb meaning: its synonyms, the key of its opposite, and what may stand around it."""

    words: tuple[VerbWord, ...]
    opposite: str | None
    subjects: tuple[str, ...]
    objects: tuple[str, ...]


@dataclass(frozen=True)
class Adverbial:
    """A place or time: its phrases, the kind within which they exclude each other, the broader."""

    phrases: tuple[str, ...]
    kind: str
    parent: str | None


@dataclass(frozen=True)
class Entity:
    """Somebody or something: a noun or name, perhaps an adjective, and a count (0: some)."""

    head: str
    adjective: str | None = None
    count: int = 1


@dataclass(frozen=True)
class Frame:
    """The meaning of a clause."""

    agent: Entity
    verb: str
    patient: Entity
    place: str | None = None
    time: str | None = None
    negated: bool = False
    tense: str = "past"


def pick(rng: Generator, options: Sequence[T]) -> T:
    """One of the options, all equally likely (much faster than `Generator.choice`)."""
    return options[int(rng.integers(len(options)))]


def chance(rng: Generator, probability: float) -> bool:
    """True with this probability."""
    return bool(rng.random() < probability)


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def _verb_word(entry: str) -> VerbWord:
    base, *rest = entry.split(":")
    regular = base + "d" if base.endswith("e") else base + "ed"
    if base.endswith("y") and base[-2] not in "aeiou":
        regular = base[:-1] + "ied"
    past = rest[0] if rest else regular
    return VerbWord(base, _plural(base), past, rest[-1] if rest else past)


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.split("|")] for row in table.strip().splitlines()]


def _read_nouns() -> tuple[dict[str, tuple[str, ...]], dict[str, str], dict[str, str]]:
    words: dict[str, tuple[str, ...]] = {}
    plurals: dict[str, str] = {}
    parents: dict[str, str] = dict.fromkeys(NAMES, "person")
    for category, members in _NOUNS.items():
        parent = category.split("/")[0]
        for entry in (category, *members.split()):
            pairs = [part.split(":") for part in entry.split("/")]
            plurals |= {pair[0]: pair[-1] if len(pair) > 1 else _plural(pair[0]) for pair in pairs}
            words[pairs[0][0]] = tuple(pair[0] for pair in pairs)
            if entry != category:
                parents[pairs[0][0]] = parent
    plurals["person"] = "people"
    return words, plurals, parents


def _read_verbs() -> dict[str, Verb]:
    verbs: dict[str, Verb] = {}
    for cells in _rows(_VERBS):
        sides = [[_verb_word(entry) for entry in cell.split("/")] for cell in cells[:2] if cell]
        for side in sides:
            other = [s[0].base for s in sides if s is not side]
            subjects, objects = tuple(cells[2].split()), tuple(cells[3].split())
            verbs[side[0].base] = Verb(tuple(side), other[0] if other else None, subjects, objects)
    return verbs


NOUNS, PLURALS, PARENTS = _read_nouns()
CATEGORIES = tuple(dict.fromkeys(PARENTS.values()))
MEMBERS = {c: tuple(n for n in NOUNS if PARENTS.get(n) == c) for c in CATEGORIES}
VERBS = _read_verbs()
ADVERBIALS = {
    key: Adverbial(tuple(phrases.split("/")), kind, parent or None)
    for key, kind, parent, phrases in _rows(_ADVERBIALS)
}
PLACES = tuple(k for k, a in ADVERBIALS.items() if a.kind in ("spot", "land"))
TIMES = tuple(k for k in ADVERBIALS if k not in PLACES)
ADJECTIVES: dict[str, tuple[str, ...]] = {}  # pole -> its synonyms
SCALES: dict[str, tuple[str, ...]] = {}  # pole -> all poles of its scale
DESCRIBES: dict[str, tuple[str, ...]] = {"person": (), "animal": (), "thing": ()}
for _, _poles, _kinds in _rows(_ADJECTIVES):
    _keys = tuple(pole.split("/")[0] for pole in _poles.split())
    ADJECTIVES |= {pole.split("/")[0]: tuple(pole.split("/")) for pole in _poles.split()}
    SCALES |= dict.fromkeys(_keys, _keys)
    DESCRIBES |= {kind: DESCRIBES[kind] + _keys for kind in _kinds.split()}


# ---------------------------------------------------------------------------------- meanings


def adjectives_for(head: str) -> tuple[str, ...]:
    """The adjectives (keys) that may describe this head; none for a name."""
    category = PARENTS.get(head, head)
    return () if head in NAMES else DESCRIBES.get(category, DESCRIBES["thing"])


def draw_entity(rng: Generator, category: str, modified: float = 0.25) -> Entity:
    """A random member of a category, sometimes with an adjective or a number."""
    if category == "person" and chance(rng, 0.6):
        return Entity(pick(rng, NAMES))
    head = pick(rng, MEMBERS[category])
    adjective = pick(rng, adjectives_for(head)) if chance(rng, modified) else None
    return Entity(head, adjective, int(rng.integers(2, 4)) if chance(rng, 0.05) else 1)


def draw_frame(rng: Generator, modified: float = 0.2) -> Frame:
    """A random event; `modified` is the chance of each adjective, place and time."""
    key = pick(rng, tuple(VERBS))
    verb = VERBS[key]
    agent = draw_entity(rng, pick(rng, verb.subjects), modified / 2)
    patient = draw_entity(rng, pick(rng, verb.objects), modified)
    while patient.head == agent.head:
        patient = draw_entity(rng, pick(rng, verb.objects), modified)
    place = pick(rng, PLACES) if chance(rng, modified) else None
    time = pick(rng, TIMES) if chance(rng, modified) else None
    return Frame(agent, key, patient, place, time)


def _nested(p: str, h: str, parents: dict[str, str]) -> str:
    if p == h:
        return "="
    if parents.get(p) == h:
        return "<"
    return ">" if parents.get(h) == p else "#"


def relate_adverbials(p: str | None, h: str | None) -> str:
    """`=`, `<` (the first implies the second), `>`, `|` (they exclude each other) or `#`."""
    if p is None or h is None:
        return "=" if p == h else ("<" if h is None else ">")
    broader = {k: a.parent for k, a in ADVERBIALS.items() if a.parent}
    nested = _nested(p, h, broader)
    return "|" if nested == "#" and ADVERBIALS[p].kind == ADVERBIALS[h].kind else nested


def relate_entities(p: Entity, h: Entity) -> set[str]:
    """The relations of head, adjective and count, in the signs of `relate_adverbials`."""
    relations = {_nested(p.head, h.head, PARENTS)}
    if p.adjective != h.adjective:
        if p.adjective is None or h.adjective is None:
            relations.add("<" if h.adjective is None else ">")
        else:
            relations.add("|" if h.adjective in SCALES[p.adjective] else "#")
    if p.count != h.count:
        if 1 in (p.count, h.count):
            relations.add("#")
        else:
            relations.add("<" if h.count == 0 else ">" if p.count == 0 else "|")
    return relations


def relate(p: Frame, h: Frame) -> set[str]:
    """All relations between the parts of two frames, their negations left aside."""
    swapped = (p.agent.head, p.patient.head) == (h.patient.head, h.agent.head)
    if swapped and p.verb == h.verb:
        return {"|"}
    relations = relate_entities(p.agent, h.agent) | relate_entities(p.patient, h.patient)
    if p.verb != h.verb:
        relations.add("|" if VERBS[p.verb].opposite == h.verb else "#")
    relations |= {relate_adverbials(p.place, h.place), relate_adverbials(p.time, h.time)}
    return relations | ({"#"} if p.tense != h.tense else set())


def judge(p: Frame, h: Frame) -> str:
    """MNLI's label of a pair of frames that speak of the same event, by natural logic."""
    forward, backward = relate(p, h), relate(h, p)
    implies, implied = forward <= {"=", "<"}, backward <= {"=", "<"}
    excludes = "|" in forward and "#" not in forward
    if not p.negated and not h.negated:
        return "entailment" if implies else "contradiction" if excludes else "neutral"
    if p.negated and h.negated:
        return "entailment" if implied else "neutral"
    if p.negated:
        return "contradiction" if implied else "neutral"
    return "contradiction" if implies else "entailment" if excludes else "neutral"


def similarity(p: Frame, h: Frame) -> float:
    """STS-B's score, 0 to 5: how much of the meaning two frames share, slot by slot."""
    head = {"=": 1.0, "<": 0.7, ">": 0.7}
    points, weights = 0.0, 0.0
    for a, b, weight in ((p.agent, h.agent, 1.0), (p.patient, h.patient, 1.25)):
        same_kind = 0.4 if PARENTS.get(a.head) == PARENTS.get(b.head) else 0.0
        points += weight * head.get(_nested(a.head, b.head, PARENTS), same_kind)
        weights += weight
        if a.adjective or b.adjective:
            points += 0.4 * (a.adjective == b.adjective)
            weights += 0.4
    opposite = 0.25 if VERBS[p.verb].opposite == h.verb else 0.0
    points += 1.5 * (1.0 if p.verb == h.verb else opposite)
    for first, second in ((p.place, h.place), (p.time, h.time)):
        if first or second:
            relation = relate_adverbials(first, second)
            both = first is not None and second is not None
            points += 0.5 * (head[relation] if relation in head and both else 0.2)
            weights += 0.5
    score = 5 * points / (weights + 1.5)
    return round(score * (0.6 if p.negated != h.negated else 1.0), 1)


# ----------------------------------------------------------------------------------- wording

FIRST_WORD = {"plain": 0.75, "letter": 0.4, "headline": 0.4}  # chance of the commonest synonym
OPENERS = {
    "plain": ("in fact", "indeed", "of course", "surely"),
    "letter": ("my dear friend", "as you know", "believe me", "you will remember", "sadly"),
}


def choose_word(rng: Generator, words: Sequence[T], style: str = "plain") -> T:
    """A synonym: the first is the commonest in plain style, the others in the other styles."""
    if len(words) == 1 or chance(rng, FIRST_WORD[style]):
        return words[0]
    return pick(rng, words[1:])


def say_entity(rng: Generator, e: Entity, style: str = "plain", any_: bool = False) -> list[str]:
    """A noun phrase; `any_` asks for "any" before a broad term, as under negation."""
    if e.head in NAMES:
        return [e.head]
    broad = e.head not in PARENTS
    if e.head == "person" and e.adjective is None and e.count == 1 and chance(rng, 0.6):
        return ["anyone" if any_ else "someone"]
    noun = choose_word(rng, NOUNS[e.head], style)
    rest = [choose_word(rng, ADJECTIVES[e.adjective], style)] if e.adjective else []
    rest.append(noun if e.count == 1 else PLURALS[noun])
    if e.count != 1:
        return [NUMBERS[e.count], *rest]
    if style == "headline":
        return rest
    if broad and any_:
        return ["any", *rest]
    indefinite = broad or chance(rng, 0.2)
    return [article(rest[0]) if indefinite else "the", *rest]


def article(word: str) -> str:
    """ "a" or "an" before this word."""
    return "an" if word[0].lower() in "aeiou" or word.startswith("honest") else "a"


def say_adverbial(rng: Generator, key: str | None, style: str = "plain") -> list[str]:
    """The words of a place or time, none for None."""
    return choose_word(rng, ADVERBIALS[key].phrases, style).split() if key else []


def be(tense: str, plural: bool, negated: bool) -> list[str]:
    """The passive's auxiliary."""
    if tense == "future":
        return ["will", "not", "be"] if negated else ["will", "be"]
    forms = {"past": ("was", "were"), "present": ("is", "are")}
    return [forms[tense][plural]] + (["not"] if negated else [])


def conjugate(verb: VerbWord, tense: str, plural: bool, negated: bool) -> list[str]:
    """The active verb group."""
    if tense == "future":
        return ["will", "not", verb.base] if negated else ["will", verb.base]
    if negated:
        return [{"past": "did"}.get(tense, "do" if plural else "does"), "not", verb.base]
    present = verb.base if plural else verb.third
    return [verb.past if tense == "past" else present]


def clause(rng: Generator, f: Frame, style: str = "plain") -> list[str]:
    """The words of a frame in a random construction, neither capitalised nor punctuated."""
    verb = choose_word(rng, VERBS[f.verb].words, style)
    broad_patient = f.patient.head not in PARENTS
    agent = say_entity(rng, f.agent, style)
    patient = say_entity(rng, f.patient, style, any_=f.negated)
    place, time = say_adverbial(rng, f.place, style), say_adverbial(rng, f.time, style)
    tail = place + time if chance(rng, 0.9) else time + place
    plural = f.patient.count != 1
    active = conjugate(verb, f.tense, f.agent.count != 1, f.negated)
    if style == "headline":
        active = [verb.base if f.agent.count != 1 else verb.third]
        active = ["does" if f.agent.count == 1 else "do", "not", verb.base] if f.negated else active
    form = rng.random()
    if form < 0.08 and not (f.negated and broad_patient):
        auxiliary = be(f.tense, plural, f.negated)
        if style == "headline":
            auxiliary = ["not"] if f.negated else []
        by = [] if agent == ["someone"] else ["by", *agent]
        return [*patient, *auxiliary, verb.participle, *by, *tail]
    if form < 0.10 and not f.negated and style != "headline":
        who = "who" if PARENTS.get(f.agent.head, f.agent.head) == "person" else "that"
        it = ["it", "is" if f.tense == "present" else "was"]
        if chance(rng, 0.5):
            return [*it, *agent, who, *active, *patient, *tail]
        return [*it, *patient, "that", *agent, *active, *tail]
    if form < 0.14 and tail and style != "headline":
        return [*tail, ",", *agent, *active, *patient]
    return [*agent, *active, *patient, *tail]


def ask(rng: Generator, f: Frame, wh: str) -> list[str]:
    """A question about a frame: wh is "yes/no", "who", "what", "where" or "when"."""
    verb = choose_word(rng, VERBS[f.verb].words)
    agent, patient = say_entity(rng, f.agent), say_entity(rng, f.patient)
    place = [] if wh == "where" else say_adverbial(rng, f.place)
    tail = place + ([] if wh == "when" else say_adverbial(rng, f.time))
    future = f.tense == "future"
    do = "will" if future else "did"
    was = ["will"] if future else ["were" if f.patient.count != 1 else "was"]
    done = ["be", verb.participle] if future else [verb.participle]
    passive = chance(rng, 0.15)
    by = [] if agent == ["someone"] else ["by", *agent]
    if wh == "who":
        active = conjugate(verb, f.tense, False, False)
        return (
            ["by", "whom", *was, *patient, *done] if passive else ["who", *active, *patient]
        ) + tail
    if wh == "what":
        was = was if future else ["was"]
        return (
            ["what", *was, *done, *by, *tail] if passive else ["what", do, *agent, verb.base, *tail]
        )
    front = {"where": ("where", "in which place"), "when": ("when", "at what time")}.get(wh, ("",))
    start = choose_word(rng, front).split()
    return (
        start
        + ([*was, *patient, *done, *by] if passive else [do, *agent, verb.base, *patient])
        + tail
    )


def finish(rng: Generator, words: Sequence[str], mark: str = ".", style: str = "plain") -> str:
    """Words as text: capitals, punctuation, now and then a whole line in title case or capitals."""
    fancy = rng.random()
    if fancy < 0.01:
        words = [w.upper() for w in words]
    elif style == "headline" or fancy < 0.03:
        words = [w[:1].upper() + w[1:] for w in words]
    text = " ".join(words).replace(" ,", ",").replace(" :", ":")
    return text[:1].upper() + text[1:] + ("" if style == "headline" else mark)


def say(rng: Generator, f: Frame, style: str = "plain") -> str:
    """A frame as one finished sentence."""
    words = clause(rng, f, style)
    if style in OPENERS and chance(rng, 0.04 if style == "plain" else 0.6):
        words = [*pick(rng, OPENERS[style]).split(), ",", *words]
    return finish(rng, words, ".", style)
