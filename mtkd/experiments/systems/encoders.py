"""The shared layers before any task: pre-trained in the kit, or loaded and checked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtkd.data.digests import encoder_files
from mtkd.data.toy.corpus import toy_corpus
from mtkd.experiments.context import RunContext
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.records import Outcome
from mtkd.experiments.settings import Recipe
from mtkd.method.encoders import check_start, load_encoder, load_tokenizer
from mtkd.method.pretraining import pretrain

if TYPE_CHECKING:
    from mtkd.experiments.runs import Outline, Run


def encoder_run(outline: Outline, name: str) -> Run:
    """The run that pre-trains an encoder or checks one that is loaded."""
    recipe, cost = outline.recipe, 0.0
    source = recipe.encoders[name]
    settings: dict[str, Any] = {"package": source.package, "hub": source.hub}
    settings |= {"revision": source.revision, "pretrain": source.pretrain}
    if source.path:
        settings["path"] = encoder_files(Path(source.path))
    if source.pretrain:
        settings |= asdict(recipe.pretraining_of(name)) | {"lowercase": source.lowercase}
        settings["corpus_seed"] = recipe.data.seed
        # A line costs nearly as much as a training example (measured in the demo).
        cost = 0.85 * recipe.pretraining.sentences * recipe.pretraining.epochs
    elif source.layers:
        settings["layers"] = source.layers
    return outline.run("encoders", name, 0, train_encoder, settings, cost=cost, encoder=name)


def used_encoders(recipe: Recipe) -> list[str]:
    """The default one, those of the candidates, and those that students start from."""
    students = [student.encoder for student in recipe.students.values() if student.encoder]
    candidates = recipe.candidates.encoders if recipe.teachers.choose else ()
    return list(dict.fromkeys([recipe.encoder, *candidates, *students]))


def checked_encoder(recipe: Recipe, name: str, location: str) -> tuple[Any, Any]:
    """An encoder of the recipe and its tokenizer. Raises MtkdError if nothing can start from it."""
    source = recipe.encoders[name]
    tokenizer = load_tokenizer(location, source.revision)
    layers = None if source.pretrain else source.layers
    encoder = load_encoder(location, revision=source.revision, layers=layers)
    check_start(encoder, tokenizer, location)
    return encoder, tokenizer


def train_encoder(context: RunContext) -> Outcome:
    """Pre-train the shared layers on the toy corpus, or check those that the recipe names."""
    recipe, name = context.recipe, context.run.variant
    source = recipe.encoders[name]
    details: dict[str, Any] = {}
    location = encoder_location(recipe, name)
    if location is None:
        lines = toy_corpus(recipe.data.seed, recipe.pretraining.sentences)
        settings, folder = recipe.pretraining_of(name), context.model_folder
        details["losses"] = pretrain(
            lines, settings, lowercase=source.lowercase, seed=0, folder=folder
        )
        location = str(folder)
    encoder, tokenizer = checked_encoder(recipe, name, location)
    details |= {
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "vocabulary": len(tokenizer),
        "layers": getattr(encoder.config, "num_hidden_layers", None),
        "hidden": encoder.config.hidden_size,
    }
    return [], details
