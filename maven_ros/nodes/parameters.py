"""Declare, check and change the project's parameters on ROS nodes."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from maven_ros.declarations import Parameter
from maven_ros.errors import SettingsError
from maven_ros.outside import is_class_name
from maven_ros.settings import unknown_parameter

_log = logging.getLogger(__name__)

#: Parameters that ROS itself declares on nodes.
_ROS_OWN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


def initial_values(known: Iterable[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the value of each parameter at the start.

    A file for all nodes (``/**``) may hold other nodes' parameters. They are ignored, unless they
    look like misspellings. Paths are not checked here.

    :param given: overrides from files and the command line.
    :raises SettingsError: names every wrong parameter.
    """
    ours = {one.name: one for one in known}
    values = {name: one.value for name, one in ours.items()}
    faults = []
    for name, value in given.items():
        if name in ours:
            try:
                values[name] = _parsed(ours[name], value)
            except SettingsError as error:
                faults.append(str(error))
                continue
            one = dataclasses.replace(ours[name], value=values[name], path='')
            faults += one.faults()
        elif not name.startswith(_ROS_OWN):
            if _is_misspelt(name, ours):
                faults.append(str(unknown_parameter(name, ours)))
            else:
                _log.warning('%s: no parameter of this node; ignored', name)
    if faults:
        raise SettingsError('; '.join(faults))
    return values


def changed_values(known: Iterable[Parameter], changes: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return changes of a running node, converted to their parameters' types.

    A class of another package is not among them: whoever reaches the node over the network could
    have any module imported.

    :raises SettingsError: names every wrong parameter.
    """
    ours = {one.name: one for one in known}
    values = {name: _parsed(ours[name], value) for name, value in changes.items()}
    faults = [fault for name, value in values.items()
              for fault in dataclasses.replace(ours[name], value=value).faults()]
    faults += [f'{name}: {value!r} is imported; allowed: at the start, in a file or on the '
               'command line' for name, value in values.items()
               if ours[name].outside and is_class_name(value)]
    if faults:
        raise SettingsError('; '.join(faults))
    return values


def given_to(node: Any) -> dict[str, Any]:
    """Return a node's overrides from files, launch and the command line."""
    # rclpy offers no public access, other than declaring all of them under any name and type.
    return {name: one.value for name, one in node._parameter_overrides.items()}


def declare(
    node: Any, known: Iterable[Parameter], values: Mapping[str, Any], fixed: str = '',
) -> None:
    """
    Declare parameters on a node.

    :param values: value of each parameter.
    :param fixed: when a parameter that is not live may change, in words; empty if never.
    """
    for one in known:
        node.declare_parameter(
            one.name, values[one.name], _descriptor(one, fixed), ignore_override=True)


def _descriptor(one: Parameter, fixed: str) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    descriptor = ParameterDescriptor(
        description=one.doc, read_only=not (one.live or fixed),
        additional_constraints='; '.join(
            filter(None, (one.allowed, '' if one.live else fixed))))
    if one.allowed.startswith('float in'):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(one.minimum), to_value=float(one.maximum))]
    elif one.allowed.startswith('int in'):
        descriptor.integer_range = [
            IntegerRange(from_value=int(one.minimum), to_value=int(one.maximum))]
    return descriptor


def _parsed(one: Parameter, value: Any) -> Any:
    if one.type is str and type(value) is int:
        value = str(value)  # YAML reads a camera's number, such as 0, as an integer
    return one.parse(value)


def _is_misspelt(name: str, ours: Mapping[str, Parameter]) -> bool:
    section = name.partition('.')[0]
    return bool(difflib.get_close_matches(name, ours, 1, cutoff=0.8)) or any(
        one.startswith(f'{section}.') for one in ours)
