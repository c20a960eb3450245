"""What command lines have in common: how a command is declared, and a flag for every parameter."""

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

#: Runs a command until it is done, or the event is set; returns the process's exit code, if not 0.
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

        :param text: what it does, in a sentence.
        :param group: of what it is a command; of ``maven-ros`` itself when left out.
        """


def add_group(commands: Group, name: str, text: str) -> Group:
    """Declare a command that has commands of its own."""
    return commands.add_parser(name, help=text, description=text).add_subparsers(
        title='commands', metavar='COMMAND', required=True)


def joined(argv: Sequence[str]) -> list[str]:
    """Make one word of two that name a command together, where the first is one by itself."""
    pair = ' '.join(argv[:2])
    return [pair, *argv[2:]] if pair in TWO_WORDS else list(argv)


def add_graph(parser: argparse.ArgumentParser, remaps: bool = True) -> None:
    """
    Add flags that say where topics are; :func:`graph_of` reads them.

    :param remaps: False where topics have the names that they have on the network.
    """
    parser.add_argument('--namespace', default='', help='of relative topic names')
    parser.set_defaults(remap=[])
    if remaps:
        parser.add_argument('--remap', action='append', default=[], metavar='FROM:=TO',
                            help='give a topic another name; may be repeated')


def graph_of(arguments: argparse.Namespace, counters: Counters | None = None) -> DdsGraph:
    """
    Open the embedded graph as :func:`add_graph`'s flags say.

    :raises SettingsError: for a remap that is none.
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


def add_streams(parser: argparse.ArgumentParser) -> None:
    """Add flags that choose among a file's streams."""
    for kind in ('video', 'audio'):
        parser.add_argument(f'--{kind}-stream', type=int, default=0, metavar='N',
                            help=f'{kind} stream to play, from 1; the file chooses if none')


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every parameter, under the parameter's own name."""
    parser.add_argument('--params-file', type=Path, action='append', default=[],
                        help='ROS parameter file; later ones win, flags win over all')
    group = parser.add_argument_group('parameters')
    for one in parameters(Settings()):
        doc = f'{one.doc} ({one.allowed}; default {one.default!r})'.replace('%', '%%')
        group.add_argument(f'--{one.name}', help=doc, metavar=one.type.__name__.upper())


def settings_of(arguments: argparse.Namespace) -> Settings:
    """
    Return the configuration that parameter files and flags make.

    :raises SettingsError: for a file that cannot be read, an unknown name or a bad value.
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
