"""The documentation's site."""

from pathlib import Path

import pytest
from conftest import with_documents

from mtkd.app.site import build_site
from mtkd.common import paths
from mtkd.common.errors import MtkdError

pytest.importorskip("myst_nb", reason="pip install 'mtkd[docs]'")


def test_the_site_is_built_and_a_link_that_leads_nowhere_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path / "none"))
    first = build_site(with_documents(tmp_path))
    assert "docs/own-tasks.html" in first.read_text()
    assert len(list(first.parent.glob("notebooks/*.html"))) == len(
        list(paths.NOTEBOOKS.glob("*.ipynb"))
    )
    with (tmp_path / "docs" / "guide.md").open("a") as guide:
        guide.write("\n[nowhere](nowhere.md)\n")
    with pytest.raises(MtkdError, match="the lines above say what is wrong"):
        build_site(tmp_path)
    assert "guide.md" in capfd.readouterr().err
