"""GLUE as one table, and two tasks beside it: columns, labels, head, metrics, splits, files.

Label order, column and split names are those of the hub's dataset card; the official TSV files
are mapped onto them when they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, get_args

import numpy as np

from mtkd.common.errors import MtkdError
from mtkd.data.own_settings import Kind, OwnTask

THREE_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
MNLI_SPLITS = {
    "train": "train",
    "dev": "validation_matched",
    "dev_mm": "validation_mismatched",
    "test": "test_matched",
    "test_mm": "test_mismatched",
}
ONE, TWO = ("sentence",), ("sentence1", "sentence2")
QUESTIONS, NLI = ("question1", "question2"), ("premise", "hypothesis")
NLI_LABELS = ("entailment", "neutral", "contradiction")
ENTAILMENT = ("entailment", "not_entailment")
F1, MATTHEWS = ("f1", "accuracy"), ("matthews",)
DROPOUT = {"mnli": 0.3, "cola": 0.05}  # task layer, 0.1 elsewhere; MT-DNN (1901.11504) section 4.2


@dataclass(frozen=True)
class Task:
    """One task, whole: what its rows look like, how it is learnt and how it is scored.

    A task of one's own needs a name, a kind and, unless it is a regression, labels.
    """

    name: str  # key used everywhere: "mnli"
    kind: Kind = "classification"
    labels: tuple[str, ...] = ()  # class names in the hub's order; () for a regression
    title: str = ""  # as printed: "MNLI", "SST-2"; the name, if empty
    columns: tuple[str, ...] = ("sentence",)  # one text or two, as the hub names them
    metrics: tuple[str, ...] = ("accuracy",)  # of mtkd.data.metrics; their mean is the score
    splits: Mapping[str, str] = field(default_factory=dict, hash=False)  # our split -> the hub's
    sizes: Mapping[str, int] = field(default_factory=dict, hash=False)  # GLUE's today, by split
    folder: str = ""  # folder in the official layout: "MNLI", "diagnostic" for AX
    file: str = "{split}.tsv"  # official file of a split, which is called train, dev, dev_matched
    hub: str | None = None  # the hub's dataset and configuration; None: the one of GLUE
    submission: Mapping[str, str] = field(default_factory=dict, hash=False)  # test split -> upload
    dropout: float = 0.1  # task-layer dropout
    trained: bool = True  # False for WNLI and AX
    weights: tuple[float, ...] = ()  # of the classes in the loss; (): all the same
    range: tuple[float, float] | None = None  # of a regression's scores, where that is known
    bounded: bool = True  # whether no score leaves `range`: no, if it is that of train alone
    own: OwnTask | None = field(default=None, hash=False)  # where a task of one's own lies

    def __post_init__(self) -> None:
        least = {"regression": 0, "classification": 1}.get(self.kind, 2)
        if (
            self.kind not in get_args(Kind)
            or (len(self.labels) < least)
            or bool(self.labels) == (self.kind == "regression")
            or (self.kind == "ranking" and len(self.labels) != 2)
        ):
            raise MtkdError(
                f"task {self.name!r}: kind {self.kind!r} with labels {list(self.labels)}; expected "
                "classification or multilabel with label names, ranking with two, or regression "
                "without"
            )
        if len(self.columns) not in (1, 2):
            raise MtkdError(
                f"task {self.name!r}: columns {list(self.columns)}; expected one of text, or two"
            )
        object.__setattr__(self, "title", self.title or self.name)

    @property
    def pair(self) -> bool:
        """Whether an example is two texts."""
        return len(self.columns) == 2

    @property
    def bounds(self) -> tuple[float, float] | None:
        """What no score is below or above, where that is known."""
        return self.range if self.bounded else None


@dataclass(frozen=True)
class Examples:
    """One split of one task, as text; N rows in the order of the file."""

    task: Task
    split: str
    idx: np.ndarray  # int64 (N,), the example's own id, unique in the split
    text_a: list[str]
    text_b: list[str] | None
    # int64 (N,) index into task.labels, float32 (N,) score, float32 (N, C) of 0 and 1 where a text
    # has several labels, or None
    label: np.ndarray | None
    clean: np.ndarray | None = None  # the label before annotator noise (toy benchmark only)
    skipped: int = 0  # broken rows left out (QQP)
    notice: str = ""  # what is odd about their file, in one line

    def __len__(self) -> int:
        return len(self.text_a)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The texts of each example, (text,) or (text, second text), as a tokenizer takes them."""
        sides = [self.text_a] if self.text_b is None else [self.text_a, self.text_b]
        return list(zip(*sides, strict=True))

    @classmethod
    def from_lists(
        cls,
        task: Task,
        texts: Sequence[str],
        labels: Sequence[Any] | None = None,
        *,
        second: Sequence[str] | None = None,
        split: str = "train",
    ) -> Examples:
        """Examples of a task of one's own, numbered from 0.

        `labels` are class names or their places in `task.labels`, lists of these where a text has
        several, or the scores of a regression; `second` are the second texts of pairs. Raises
        MtkdError where lengths or labels do not fit.
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
            several = task.kind == "multilabel"
            every = [one for given in labels for one in (given if several else [given])]
            if unknown := [one for one in every if one not in known]:
                raise MtkdError(f"{where}: label {unknown[0]!r}; expected {list(task.labels)}")
            if several:
                label = several_hot([[known[one] for one in given] for given in labels], task)
            else:
                label = np.array([known[given] for given in labels], np.int64)
        idx = np.arange(len(texts), dtype=np.int64)
        return cls(task, split, idx, list(texts), None if second is None else list(second), label)


def label_counts(examples: Examples) -> dict[str, int]:
    """How many examples have each label; empty for scores and without labels."""
    names, label = examples.task.labels, examples.label
    if label is None or not names:
        return {}
    hot = label if label.ndim == 2 else label[:, None] == np.arange(len(names))
    return dict(zip(names, hot.sum(axis=0).astype(int).tolist(), strict=True))


def several_hot(places: Sequence[Sequence[int]], task: Task) -> np.ndarray:
    """Labels of texts that have several, float32 (N, C): 1 at each of a row's places, else 0."""
    found = np.zeros((len(places), len(task.labels)), np.float32)
    for row, ones in enumerate(places):
        found[row, list(ones)] = 1
    return found


