"""Where things lie. A checkout is recognised by its notebooks folder beside the library."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
ROOT = PACKAGE.parent if (PACKAGE.parent / "notebooks").is_dir() else Path.cwd()
RESULTS = Path(os.environ.get("MTKD_RESULTS", ROOT / "results"))
NOTEBOOKS = ROOT / "notebooks"
REFERENCE = ROOT / "results" / "reference"  # committed results, renewed by `mtkd publish` alone
