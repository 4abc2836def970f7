"""Recipes read strictly, and the runs and identities that follow from them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtkd.common.errors import MtkdError
from mtkd.data.tasks import GLUE
from mtkd.experiments.encoder_location import encoder_location
from mtkd.experiments.plans import expand, find_run, urgency
from mtkd.experiments.recipes import as_yaml, available, load_recipe
from mtkd.experiments.settings import Recipe
from mtkd.method import distillation

MINIMAL: dict[str, Any] = {
    "name": "small",
    "tasks": ["mnli", "rte"],
    "encoders": {"cased": {"pretrain": True, "lowercase": False}, "uncased": {"pretrain": True}},
    "candidates": {"dropout": [0.1, 0.2]},
    "seeds": [1, 2],
}


def write(folder: Path, **changes: Any) -> str:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **changes}))
    return str(path)


def make(folder: Path, *settings: str, **changes: Any) -> Recipe:
    return load_recipe(write(folder, **changes), settings)


def refused(folder: Path, *settings: str, **changes: Any) -> str:
    with pytest.raises(MtkdError) as caught:
        make(folder, *settings, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", available())
def test_shipped_recipes_load_and_survive_writing(name: str, tmp_path: Path) -> None:
    own = ("training.learning_rate=5.0e-05", "students.soft={hard_weight: 0, temperature: 2}")
    for settings in ((), own):
        recipe = load_recipe(name, settings)
        assert recipe.name == name and recipe.about
        (tmp_path / "copy.yaml").write_text(as_yaml(recipe))
        assert load_recipe(str(tmp_path / "copy.yaml")) == recipe


def test_files_are_looked_for_beside_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"kind": "folder", "path": "glue", "unlabelled_file": "more.tsv"}
    encoders = MINIMAL["encoders"] | {"cased": {"path": "cased"}}
    recipe = make(tmp_path, data=data, encoders=encoders)
    found = (recipe.data.path, recipe.data.unlabelled_file, recipe.encoders["cased"].path)
    assert found == tuple(str(tmp_path / name) for name in ("glue", "more.tsv", "cased"))
    monkeypatch.chdir("/")  # what is typed is looked for where it is typed
    again = load_recipe(str(tmp_path / "recipe.yaml"), ["data.unlabelled_file=t.tsv"])
    assert again.data.unlabelled_file == "/t.tsv" and again.data.path == recipe.data.path


def test_a_fine_tuned_student_has_a_name_that_no_other_has(tmp_path: Path) -> None:
    students = {"mine": {"finetune": True}, "mine-ft": {}}
    assert "'mine-ft' is the name of another system" in refused(tmp_path, students=students)


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    recipe = make(tmp_path)
    settings = recipe.training
    assert (settings.epochs, settings.batch_size, settings.learning_rate) == (5, 32, 5e-5)
    assert (settings.warmup, settings.clip, recipe.max_length) == (0.1, 1.0, 512)
    assert recipe.teachers.choose == 3 and recipe.teachers.selection_tasks == ("mnli", "rte")
    assert recipe.taught == ("mnli", "qqp", "rte", "qnli")
    assert [s.hard_weight for s in recipe.students.values()] == [0.5, 0.0]
    specs = {name: recipe.heads.spec(task) for name, task in GLUE.items()}
    assert {name: specs[name].kind for name in ("cola", "stsb", "rte", "qnli")} == {
        "cola": "linear",
        "stsb": "similarity",
        "rte": "san",
        "qnli": "san",
    }
    assert [specs[name].dropout for name in ("mnli", "cola", "rte")] == [0.3, 0.05, 0.1]


def test_settings_override_by_dotted_key(tmp_path: Path) -> None:
    recipe = make(
        tmp_path,
        "training.epochs=2",
        "tasks=[rte]",
        "teachers.tasks=[rte]",
        "students.mine.temperature=3",
        "heads.qnli=ranking",
        "about=a=b",
    )
    assert recipe.training.epochs == 2 and list(recipe.tasks) == ["rte"]
    assert recipe.students["mine"].temperature == 3.0 and recipe.about == "a=b"
    assert recipe.heads.spec(GLUE["qnli"]).kind == "ranking"


@pytest.mark.parametrize("name", ["base", "smoke", "demo"])
def test_a_setting_changes_one_key_of_what_the_recipe_means(name: str) -> None:
    before = load_recipe(name)  # two of these leave their students to the defaults
    after = load_recipe(name, ["students.mtdnn-kd-soft.temperature=2.0", "sizes.layers=[1]"])
    soft = replace(before.students["mtdnn-kd-soft"], temperature=2.0)
    assert after.students == before.students | {"mtdnn-kd-soft": soft}
    assert after.sizes == replace(before.sizes, layers=(1,))


def test_extensions_register_what_a_recipe_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from mtkd.method.distillation import LOSSES\nLOSSES['of-mine'] = LOSSES['annealed']\n"
    own = tmp_path / "my_own_losses.py"
    own.write_text(code)
    settings = ("extensions=[my_own_losses]", "students.a.loss=of-mine")
    # A recipe never makes the folder that it lies in importable.
    assert "cannot import 'my_own_losses'" in refused(tmp_path, *settings)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(distillation, "LOSSES", dict(distillation.LOSSES))
    assert make(tmp_path, *settings).students["a"].loss == "of-mine"


def test_a_packaged_encoder_is_found_without_running_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "carrier_of_models"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('was run')")
    (tmp_path / "outside").mkdir()
    (package / "link").symlink_to(tmp_path / "outside")

    def place(source: str) -> str | None:
        change = f"encoders.uncased={{{source}}}"
        return encoder_location(load_recipe("smoke", [change]), "uncased")

    assert place("package: carrier_of_models/model") == str(package / "model")
    for source, words in (
        ("package: carrier_of_models.inner/model", "no installed package"),
        ("package: no_such_package/model", "no installed package 'no_such_package'"),
        ("package: ''", "no installed package"),
        ("package: carrier_of_models/../outside", "no folder '../outside' inside"),
        (f"package: carrier_of_models/{tmp_path}/outside", "inside the package"),
        ("package: carrier_of_models/link", "inside the package"),
        ("path: /no/encoder", "no folder '/no/encoder'"),
    ):
        with pytest.raises(MtkdError, match=re.escape(words)):
            place(source)


# -------------------------------------------------------------------------------------- runs


def ids(recipe: Recipe) -> dict[tuple[str, str, int], str]:
    return {(run.stage, run.variant, run.seed): run.run_id for run in expand(recipe)}


def changed(before: Recipe, after: Recipe) -> set[str]:
    """Stages of which at least one run got another id."""
    old, new = ids(before), ids(after)
    return {key[0] for key in old.keys() & new.keys() if old[key] != new[key]}


def test_a_recipe_expands_into_its_runs(tmp_path: Path) -> None:
    runs = expand(make(tmp_path))
    assert len({run.run_id for run in runs}) == len(runs)
    by_config: dict[str, list[int]] = {}
    seen: set[str] = set()
    for run in runs:  # parents come before their children
        assert {parent.run_id for parent in run.parents} <= seen
        assert all(parent.seed in (0, run.seed) for parent in run.parents)
        assert run.run_id == f"{run.config_id}-s{run.seed}"
        by_config.setdefault(run.config_id, []).append(run.seed)
        seen.add(run.run_id)
    assert all(seeds in ([0], [1, 2]) for seeds in by_config.values())


@pytest.mark.parametrize(
    ("setting", "stages"),
    [
        ("about=words", ""),
        ("seeds=[1, 2, 3]", ""),
        ("training.epochs=2", "baselines mtdnn teachers distill"),
        ("data.scale=0.5", "glue baselines mtdnn teachers distill"),
        ("data.seed=1", "glue encoders baselines mtdnn teachers distill"),
        ("pretraining.epochs=1", "encoders baselines mtdnn teachers distill"),
        ("heads.options.steps=3", "baselines mtdnn teachers distill"),
        ("max_length=64", "baselines mtdnn teachers distill"),
        ("finetuning.epochs=2", "mtdnn teachers distill"),
        ("teachers.average=logits", "teachers distill"),
        ("teachers.selection_tasks=[rte]", "teachers distill"),
        ("teachers.tasks=[mnli]", "distill"),
        ("students.mtdnn-kd.hard_weight=0.3", "distill"),
    ],
)
def test_a_change_renames_what_rests_on_it(setting: str, stages: str, tmp_path: Path) -> None:
    assert changed(make(tmp_path), make(tmp_path, setting)) == set(stages.split())


def test_data_without_any_task_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    recipe = load_recipe(write(tmp_path), (), str(tmp_path / "empty"))
    with pytest.raises(MtkdError, match="none of its tasks"):
        expand(recipe)


def test_runs_are_found_by_name(tmp_path: Path) -> None:
    recipe = make(tmp_path)
    found = find_run(recipe, "distill", "mtdnn-kd", 2)
    assert found.run_id == ids(recipe)["distill", "mtdnn-kd", 2]
    with pytest.raises(MtkdError, match="mtdnn-kd-soft"):
        find_run(recipe, "distill", "mtdnn-kd", 9)


def test_urgency_is_the_longest_way_to_the_end(tmp_path: Path) -> None:
    runs = expand(make(tmp_path))
    found = urgency(runs)
    children = {run.run_id: [r for r in runs if run in r.parents] for run in runs}
    for run in runs:
        longest = max((found[child.run_id] for child in children[run.run_id]), default=0)
        assert found[run.run_id] == pytest.approx(run.cost + longest, abs=2)
    # The candidates wait for nothing but encoders, and everything waits for them.
    order = sorted((run for run in runs if run.seed == 1), key=lambda run: -found[run.run_id])
    assert [run.stage for run in order][:4] == ["mtdnn"] * 4
