"""What each toy task asks: pairs and sentences built from frames whose label is known.

Every builder takes a random generator and the label wanted and returns one example's texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

from numpy.random import Generator

from mtkd.toy_language import (
    ADVERBIALS,
    MEMBERS,
    NAMES,
    NOUNS,
    NUMBERS,
    PARENTS,
    PLACES,
    PLURALS,
    SCALES,
    TIMES,
    VERBS,
    Entity,
    Frame,
    adjectives_for,
    ask,
    chance,
    choose_word,
    clause,
    draw_frame,
    finish,
    judge,
    pick,
    relate,
    relate_adverbials,
    say,
    similarity,
)

Pair = tuple[Frame | None, Frame | None]
Builder = Callable[[Generator, Frame], Pair]
Texts = tuple[str, str]
AMBIGUOUS = {noun.title() for noun in NOUNS} & set(NAMES)

# ------------------------------------------------------------------------------------- edits


def put(f: Frame, slot: str, value: Entity | str | None) -> Frame:
    """The frame with one part replaced."""
    changes: dict[str, Any] = {slot: value}
    return replace(f, **changes)


def general(rng: Generator, f: Frame) -> Frame | None:
    """A frame that the given one implies (negation aside): one part dropped or made broader."""
    slot = pick(rng, ("agent", "patient", "patient", "place", "time"))
    if slot in ("place", "time"):
        key = getattr(f, slot)
        parent = ADVERBIALS[key].parent if key else None
        kept = parent if chance(rng, 0.6) else None
        return put(f, slot, kept) if key else None
    e: Entity = getattr(f, slot)
    if slot == "agent" and f.negated:  # "someone did not ..." would be ambiguous
        return None
    if e.adjective and chance(rng, 0.6):
        return put(f, slot, replace(e, adjective=None))
    if e.count > 1 and chance(rng, 0.6) and not f.negated:
        return put(f, slot, replace(e, count=0))
    if e.head not in PARENTS:
        return None
    adjective = e.adjective if e.adjective in adjectives_for(PARENTS[e.head]) else None
    return put(f, slot, Entity(PARENTS[e.head], adjective, e.count))


def added(rng: Generator, f: Frame) -> Frame | None:
    """The frame with one more modifier."""
    slot = pick(rng, ("agent", "patient", "place", "time"))
    if slot in ("place", "time"):
        options = PLACES if slot == "place" else TIMES
        return put(f, slot, pick(rng, options)) if getattr(f, slot) is None else None
    e: Entity = getattr(f, slot)
    options = adjectives_for(e.head)
    if e.adjective or not options:
        return None
    return put(f, slot, replace(e, adjective=pick(rng, options)))


def contrary(rng: Generator, f: Frame, kind: str) -> Frame | None:
    """A frame that excludes the given one by its verb, roles, place, time, quality or count."""
    if kind == "verb":
        opposite = VERBS[f.verb].opposite
        return replace(f, verb=opposite) if opposite else None
    if kind == "roles":
        verb = VERBS[f.verb]
        fits = (
            PARENTS.get(f.patient.head) in verb.subjects
            and PARENTS.get(f.agent.head) in verb.objects
        )
        return replace(f, agent=f.patient, patient=f.agent) if fits else None
    if kind in ("place", "time"):
        old = getattr(f, kind)
        options = [k for k in ADVERBIALS if old and relate_adverbials(old, k) == "|"]
        return put(f, kind, pick(rng, options)) if options else None
    slot = pick(rng, ("agent", "patient"))
    e: Entity = getattr(f, slot)
    if kind == "quality" and e.adjective:
        poles = [pole for pole in SCALES[e.adjective] if pole != e.adjective]
        return put(f, slot, replace(e, adjective=pick(rng, poles)))
    if kind == "count" and e.count > 1:
        return put(f, slot, replace(e, count=e.count % 5 + 1 + (e.count == 5)))
    return None


CONTRARIES = ("verb", "verb", "verb", "roles", "roles", "place", "time", "quality", "count")


def namesake(f: Frame) -> Frame | None:
    """Somebody's name taken for the common noun, or the noun for the name: rose and Rose."""
    for slot in ("agent", "patient"):
        e: Entity = getattr(f, slot)
        other = e.head.lower() if e.head in NAMES else e.head.title()
        if e.count == 1 and other != e.head and (other in PARENTS):
            verb = VERBS[f.verb]
            allowed = verb.subjects if slot == "agent" else verb.objects
            if PARENTS[other] in allowed:
                return put(f, slot, Entity(other))
    return None


