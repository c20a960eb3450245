#!/usr/bin/env python3
"""
Print what makes the layout hard to read: folders that import each other, names that stand twice.

A room is a folder below ``maven_ros/``, or a module that lies in it directly. Rooms that reach
each other by imports, through others too, form a ring: no order of reading is right for them.
Imports inside functions count; those under ``TYPE_CHECKING`` count as well.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'maven_ros'
#: What every folder may have.
_COMMON = ('__init__.py', '__main__.py')
#: Names under which the documents show modules that live elsewhere.
_FRONT_DOORS = ('media.py',)


def modules(root: Path) -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted((root / PACKAGE).rglob('*.py')):
        parts = path.relative_to(root).with_suffix('').parts
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
    return found


def room(name: str, path: Path) -> str:
    """Return the room that a module is in: its folder, or itself where it lies at the top."""
    folder = name if path.name == '__init__.py' else name.rpartition('.')[0]
    return name if folder == PACKAGE else folder


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of the package that one of them imports."""
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
    """Return which rooms each room imports from, itself and the bare package left out."""
    known = modules(root)
    found: dict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        here = room(name, path)
        there = {room(one, known[one]) for one in imports(path, known) if one != PACKAGE}
        found[here] |= there - {here}
    return found


def rings(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of rooms of which each reaches each other (Tarjan's components)."""
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
    """Return the file names that stand more than once in the package."""
    counts = Counter(path.name for name, path in modules(root).items()
                     if not (path.name in _FRONT_DOORS and name.count('.') == 1))
    return sorted(name for name, n in counts.items() if n > 1 and name not in _COMMON)


def main() -> int:
    """Print what is found; return 1 where there is anything."""
    found = [f'folders that import each other: {", ".join(ring)}' for ring in rings(arrows(ROOT))]
    found += [f'file name stands more than once: {name}' for name in twins(ROOT)]
    print('\n'.join(found) or 'no folders import each other; no file name stands twice')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
