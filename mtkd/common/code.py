"""What code a result rests on: a module, all that it imports, and a digest of that."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtkd.common.errors import MtkdError


@functools.cache
def code_digest(*modules: str) -> str:
    """Digest of some modules and of all that they import, 16 hexadecimal digits.

    Only code of the top-level package that a module belongs to counts. Comments, docstrings, layout
    and imports for type checking take no part. Raises MtkdError for a module that is not there or
    is not valid Python.
    """
    found = sorted({name for module in modules for name in import_closure(module)})
    text = "\n".join(f"{name} {file_code(source_file(name))}" for name in found)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def remember_loaded(package: str = "mtkd") -> None:
    """Read the code of all modules that are loaded now: digests are of it, whatever is edited."""
    for name in list(sys.modules):
        if name.partition(".")[0] == package and (path := find_file(name)):
            parsed(path)


@functools.cache
def import_closure(module: str) -> frozenset[str]:
    """A module and the modules of its own top-level package that it imports, however deep."""
    found, waiting = {module}, [module]
    while waiting:
        for name in imported(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return frozenset(found)


@functools.cache
def imported(module: str) -> frozenset[str]:
    """Modules of its own top-level package that a module imports by itself."""
    file, package = source_file(module), module.rpartition(".")[0]
    base = module if file.name == "__init__.py" else package
    names = {package, *imported_names(parsed(file).body, base)}  # a package is imported before it
    top = module.partition(".")[0]
    return frozenset(n for n in names if n.partition(".")[0] == top and find_file(n))


def imported_names(body: Sequence[ast.AST], package: str) -> Iterator[str]:
    """Dotted names that statements import, inside functions too; a name may be no module.

    `package` is what relative imports start from.
    """
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imported_names(node.orelse, package)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            yield from imported_names(list(ast.iter_child_nodes(node)), package)


@functools.cache  # most files are in the closure of every stage
def file_code(path: Path) -> str:
    """Digest of a file's code without comments, docstrings and layout."""
    tree, documented = parsed(path), (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(repr(shape(tree)).encode()).hexdigest()


def shape(node: object) -> object:
    """A syntax tree as nested lists, the same in every version of Python.

    A version adds fields, which are empty where code does not use them, and `ast.unparse` changes.
    """
    if isinstance(node, list):
        return [shape(one) for one in node]
    if not isinstance(node, ast.AST):
        return node
    fields = [[name, shape(value)] for name, value in ast.iter_fields(node)]
    return [type(node).__name__, *([n, value] for n, value in fields if value not in (None, []))]


@functools.cache
def parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise MtkdError(f"{path}:{error.lineno}: not valid Python ({error.msg})") from None


def source_file(module: str) -> Path:
    """A module's file. Raises MtkdError if there is none."""
    if (found := find_file(module)) is None:
        raise MtkdError(f"{module}: no such Python module; expected one that can be imported")
    return found


@functools.cache
def find_file(module: str) -> Path | None:
    """A module's file, None if there is none; nothing is imported to find it."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if not inner:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        place = Path(folder).joinpath(*inner)
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None
