"""`python -m mtkd` is the command `mtkd`."""

import sys

from mtkd.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
