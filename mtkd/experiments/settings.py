"""What a recipe says: plain values with their bounds, read from YAML, kept in records."""

from __future__ import annotations

import re
from dataclasses import asdict, field, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from mtkd.common.settings import STRICT, Different, Several
from mtkd.data.given_settings import GivenTeacher
from mtkd.data.loading import DataSource, find_task
from mtkd.data.own_settings import OwnTask
from mtkd.data.own_tasks import own_task
from mtkd.data.tasks import Task
from mtkd.method.settings import Count, Distillation, Dropout, HeadSpec, Pretraining, Training


def folder_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError("expected letters, digits, '.', '-' and '_' only")
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"expected at most {LONGEST_NAME} bytes: it becomes a part of file names")
    return name


def rising_from_none(ratios: tuple[float, ...]) -> tuple[float, ...]:
    if ratios[0] != 0 or list(ratios) != sorted(ratios) or any(0 < x < 1e-4 for x in ratios):
        raise ValueError("expected 0 first, then rising ones from 0.0001")
    return ratios


LONGEST_NAME = 80  # a run's id holds up to two, and file systems take names of 255 bytes
EIGHT = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
PAPERS = ("mnli", "qqp", "rte", "qnli")  # tasks that the KD paper's teachers teach, section 4.1
Name = Annotated[str, AfterValidator(folder_name)]  # becomes the name of a folder
Layers = Annotated[int, Field(ge=1, le=1000)]
Fraction = Annotated[float, Field(ge=1e-4, le=1)]
Ratio = Annotated[float, Field(ge=0, le=1e4)]


@dataclass(frozen=True, config=STRICT)
class EncoderSource:
    """Where an encoder comes from: exactly one of pretrain, path, package and hub."""

    pretrain: bool = False  # made in the kit by masked LM on the toy corpus
    lowercase: bool = True  # of a pre-trained one: uncased
    path: str | None = None  # folder with config.json, model.safetensors, tokenizer files
    package: str | None = None  # installed package that carries a model, "name/folder"
    hub: str | None = None  # hub name
    revision: str | None = None  # pinned commit of the hub name
    layers: Layers | None = None  # of a pre-trained one, its depth; of a loaded one, its first ones
    hidden: Count | None = None  # of a pre-trained one: its width

    def __post_init__(self) -> None:
        given = [place for place in (self.path, self.package, self.hub) if place is not None]
        if len(given) + self.pretrain != 1:
            raise ValueError("expected exactly one of pretrain, path, package and hub")
        if self.hidden is not None and not self.pretrain:
            raise ValueError("expected no `hidden`: the width of a loaded encoder is given")


@dataclass(frozen=True, config=STRICT)
class Heads:
    """Which head a task gets; single sentences are linear, similarity is a regression."""

    pair: str = "san"  # of sentence pairs: a name in the registry of heads
    qnli: Literal["classification", "ranking"] = "classification"
    options: dict[str, Any] = field(default_factory=dict)  # of that kind: a SAN's `steps`, say

    def spec(self, task: Task) -> HeadSpec:
        """The head that a task gets."""
        if task.name == "qnli" and self.qnli == "ranking":
            return HeadSpec("ranking", task.labels, task.dropout)
        return HeadSpec.for_task(task, self.pair, self.options)


@dataclass(frozen=True, config=STRICT)
class Candidates:
    """Single MT-DNNs that compete to be teachers: encoders x dropout rates (KD paper 4.1)."""

    encoders: Several[str] = ("cased", "uncased")
    dropout: Several[Dropout] = (0.1, 0.2, 0.3)  # on the shared layers


