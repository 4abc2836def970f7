"""The files of docs/extending.md, as they stand, from outside of the library."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mtkd.common import paths
from mtkd.experiments.recipes import as_yaml, load_recipe

TEXT = (paths.home() / "docs" / "extending.md").read_text(encoding="utf-8")
SMALL = ["tasks=[mnli,rte]", "data.scale=0.05", "students={mtdnn-kd: {}}", "teachers.choose=1"]
SMALL += ["candidates.encoders=[uncased]", "candidates.dropout=[0.1]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with every file of the text, and a recipe with every change that it names."""
    files = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, re.S)
    assert {name for name, _ in files} >= {f"my_{what}.py" for what in ("loss", "head", "study")}
    for name, code in files:
        (tmp_path / name).write_text(code)
    recipe = yaml.safe_load(as_yaml(load_recipe("smoke", [*SMALL, "name=mine"])))
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.S):
        for key, value in yaml.safe_load(block).items():
            old = recipe.get(key)
            if isinstance(value, list):
                recipe[key] = list(dict.fromkeys([*(old if key == "extensions" else []), *value]))
            else:
                recipe[key] = {**(old or {}), **value}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def test_a_loss_a_head_a_baseline_a_study_and_a_figure_are_one_file_each(folder: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(folder), str(paths.PACKAGE.parent)]),
        "MTKD_RESULTS": str(folder / "results"),
    }
    command = [sys.executable, "-P", "-m", "mtkd", "reproduce", "--recipe", "mine.yaml"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = folder / "results" / "mine"
    scores = pd.read_csv(results / "scores.csv")
    assert {"mtdnn-cosine", "mtdnn-uniform", "mtdnn-kd"} <= set(scores["system"])
    table = (results / "tables" / "study_soft_only.md").read_text()
    assert "temperature 3" in table
    figure = "from mtkd.analysis.results import open_results; from my_figure import seed_by_seed; "
    figure += "print(seed_by_seed(open_results('mine'))._repr_html_()[:4])"
    shown = subprocess.run(
        [sys.executable, "-P", "-c", figure], cwd=folder, env=environment, capture_output=True
    )
    assert shown.stdout == b"<h4>\n", shown.stderr