def elsewhere(rng: Generator, f: Frame) -> Frame | None:
    """The frame with another agent or patient of the same kind: another event."""
    slot = pick(rng, ("agent", "patient"))
    e: Entity = getattr(f, slot)
    if e.head not in PARENTS:
        return None
    pool = NAMES if e.head in NAMES else MEMBERS[PARENTS[e.head]]
    other = pick(rng, [n for n in pool if n not in (f.agent.head, f.patient.head)])
    return put(f, slot, replace(e, head=other))


def unrelated(rng: Generator, f: Frame) -> Frame:
    """Another fact about the same agent."""
    while True:
        other = draw_frame(rng)
        verb = VERBS[other.verb]
        fits = PARENTS.get(f.agent.head, f.agent.head) in verb.subjects
        fresh = other.verb not in (f.verb, VERBS[f.verb].opposite)
        if fits and fresh and other.patient.head not in (f.agent.head, f.patient.head):
            return replace(other, agent=f.agent)


# ----------------------------------------------------------------------------------- language
# inference: each phenomenon makes premise and hypothesis from one frame; `judge` has the last word


def negate(f: Frame) -> Frame:
    """The frame, denied."""
    return replace(f, negated=True)


def sound(f: Frame | None) -> bool:
    """False for denials that English leaves ambiguous: "someone did not", "not two dogs"."""
    if f is None or f.agent.head == f.patient.head:
        return False
    plain = f.agent.count == f.patient.count == 1
    return not f.negated or (plain and f.agent.head in PARENTS)


def _paraphrase(rng: Generator, f: Frame) -> Pair:
    return f, f


def _general(rng: Generator, f: Frame) -> Pair:
    once = general(rng, f)
    return f, general(rng, once) if once and chance(rng, 0.4) else once


def _negated_general(rng: Generator, f: Frame) -> Pair:
    once = general(rng, negate(f))
    return once, negate(f)


def _double_negation(rng: Generator, f: Frame) -> Pair:
    opposite = contrary(rng, f, "verb")
    return f, opposite and negate(opposite)


def _specific(rng: Generator, f: Frame) -> Pair:
    return general(rng, f), f


def _added(rng: Generator, f: Frame) -> Pair:
    return f, added(rng, f)


def _negated_specific(rng: Generator, f: Frame) -> Pair:
    return negate(f), general(rng, negate(f))


def _negated_unrelated(rng: Generator, f: Frame) -> Pair:
    other = unrelated(rng, f)
    return (negate(f), other) if chance(rng, 0.5) else (f, negate(other))


def _namesake(rng: Generator, f: Frame) -> Pair:
    return f, namesake(f)


def _unrelated(rng: Generator, f: Frame) -> Pair:
    return f, unrelated(rng, f)


def _negation(rng: Generator, f: Frame) -> Pair:
    return f, negate(f)


def _negated_premise(rng: Generator, f: Frame) -> Pair:
    once = general(rng, negate(f)) if chance(rng, 0.5) else negate(f)
    return once, f


def _contrary(kind: str) -> Builder:
    return lambda rng, f: (f, contrary(rng, f, kind))


