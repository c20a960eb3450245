"""The common parts of commands: their declaration, and a flag for every parameter."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from maven_ros.counters import Counters
from maven_ros.errors import SettingsError
from maven_ros.settings import Settings, load_values, parameters

if TYPE_CHECKING:
    from maven_ros.graph.dds.dds_graph import DdsGraph

#: Runs a command until its end, or until the event is set; returns the exit code, or None for 0.
Run: TypeAlias = Callable[[argparse.Namespace, threading.Event], 'int | None']
TWO_WORDS = ('train run', 'train ablations')
Group: TypeAlias = 'argparse._SubParsersAction[argparse.ArgumentParser]'


class Declare(Protocol):
    """Declares a command."""

    def __call__(
        self, name: str, run: Run, text: str, group: Group = ...,
    ) -> argparse.ArgumentParser:
        """
        Return the command's parser, for its own arguments.

        :param text: one sentence on what the command does.
        :param group: the group of the command; ``maven-ros`` itself if omitted.
        """


def add_group(commands: Group, name: str, text: str) -> Group:
    """Declare a command that has subcommands."""
    return commands.add_parser(name, help=text, description=text).add_subparsers(
        title='commands', metavar='COMMAND', required=True)


def joined(argv: Sequence[str]) -> list[str]:
    """Join the two words of commands whose first word is also a command."""
    pair = ' '.join(argv[:2])
    return [pair, *argv[2:]] if pair in TWO_WORDS else list(argv)


def add_graph(parser: argparse.ArgumentParser, remaps: bool = True) -> None:
    """
    Add flags for names of topics; :func:`graph_of` reads them.

    :param remaps: False if topics cannot be renamed.
    """
    parser.add_argument('--namespace', default='', help='namespace of relative topic names')
    parser.set_defaults(remap=[])
    if remaps:
        parser.add_argument('--remap', action='append', default=[], metavar='FROM:=TO',
                            help='give a topic another name; may be repeated')


def graph_of(arguments: argparse.Namespace, counters: Counters | None = None) -> DdsGraph:
    """
    Open the embedded graph with the flags of :func:`add_graph`.

    :raises SettingsError: for a remap of another form than FROM:=TO.
    :raises GraphError: as :class:`maven_ros.graph.dds.dds_graph.DdsGraph`.
    """
    from maven_ros.graph.dds.dds_graph import DdsGraph

    remaps = {}
    for remap in arguments.remap:
        old, between, new = remap.partition(':=')
        if not (old and between and new):
            raise SettingsError(f'--remap: {remap!r}; allowed: FROM:=TO')
        remaps[old] = new
    return DdsGraph(arguments.namespace, remaps, f'maven_ros_{arguments.name}', counters=counters)


def names(text: str) -> list[str]:
    """Return the names in a text, which are separated by commas."""
    return [name for name in text.split(',') if name]


def add_streams(parser: argparse.ArgumentParser) -> None:
    """Add flags that choose a file's streams."""
    for kind in ('video', 'audio'):
        parser.add_argument(f'--{kind}-stream', type=int, default=0, metavar='N',
                            help=f'{kind} stream to play, from 1; the default stream if omitted')


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every parameter, with the parameter's name."""
    parser.add_argument('--params-file', type=Path, action='append', default=[],
                        help='ROS parameter file; later files override earlier ones, flags '
                        'override files')
    group = parser.add_argument_group('parameters')
    for one in parameters(Settings()):
        doc = f'{one.doc} ({one.allowed}; default {one.default!r})'.replace('%', '%%')
        group.add_argument(f'--{one.name}', help=doc, metavar=one.type.__name__.upper())


def settings_of(arguments: argparse.Namespace) -> Settings:
    """
    Return the settings from parameter files and flags.

    :raises SettingsError: for a file that cannot be read, an unknown name or a wrong value.
    """
    values: dict[str, Any] = {}
    for path in arguments.params_file:
        values.update(load_values(path))
    values.update(flags_of(arguments))
    return Settings().with_values(values)


def flags_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the parameters that are given as flags."""
    given = vars(arguments)
    return {one.name: given[one.name] for one in parameters(Settings())
            if given[one.name] is not None}
