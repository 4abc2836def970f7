"""mtkd: multi-task deep neural networks distilled from ensembles of teachers, on GLUE.

    import mtkd

    model = mtkd.MultiTaskModel.from_encoder("encoder", [mtkd.GLUE["rte"]])

The names are those of `__init__.pyi`; `help(mtkd.train)` says what one does.
"""

import ast
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

# The stub is the one list of names, for type checkers and here. A module is imported when one of
# its names is first used: `import mtkd` does not wait for torch.
_NAMES = {
    alias.asname: (line.module, alias.name)
    for line in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(line, ast.ImportFrom)
    for alias in line.names
}
__all__ = [*_NAMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mtkd")
    if name not in _NAMES:
        raise AttributeError(f"module 'mtkd' has no name {name!r}; it offers {', '.join(__all__)}")
    module, original = _NAMES[name]
    with warnings.catch_warnings():  # of tqdm, on notebook widgets, for text bars do
        warnings.filterwarnings("ignore", message="IProgress not found")
        globals()[name] = value = getattr(import_module(module), original)
    return value


def __dir__() -> list[str]:
    return __all__
