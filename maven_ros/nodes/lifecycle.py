"""The affect node as a lifecycle node of ROS 2; only this module imports rclpy at once."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn
from rclpy.node import Node
from std_srvs.srv import Trigger

from maven_ros.counters import Counters
from maven_ros.declarations import declared, setting
from maven_ros.errors import MavenError, SettingsError
from maven_ros.graph.cv_bridges import cv_bridge
from maven_ros.graph.ros.ros_graph import RosGraph
from maven_ros.intake.inputs import InputTopics
from maven_ros.nodes.affect_node import AffectNode
from maven_ros.nodes.parameters import changed_values, declare, given_to, initial_values
from maven_ros.settings import Settings, parameters, unknown_parameter

NAME = 'affect_node'
#: The node's own names; launch files remap ``image`` to the camera's topic.
TOPICS = InputTopics(image='image')
_FIXED = 'changes only in the state unconfigured'
_TEND_S = 0.2
SUCCESS, FAILURE, ERROR = (TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE,
                           TransitionCallbackReturn.ERROR)


@dataclasses.dataclass(frozen=True)
class NodeSettings:
    """Parameters of the lifecycle node itself."""

    autostart: bool = setting(True, 'Configure and activate at once.')


class AffectLifecycleNode(LifecycleNodeMixin, Node):
    """
    ``affect_node``: configured, it has loaded its models; active, it subscribes and publishes.

    Lifecycle services have their own callback group, so that parameter services can answer during
    a transition.

    :param context: an open ROS context.
    :raises SettingsError: for a parameter that is unknown or out of range.
    """

    def __init__(self, context: Any) -> None:
        Node.__init__(self, NAME, context=context)
        group = MutuallyExclusiveCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=group)
        self._phase = threading.Lock()  # held while models are loaded or released
        self._affect: AffectNode | None = None
        self._graph: RosGraph | None = None
        self._settings: Settings | None = None  # while it is configured
        own, ours = list(declared(NodeSettings())), list(parameters(Settings()))
        values = initial_values([*own, *ours], given_to(self))
        declare(self, own, values)
        declare(self, ours, values, _FIXED)
        self._starting = bool(values.pop('autostart'))
        self._values = values
        self.add_on_set_parameters_callback(self._on_set)
        self.create_service(Trigger, '~/reset', self._order(
            AffectNode.reset, 'all evidence is forgotten'))
        self.create_service(Trigger, '~/reset_baselines', self._order(
            AffectNode.reset_baselines, 'how everybody looks at rest is forgotten'))
        # On a steady clock, and never at the same time as a lifecycle service.
        self.create_timer(_TEND_S, self._tend, callback_group=group,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))

    def release(self, wait: bool = True) -> bool:
        """
        Deactivate and clean up, in any state.

        :param wait: whether to wait for a running transition.
        :returns: False if a transition is running and ``wait`` is False.
        """
        if not self._phase.acquire(blocking=wait):
            return False
        try:
            self._release()
        finally:
            self._phase.release()
        return True

    # --- lifecycle ---------------------------------------------------------------------------

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Check every parameter; load and warm up the models."""
        with self._phase:
            try:
                self._configure()
            except MavenError as error:
                self.get_logger().error(f'not configured: {error}')
                self._release()
                return FAILURE
            except Exception as error:
                return self._failed('to configure', error)
        return SUCCESS

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Open topics and start to work."""
        with self._phase:
            try:
                if self._affect is not None:
                    self._affect.activate()
            except Exception as error:
                return self._failed('to activate', error)
        return SUCCESS

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Publish the last outputs, and close topics; models stay loaded."""
        with self._phase:
            try:
                if self._affect is not None:
                    self._affect.deactivate()
                    if self._affect.failure is not None:  # also from the last step
                        return self._failed('while active', self._affect.failure)
            except Exception as error:
                return self._failed('to deactivate', error)
        return SUCCESS

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Release models, threads and the device."""
        self.release()
        return SUCCESS

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Release everything."""
        self.release()
        return SUCCESS

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Release everything; the node can be configured again."""
        self.release()
        return SUCCESS

    def _configure(self) -> None:
        import cv2

        cv_bridge()  # imported now rather than at the first picture
        cv2.setNumThreads(1)  # as in the command line; the recogniser uses the other cores
        self._settings = Settings().with_values(self._values)
        counters = Counters()
        self._graph = RosGraph(self, counters)
        self._affect = AffectNode(self._graph, self._settings, TOPICS, counters)
        self._affect.change(self._settings)  # in case it changed while the models were loaded

    def _release(self) -> None:
        affect, self._affect, self._settings = self._affect, None, None
        graph, self._graph = self._graph, None
        try:
            if affect is not None:
                from maven_ros.model.compute import free_memory

                affect.close()
                del affect
                free_memory()
        finally:
            if graph is not None:
                graph.close()

    def _failed(self, doing: str, error: Exception) -> TransitionCallbackReturn:
        # rclpy does not log exceptions of a transition.
        self.get_logger().error(f'failed {doing}: {error!r}')
        return ERROR

    def _tend(self) -> None:
        if self._starting:
            self._starting = False
            if self.trigger_configure() == SUCCESS:
                self.trigger_activate()
            else:
                self.get_logger().error(
                    'stays unconfigured; set what is at fault, then: ros2 lifecycle set '
                    f'{self.get_fully_qualified_name()} configure')
        elif self._affect is not None and self._affect.failure is not None:
            self.trigger_deactivate()  # which ends in on_error

    # --- services ----------------------------------------------------------------------------

    def set_parameters_atomically(self, parameter_list: Any) -> Any:
        """Refuse undeclared names, and suggest the nearest."""
        for one in parameter_list:
            if not self.has_parameter(one.name):
                known = [*self._values, 'autostart', 'use_sim_time']
                return SetParametersResult(
                    successful=False, reason=str(unknown_parameter(one.name, known)))
        return super().set_parameters_atomically(parameter_list)

    def _on_set(self, given: Any) -> Any:
        changes = {one.name: one.value for one in given if one.name in self._values}
        if not changes:  # ROS's own parameters, such as a topic's quality of service
            return SetParametersResult(successful=True)
        try:
            changes = changed_values(parameters(Settings()), changes)
            if self._settings is not None:
                settings = self._settings.with_values(changes)
                self._settings.check_change(settings)
                self._settings = settings
                if self._affect is not None:
                    self._affect.change(settings)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._values.update(changes)
        return SetParametersResult(successful=True)

    def _order(self, order: Callable[[AffectNode], None], done: str) -> Callable[[Any, Any], Any]:
        """Return the callback of a service that gives an order and reports it."""
        def serve(request: Any, response: Any) -> Any:
            affect = self._affect
            response.success = affect is not None
            response.message = done if affect else 'the node is not configured'
            if affect is not None:
                order(affect)
            return response

        return serve
