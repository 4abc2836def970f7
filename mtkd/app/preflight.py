"""What would stop a recipe only after hours of work, looked at before any of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from mtkd.analysis.costs import encoders_of, known_size
from mtkd.common import paths
from mtkd.common.errors import MtkdError
from mtkd.data.glue_files import read_unlabelled
from mtkd.data.loading import find_task
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.plans import uses_text
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe
from mtkd.experiments.studies.registry import variant_recipe
from mtkd.experiments.systems.encoders import checked_encoder

SECONDS = 5.0  # that the hub may take to answer
SAVED = ("encoders", "mtdnn", "distill")  # stages whose runs leave a model
# Of the weights on disk: in a checkpoint with two moments and the best ones, and in the one before.
COPIES = 8


def look_ahead(
    recipe: Recipe, runs: Sequence[Run], due: Sequence[Run], results: Path, jobs: int
) -> None:
    """Raises MtkdError, one line, for what would stop those of the recipe's runs that are due.

    That is a file of text without labels that cannot be read, an encoder that is none, a hub that
    is asked and does not answer, and a disk that the models do not fit on.
    """
    if not due:
        return
    if recipe.data.unlabelled_file is not None and uses_text(recipe):
        for name in recipe.taught:
            if recipe.tasks.get(name) is None:
                read_unlabelled(find_task(name), Path(recipe.data.unlabelled_file).expanduser())
    places = {run.run_id: place_of(recipe, run) for run in due if run.stage == "encoders"}
    if names := asked_of_hub(recipe, places.values()):
        check_hub(names)
    for run in due:
        own, place = of_run(recipe, run), places.get(run.run_id)
        if place is not None and Path(place).is_dir():
            checked_encoder(own, run.variant, place)
    encoders = [run for run in runs if run.stage == "encoders"]
    weights = {run.run_id: weight_bytes(recipe, run) for run in encoders}
    saving = [run for run in due if run.stage in SAVED and places.get(run.run_id) is None]
    check_disk(weights, due, saving, results, min(jobs, len(due)))


def of_run(recipe: Recipe, run: Run) -> Recipe:
    """The recipe as the run has it, which may be a variant of a study."""
    variant = run.parameters.get("variant")
    return variant_recipe(recipe, variant)[0] if variant else recipe


def place_of(recipe: Recipe, run: Run) -> str | None:
    """Folder or hub name of the encoder of a run that makes or checks it."""
    return encoder_location(of_run(recipe, run), run.variant)


def asked_of_hub(recipe: Recipe, places: Iterable[str | None]) -> list[str]:
    """Names of the data and the encoders that the hub is asked for."""
    names = [place for place in places if place is not None and not Path(place).is_dir()]
    glue = recipe.data.kind == "hub" and None in recipe.tasks.values()
    if glue and not Path(recipe.data.hub).is_dir():
        names.insert(0, recipe.data.hub)
    return list(dict.fromkeys(names))


def check_hub(names: Sequence[str]) -> None:
    """Refuse to wait for a hub that does not answer, unless all was downloaded before."""
    from huggingface_hub import constants

    missing = [name for name in names if not downloaded(name)]
    if missing and (constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT)):
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "it does not answer"
        raise MtkdError(
            f"{constants.ENDPOINT}: {why}, and {', '.join(missing)} is not on this machine; check "
            "the network, or give local files (--data-path, `path` of an encoder), or use the "
            "recipe demo, which needs neither"
        )


def downloaded(name: str) -> bool:
    """Whether something of an encoder or a data set of the hub is in the caches here."""
    from huggingface_hub import constants

    data = os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME, "datasets")
    encoder = Path(constants.HF_HUB_CACHE, f"models--{name.replace('/', '--')}")
    return encoder.is_dir() or Path(data, name.replace("/", "___")).is_dir()


def answers(address: str) -> bool:
    """Whether a server says anything, by the way that downloads take, within some seconds."""
    from huggingface_hub import get_session

    pool = ThreadPoolExecutor(1)  # to look up its name may take longer
    asking = pool.submit(get_session().head, address, timeout=SECONDS)
    pool.shutdown(wait=False)
    try:
        return asking.exception(SECONDS) is None
    except TimeoutError:
        return False


def check_disk(
    weights: Mapping[str, int], due: Sequence[Run], saving: Sequence[Run], results: Path, jobs: int
) -> None:
    """Refuse a disk that has no room for the models of the runs and for their checkpoints.

    `weights` are the bytes of an encoder's weights by the id of its run; `saving` are the runs that
    leave a model.
    """
    largest = {
        run.run_id: max((weights[one.run_id] for one in encoders_of(run)), default=0) for run in due
    }
    models = [largest[run.run_id] for run in saving]
    needed = sum(models) + COPIES * jobs * max(largest.values())
    free = shutil.disk_usage(results).free
    if free < needed:
        here, there = (tqdm.format_sizeof(size, "B", 1024) for size in (free, needed))
        raise MtkdError(
            f"{results}: {here} of the disk are free; expected about {there} for "
            f"{len(models)} models and the checkpoints of {jobs} runs at a time: make "
            "room, ask for fewer --jobs, or put the results elsewhere with "
            f"{paths.RESULTS_VARIABLE}"
        )


def weight_bytes(recipe: Recipe, run: Run) -> int:
    """Bytes of the weights that an encoder's run makes or checks; 0 where that is not known."""
    place, size = place_of(recipe, run), known_size(of_run(recipe, run), run.variant)
    if size is not None:
        return 4 * size.hidden * (size.vocabulary + 12 * size.layers * size.hidden)
    return sum(file.stat().st_size for file in Path(place or "").glob("*.safetensors"))