# phenomenon: label, share within the label, builder
PHENOMENA: dict[str, tuple[str, float, Builder]] = {
    "paraphrase": ("entailment", 3.0, _paraphrase),
    "general": ("entailment", 4.0, _general),
    "negated general": ("entailment", 0.5, _negated_general),
    "double negation": ("entailment", 0.6, _double_negation),
    "specific": ("neutral", 2.0, _specific),
    "added": ("neutral", 3.0, _added),
    "negated specific": ("neutral", 0.4, _negated_specific),
    "negated unrelated": ("neutral", 0.4, _negated_unrelated),
    "namesake": ("neutral", 0.6, _namesake),
    "unrelated": ("neutral", 3.5, _unrelated),
    "opposite verb": ("contradiction", 4.0, _contrary("verb")),
    "roles": ("contradiction", 1.2, _contrary("roles")),
    "place": ("contradiction", 1.2, _contrary("place")),
    "time": ("contradiction", 1.2, _contrary("time")),
    "quality": ("contradiction", 0.6, _contrary("quality")),
    "count": ("contradiction", 0.6, _contrary("count")),
    "negation": ("contradiction", 2.0, _negation),
    "negated premise": ("contradiction", 0.8, _negated_premise),
}


def weighted(rng: Generator, label: str) -> str:
    """A phenomenon with this label, by its share."""
    names = [name for name, row in PHENOMENA.items() if row[0] == label]
    point = rng.random() * sum(PHENOMENA[name][1] for name in names)
    for name in names:
        point -= PHENOMENA[name][1]
        if point < 0:
            return name
    return names[-1]


def nli_frames(rng: Generator, phenomenon: str, modified: float = 0.2) -> tuple[Frame, Frame]:
    """Premise and hypothesis that show a phenomenon and have its label."""
    label, _, build = PHENOMENA[phenomenon]
    while True:
        p, h = build(rng, draw_frame(rng, modified))
        # A loosened hypothesis must not give entailment away: the other labels have it, too.
        if h is not None and label != "entailment" and chance(rng, 0.45):
            h = general(rng, h) or h
        if p and h and sound(p) and sound(h) and judge(p, h) == label:
            return p, h


def mnli_pair(rng: Generator, label: str, style: str = "plain") -> Texts:
    """Premise in the genre's style ("plain", or "other" for letters and headlines), hypothesis."""
    return nli_texts(rng, *nli_frames(rng, weighted(rng, label)), style)


def nli_texts(rng: Generator, p: Frame, h: Frame, style: str = "plain") -> Texts:
    """Premise and hypothesis, worded."""
    if style == "other":
        # A headline has no articles to tell Rose from a rose.
        heads = {e.head.title() for f in (p, h) for e in (f.agent, f.patient)}
        style = "headline" if chance(rng, 0.75) and not heads & AMBIGUOUS else "letter"
    return say(rng, p, style), say(rng, h)


def rte_pair(rng: Generator, label: str) -> Texts:
    """Two short facts and a hypothesis about one of them, or one that mixes them up."""
    while True:
        wanted = label if label == "entailment" else pick(rng, ("neutral", "contradiction"))
        p, h = nli_frames(rng, weighted(rng, wanted), 0.15)
        aside = draw_frame(rng, 0.1)
        if label != "entailment" and chance(rng, 0.25):
            h = replace(aside, agent=p.agent)
            fits = PARENTS.get(p.agent.head, p.agent.head) in VERBS[aside.verb].subjects
            if not fits or judge(p, h) != "neutral":
                continue
        heads = {p.agent.head, p.patient.head}
        if not sound(h) or heads & {aside.agent.head, aside.patient.head} or aside.verb == p.verb:
            continue
        if judge(aside, h) == "neutral" and h.verb != VERBS[aside.verb].opposite:
            facts = [say(rng, p), say(rng, aside)]
            return " ".join(facts if chance(rng, 0.5) else facts[::-1]), say(rng, h)


# -------------------------------------------------------------------------------- paraphrases


def altered(rng: Generator, f: Frame) -> Frame:
    """A frame close to the given one in words, different in meaning."""
    while True:
        kind = pick(rng, ("contrary", "contrary", "elsewhere", "general", "added", "name"))
        other = {
            "contrary": lambda: contrary(rng, f, pick(rng, CONTRARIES)),
            "elsewhere": lambda: elsewhere(rng, f),
            "general": lambda: general(rng, f),
            "added": lambda: added(rng, f),
            "name": lambda: namesake(f),
        }[kind]()
        if other is not None and sound(other):
            return other


