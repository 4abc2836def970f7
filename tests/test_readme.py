"""What the README shows is what the committed results say."""

import re

from mtkd.app.gallery import CAPTIONS, gallery, readme_block
from mtkd.common import paths
from mtkd.experiments import recipes
from mtkd.experiments.plans import expand
from mtkd.experiments.runs import NOTEBOOKS
from mtkd.experiments.studies.registry import named

README = (paths.home() / "README.md").read_text(encoding="utf-8")
DEMO = paths.REFERENCE / "demo"


def test_table_and_figure_are_those_of_the_committed_results():
    assert readme_block(DEMO) in README


def test_gallery_is_that_of_the_committed_results():
    page = paths.home() / "results" / "README.md"
    assert page.read_text(encoding="utf-8") == gallery(DEMO)
    assert {path.stem for path in (DEMO / "figures").glob("*.svg")} <= set(CAPTIONS)
    for target in re.findall(r"\]\(([^)#]+)\)", gallery(DEMO)):
        assert (page.parent / target).is_file(), target


def test_files_and_recipes_that_the_readme_names_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (paths.home() / target).exists(), target
    for recipe in re.findall(r"--recipe (\w+)", README):
        assert recipe in recipes.available()
    for stage in re.findall(r"--until (\w+)", README):
        assert stage in NOTEBOOKS
    for words in re.findall(r"--with ([\w-]+)", README):
        assert named([words])
    for notebook in re.findall(r"`(\d\d_\w+)`", README):
        assert (paths.NOTEBOOKS / f"{notebook}.ipynb").is_file()


def test_numbers_of_runs_in_the_readme():
    main = len(expand(recipes.load_recipe("demo")))
    assert f"the {main} runs of `demo`" in README
    for words, count in re.findall(r"--with ([\w-]+)` \| (\d+) runs more", README):
        studies = f"studies=[{','.join(named([words]))}]"
        assert len(expand(recipes.load_recipe("demo", [studies]))) - main == int(count)


def test_settings_in_the_readme_are_accepted():
    for settings in re.findall(r"--set ((?:[\w.-]+=\S+ ?)+)", README):
        recipes.load_recipe("demo", settings.split())
