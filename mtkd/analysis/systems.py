"""The systems by name: the one table of titles, order, colours, and which are parts of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import pandas as pd

from mtkd.analysis import colours
from mtkd.analysis.statistics import split_rows
from mtkd.data.tasks import TASKS

MAJORITY = "majority"  # answers with the most frequent label: no model, so in no comparison
REFERENCE = "mtdnn"  # what gains are measured against
ENSEMBLE = "ensemble"
STUDENT = "mtdnn-kd"  # the paper's
NO_TEACHER = "no-teacher"  # its control
STORY = (
    "bert",
    REFERENCE,
    ENSEMBLE,
    STUDENT,
    NO_TEACHER,
)  # the paper's comparison, and the control


@dataclass(frozen=True)
class System:
    """A row of the tables."""

    name: str
    title: str
    colour: str = colours.BLACK
    published: str = ""  # name in paper.csv
    part_of: str = ""  # of another system, so not in the main tables


SYSTEMS = (  # in the order of the tables
    System(MAJORITY, "Majority class"),
    System("bert", "BERT, one model per task", colours.BLACK, "bert"),
    *(
        System(f"stilts-{t.name}", f"BERT on STILTs, {t.title}", colours.ORANGE, "stilts-bert")
        for t in TASKS.values()
    ),
    System("metal", "MeTaL-style", colours.GREY),
    System("metal-ensemble", "MeTaL-style ensemble", colours.DARK_GREY, "metal"),
    System("mtdnn-noft", "MT-DNN, no fine-tuning", colours.SKY),
    System(REFERENCE, "MT-DNN", colours.BLUE, "mtdnn"),
    System(ENSEMBLE, "MT-DNN ensemble", colours.GREEN, "ensemble"),
    System(STUDENT, "MT-DNN-KD", colours.VERMILLION, "mtdnn-kd"),
    System("mtdnn-kd-ft", "MT-DNN-KD, fine-tuned", colours.BROWN),
    System("mtdnn-kd-soft", "MT-DNN-KD, soft targets alone", colours.PURPLE),
    System(NO_TEACHER, "Identical student, no teachers", colours.OLIVE),
)
PARTS = {  # by pattern of their names: parts of other systems, or with a table of their own
    "candidate-*": REFERENCE,
    "teacher-*": ENSEMBLE,
    "given-*": ENSEMBLE,
    "member-*": "metal-ensemble",
    "intermediate-*": "stilts",
    "qnli-*": "bert",
}
PUBLISHED = (  # rows of the papers' tables for which there is no system here
    System("bilstm-elmo", "BiLSTM+ELMo+Attn", published="bilstm-elmo"),
    System("gpt", "GPT", published="gpt"),
    System("stilts-gpt", "GPT on STILTs", published="stilts-gpt"),
    System("alice", "ALICE", published="alice"),
    System("human", "Human performance", published="human"),
)
BY_NAME = {system.name: system for system in (*SYSTEMS, *PUBLISHED)}
STILTS = tuple(f"stilts-{task}" for task in TASKS)


def find_system(name: str) -> System:
    """The system of that name; an unknown one has its name as title, and a colour by it."""
    if name in BY_NAME:
        return BY_NAME[name]
    whole = next((whole for pattern, whole in PARTS.items() if fnmatch(name, pattern)), "")
    return System(name, name, colours.cycled(name), part_of=whole)


def system_order(scores: pd.DataFrame, split: str = "dev") -> list[str]:
    """The systems of the main tables, without parts of others and the majority class."""
    present = set(split_rows(scores, split)["system"]) - {MAJORITY}
    main = {name for name in present if not find_system(name).part_of}
    known = [system.name for system in SYSTEMS if system.name in main]
    return known + sorted(main - set(known))


def with_headline(scores: pd.DataFrame, intermediate: Sequence[str]) -> pd.DataFrame:
    """Scores with one row of STILTs: of the first of the `intermediate` tasks that is there."""
    wanted = [*(f"stilts-{task}" for task in intermediate), *STILTS]
    present = [name for name in wanted if name in set(scores["system"])]
    return scores[~scores["system"].isin(set(present[1:]) - set(present[:1]))]


def majority(scores: pd.DataFrame, split: str = "dev") -> list[str]:
    """The row of the majority class, if it is there."""
    return [MAJORITY] if MAJORITY in set(split_rows(scores, split)["system"]) else []


def system_title(system: str) -> str:
    return find_system(system).title


def task_title(task: str) -> str:
    return TASKS[task].title if task in TASKS else task