@dataclass(frozen=True, config=STRICT)
class Teachers:
    """Which candidates teach, and what; which teachers from elsewhere do."""

    # Candidates that teach; 0: given teachers alone, and no candidate is trained for its own sake
    choose: Annotated[int, Field(ge=0, le=10**9)] = 3
    selection: Literal["best", "random"] = "best"  # which of the candidates are chosen
    selection_tasks: Several[str] = ("mnli", "rte")  # best: by the mean of their dev scores
    # Tasks whose soft targets are used; none named: the paper's four, and all of one's own
    tasks: Several[str] | None = None
    average: Literal["probabilities", "logits"] = "probabilities"
    # Teachers that are there already, of one task each, beside the chosen candidates
    given: tuple[GivenTeacher, ...] = ()
    # Folds: each chosen candidate is trained anew without each of them, from its encoder on, and
    # its soft targets on training examples come from the model that has not seen them. None: they
    # come from models that have, as in the paper
    crossfit: Annotated[int, Field(ge=2, le=1000)] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What of it is in the identity of runs; given teachers are known by their content."""
        said = asdict(self)
        del said["given"]
        if self.crossfit is None:  # as before there was any
            del said["crossfit"]
        return said


@dataclass(frozen=True, config=STRICT)
class Sizes:
    """Smaller students of the study `sizes`: every depth with every width."""

    layers: tuple[Layers, ...] = (1, 2, 3)
    hidden: tuple[Count, ...] = ()  # empty: the encoder's own; others where it is pre-trained


@dataclass(frozen=True, config=STRICT)
class Unlabelled:
    """Text without labels in the study `unlabelled`: each ratio with each fraction of labels."""

    fractions: Several[Fraction] = (0.1, 0.25, 1.0)  # of the labels
    # Multiples of a task's training examples, or all the text that is there
    ratios: Annotated[Several[Ratio], AfterValidator(rising_from_none)] = (0.0, 0.5, 1.0)


@dataclass(frozen=True, config=STRICT)
class FewLabels:
    """Tasks that no model has seen, in the study `few-labels`: each with some of its labels."""

    tasks: Several[str] = ("snli", "scitail")
    fractions: Several[Fraction] = (0.001, 0.01, 0.1, 1.0)  # of the labels
    min_steps: Count = 100  # optimiser steps at least: the fewer the examples, the more epochs


@dataclass(frozen=True, config=STRICT)
class Student(Distillation):
    """A student: how it listens to its teachers, who they are, and what else it learns from."""

    finetune: bool = False  # also fine-tune the student per task: the system `<student>-ft`
    encoder: str | None = None  # the student starts from this one; None: the recipe's default
    taught_by: tuple[str, ...] = ()  # students above this one in the recipe; none: the ensemble
    # A student above this one whose random numbers it has, so that they differ in nothing else
    same_seed_as: str | None = None
    # Text without labels that the student learns from by soft targets alone, as a multiple of each
    # teacher task's training examples; of that the teachers have labelled `data.unlabelled_ratio`
    unlabelled_ratio: Annotated[float, Field(ge=0, le=1e4)] = 0.0
    # In place of that text, as many of the task's training examples once more
    repeat_labelled: bool = False


@dataclass(frozen=True, config=STRICT)
class Question:
    """What a recipe is to answer: does one system score higher than another?"""

    ask: str  # the question as it is shown, with its question mark
    # Systems of the recipe, or variants of its studies: "crossfit/cross-fitted"
    system: str
    against: str


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """A whole experiment. `mtkd plan` shows the runs that it expands into."""

    name: Name
    about: str = ""
    caveat: str = ""  # what a reader must know of the scores; stands under every table of them
    # Modules that register losses, heads, baselines or studies of one's own, by their names
    extensions: tuple[str, ...] = ()
    data: DataSource = field(default_factory=DataSource)
    # Names of GLUE's tasks, or a mapping, where a task of one's own says where its examples are
    tasks: dict[Name, OwnTask | None] = field(default_factory=lambda: dict.fromkeys(EIGHT))
    max_length: Annotated[int, Field(ge=8, le=100_000)] = 512
    encoders: dict[Name, EncoderSource] = field(default_factory=dict)
    encoder: str = "uncased"  # the default encoder: single models and students start from it
    dropout: Dropout = 0.1  # on the shared layers of single models and students
    pretraining: Pretraining = field(default_factory=Pretraining)
    heads: Heads = field(default_factory=Heads)
    # What the multi-task models are compared with, all of single-stage budgets
    baselines: Different[str] = ("bert", "stilts", "metal")
    intermediate: Several[str] = ("mnli",)  # STILTs: tasks trained on first, one at a time
    # Single-task and multi-task training, students too
    training: Training = field(default_factory=Training)
    finetuning: Training = field(default_factory=Training)  # of a multi-task model, task by task
    candidates: Candidates = field(default_factory=Candidates)
    teachers: Teachers = field(default_factory=Teachers)
    students: dict[Name, Student] = field(
        default_factory=lambda: {
            "mtdnn-kd": Student(hard_weight=0.5, finetune=True),
            "mtdnn-kd-soft": Student(hard_weight=0.0),
        }
    )
    # Points of the mean dev score that the first student with teachers may lose against the
    # ensemble, and still be the one to ship
    margin: Annotated[float, Field(gt=0, le=100)] = 1.0
    # Said before the first run, and answered at the top of the page; the tests are adjusted for
    # their number. None: the paper's comparisons
    questions: tuple[Question, ...] = ()
    # True: single-task models and students train for the passes of both stages of `mtdnn`
    # together, so that every system sees each example equally often
    equal_passes: bool = False
    fresh_heads: bool = False  # fine-tune with new heads rather than the multi-task ones
    seeds: Several[Annotated[int, Field(ge=0, le=10**9)]] = (1,)
    studies: tuple[str, ...] = ()  # questions to answer beside the main table
    # That make one training together, on this machine, with a GPU each where there are GPUs. How a
    # training is spread does not decide what it gives: it is in the identity of no run.
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    sizes: Sizes = field(default_factory=Sizes)
    unlabelled: Unlabelled = field(default_factory=Unlabelled)
    few_labels: FewLabels = field(default_factory=FewLabels)

    def task(self, name: str) -> Task:
        """A task by its name: the recipe's own, or a known one.

        Raises MtkdError if it has no such task, or the files of an own one are not as described.
        """
        if (own := self.tasks.get(name)) is not None:
            return own_task(name, own)
        return find_task(name)

    @property
    def taught(self) -> tuple[str, ...]:
        """The tasks whose soft targets are used, where the data has them."""
        own = (name for name, task in self.tasks.items() if task is not None)
        named = self.teachers.tasks or (*PAPERS, *own)
        given = (teacher.task for teacher in self.teachers.given)
        return tuple(dict.fromkeys([*(named if self.teachers.choose else ()), *given]))

    @property
    def single_stage(self) -> Training:
        """How a system without a second, fine-tuning stage is trained: `bert` and the students."""
        more = self.finetuning.epochs if self.equal_passes else 0
        return replace(self.training, epochs=self.training.epochs + more)

    def pretraining_of(self, encoder: str) -> Pretraining:
        """How an encoder of the kit's own is made: as the recipe says, in its own size."""
        source, how = self.encoders[encoder], self.pretraining
        return replace(how, layers=source.layers or how.layers, hidden=source.hidden or how.hidden)
