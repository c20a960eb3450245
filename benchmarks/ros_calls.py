"""
Measure the answer times of the affect node's services on ROS 2 while it works.

Node and player run in separate processes. The player loops a clip in real time. The calls get a
parameter, set a parameter, get the lifecycle state and reset the baselines, in turn. With --hop
0.02 a window ends 50 times per second, and the inference thread is always busy. It needs ROS 2 and
a sourced workspace.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import described

from maven_ros.graph.interface import STATE
from maven_ros.graph.messages import from_cdr
from maven_ros.graph.ros.ros_node import RosNodeGraph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0].strip())
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--hop', type=float, nargs='*', default=[0.2, 0.02], help='seconds')
    arguments = parser.parse_args()
    if 'ROS_DISTRO' not in os.environ:
        print('skipped: ROS 2 is not sourced here')
        return
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    print(f'{described()}, {os.environ["ROS_DISTRO"]}')
    print('| hop | busy | calls | median | 95% | 99% | worst |\n| ' + '--- | ' * 7)
    for hop_s in arguments.hop:
        measure(hop_s, arguments.seconds)


def measure(hop_s: float, seconds: float) -> None:
    node = start('affect', '-p', f'windows.hop_s:={hop_s}')
    player = start('player', '-p', 'loop:=0')
    busy: list[float] = []
    try:
        with RosNodeGraph(node_name='asker') as graph:
            graph.subscribe('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', STATE,
                            lambda one: busy.append(busy_share(from_cdr(one.cdr, one.msgtype))))
            calls = clients(graph.node, hop_s)
            while len(busy) < 5:
                time.sleep(0.2)
            busy.clear()
            times_ms = []
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s:
                for call in calls:
                    times_ms.append(call())
                    time.sleep(0.05)
    finally:
        for process in (player, node):
            process.terminate()
            process.wait(20)
    shares = np.percentile(times_ms, [50, 95, 99, 100])
    print(f'| {hop_s} s | {np.mean(busy):.0%} | {len(times_ms)} | '
          + ' | '.join(f'{value:.1f} ms' for value in shares) + ' |', flush=True)


def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
    code = f'from maven_ros.nodes.executables import main_{name} as main; raise SystemExit(main())'
    return subprocess.Popen([sys.executable, '-c', code, '--ros-args', *arguments],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def clients(node: Any, hop_s: float) -> list[Callable[[], float]]:
    from lifecycle_msgs.srv import GetState
    from rcl_interfaces.srv import GetParameters, SetParameters
    from rclpy.parameter import Parameter
    from std_srvs.srv import Trigger

    change = [Parameter('windows.hop_s', value=hop_s).to_parameter_msg()]
    asked = ((GetParameters, 'get_parameters', {'names': ['windows.hop_s']}),
             (SetParameters, 'set_parameters', {'parameters': change}),
             (GetState, 'get_state', {}), (Trigger, 'reset_baselines', {}))
    return [timed(node.create_client(kind, f'/affect_node/{name}'), kind.Request(**fields))
            for kind, name, fields in asked]


def timed(client: Any, request: Any) -> Callable[[], float]:
    def call() -> float:
        client.wait_for_service()
        began_s = time.perf_counter()
        future = client.call_async(request)
        while not future.done():
            time.sleep(0.0002)
        return (time.perf_counter() - began_s) * 1e3

    return call


def busy_share(message: Any) -> float:
    return next(float(one.value) for one in message.status[0].values
                if one.key == 'busy (share)')


if __name__ == '__main__':
    main()
