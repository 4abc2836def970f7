"""The systems by name: what they are called, in which order, and which are parts of others."""

from __future__ import annotations

import pandas as pd

from mtkd.analysis.statistics import split_rows
from mtkd.data.tasks import TASKS
from mtkd.experiments.checks import SYSTEM_NAMES

# The rows, in order, as printed.
SYSTEMS = {
    "majority": "Majority class",
    "bert": "BERT, one model per task",
    "stilts": "BERT on STILTs",
    "metal": "MeTaL-style",
    "metal-ensemble": "MeTaL-style ensemble",
    "mtdnn-noft": "MT-DNN, no fine-tuning",
    "mtdnn": "MT-DNN",
    "ensemble": "MT-DNN ensemble",
    "mtdnn-kd": "MT-DNN-KD",
    "mtdnn-kd-ft": "MT-DNN-KD, fine-tuned",
    "mtdnn-kd-soft": "MT-DNN-KD, soft targets alone",
    "untaught": "The same student, no teacher",
}
# Beginnings of the names of systems that are parts of others, or have a table of their own.
PARTS = ("candidate-", "teacher-", "member-", "intermediate-", "qnli-", "stilts-")
# Rows of the papers' tables for which there is no system here.
PUBLISHED = {
    "bilstm-elmo": "BiLSTM+ELMo+Attn",
    "gpt": "GPT",
    "stilts-gpt": "GPT on STILTs",
    "alice": "ALICE",
    "human": "Human performance",
}
MAJORITY = "majority"  # answers with the most frequent label: no model, so in no comparison
REFERENCE = "mtdnn"  # what the ablation compares with


def system_order(scores: pd.DataFrame, split: str = "dev") -> list[str]:
    """The systems of the main tables, without parts of others and the majority class."""
    systems = split_rows(scores, split)["system"]
    present = {s for s in systems if not s.startswith(PARTS) and s != MAJORITY}
    return [name for name in SYSTEMS if name in present] + sorted(present - set(SYSTEMS))


def majority(scores: pd.DataFrame, split: str = "dev") -> list[str]:
    """The row of the majority class, if it is there."""
    return [MAJORITY] if MAJORITY in set(split_rows(scores, split)["system"]) else []


def system_title(system: str) -> str:
    return SYSTEMS.get(system) or PUBLISHED.get(system, system)


def task_title(task: str) -> str:
    return TASKS[task].title if task in TASKS else task


def is_student(system: str) -> bool:
    """Whether a system learnt from the ensemble."""
    return system not in SYSTEM_NAMES
