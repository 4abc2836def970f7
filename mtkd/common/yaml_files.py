"""YAML from people and from folders of others: whatever is wrong with it is told in one line."""

from __future__ import annotations

import functools
import itertools
import re
from pathlib import Path
from typing import Any

import yaml

from mtkd.common.errors import MtkdError
from mtkd.common.objects import read_text

BOOL = "tag:yaml.org,2002:bool"
MOST = 10_000  # values in a file, once every alias is written out


class Loader(yaml.SafeLoader):
    """Refuses a key that comes twice, where YAML's own loader takes the last one.

    Only true and false are truth values, as in YAML 1.2: yes, no, on and off may be labels.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        known: list[object] = []
        for key, _ in node.value:
            if key.value in known:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} comes twice", problem_mark=key.start_mark
                )
            known.append(key.value)
        return node


Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != BOOL]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(BOOL, re.compile("(true|True|TRUE|false|False|FALSE)$"), [*"tTfF"])


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises MtkdError, one line with file and line, if it has none."""
    try:
        raw = parse_yaml(read_text(path, "expected a YAML file"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise MtkdError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise MtkdError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise MtkdError(f"{path}: expected `key: value` lines")
    return raw


def parse_yaml(text: str) -> Any:
    """A YAML value. Raises YAMLError or ValueError, also for one that explodes or never ends."""

    @functools.cache
    def size(node: yaml.Node) -> int:
        pairs = isinstance(node, yaml.MappingNode)
        inner = itertools.chain.from_iterable(node.value) if pairs else node.value
        return 1 if isinstance(node, yaml.ScalarNode) else 1 + sum(map(size, inner))

    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None and size(node) > MOST:
            raise ValueError(f"more than {MOST:,} values")
        return None if node is None else loader.construct_document(node)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    finally:
        loader.dispose()
