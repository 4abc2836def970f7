"""GLUE as one table, and two tasks beside it: columns, labels, head, metrics, splits, files.

Label order, column and split names are those of the hub's dataset card; the official TSV files
are mapped onto them when they are read. Task-layer dropout is from MT-DNN (arXiv:1901.11504,
section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from mtkd.common.errors import MtkdError

THREE_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
MNLI_SPLITS = {
    "train": "train",
    "dev": "validation_matched",
    "dev_mm": "validation_mismatched",
    "test": "test_matched",
    "test_mm": "test_mismatched",
}
NLI_LABELS = ("entailment", "neutral", "contradiction")
TWO_SENTENCES = ("sentence1", "sentence2")
KINDS = ("single", "pair", "similarity")


@dataclass(frozen=True)
class Task:
    """One task, whole: what its rows look like, how it is learnt and how it is scored.

    A task of one's own needs a name, a kind and, unless it is a similarity, labels.
    """

    name: str  # key used everywhere: "mnli"
    kind: str  # "single" | "pair" | "similarity", a regression
    labels: tuple[str, ...] = ()  # class names in the hub's order; () for a regression
    title: str = ""  # as printed: "MNLI", "SST-2"; the name, if empty
    columns: tuple[str, ...] = TWO_SENTENCES  # text columns as the hub names them
    metrics: tuple[str, ...] = ("accuracy",)  # of mtkd.data.metrics; their mean is the score
    splits: Mapping[str, str] = field(default_factory=dict, hash=False)  # our split -> the hub's
    sizes: Mapping[str, int] = field(default_factory=dict, hash=False)  # GLUE's today, by split
    folder: str = ""  # folder in the official layout: "MNLI", "diagnostic" for AX
    file: str = "{split}.tsv"  # official file of a split, which is called train, dev, dev_matched
    hub: str | None = None  # the hub's dataset and configuration; None: the one of GLUE
    submission: Mapping[str, str] = field(default_factory=dict, hash=False)  # test split -> upload
    dropout: float = 0.1  # task-layer dropout
    trained: bool = True  # False for WNLI and AX

    def __post_init__(self) -> None:
        if self.kind not in KINDS or bool(self.labels) == (self.kind == "similarity"):
            raise MtkdError(
                f"task {self.name!r}: kind {self.kind!r} with labels {list(self.labels)}; expected "
                "single or pair with class names, or similarity without"
            )
        object.__setattr__(self, "title", self.title or self.name)


@dataclass(frozen=True)
class Examples:
    """One split of one task, as text; N rows in the order of the file."""

    task: Task
    split: str
    idx: np.ndarray  # int64 (N,), the example's own id, unique in the split
    text_a: list[str]
    text_b: list[str] | None
    label: np.ndarray | None  # int64 (N,) index into task.labels, or float32 (N,) score, or None
    clean: np.ndarray | None = None  # the label before annotator noise (toy benchmark only)
    skipped: int = 0  # broken rows left out (QQP)
    notice: str = ""  # what is odd about their file, in one line

    def __len__(self) -> int:
        return len(self.text_a)

    @classmethod
    def from_lists(
        cls,
        task: Task,
        texts: Sequence[str],
        labels: Sequence[str] | Sequence[int] | Sequence[float] | None = None,
        *,
        second: Sequence[str] | None = None,
        split: str = "train",
    ) -> Examples:
        """Examples of a task of one's own, numbered from 0.

        `labels` are class names or their places in `task.labels`, or the scores of a regression;
        `second` are the second texts of pairs. Raises MtkdError where lengths or labels do not fit.
        """
        where = f"{task.title} {split}"
        for name, given in (("labels", labels), ("second texts", second)):
            if given is not None and len(given) != len(texts):
                raise MtkdError(f"{where}: {len(given)} {name} for {len(texts)} texts")
        label = None
        if labels is not None and not task.labels:
            label = np.asarray(labels, np.float32)
        elif labels is not None:
            known: dict[object, int] = {name: place for place, name in enumerate(task.labels)}
            known |= {place: place for place in range(len(task.labels))}
            if unknown := [given for given in labels if given not in known]:
                raise MtkdError(f"{where}: label {unknown[0]!r}; expected {list(task.labels)}")
            label = np.array([known[given] for given in labels], np.int64)
        idx = np.arange(len(texts), dtype=np.int64)
        return cls(task, split, idx, list(texts), None if second is None else list(second), label)


_TASKS = (
    Task(
        name="cola",
        title="CoLA",
        kind="single",
        columns=("sentence",),
        labels=("unacceptable", "acceptable"),
        metrics=("matthews",),
        splits=THREE_SPLITS,
        sizes={"train": 8551, "dev": 1043, "test": 1063},
        folder="CoLA",
        submission={"test": "CoLA.tsv"},
        dropout=0.05,
    ),
    Task(
        name="sst2",
        title="SST-2",
        kind="single",
        columns=("sentence",),
        labels=("negative", "positive"),
        metrics=("accuracy",),
        splits=THREE_SPLITS,
        sizes={"train": 67349, "dev": 872, "test": 1821},
        folder="SST-2",
        submission={"test": "SST-2.tsv"},
    ),
    Task(
        name="mrpc",
        title="MRPC",
        kind="pair",
        columns=TWO_SENTENCES,
        labels=("not_equivalent", "equivalent"),
        metrics=("f1", "accuracy"),
        splits=THREE_SPLITS,
        sizes={"train": 3668, "dev": 408, "test": 1725},
        folder="MRPC",
        submission={"test": "MRPC.tsv"},
    ),
    Task(
        name="stsb",
        title="STS-B",
        kind="similarity",
        columns=TWO_SENTENCES,
        labels=(),
        metrics=("pearson", "spearman"),
        splits=THREE_SPLITS,
        sizes={"train": 5749, "dev": 1500, "test": 1379},
        folder="STS-B",
        submission={"test": "STS-B.tsv"},
    ),
    Task(
        name="qqp",
        title="QQP",
        kind="pair",
        columns=("question1", "question2"),
        labels=("not_duplicate", "duplicate"),
        metrics=("f1", "accuracy"),
        splits=THREE_SPLITS,
        sizes={"train": 363846, "dev": 40430, "test": 390965},
        folder="QQP",
        submission={"test": "QQP.tsv"},
    ),
    Task(
        name="mnli",
        title="MNLI",
        kind="pair",
        columns=("premise", "hypothesis"),
        labels=NLI_LABELS,
        metrics=("accuracy",),
        splits=MNLI_SPLITS,
        sizes={"train": 392702, "dev": 9815, "dev_mm": 9832, "test": 9796, "test_mm": 9847},
        folder="MNLI",
        submission={"test": "MNLI-m.tsv", "test_mm": "MNLI-mm.tsv"},
        dropout=0.3,
    ),
    Task(
        name="qnli",
        title="QNLI",
        kind="pair",
        columns=("question", "sentence"),
        labels=("entailment", "not_entailment"),
        metrics=("accuracy",),
        splits=THREE_SPLITS,
        sizes={"train": 104743, "dev": 5463, "test": 5463},
        folder="QNLI",
        submission={"test": "QNLI.tsv"},
    ),
    Task(
        name="rte",
        title="RTE",
        kind="pair",
        columns=TWO_SENTENCES,
        labels=("entailment", "not_entailment"),
        metrics=("accuracy",),
        splits=THREE_SPLITS,
        sizes={"train": 2490, "dev": 277, "test": 3000},
        folder="RTE",
        submission={"test": "RTE.tsv"},
    ),
    Task(
        name="wnli",
        title="WNLI",
        kind="pair",
        columns=TWO_SENTENCES,
        labels=("not_entailment", "entailment"),
        metrics=("accuracy",),
        splits=THREE_SPLITS,
        sizes={"train": 635, "dev": 71, "test": 146},
        folder="WNLI",
        submission={"test": "WNLI.tsv"},
        trained=False,
    ),
    Task(
        name="ax",
        title="AX",
        kind="pair",
        columns=("premise", "hypothesis"),
        labels=NLI_LABELS,
        metrics=("matthews",),
        splits={"test": "test"},
        sizes={"test": 1104},
        folder="diagnostic",
        file="diagnostic.tsv",
        submission={"test": "AX.tsv"},
        trained=False,
    ),
)

GLUE: Mapping[str, Task] = MappingProxyType({task.name: task for task in _TASKS})
# Tasks beside GLUE, for transfer: MT-DNN's domain adaptation, section 5.5.
_MORE = (
    Task(
        name="snli",
        title="SNLI",
        kind="pair",
        columns=("premise", "hypothesis"),
        labels=NLI_LABELS,
        metrics=("accuracy",),
        splits=THREE_SPLITS,
        folder="SNLI",
        file="snli_1.0_{split}.txt",
        hub="stanfordnlp/snli plain_text",
    ),
    Task(
        name="scitail",
        title="SciTail",
        kind="pair",
        columns=("premise", "hypothesis"),
        labels=("entails", "neutral"),
        metrics=("accuracy",),
        splits=THREE_SPLITS,
        folder="SciTail",
        file="scitail_1.0_{split}.tsv",
        hub="allenai/scitail snli_format",  # its tsv_format lacks rows with quotation marks
    ),
)
TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in (*_TASKS, *_MORE)})
UNLABELLED = "unlabelled"  # text that only teachers label, as one more split of a task
DIAGNOSTIC = "ax"  # has no training data: MNLI's head answers it, as one more split of MNLI
# The policy for WNLI: no system is trained on it, as in the authors' script; its majority class,
# not_entailment, is the answer to every row, which the paper's 65.1 is, too.
WNLI_LABEL = 0


def check_labels(task: str, labels: Sequence[str], where: str) -> None:
    """Refuse a head whose label names are not its task's, in that order; any for another name.

    `where` names the head's model or run in the MtkdError.
    """
    if task in TASKS and tuple(labels) != TASKS[task].labels:
        raise MtkdError(
            f"{where}: the {task} head has labels {list(labels)}; expected "
            f"{list(TASKS[task].labels)}, as this version names them: train the model again"
        )


def is_dev(split: str) -> bool:
    """Whether a split is a dev set; MNLI has two."""
    return split.startswith("dev")


def scored_as(task: str, split: str) -> tuple[str, str]:
    """Task and split under which outputs are stored and scored: MNLI's split "ax" is AX's test."""
    return (DIAGNOSTIC, "test") if split == DIAGNOSTIC else (task, split)
