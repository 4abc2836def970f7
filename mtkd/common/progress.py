"""Progress of long work: a bar for people, a log line every few seconds for batch runs."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from mtkd.common.files import write_text

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

INTERVAL = 5.0  # seconds between log lines and between writes of the progress file
BLINK = 0.5  # seconds between two states of a notebook's line
# In a batch run: the file that its kernel writes for `mtkd reproduce` to read. An environment
# variable, since kernels have no command line.
PROGRESS_VARIABLE = "MTKD_PROGRESS"


class Progress:
    """Counts steps of one run; use as a context manager.

    In a terminal it draws a bar, in an interactive notebook a line that goes at the end. Where
    nobody watches, it prints a line every few seconds, and a batch run's state goes to the file
    that `MTKD_PROGRESS` names.
    """

    def __init__(self, total: int, what: str) -> None:
        self.total, self.what, self.done = total, what, 0
        self.began = self.told = time.monotonic()
        self.file = os.environ.get(PROGRESS_VARIABLE)
        self.line = None if self.file else notebook_line()
        watched = self.line is None and not headless()
        self.bar = tqdm(total=total, desc=what, leave=False) if watched else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.line is not None:
            self.line.update({"text/html": ""}, raw=True)
        elif kind is None:
            self.tell()

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        """Count steps; `note` says what is being done now."""
        self.done += steps
        self.what = note or self.what
        if self.bar is not None:
            self.bar.set_description(self.what, refresh=False)
            self.bar.update(steps)
        elif time.monotonic() - self.told >= (INTERVAL if self.line is None else BLINK):
            self.tell()

    def tell(self) -> None:
        """Print or show one line, and write the progress file."""
        self.told = time.monotonic()
        spent = self.told - self.began
        left = spent / self.done * (self.total - self.done) if self.done else float("nan")
        share = self.done / max(self.total, 1)
        line = f"{self.what}: {share:.0%}, {duration(left)} left"
        if self.line is not None:
            self.line.update({"text/plain": line}, raw=True)
        else:
            print(line, flush=True)
        if self.file:
            text = json.dumps({"done": self.done, "total": self.total, "what": self.what})
            write_text(Path(self.file), text)


def headless() -> bool:
    """Whether nobody watches a screen."""
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return PROGRESS_VARIABLE in os.environ or not watched


def notebook_line() -> DisplayHandle | None:
    """A line of a notebook's output that can be written again, which a bar on stderr cannot.

    Executed without a browser, a notebook would keep every state of such a bar.
    """
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import DisplayHandle

    if get_ipython() is None:  # the package is imported, and no notebook is there
        return None
    line = DisplayHandle()
    line.display({"text/html": ""}, raw=True)
    return line


def duration(seconds: float) -> str:
    """Rounded time for people: 42 s, 3 min, 1 h 20 min."""
    if seconds != seconds:
        return "time unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
