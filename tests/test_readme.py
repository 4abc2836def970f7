"""What the README shows is what the committed results say."""

import re
import shutil

from mtkd.app.gallery import update_pages
from mtkd.common import paths
from mtkd.common.files import write_text
from mtkd.experiments import recipes
from mtkd.experiments.plans import expand
from mtkd.experiments.runs import NOTEBOOKS
from mtkd.experiments.studies.registry import named

README = (paths.home() / "README.md").read_text(encoding="utf-8")


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


def test_files_and_recipes_that_the_readme_names_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (paths.home() / target).exists(), target
    for recipe in re.findall(r"--recipe (\w+)\b(?!\.yaml)", README):
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
