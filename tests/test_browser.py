"""The page, the documentation's site and the sliders in a real browser, where there is one."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import with_documents
from papermill import inspect_notebook
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from mtkd.app.site import build_site
from mtkd.common import paths

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install 'mtkd[browser]'")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

PAGES = sorted((paths.home() / "results" / "reference").glob("*/report.html"))
SLIDERS = """\
import numpy as np
from mtkd.analysis.evaluations import Outputs
from mtkd.analysis.playground import play
from mtkd.analysis.teacher_outputs import Heard
from mtkd.data.tasks import GLUE

drawn = np.random.default_rng(0)
labels = drawn.integers(0, 2, 50)


def heard(name):
    return Heard(name, Outputs(GLUE["rte"], 1, drawn.normal(size=(50, 2)), labels))


play([heard("a"), heard("b")])
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_nothing_of_the_page_is_cut_and_tables_sort(
    browser: Any, path: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", colour)[0]) < 128) == (scheme == "dark")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    table = page.locator("table.sortable").first
    before = table.inner_text()
    for _ in range(2):  # up, then down: one of them is another order
        table.locator("th button").first.click()
        if table.inner_text() != before:
            break
    assert table.inner_text() != before
    assert not said, said
    page.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation's site."""
    pytest.importorskip("myst_nb", reason="pip install 'mtkd[docs]'")
    return build_site(with_documents(tmp_path_factory.mktemp("site"))).parent


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_of_the_site_is_cut(browser: Any, site: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    for name in ("index", "docs/guide", "docs/own-tasks", "docs/performance", "DEVIATIONS"):
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(re.findall(r"\d+", colour)[0]) < 128) == (scheme == "dark")
    assert not said, said
    page.close()


@contextlib.contextmanager
def jupyterlab(folder: Path, **own: str) -> Iterator[str]:
    """JupyterLab on a folder's notebooks; where it answers."""
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    own |= {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "HOME": str(folder)}
    lab = subprocess.Popen(
        [*command, f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=t"],
        env=os.environ | own,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield served(folder / "runtime")
    finally:
        lab.terminate()
        lab.wait(30)


def test_sliders_move_a_figure(browser: Any, tmp_path: Path) -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SLIDERS)])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, tmp_path / "play.ipynb")
    with jupyterlab(tmp_path) as place:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{place}lab/tree/play.ipynb?token=t")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Control+Enter")
        figure = page.locator(".jp-OutputArea img").first
        figure.wait_for(timeout=120_000)
        before = figure.get_attribute("src")
        page.locator(".widget-slider .noUi-handle").first.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "(old) => document.querySelector('.jp-OutputArea img')?.src !== old", arg=before
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """JupyterLab beside finished runs of `smoke`, with every notebook set to read them."""
    folder = tmp_path_factory.mktemp("lab")
    own = {paths.RESULTS_VARIABLE: str(folder / "results")}
    reproduce = [sys.executable, "-m", "mtkd", "reproduce", "--recipe", "smoke"]
    subprocess.run(reproduce, env=os.environ | own, check=True, capture_output=True)
    for notebook in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        book = parameterize_notebook(load_notebook_node(str(notebook)), small_parameters(notebook))
        nbformat.write(book, folder / notebook.name)
    with jupyterlab(folder, **own) as place:
        yield place, folder


def small_parameters(notebook: Path) -> dict[str, object]:
    """A notebook's parameters, as `smoke` and little time want them."""
    small = {
        "recipe": "smoke",
        "first": "paper",
        "second": "smoke",
        "dropout": 0.1,
        "epochs": 1,
        "size": 0.1,
    }
    small |= {"sentences": 600, "seeds": [1, 2, 3]}
    return {name: small[name] for name in inspect_notebook(notebook) if name in small}


@pytest.mark.parametrize("name", [path.name for path in sorted(paths.NOTEBOOKS.glob("*.ipynb"))])
def test_every_notebook_runs_in_jupyterlab(browser: Any, lab: tuple[str, Path], name: str) -> None:
    place, folder = lab
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{place}lab/tree/{name}?token=t&reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(
        timeout=120_000
    )  # else it is asked for
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    cells = finished_cells(page, folder / name)
    outputs = [output for cell in cells for output in cell.outputs]
    errors = [output for output in outputs if output.output_type == "error"]
    if (
        name == "13_given_teachers.ipynb"
    ):  # wants given teachers, which `smoke` has not, and says so
        assert len(errors) == 1 and "given" in errors[0].evalue and "\n" not in errors[0].evalue
    else:
        assert not errors and any(output.output_type != "stream" for output in outputs), errors
    assert not said, said
    page.close()
    end_kernels(place)


def end_kernels(place: str) -> None:
    """Of the notebooks that were opened: each holds some hundred MiB."""
    with urllib.request.urlopen(f"{place}api/kernels?token=t") as found:
        kernels = json.load(found)
    for kernel in kernels:
        address = f"{place}api/kernels/{kernel['id']}?token=t"
        urllib.request.urlopen(urllib.request.Request(address, method="DELETE")).close()


def finished_cells(page: Any, notebook: Path) -> list[Any]:
    """A notebook's code cells as saved, once all have run or one has failed."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        page.keyboard.press("Control+s")
        time.sleep(1)
        cells = [c for c in nbformat.read(notebook, 4).cells if c.cell_type == "code" and c.source]
        failed = any(output.output_type == "error" for cell in cells for output in cell.outputs)
        if failed or all(cell.execution_count for cell in cells):
            return cells
    raise TimeoutError(f"{notebook.name} has not ended")


def served(runtime: Path) -> str:
    """Where JupyterLab answers, as it says itself."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        time.sleep(0.2)
        for file in runtime.glob("jpserver-*.json"):
            place = str(json.loads(file.read_text())["url"])
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{place}api").close()
                return place
    raise TimeoutError("JupyterLab has not started")
