"""ROS's rules for names: relative and absolute ones, namespaces, remapping, and DDS's form."""

from __future__ import annotations

import re
from collections.abc import Mapping

from maven_ros.errors import GraphError

_TOKEN = '[A-Za-z_][A-Za-z0-9_]*'
_FULL_NAME = re.compile(f'(/{_TOKEN})+')
_NODE_NAME = re.compile(_TOKEN)
#: ROS 2's limit; DDS allows 255, and the prefix counts.
_MAX_LENGTH = 247
_RULE = ('allowed: letters, digits, _ and /, no part that is empty or begins with a digit, '
         f'{_MAX_LENGTH} characters')

_DDS_PREFIX = 'rt'


class Names:
    """
    Turns the names that code uses into full names.

    :param namespace: such as ``robot1``; empty or ``/`` for none.
    :param remaps: from name to name, relative or full, as ROS's ``from:=to``.
    :param node_name: what ``~/`` stands for, below the namespace.
    :raises GraphError: for a name that ROS would refuse.
    """

    def __init__(
        self, namespace: str = '', remaps: Mapping[str, str] | None = None,
        node_name: str = 'maven_ros',
    ) -> None:
        stripped = namespace.strip('/')
        self.namespace = _checked('namespace', '/' + stripped) if stripped else ''
        if not _NODE_NAME.fullmatch(node_name):
            raise GraphError(f'node name: {node_name!r}; allowed: letters, digits and _, not '
                             'beginning with a digit')
        self.node_name = node_name
        self._remaps = {self._expand(old): self._expand(new)
                        for old, new in (remaps or {}).items()}

    def resolve(self, name: str) -> str:
        """
        Return the full name of a topic: expanded, then remapped.

        :raises GraphError: for a name that ROS would refuse.
        """
        full = self._expand(name)
        return self._remaps.get(full, full)

    def _expand(self, name: str) -> str:
        if name.startswith('/'):
            full = name
        elif name.startswith('~/'):
            full = f'{self.namespace}/{self.node_name}/{name[2:]}'
        else:
            full = f'{self.namespace}/{name}'
        return _checked('topic', full, name)


def dds_topic(topic: str) -> str:
    """Return a topic's name on the wire: ``/audio`` is ``rt/audio``."""
    return _DDS_PREFIX + topic


def dds_type(msgtype: str) -> str:
    """Return a type's name on the wire, such as ``std_msgs::msg::dds_::Bool_``."""
    package, kind, name = msgtype.split('/')
    return f'{package}::{kind}::dds_::{name}_'


def ros_topic(dds_name: str) -> str | None:
    """Return the ROS name of a topic on the wire; None if it is no ROS topic."""
    prefix = _DDS_PREFIX + '/'
    return dds_name[len(_DDS_PREFIX):] if dds_name.startswith(prefix) else None


def ros_type(dds_name: str) -> str | None:
    """Return the ROS name of a message type on the wire; None if it is none."""
    match = re.fullmatch(r'(\w+)::(\w+)::dds_::(\w+)_', dds_name)
    return '/'.join(match.groups()) if match else None


def _checked(thing: str, full: str, given: str | None = None) -> str:
    if not _FULL_NAME.fullmatch(full) or len(full) > _MAX_LENGTH:
        raise GraphError(f'{thing}: {full if given is None else given!r} is no ROS name; {_RULE}')
    return full