def mrpc_pair(rng: Generator, label: str) -> Texts:
    """Two wordings of one event, or of two events that share most words."""
    while True:
        f = draw_frame(rng, 0.25)
        f = negate(f) if chance(rng, 0.12) and sound(negate(f)) else f
        g = f if label == "equivalent" else altered(rng, f)
        if label != "equivalent" and chance(rng, 0.12):
            g = replace(f, negated=not f.negated)
        if sound(f) and sound(g):
            a, b = say(rng, f), say(rng, g)
            if a.lower() != b.lower():
                return (a, b) if chance(rng, 0.5) else (b, a)


def stsb_pair(rng: Generator, wanted: float) -> tuple[str, str, float]:
    """Two sentences and their similarity, which is within 0.5 of the one wanted."""
    while True:
        f = g = draw_frame(rng, 0.2)
        for _ in range(round(5 - wanted)):
            g = altered(rng, g)
        g = negate(g) if chance(rng, 0.07) else g
        g = draw_frame(rng, 0.2) if chance(rng, 0.1) else g
        score = similarity(f, g)
        if sound(g) and abs(score - wanted) <= 0.5:
            a, b = say(rng, f), say(rng, g)
            return (a, b, score) if chance(rng, 0.5) else (b, a, score)


# ---------------------------------------------------------------------------------- questions

SLOTS = {"who": "agent", "what": "patient", "where": "place", "when": "time"}


def _masked(f: Frame, wh: str) -> Frame:
    """The frame without what the question asks for."""
    blank = {"who": Entity("person"), "what": Entity("document")}
    return put(f, SLOTS[wh], blank.get(wh)) if wh in SLOTS else f


def _asks(f: Frame, wh: str) -> bool:
    person = PARENTS.get(f.agent.head) == "person"
    thing = PARENTS.get(f.patient.head) not in ("person", None)
    return {"who": person, "what": thing, "where": bool(f.place), "when": bool(f.time)}.get(
        wh, True
    )


def _question(rng: Generator, kinds: Sequence[str]) -> tuple[Frame, str]:
    while True:
        f, wh = draw_frame(rng, 0.25), pick(rng, kinds)
        if _asks(f, wh):
            return f, wh


def qqp_pair(rng: Generator, label: str) -> Texts:
    """Two questions: one asked twice, or two that differ in one part."""
    while True:
        f, wh = _question(rng, ("yes/no", "yes/no", *SLOTS))
        f = replace(f, tense="future") if chance(rng, 0.2) else f
        g, wh2 = f, wh
        if label == "not_duplicate":
            if chance(rng, 0.25):
                wh2 = pick(rng, ("yes/no", *SLOTS))
            else:
                g = altered(rng, f)
        same = wh == wh2 and relate(_masked(f, wh), _masked(g, wh)) == {"="}
        if same == (label == "duplicate") and _asks(g, wh2) and sound(g):
            a, b = (finish(rng, ask(rng, x, w), "?") for x, w in ((f, wh), (g, wh2)))
            if a.lower() != b.lower():
                return (a, b) if chance(rng, 0.5) else (b, a)


def qnli_rows(rng: Generator) -> tuple[str, str, str]:
    """A question, a sentence that answers it, and one that looks as if it did."""
    while True:
        f, wh = _question(rng, tuple(SLOTS))
        slot = SLOTS[wh]
        wrong: Frame | None = altered(rng, f)
        if chance(rng, 0.3):  # what is asked for is not told
            blank = Entity("person") if slot == "agent" else None
            wrong = put(f, slot, blank) if slot != "patient" else None
            wrong = wrong and (added(rng, wrong) if slot == "place" else wrong)
        elif chance(rng, 0.15):
            wrong = negate(f)
        question = general(rng, f) if chance(rng, 0.35) else f
        if wrong is None or question is None or not sound(wrong) or not sound(question):
            continue
        hidden = _masked(question, wh)
        told = getattr(wrong, slot) not in (None, Entity("person")) and not wrong.negated
        answers = told and relate(_masked(wrong, wh), hidden) <= {"=", "<"}
        if not answers and relate(_masked(f, wh), hidden) <= {"=", "<"}:
            return finish(rng, ask(rng, question, wh), "?"), say(rng, f), say(rng, wrong)


