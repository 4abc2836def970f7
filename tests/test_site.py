"""The documentation's site."""

import shutil
from pathlib import Path

import pytest

from mtkd.app.site import build_site
from mtkd.common import paths
from mtkd.common.errors import MtkdError

pytest.importorskip("myst_nb", reason="pip install 'mtkd[docs]'")


def test_the_site_is_built_and_a_link_that_leads_nowhere_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path / "none"))
    for name in ("docs", "notebooks", "results/reference"):
        shutil.copytree(paths.home() / name, tmp_path / name)
    for name in ("README.md", "DEVIATIONS.md", "LICENSE", "results/README.md"):
        shutil.copy(paths.home() / name, tmp_path / name)
    first = build_site(tmp_path)
    assert "docs/own-tasks.html" in first.read_text()
    assert len(list(first.parent.glob("notebooks/*.html"))) == len(
        list(paths.NOTEBOOKS.glob("*.ipynb"))
    )
    with (tmp_path / "docs" / "guide.md").open("a") as guide:
        guide.write("\n[nowhere](nowhere.md)\n")
    with pytest.raises(MtkdError, match="the lines above say what is wrong"):
        build_site(tmp_path)
    assert "guide.md" in capfd.readouterr().err
