"""The runtime as one file, for a machine without mtkd."""

from __future__ import annotations

import ast
import re

from mtkd.common.code import source_file

RUNTIME = "mtkd.runtime"
PARTS = ("mtkd.common.errors", "mtkd.data.answers", RUNTIME)  # it and all that it imports of mtkd


def runtime_source() -> str:
    """Source of `mtkd.runtime` in one piece with what it imports of mtkd."""
    about = ast.get_docstring(ast.parse(source_file(RUNTIME).read_text(encoding="utf-8")))
    bodies = "\n\n\n".join(map(body, PARTS))
    return f'"""{about}\n"""\n\nfrom __future__ import annotations\n\n{bodies}\n'


def body(module: str) -> str:
    """A module's source without its docstring and what the one file does not need."""
    source = source_file(module).read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in ast.parse(source).body:
        from_where = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        left_out = from_where.partition(".")[0] in ("mtkd", "__future__")
        if left_out or isinstance(node, ast.Expr):  # an expression by itself is the docstring
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[number - 1] = ""
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip()