# ---------------------------------------------------------------------------------- sentiment

WORKS = ("film/movie", "novel/book", "play", "song", "album", "story", "plot", "acting", "ending")
FEELINGS = {  # label: adjectives, things to be full of, verbs
    "positive": (
        "wonderful/superb charming/delightful funny/amusing brilliant moving/touching fresh clever",
        "charm hope grace wit art joy",
        "loved/adored enjoyed admired",
    ),
    "negative": (
        "awful/dreadful/terrible boring/dull/tedious clumsy silly/foolish weak/feeble stale empty",
        "noise gloom errors malice nonsense",
        "hated/detested regretted mocked",
    ),
}
OTHER = {"positive": "negative", "negative": "positive"}


def feeling(rng: Generator, label: str, part: int) -> str:
    """A word of this polarity: 0 an adjective, 1 a noun, 2 a verb in the past."""
    return choose_word(rng, pick(rng, FEELINGS[label][part].split()).split("/"))


def opinion(rng: Generator, label: str) -> list[str]:
    """A clause of this polarity, often by denying the other one."""
    other = OTHER[label]
    work = ["the", choose_word(rng, pick(rng, WORKS).split("/"))]
    degree = [pick(rng, ("very", "truly", "deeply", "rather"))] if chance(rng, 0.35) else []
    form = int(rng.integers(12))
    if form < 5:
        return [*work, "is", *degree, feeling(rng, label, 0)]
    if form < 8:
        denial = pick(rng, ("not", "never", "hardly", "far from", "anything but")).split()
        degree = degree if denial[-1] in ("not", "hardly") else []
        return [*work, "is", *denial, *degree, feeling(rng, other, 0)]
    if form == 8:
        return [*work, "is", "full", "of", feeling(rng, label, 1)]
    if form == 9:
        return [*work, pick(rng, ("lacks", "is without")), feeling(rng, other, 1)]
    if form == 10:
        return [pick(rng, (*NAMES, "everyone")), feeling(rng, label, 2), *work]
    return [pick(rng, ("nobody", "no critic")), feeling(rng, other, 2), *work]


def sst2_sentence(rng: Generator, label: str) -> str:
    """A review in a sentence; after "but" comes what counts."""
    form = rng.random()
    main, other = opinion(rng, label), opinion(rng, OTHER[label])
    if form < 0.4:
        words = main
    elif form < 0.6:
        words = [*main, "and", *opinion(rng, label)]
    elif form < 0.8:
        words = [*other, ",", "but", *main]
    elif form < 0.9:
        words = [pick(rng, ("although", "while")), *other, ",", *main]
    else:
        words = [*main, ",", "even", "though", *other]
    return finish(rng, " ".join(words).split())


# -------------------------------------------------------------------------------- acceptability

_BE = {"was": "were", "were": "was", "is": "are", "are": "is", "does": "do", "do": "does"}
_FORMS = [w for v in VERBS.values() for w in v.words]
_PERSON = {w.base: w.third for w in _FORMS} | {w.third: w.base for w in _FORMS}
_MAIN = {form for w in _FORMS for form in (w.base, w.third, w.past, w.participle)}
_WRONG = {w.participle: w.base for w in _FORMS} | {w.base: w.past for w in _FORMS}
_SINGULAR = {plural: word for word, plural in PLURALS.items()}


def _agreement(rng: Generator, words: list[str], i: int) -> list[str] | None:
    present = not {"did", "do", "does", "will", "was", "were", "is", "are"} & set(words)
    new = _BE.get(words[i]) or (_PERSON.get(words[i]) if present else None)
    return [*words[:i], new, *words[i + 1 :]] if new else None


def _order(rng: Generator, words: list[str], i: int) -> list[str] | None:
    if words[i] in ("the", "a", "an"):
        return [*words[:i], words[i + 1], words[i], *words[i + 2 :]]
    moved = [*words[:i], *words[i + 1 :], words[i]]
    return moved if words[i] in _MAIN and i < len(words) - 1 else None


