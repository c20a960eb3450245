#!/usr/bin/env python3
"""
Print folders that import each other, and file names that occur more than once.

A room is a folder below ``maven_ros/``, or a module directly in it. Rooms that import each other,
directly or through other rooms, form a ring. Imports inside functions and under ``TYPE_CHECKING``
count, too.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'maven_ros'
#: File names that every folder may have.
_COMMON = ('__init__.py', '__main__.py')
#: Modules that only re-export others under the names in the documents.
_FRONT_DOORS = ('media.py',)


def modules(root: Path) -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted((root / PACKAGE).rglob('*.py')):
        parts = path.relative_to(root).with_suffix('').parts
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
    return found


def room(name: str, path: Path) -> str:
    """Return the room of a module: its folder, or the module itself at the top level."""
    folder = name if path.name == '__init__.py' else name.rpartition('.')[0]
    return name if folder == PACKAGE else folder


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of the package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                module = f'{node.module}.{one.name}'
                module = module if module in known else node.module
                if module in known:
                    yield module


def arrows(root: Path) -> dict[str, set[str]]:
    """Return the rooms that each room imports, without itself and the bare package."""
    known = modules(root)
    found: dict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        here = room(name, path)
        there = {room(one, known[one]) for one in imports(path, known) if one != PACKAGE}
        found[here] |= there - {here}
    return found


def rings(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the rings: the strongly connected groups of rooms."""
    reach = {name: _reachable(name, edges) for name in edges}
    found = {tuple(sorted(other for other in reach[name]
                          if name in reach.get(other, set()) | {other}))
             for name in edges if name in reach[name]}
    return [list(one) for one in sorted(found)]


def _reachable(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    open_ = list(edges.get(start, ()))
    while open_:
        name = open_.pop()
        if name not in seen:
            seen.add(name)
            open_ += edges.get(name, ())
    return seen


def twins(root: Path) -> list[str]:
    """Return the file names that occur more than once in the package."""
    counts = Counter(path.name for name, path in modules(root).items()
                     if not (path.name in _FRONT_DOORS and name.count('.') == 1))
    return sorted(name for name, n in counts.items() if n > 1 and name not in _COMMON)


def main() -> int:
    """Print the findings; return 1 if there are any."""
    found = [f'folders that import each other: {", ".join(ring)}' for ring in rings(arrows(ROOT))]
    found += [f'file name occurs more than once: {name}' for name in twins(ROOT)]
    print('\n'.join(found) or 'no folders import each other; no file name occurs twice')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
