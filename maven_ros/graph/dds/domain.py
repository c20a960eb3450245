"""
The DDS domain of a process, set up by ROS 2's own environment variables.

``ROS_DOMAIN_ID``, ``ROS_AUTOMATIC_DISCOVERY_RANGE``, ``ROS_STATIC_PEERS``, ``ROS_LOCALHOST_ONLY``
and ``CYCLONEDDS_URI`` have the same meaning as for ROS 2 with ``rmw_cyclonedds_cpp``, so this
process finds ROS 2's nodes as they find each other. ``MAVEN_ROS_DISCOVERY_TAG`` is specific to
this project: participants with different tags do not see each other, even in the same domain.
ROS 2's nodes have no tag.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

from maven_ros.errors import GraphError
from maven_ros.graph.dds import sockets
from maven_ros.graph.dds.monitor import Monitor, can_monitor

_log = logging.getLogger(__name__)

#: What is asked for a socket's buffer: a burst of two raw pictures of 1080p, which is all there is
#: at once. The system grants as much as net.core.rmem_max.
RECEIVE_BUFFER_BYTES = 16 * 2**20
#: DDS derives UDP ports from it, and there are no more.
MAX_DOMAIN = 232
RANGES = ('SUBNET', 'LOCALHOST', 'OFF', 'SYSTEM_DEFAULT')
#: Participants of one host that unicast discovery looks for; as rmw_cyclonedds_cpp has it.
_MAX_PARTICIPANT_INDEX = 32


@dataclass(frozen=True, slots=True)
class Discovery:
    """
    The participants that this process looks for.

    :param domain: 0 to 232; domains do not see each other.
    :param range: one of ``RANGES``.
    :param peers: additional hosts; only for SUBNET and LOCALHOST.
    :param tag: only participants with the same tag are found; no effect for OFF.
    """

    domain: int
    range: str = 'SUBNET'
    peers: tuple[str, ...] = ()
    tag: str = ''


def discovery_of(environ: Mapping[str, str], domain: int | None = None) -> Discovery:
    """
    Read the variables of ROS 2 and of this project.

    :param domain: overrides ROS_DOMAIN_ID.
    :raises GraphError: names the variable, its value and what is allowed.
    """
    chosen = _domain(environ.get('ROS_DOMAIN_ID', '') if domain is None else str(domain))
    tag = environ.get('MAVEN_ROS_DISCOVERY_TAG', '')
    localhost_only = environ.get('ROS_LOCALHOST_ONLY', '')
    if localhost_only not in ('', '0', '1'):
        raise GraphError(f'ROS_LOCALHOST_ONLY: {localhost_only!r}; allowed: 0, 1')
    if localhost_only == '1':  # deprecated; as in ROS 2, it overrules the two others
        return Discovery(chosen, 'LOCALHOST', tag=tag)
    chosen_range = environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '') or 'SUBNET'
    if chosen_range not in RANGES:
        raise GraphError(f'ROS_AUTOMATIC_DISCOVERY_RANGE: {chosen_range!r}; '
                         f'allowed: {", ".join(RANGES)}')
    peers = tuple(filter(None, environ.get('ROS_STATIC_PEERS', '').split(';')))
    return Discovery(chosen, chosen_range, peers, tag)


def stay_on_this_machine(environ: MutableMapping[str, str]) -> None:
    """
    Keep this process and its children off the network, unless the user has set a range.

    Another program may use the domain that is chosen here, so it gets a tag.
    """
    environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    if not environ.get('ROS_DOMAIN_ID'):
        environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
        environ.setdefault('MAVEN_ROS_DISCOVERY_TAG', uuid4().hex)


def cyclone_config(discovery: Discovery, uri: str = '') -> str:
    """
    Return the configuration for Cyclone DDS that rmw_cyclonedds_cpp would make, as XML.

    There is one difference: with LOCALHOST it names the interfaces. ROS's nodes address each other
    at 127.0.0.1, and later versions of Cyclone, such as this one, do not listen there unless that
    interface is named.

    :param uri: CYCLONEDDS_URI; interfaces in it are kept.
    """
    tag = f'<Tag>{escape(discovery.tag)}</Tag>' if discovery.tag else ''
    if discovery.range == 'SYSTEM_DEFAULT':
        return _config('', tag) if tag else ''
    general = '' if discovery.range == 'SUBNET' else (
        f'<General>{_interfaces(discovery, uri)}<AllowMulticast>false</AllowMulticast></General>')
    if discovery.range == 'OFF':  # nobody else has the tag, so nobody is found
        return _config(general, '<ParticipantIndex>none</ParticipantIndex>'
                                f'<Tag>ros_discovery_off_{os.getpid()}</Tag>')
    hosts = discovery.peers
    if discovery.range == 'LOCALHOST':
        hosts = ('localhost', *hosts)
    peers = ''.join(f'<Peer address={quoteattr(host)}/>' for host in hosts)
    return _config(
        general, '<ParticipantIndex>auto</ParticipantIndex>'
        f'<MaxAutoParticipantIndex>{_MAX_PARTICIPANT_INDEX}</MaxAutoParticipantIndex>'
        + (f'<Peers>{peers}</Peers>' if peers else '') + tag)


def transport_config(uri: str = '') -> str:
    """
    Return this project's settings of the transport, as XML for Cyclone DDS.

    Missing fragments of a picture are requested within 20 ms, not 200, and sent again in datagrams
    of the original size.

    :param uri: CYCLONEDDS_URI; a debug monitor in it is kept.
    """
    port = 0 if can_monitor() else -1  # any that is free; none
    monitor = '' if 'MonitorPort' in uri else f'<MonitorPort>{port}</MonitorPort>'
    return ('<CycloneDDS><Domain>'
            '<General><MaxRexmitMessageSize>14720 B</MaxRexmitMessageSize></General>'
            f'<Internal><SocketReceiveBufferSize max="{RECEIVE_BUFFER_BYTES} B"/>'
            '<HeartbeatInterval min="5 ms" minsched="5 ms">10 ms</HeartbeatInterval>'
            f'<NackDelay>10 ms</NackDelay>{monitor}</Internal></Domain></CycloneDDS>')


def acquire(discovery: Discovery) -> Monitor | None:
    """
    Open the domain, or share it: a process has one of each number. Pairs with ``release``.

    :returns: its debug monitor; None where it has none that is ours.
    :raises GraphError: when it is open already with another configuration, or cannot be opened.
    """
    # Cyclone takes a list of fragments, later ones first in rank: the user's URI comes last.
    uri = os.environ.get('CYCLONEDDS_URI', '')
    config = ','.join(filter(None, (
        transport_config(uri), cyclone_config(discovery, uri), uri)))
    number = discovery.domain
    with _lock:
        shared = _domains.get(number)
        if shared is None:
            shared = _domains[number] = _open(
                number, config, _has_loopback(discovery, uri) and not discovery.peers,
                'MonitorPort' not in uri)
        elif shared.config != config:
            raise GraphError(f'DDS domain {number}: open in this process with {shared.config!r}; '
                             f'it cannot be opened with {config!r}')
        shared.users += 1
        return shared.monitor


def release(discovery: Discovery) -> None:
    """Let go of the domain; the last one to do so closes it."""
    with _lock:
        shared = _domains[discovery.domain]
        shared.users -= 1
        if not shared.users:
            del _domains[discovery.domain]
            shared.close()


def delete(entity: Any) -> None:
    """
    Delete a DDS entity now, not when Python's collector gets to it.

    The binding has no other public way; its ``__del__`` does nothing the second time.
    """
    entity.__del__()


def matched(handles: Callable[[], list[int]]) -> list[int]:
    """
    Return the handles of what matches a reader or a writer.

    :param handles: the binding's method. It counts first and reads then, and raises IndexError
        when another match comes between the two (cyclonedds 11.0.1).
    """
    while True:
        try:
            return handles()
        except IndexError:
            continue


def delete_all(entities: list[Any]) -> None:
    """Delete DDS entities in order, and empty the list."""
    while entities:
        delete(entities.pop(0))


@dataclass(slots=True)
class _Shared:
    domain: Any
    config: str
    monitor: Monitor | None
    users: int = 0

    def close(self) -> None:
        """Close it."""
        if self.monitor is not None:
            self.monitor.close()
        delete(self.domain)


_lock = threading.Lock()
_domains: dict[int, _Shared] = {}


def _domain(text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or int(text) > MAX_DOMAIN:
        raise GraphError(f'ROS_DOMAIN_ID: {text!r}; allowed: whole numbers 0 to {MAX_DOMAIN}')
    return int(text)


def _open(number: int, config: str, alone: bool, has_monitor: bool) -> _Shared:
    from cyclonedds.core import DDSException
    from cyclonedds.domain import Domain

    before = sockets.own_sockets()
    try:
        domain = Domain(number, config)
    except (DDSException, UnicodeEncodeError) as error:
        raise GraphError(f'DDS domain {number} with configuration {config!r} '
                         f'(CYCLONEDDS_URI is part of it): {error}') from error
    opened = [descriptor for name, descriptor in sockets.own_sockets().items()
              if name not in before]
    if alone:
        sockets.withdraw(opened)
    return _Shared(domain, config, _monitor(opened) if has_monitor else None)


def _monitor(opened: list[int]) -> Monitor | None:
    listener = sockets.listener(opened)
    try:
        return None if listener is None else Monitor(listener)
    except OSError as error:
        _log.warning('messages that get lost are not counted: %s', error)
        return None


def _has_loopback(discovery: Discovery, uri: str) -> bool:
    """Tell whether we choose the interface, and it is this machine's own."""
    return (discovery.range == 'LOCALHOST'
            and 'NetworkInterface' not in uri and 'file:' not in uri)


def _interfaces(discovery: Discovery, uri: str) -> str:
    # Cyclone adds the lists of its fragments up, and refuses an interface that is there twice.
    if not _has_loopback(discovery, uri):
        return ''
    others = '<NetworkInterface autodetermine="true"/>' if discovery.peers else ''
    return f'<Interfaces><NetworkInterface address="127.0.0.1"/>{others}</Interfaces>'


def _config(general: str, discovery: str) -> str:
    return (f'<CycloneDDS><Domain>{general}<Discovery>{discovery}</Discovery></Domain>'
            '</CycloneDDS>')