def _missing(rng: Generator, words: list[str], i: int) -> list[str] | None:
    droppable = {
        "the",
        "a",
        "an",
        "by",
        "was",
        "were",
        "is",
        "are",
        "did",
        "does",
        "be",
        "in",
        "at",
    }
    return words[:i] + words[i + 1 :] if words[i] in droppable | _MAIN else None


def _form(rng: Generator, words: list[str], i: int) -> list[str] | None:
    helped = {"did", "does", "do", "will", "was", "were", "is", "are", "be"} & set(words[:i])
    new = _WRONG.get(words[i]) if helped and words[i] in _MAIN else None
    return [*words[:i], new, *words[i + 1 :]] if new and new != words[i] else None


def _number(rng: Generator, words: list[str], i: int) -> list[str] | None:
    if words[i] in ("a", "an"):
        return [*words[:i], "a" if words[i] == "an" else "an", *words[i + 1 :]]
    counted = bool(set(NUMBERS) & set(words[max(0, i - 2) : i]))
    new = _SINGULAR.get(words[i]) if counted else None
    return [*words[:i], new, *words[i + 1 :]] if new and new != words[i] else None


def cola_sentence(rng: Generator, label: str) -> str:
    """A sentence as it should be, or with one error of agreement, order, omission or form."""
    while True:
        f = replace(draw_frame(rng, 0.25), tense=pick(rng, ("past", "present", "future")))
        for slot in ("agent", "patient"):
            e: Entity = getattr(f, slot)
            if e.head in NOUNS and chance(rng, 0.4):
                f = put(f, slot, replace(e, count=int(rng.integers(2, 6))))
        f = negate(f) if chance(rng, 0.2) else f
        question = chance(rng, 0.15) and f.tense != "present" and not f.negated
        words = ask(rng, f, "yes/no") if question else clause(rng, f)
        if label == "unacceptable":
            corrupt = pick(rng, (_agreement, _order, _missing, _form, _number))
            options = [corrupt(rng, words, i) for i in range(len(words))]
            fitting = [o for o in options if o and o != words]
            if not fitting:
                continue
            words = pick(rng, fitting)
        return finish(rng, words, "?" if question else ".")


# ------------------------------------------------------------------------------------- pronouns

# sentence with two special words; the first points to the first name or thing, the second to the
# other
SCHEMAS = (
    "{a} helped {b} because she was {kind|tired}.",
    "{a} hired {b} because she {needed help|worked well}.",
    "{a} fed {b} because she {had food|was hungry}.",
    "{a} phoned {b} because she {had news|wanted news}.",
    "{a} could not lift {b} because she was too {weak|heavy}.",
    "{a} lost to {b} because she was so {slow|fast}.",
    "{a} envied {b} because she was {poor|rich}.",
    "{a} thanked {b} after she {got the gift|gave the gift}.",
    "{a} followed {b} although she was {late|lost}.",
    "{a} could not hear {b} because she was {deaf|quiet}.",
)
_WOMEN = {
    "Rose",
    "Lily",
    "Daisy",
    "Violet",
    "Ruby",
    "Pearl",
    "Olive",
    "Grace",
    "Hope",
    "Anna",
    "Maria",
}
WOMEN = tuple(name for name in NAMES if name in _WOMEN)
MEN = ("Bill", "Mark", "Art", "Frank", "Peter", "Oscar", "Jack", "Rich")


def wnli_items() -> list[tuple[str, str, str]]:
    """All schemas with all pairs of names, in a fixed order."""
    return [(schema, a, b) for schema in SCHEMAS for a, b in permutations(WOMEN, 2)]


def wnli_rows(item: tuple[str, str, str], special: int) -> list[tuple[str, str, str]]:
    """The two rows of a schema: sentence, the pronoun replaced by either name, label."""
    schema, a, b = item
    start, rest = schema.split("{a}")[0], schema.split("she", 1)[1]
    middle = schema.split("she", 1)[0].replace("{a}", a).replace("{b}", b)
    before, words = rest.split("{", 1)
    rest = before + words.rstrip("}.").split("|")[special] + "."
    sentence = start + middle + "she" + rest
    right = (a, b)[special]
    return [(sentence, n + rest, "entailment" if n == right else "not_entailment") for n in (a, b)]