def _glue(
    name: str,
    title: str,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    sizes: tuple[int, ...],
    metrics: tuple[str, ...] = ("accuracy",),
    **others: Any,
) -> Task:
    """One of GLUE's tasks: three splits and one file to upload, unless `others` says otherwise."""
    kind: Kind = "classification" if labels else "regression"
    usual = {"splits": THREE_SPLITS, "folder": title, "submission": {"test": f"{title}.tsv"}}
    given = usual | others
    counts = dict(zip(given["splits"], sizes, strict=True))
    dropout = DROPOUT.get(name, 0.1)
    return Task(name, kind, labels, title, columns, metrics, sizes=counts, dropout=dropout, **given)


_GLUE = (  # name, title, columns, labels, examples of each split, metrics
    _glue("cola", "CoLA", ONE, ("unacceptable", "acceptable"), (8551, 1043, 1063), MATTHEWS),
    _glue("sst2", "SST-2", ONE, ("negative", "positive"), (67349, 872, 1821)),
    _glue("mrpc", "MRPC", TWO, ("not_equivalent", "equivalent"), (3668, 408, 1725), F1),
    _glue("stsb", "STS-B", TWO, (), (5749, 1500, 1379), ("pearson", "spearman")),
    _glue("qqp", "QQP", QUESTIONS, ("not_duplicate", "duplicate"), (363846, 40430, 390965), F1),
    _glue(
        *("mnli", "MNLI", NLI, NLI_LABELS, (392702, 9815, 9832, 9796, 9847)),
        splits=MNLI_SPLITS,
        submission={"test": "MNLI-m.tsv", "test_mm": "MNLI-mm.tsv"},
    ),
    _glue("qnli", "QNLI", ("question", "sentence"), ENTAILMENT, (104743, 5463, 5463)),
    _glue("rte", "RTE", TWO, ENTAILMENT, (2490, 277, 3000)),
    _glue("wnli", "WNLI", TWO, ("not_entailment", "entailment"), (635, 71, 146), trained=False),
    _glue(
        *("ax", "AX", NLI, NLI_LABELS, (1104,), MATTHEWS),
        splits={"test": "test"},
        folder="diagnostic",
        file="diagnostic.tsv",
        trained=False,
    ),
)
# Tasks beside GLUE, for transfer: MT-DNN's domain adaptation, section 5.5.
_MORE = (
    Task(
        *("snli", "classification", NLI_LABELS, "SNLI", NLI),
        splits=THREE_SPLITS,
        folder="SNLI",
        file="snli_1.0_{split}.txt",
        hub="stanfordnlp/snli plain_text",
    ),
    Task(
        *("scitail", "classification", ("entails", "neutral"), "SciTail", NLI),
        splits=THREE_SPLITS,
        folder="SciTail",
        file="scitail_1.0_{split}.tsv",
        hub="allenai/scitail snli_format",  # its tsv_format lacks rows with quotation marks
    ),
)
GLUE: Mapping[str, Task] = MappingProxyType({task.name: task for task in _GLUE})
TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in (*_GLUE, *_MORE)})
UNLABELLED = "unlabelled"  # text that only teachers label, as one more split of a task
DIAGNOSTIC = "ax"  # has no training data: MNLI's head answers it, as one more split of MNLI
# The policy for WNLI: no system is trained on it, as in the authors' script; its majority class,
# not_entailment, is the answer to every row, which the paper's 65.1 is, too.
WNLI_LABEL = 0


def check_labels(task: Task, labels: Sequence[str], where: str) -> None:
    """Refuse a head whose label names are not its task's, in that order.

    `where` names the head's model or run in the MtkdError.
    """
    if tuple(labels) != task.labels:
        raise MtkdError(
            f"{where}: the {task.name} head has labels {list(labels)}; expected "
            f"{list(task.labels)}, as this version names them: train the model again"
        )


def is_dev(split: str) -> bool:
    """Whether a split is a dev set; MNLI has two."""
    return split.startswith("dev")


def scored_as(task: str, split: str) -> tuple[str, str]:
    """Task and split under which outputs are stored and scored: MNLI's split "ax" is AX's test."""
    return (DIAGNOSTIC, "test") if split == DIAGNOSTIC else (task, split)
