"""A run's id decides its content: every setting that a stage reads is in it, and so is its data."""

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from mtkd.common.errors import MtkdError
from mtkd.common.files import write_text
from mtkd.experiments import inputs as run_inputs
from mtkd.experiments.context import RunContext
from mtkd.experiments.plans import few_label_runs, main_runs
from mtkd.experiments.recipes import load_recipe
from mtkd.experiments.runs import Run
from mtkd.experiments.settings import Recipe
from mtkd.experiments.task_sets import present_tasks
from mtkd.experiments.validation import changed

# Read for other things than results: names in messages, and where files lie.
NO_CONTENT = {"name", "about", "data.path", "extensions", "processes"}  # of processes only rounding
SMALL = ("tasks=[stsb,mnli,qnli,rte]", "data.scale=0.05", "teachers.choose=1")
CHOICES = {
    "candidates.encoders": ["[cased]", "[uncased]"],
    "encoder": ["cased"],
    "intermediate": ["[rte]"],
}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return changed(load_recipe("smoke"), SMALL)


@pytest.fixture(scope="module")
def reads(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The settings that each run reads while it is made, by config id."""
    results, found = tmp_path_factory.mktemp("results"), dict[str, set[str]]()
    origin = run_inputs.data_origin
    with pytest.MonkeyPatch.context() as patch:
        # The token cache has keys of its own, of all that a data source says.
        patch.setattr(run_inputs, "data_origin", lambda source, *a: origin(recipe.data, *a))
        for run in [*main_runs(recipe), *few_label_runs(recipe)]:
            seen = found.setdefault(run.config_id, set())
            at_work = RunContext(watched(recipe, "", seen), run, results, present_tasks(recipe))
            at_work.execute()
    return found


def watched(value: Any, path: str, seen: set[str]) -> Any:
    """A copy that notes the dotted name of every plain setting that is read."""
    if isinstance(value, dict):
        return {key: watched(item, f"{path}{key}.", seen) for key, item in value.items()}
    if not dataclasses.is_dataclass(value):
        return value

    class Watched(type(value)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            found = object.__getattribute__(self, name)
            if name not in object.__getattribute__(self, "__dataclass_fields__"):
                return found
            if not dataclasses.is_dataclass(found) and not isinstance(found, dict):
                seen.add(path + name)
            return watched(found, f"{path}{name}.", seen)

    copy = object.__new__(Watched)
    for field in dataclasses.fields(value):
        object.__setattr__(copy, field.name, object.__getattribute__(value, field.name))
    return copy


def others(recipe: Recipe, path: str) -> Iterator[str]:
    """Other values of a setting, as YAML; none where its type does not tell any."""
    yield from CHOICES.get(path, ())
    owner: Any = recipe
    *parents, last = path.split(".")
    for name in parents:
        owner = owner[name] if isinstance(owner, dict) else getattr(owner, name)
    value, hint = getattr(owner, last), typing.get_type_hints(type(owner), None, None)[last]
    literal = hint if typing.get_origin(hint) is Literal else None
    if literal:
        yield from (str(choice) for choice in typing.get_args(literal) if choice != value)
    elif isinstance(value, bool):
        yield str(not value).lower()
    elif isinstance(value, int):
        yield from (str(other) for other in (value + 1, value - 1))
    elif isinstance(value, float):
        yield from (str(other) for other in (value / 2 + 0.01, value / 2) if other != value)
    elif isinstance(value, tuple) and len(value) > 1:
        yield f"[{', '.join(map(str, value[:-1]))}]"
        yield f"[{', '.join(map(str, value[::-1]))}]"
    elif last == "taught_by":
        yield from (f"[{name}]" for name in recipe.students)


def test_every_setting_that_a_run_reads_is_in_its_id(
    recipe: Recipe, reads: dict[str, set[str]]
) -> None:
    before = {key(run): run for run in [*main_runs(recipe), *few_label_runs(recipe)]}
    checked = 0
    for path in sorted(set().union(*reads.values()) - NO_CONTENT):
        variants = list(changed_runs(recipe, path))
        for place, run in before.items():
            # A run that a value does away with cannot be taken for the old one.
            after = [found[place] for found in variants if place in found]
            if path in reads[run.config_id] and after:
                assert any(run.config_id != new.config_id for new in after), (path, run.config_id)
                checked += 1
    assert checked > 200  # the watching works


def changed_runs(recipe: Recipe, path: str) -> Iterator[dict[tuple[str, str, int], Run]]:
    for value in others(recipe, path):
        try:
            other = changed(recipe, [f"{path}={value}"])
            runs = [*main_runs(other), *few_label_runs(other)]
        except MtkdError:
            continue  # not a valid recipe
        yield {key(run): run for run in runs}


def key(run: Run) -> tuple[str, str, int]:
    return run.stage, run.variant, run.seed


def ids(recipe: Recipe) -> set[str]:
    return {run.run_id for run in main_runs(recipe)}


def test_names_paths_seeds_and_studies_are_in_no_id(recipe: Recipe) -> None:
    other = replace(recipe, name="other", about="words", studies=("targets",), seeds=(1, 2))
    assert ids(recipe) < ids(other)


def test_every_intermediate_task_has_a_row_of_its_own(recipe: Recipe) -> None:
    both = changed(recipe, ["intermediate=[rte,mnli]"])
    names = [run.variant for run in main_runs(both) if run.stage == "baselines"]
    assert {"stilts-rte", "stilts-mnli"} <= set(names)
    assert {run.run_id for run in main_runs(recipe) if run.stage == "baselines"} <= ids(both)


def test_the_student_without_teachers_rests_on_none() -> None:
    recipe = changed(
        load_recipe("smoke"), ["students={mtdnn-kd: {}, no-teacher: {hard_weight: 1.0}}"]
    )
    runs = {run.variant: run for run in main_runs(recipe)}
    assert [parent.stage for parent in runs["no-teacher"].parents] == ["encoders"]
    fewer = changed(recipe, ["teachers.choose=1", "teachers.tasks=[rte]"])
    after = {run.variant: run for run in main_runs(fewer)}
    assert after["no-teacher"].run_id == runs["no-teacher"].run_id
    assert after["mtdnn-kd"].run_id != runs["mtdnn-kd"].run_id


GLUE_FILES = {
    "RTE/train.tsv": "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n",
    "RTE/dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n",
    "RTE/test.tsv": "index\tsentence1\tsentence2\n0\ta\tb\n",
    "model/model.safetensors": "one",
}
DIAGNOSTIC = {"diagnostic/diagnostic.tsv": "index\tsentence1\tsentence2\n0\ta\tb\n"}
OTHER_LABEL = {"RTE/dev.tsv": GLUE_FILES["RTE/dev.tsv"].replace("entailment", "not_entailment")}
ENCODERS = {"encoders"}


def of_files(folder: Path, files: dict[str, str], *settings: str) -> dict[str, set[str]]:
    """Ids by stage, where these are the files of the data and of the encoder."""
    for name, text in files.items():
        write_text(folder / name, text)
    encoder = f"encoders.uncased={{path: {folder / 'model'}}}"
    stages: dict[str, set[str]] = {}
    for run in main_runs(load_recipe("realtext", [encoder, *settings], str(folder))):
        stages.setdefault(run.stage, set()).add(run.run_id)
    return stages


@pytest.mark.parametrize(
    ("files", "settings", "kept"),
    [
        ({}, [], {"glue", "encoders", "baselines", "mtdnn", "teachers", "distill"}),
        (OTHER_LABEL, [], ENCODERS),
        # The diagnostic set is scored where it is there: adding it makes other results.
        (DIAGNOSTIC, [], ENCODERS),
        ({}, ["data.limit=10"], ENCODERS),
        ({}, ["data.seed=1"], ENCODERS),  # which examples a limit draws
        ({"model/model.safetensors": "two"}, [], {"glue"}),  # of the same size
    ],
)
def test_files_decide_ids_and_folders_do_not(
    files: dict[str, str], settings: list[str], kept: set[str], tmp_path: Path
) -> None:
    before = of_files(tmp_path / "one", GLUE_FILES)
    after = of_files(tmp_path / "two", GLUE_FILES | files, *settings)
    assert {stage for stage in before if before[stage] == after[stage]} == kept
    assert all(before[stage] == after[stage] or not before[stage] & after[stage] for stage in kept)


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    of_files(tmp_path, GLUE_FILES)
    gone = tmp_path / "model" / "model.safetensors"
    gone.unlink()
    gone.symlink_to(tmp_path / "nowhere")
    with pytest.raises(MtkdError, match=r"model.safetensors: No such file.*of the encoder that"):
        of_files(tmp_path, {})
