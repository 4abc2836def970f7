"""What the README shows is what the committed results say."""

import re
import shutil

import pytest

from mtkd.app.gallery import update_pages
from mtkd.common import paths
from mtkd.common.files import write_text
from mtkd.experiments import recipes
from mtkd.experiments.plans import expand
from mtkd.experiments.runs import NOTEBOOKS
from mtkd.experiments.studies.registry import named

README = (paths.home() / "README.md").read_text(encoding="utf-8")
PAGES = [paths.home() / "README.md", *sorted((paths.home() / "docs").glob("*.md"))]
TEXT = README + (paths.home() / "docs" / "guide.md").read_text(encoding="utf-8")


def test_pages_are_those_of_the_committed_results(tmp_path):
    page = tmp_path / "results" / "README.md"
    write_text(tmp_path / "README.md", README)
    shutil.copytree(paths.REFERENCE, tmp_path / "results" / "reference")
    update_pages(tmp_path, tmp_path / "results" / "reference")
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == README
    found = page.read_text(encoding="utf-8")
    assert found == (paths.home() / "results" / "README.md").read_text(encoding="utf-8")
    assert all(f"## `{folder.name}`" in found for folder in paths.REFERENCE.iterdir())
    for target in re.findall(r"\]\(([^)#]+)\)", found):
        assert (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_recipes_stages_studies_and_notebooks_that_are_named_are_there():
    for recipe in re.findall(r"--recipe (\w+)\b(?!\.yaml)", TEXT):
        assert recipe in recipes.available()
    for stage in re.findall(r"--until (\w+)", TEXT):
        assert stage in NOTEBOOKS
    for words in re.findall(r"--with ([\w-]+)", TEXT):
        assert named([words])
    for notebook in re.findall(r"`(\d\d_\w+)`", TEXT):
        assert (paths.NOTEBOOKS / f"{notebook}.ipynb").is_file()


def test_numbers_of_runs_in_the_readme():
    main = len(expand(recipes.load_recipe("demo")))
    assert f"the {main} runs of `demo`" in README
    for words, count in re.findall(r"--with ([\w-]+)` \| (\d+) runs more", README):
        studies = f"studies=[{','.join(named([words]))}]"
        assert len(expand(recipes.load_recipe("demo", [studies]))) - main == int(count)


def test_settings_that_are_named_are_accepted():
    for settings in re.findall(r"--set ((?:[\w.-]+=\S+ ?)+)", TEXT):
        recipes.load_recipe("demo", settings.split())
