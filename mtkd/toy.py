"""The toy benchmark: nine GLUE-shaped tasks, a diagnostic set and a corpus, from a seed.

Everything is generated in memory from one small language (`toy_language`), so that the whole
comparison of the paper can be run on a CPU, without a download. Labels are right by construction;
training labels then get annotator noise, dev and test labels do not.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from mtkd.errors import MtkdError
from mtkd.tasks import GLUE, Examples, Task
from mtkd.toy_language import (
    ADJECTIVES,
    ADVERBIALS,
    CATEGORIES,
    NAMES,
    NOUNS,
    PARENTS,
    PLURALS,
    SCALES,
    VERBS,
    Entity,
    Frame,
    article,
    ask,
    chance,
    choose_word,
    clause,
    draw_entity,
    draw_frame,
    finish,
    pick,
    say,
    say_entity,
)
from mtkd.toy_tasks import (
    FEELINGS,
    MEN,
    PHENOMENA,
    SCHEMAS,
    SLOTS,
    WOMEN,
    WORKS,
    cola_sentence,
    feeling,
    general,
    mnli_pair,
    mrpc_pair,
    negate,
    nli_frames,
    nli_texts,
    opinion,
    qnli_rows,
    qqp_pair,
    rte_pair,
    sound,
    sst2_sentence,
    stsb_pair,
    wnli_items,
    wnli_rows,
)

# rows at scale 1; "test" is like "dev"
SIZES = {
    "mnli": {"train": 3000, "dev": 400, "dev_mm": 400, "test": 400, "test_mm": 400},
    "qqp": {"train": 2400, "dev": 400, "test": 400},
    "qnli": {"train": 1600, "dev": 400, "test": 400},
    "sst2": {"train": 1200, "dev": 300, "test": 300},
    "cola": {"train": 700, "dev": 400, "test": 400},
    "stsb": {"train": 500, "dev": 300, "test": 300},
    "mrpc": {"train": 350, "dev": 300, "test": 300},
    "rte": {"train": 250, "dev": 300, "test": 300},
    "wnli": {"train": 60, "dev": 40, "test": 40},
    "ax": {"test": 200},
}
# share of training labels that are wrong; STS-B: standard deviation in points
NOISE = {"mnli": 0.2, "qqp": 0.2, "qnli": 0.2, "sst2": 0.2, "cola": 0.16}
NOISE |= {"mrpc": 0.2, "rte": 0.2, "wnli": 0.15, "stsb": 0.8}
POSITIVE = {"qqp": 0.37, "mrpc": 0.68, "cola": 0.70}  # share of the second class; else balanced
SMALLEST = 16  # rows, at any scale

Row = tuple[str, str | None, str | float]  # first text, second text, label name or score


def toy_examples(task: str, split: str, seed: int = 0, scale: float = 1.0) -> Examples:
    """One split of one toy task, labelled (AX, too).

    `scale` multiplies the sizes of `SIZES` (at least 16 rows). The same arguments give the same
    examples on every machine. Only training labels are noisy; there `clean` has the true ones.
    """
    if task not in SIZES or split not in SIZES[task]:
        known = ", ".join(SIZES.get(task, SIZES))
        raise MtkdError(
            f"the toy benchmark has no split {split!r} of task {task!r}; it has: {known}"
        )
    rows_wanted = max(SMALLEST, round(SIZES[task][split] * scale))
    rng = generator(seed, f"{task}/{split}")
    if task == "wnli":
        rows = _wnli(split, seed, scale, rows_wanted)
    else:
        rows = _rows(GLUE[task], split, rng, rows_wanted)
    clean = _labels(GLUE[task], rows)
    label = _annotate(task, rng, rows, clean) if split == "train" else clean
    text_b = [str(row[1]) for row in rows] if rows[0][1] is not None else None
    idx = np.arange(len(rows), dtype=np.int64)
    return Examples(GLUE[task], split, idx, [row[0] for row in rows], text_b, label, clean)


def generator(seed: int, name: str) -> Generator:
    """The random stream of one seed and name."""
    return Generator(PCG64(SeedSequence([seed, crc32(name.encode())])))


def _rows(task: Task, split: str, rng: Generator, count: int) -> list[Row]:
    """Distinct rows that no other split can have: each text belongs to one split by its hash."""
    mine = {"train": (0, 1), "dev": (2,)}.get(split.removesuffix("_mm"), (3,))
    rows: list[Row] = []
    seen: set[str] = set()
    for wanted in _wanted(task, rng, count):
        while True:
            new = _draw(task.name, split, rng, wanted)
            key = new[0][0] if task.name == "qnli" else f"{new[0][0]}\t{new[0][1]}"
            key = key.lower()
            if key not in seen and crc32(key.encode()) % 4 in mine:
                break
        seen.add(key)
        rows.extend(new)
    return rows[:count]


def _wanted(task: Task, rng: Generator, count: int) -> list[str]:
    """The label (AX: phenomenon, STS-B: score) that each draw must have, in random order."""
    if task.name == "ax":
        names = list(PHENOMENA)
        return [names[i % len(names)] for i in range(count)]
    if task.name == "stsb":
        return [str(score) for score in rng.permutation(np.linspace(0.5, 5.0, count).round(2))]
    if task.name == "qnli":
        return [""] * ((count + 1) // 2)
    if task.name in POSITIVE:
        positive = round(count * POSITIVE[task.name])
        labels = [task.labels[1]] * positive + [task.labels[0]] * (count - positive)
    else:
        labels = [task.labels[i % len(task.labels)] for i in range(count)]
    return [labels[i] for i in rng.permutation(count)]


def _draw(task: str, split: str, rng: Generator, wanted: str) -> list[Row]:
    if task == "qnli":
        question, answer, other = qnli_rows(rng)
        pair: list[Row] = [(question, answer, "entailment"), (question, other, "not_entailment")]
        return pair if chance(rng, 0.5) else pair[::-1]
    if task == "stsb":
        return [stsb_pair(rng, float(wanted))]
    if task == "ax":
        style = "plain" if chance(rng, 0.6) else "other"
        return [(*nli_texts(rng, *nli_frames(rng, wanted), style), PHENOMENA[wanted][0])]
    if task == "mnli":
        return [(*mnli_pair(rng, wanted, "other" if split.endswith("_mm") else "plain"), wanted)]
    if task in ("sst2", "cola"):
        return [((sst2_sentence if task == "sst2" else cola_sentence)(rng, wanted), None, wanted)]
    pairs = {"qqp": qqp_pair, "mrpc": mrpc_pair, "rte": rte_pair}
    return [(*pairs[task](rng, wanted), wanted)]


def _wnli(split: str, seed: int, scale: float, count: int) -> list[Row]:
    """Adversarial: dev repeats train's sentences with one word changed, which turns the answer."""
    items = wnli_items()
    order = generator(seed, "wnli").permutation(len(items))
    dev = max(SMALLEST, round(SIZES["wnli"]["dev"] * scale)) // 2
    first = dev if split == "test" else 0
    rows: list[Row] = []
    for place in range(first, first + (count + 1) // 2):
        item = int(order[place % len(items)])
        special = (item + crc32(f"wnli/{seed}/{item}".encode())) % 2
        rows.extend(wnli_rows(items[item], special if split == "train" else 1 - special))
    return rows[:count]


def _labels(task: Task, rows: list[Row]) -> np.ndarray:
    if not task.labels:
        return np.array([row[2] for row in rows], dtype=np.float32)
    return np.array([task.labels.index(str(row[2])) for row in rows], dtype=np.int64)


def _annotate(task: str, rng: Generator, rows: list[Row], clean: np.ndarray) -> np.ndarray:
    """Labels with annotators' errors, likelier in long examples; QNLI's pairs stay one of each."""
    if task == "stsb":
        noisy = clean + rng.normal(0.0, NOISE[task], len(clean))
        return np.clip(noisy, 0.0, 5.0).astype(np.float32)
    group = 2 if task == "qnli" else 1
    words = np.array([len(f"{row[0]} {row[1]}".split()) for row in rows[::group]], dtype=float)
    wrong = rng.choice(
        len(words), round(NOISE[task] * len(words)), replace=False, p=words / words.sum()
    )
    classes = len(GLUE[task].labels)
    label = clean.copy()
    for i in wrong:
        label[i * group : (i + 1) * group] += 1 if group == 2 else rng.integers(1, classes)
    return label % classes


# ------------------------------------------------------------------------------------- corpus


def toy_corpus(seed: int = 0, sentences: int = 20000) -> list[str]:
    """That many lines of text for masked language modelling, which teach the lexicon.

    Sentences of all genres, paraphrases side by side, and lines that explain words by others.
    There are no task labels in it, and it is drawn independently of the tasks.
    """
    rng = generator(seed, "corpus")
    return [_line(rng) for _ in range(sentences)]


def _line(rng: Generator) -> str:
    form = rng.random()
    for share, write in _WRITERS:
        form -= share
        if form < 0:
            return write(rng)
    return _story(rng)


def _frame(rng: Generator) -> Frame:
    tense = "past" if chance(rng, 0.8) else pick(rng, ("present", "future"))
    f = draw_frame(rng)
    denied = chance(rng, 0.12) and f.agent.count == f.patient.count == 1
    return Frame(f.agent, f.verb, f.patient, f.place, f.time, denied, tense)


def _story(rng: Generator) -> str:
    style = pick(rng, ("plain", "plain", "plain", "letter", "headline"))
    return say(rng, _frame(rng), style)


def _paraphrases(rng: Generator) -> str:
    f = _frame(rng)
    return f"{say(rng, f)} {say(rng, f, pick(rng, ('plain', 'plain', 'letter')))}"


def _quiz(rng: Generator) -> str:
    """A sentence and yes-or-no questions about single words of it.

    A corpus of the world's size teaches to look a word up in another sentence; one of twenty
    thousand lines teaches it this way: a synonym or a broader word is a yes, its opposite a no.
    """
    f = draw_frame(rng, 0.3)
    parts = [say(rng, f)]
    for _ in range(6):
        right = chance(rng, 0.5)
        words = _probe(rng, f, right)
        if words:
            parts.append(f"{finish(rng, words, '?')} {'Yes' if right else 'No'}.")
    return " ".join(parts)


def _probe(rng: Generator, f: Frame, right: bool) -> list[str]:
    """A part of the frame or something like it; empty where the frame has no such part."""
    slot = pick(rng, ("agent", "patient", "verb", "verb", "adverbial"))
    if slot == "verb":
        other = VERBS[f.verb].opposite if chance(rng, 0.6) else pick(rng, tuple(VERBS))
        key = f.verb if right else other
        if key is None or (key == f.verb) != right:
            return []
        return [choose_word(rng, VERBS[key].words).past]
    if slot == "adverbial":
        given = [key for key in (f.place, f.time) if key]
        if not given:
            return []
        key = pick(rng, given)
        kind = ADVERBIALS[key].kind
        broader = ADVERBIALS[key].parent
        same = [k for k in ADVERBIALS if ADVERBIALS[k].kind == kind and k not in (key, broader)]
        shown = (broader if broader and chance(rng, 0.4) else key) if right else pick(rng, same)
        return pick(rng, ADVERBIALS[shown].phrases).split()
    e: Entity = f.agent if slot == "agent" else f.patient
    if not right:
        category = PARENTS[e.head] if chance(rng, 0.6) else pick(rng, CATEGORIES)
        other_one = draw_entity(rng, category)
        taken = {f.agent.head, f.patient.head}
        return [] if other_one.head in taken else say_entity(rng, other_one)
    return say_entity(rng, Entity(PARENTS[e.head], None, e.count) if chance(rng, 0.35) else e)


def _consequence(rng: Generator) -> str:
    """A fact and something that follows from it."""
    while True:
        f = draw_frame(rng, 0.4)
        f = negate(f) if chance(rng, 0.2) else f
        other = general(rng, f)
        if other is not None and sound(f) and sound(other):
            fact, rest = (other, f) if f.negated else (f, other)
            return finish(rng, ["if", *clause(rng, fact), ",", "then", *clause(rng, rest)])


def _denial(rng: Generator) -> str:
    """A fact with the denial of its opposite."""
    while True:
        f = draw_frame(rng, 0.1)
        opposite = VERBS[f.verb].opposite
        if opposite and f.agent.count == f.patient.count == 1:
            no = Frame(f.agent, opposite, f.patient, negated=True)
            parts = [clause(rng, f), clause(rng, no)]
            first, second = parts if chance(rng, 0.5) else parts[::-1]
            return finish(rng, [*first, ":", *second])


def _question_answer(rng: Generator) -> str:
    while True:
        f, wh = draw_frame(rng, 0.5), pick(rng, tuple(SLOTS))
        person = PARENTS.get(f.agent.head) == "person"
        thing = PARENTS.get(f.patient.head) != "person"
        if {"who": person, "what": thing, "where": f.place, "when": f.time}[wh]:
            return f"{finish(rng, ask(rng, f, wh), '?')} {say(rng, f)}"


def _is_a(rng: Generator) -> str:
    head = pick(rng, tuple(PARENTS))
    word = pick(rng, NOUNS[PARENTS[head]])
    if head in NAMES:
        return finish(rng, [head, "is", article(word), word])
    noun = pick(rng, NOUNS[head])
    if chance(rng, 0.5):
        return finish(rng, [PLURALS[noun], "are", PLURALS[word]])
    return finish(rng, [article(noun), noun, "is", article(word), word])


def _place_is(rng: Generator) -> str:
    narrow = [a for a in ADVERBIALS.values() if a.parent]
    a = pick(rng, narrow)
    broad = ADVERBIALS[a.parent or ""]
    return finish(rng, [*pick(rng, a.phrases).split(), "is", *pick(rng, broad.phrases).split()])


def _means(rng: Generator) -> str:
    """Two words for one thing."""
    nouns = [words for words in NOUNS.values() if len(words) > 1]
    verbs = [tuple(w.base for w in v.words) for v in VERBS.values() if len(v.words) > 1]
    pasts = [tuple(w.past for w in v.words) for v in VERBS.values() if len(v.words) > 1]
    adjectives = [words for words in ADJECTIVES.values() if len(words) > 1]
    phrases = [a.phrases for a in ADVERBIALS.values() if len(a.phrases) > 1]
    feelings = [w for row in FEELINGS.values() for w in row[0].split() if "/" in w]
    groups = [nouns, verbs, verbs, pasts, adjectives, adjectives, phrases]
    groups.append([tuple(w.split("/")) for w in feelings])
    words = list(pick(rng, pick(rng, groups)))
    first = words.pop(int(rng.integers(len(words))))
    middle = pick(rng, ("means", "is the same as", "is another word for", "is like"))
    return finish(rng, f"{first} {middle} {pick(rng, words)}".split())


def _is_not(rng: Generator) -> str:
    """Two words that exclude each other."""
    if chance(rng, 0.5):
        key = pick(rng, tuple(SCALES))
        other = pick(rng, [pole for pole in SCALES[key] if pole != key])
        a, b = pick(rng, ADJECTIVES[key]), pick(rng, ADJECTIVES[other])
    else:
        key = pick(rng, [key for key, verb in VERBS.items() if verb.opposite])
        a = pick(rng, VERBS[key].words).base
        b = pick(rng, VERBS[VERBS[key].opposite or key].words).base
    middle = pick(rng, ("is not", "is the opposite of", "means not"))
    return finish(rng, f"{a} {middle} {b}".split())


def _review(rng: Generator) -> str:
    """An opinion and another of the same polarity, or two words of one polarity."""
    label = pick(rng, tuple(FEELINGS))
    form = rng.random()
    if form < 0.25:
        return sst2_sentence(rng, label)
    if form < 0.65:
        return finish(rng, " ".join([*opinion(rng, label), ":", *opinion(rng, label)]).split())
    work = choose_word(rng, pick(rng, WORKS).split("/"))
    words = ["the", work, "is", feeling(rng, label, 0), "and", feeling(rng, label, 0)]
    return finish(rng, words)


def _anecdote(rng: Generator) -> str:
    """One of WNLI's sentences about a man and a woman, so that the pronoun is plain."""
    schema, man, special = pick(rng, SCHEMAS), pick(rng, MEN), int(rng.integers(2))
    a, b = (man, pick(rng, WOMEN))[:: pick(rng, (1, -1))]
    row = wnli_rows((schema, a, b), special)[0]
    return row[0].replace(" she ", " he ") if (a, b)[special] == man else row[0]


def _portrait(rng: Generator) -> str:
    """A noun phrase with what it is like."""
    f = draw_frame(rng, 1.0)
    e: Entity = f.patient
    if e.adjective is None or e.count != 1:
        return _story(rng)
    noun, adjective = pick(rng, NOUNS[e.head]), ADJECTIVES[e.adjective]
    a, b = pick(rng, adjective), pick(rng, adjective)
    return finish(rng, ["the", a, noun, "is", b])


_WRITERS: tuple[tuple[float, Callable[[Generator], str]], ...] = (
    (0.30, _quiz),
    (0.20, _paraphrases),
    (0.06, _consequence),
    (0.05, _denial),
    (0.08, _question_answer),
    (0.04, _is_a),
    (0.02, _place_is),
    (0.05, _means),
    (0.03, _is_not),
    (0.09, _review),
    (0.02, _anecdote),
    (0.01, _portrait),
)  # the rest are single sentences
