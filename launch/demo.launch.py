"""
A clip as camera and microphone, and the affect node; all arguments of affect.launch.py too.

It ends with its clip, once the node has published what was still open.
"""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    IncludeLaunchDescription,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
    UnregisterEventHandler,
)
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

SHARE = FindPackageShare('maven_ros')
ARGUMENTS = [
    DeclareLaunchArgument(
        'media', default_value=PathJoinSubstitution([SHARE, 'media', 'sample.mp4']),
        description='video or sound file'),
    DeclareLaunchArgument('loop', default_value='1', description='how often; 0 for ever'),
    DeclareLaunchArgument(
        'rate', default_value='1.0', description='media seconds a second; 0 as fast as possible'),
]


def generate_launch_description():
    """Describe the player, the affect node, how they end, and their arguments."""
    affect = IncludeLaunchDescription(PathJoinSubstitution([SHARE, 'launch', 'affect.launch.py']))
    player = Node(
        package='maven_ros', executable='player_node', name='player_node',
        namespace=LaunchConfiguration('namespace'), output='screen',
        remappings=[('image', LaunchConfiguration('image_topic')),
                    ('audio', LaunchConfiguration('audio_topic'))],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        parameters=[{
            'file': ParameterValue(LaunchConfiguration('media'), value_type=str),
            'loop': ParameterValue(LaunchConfiguration('loop'), value_type=int),
            'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
            'compressed': ParameterValue(LaunchConfiguration('compressed'), value_type=bool)}])
    end = OnProcessExit(target_action=player, on_exit=[
        EmitEvent(event=ChangeState(
            lifecycle_node_matcher=lambda node: True,
            transition_id=Transition.TRANSITION_DEACTIVATE)),
        TimerAction(period=3.0, actions=[Shutdown(reason='the clip was played')])])
    return LaunchDescription([
        *ARGUMENTS, RegisterEventHandler(end), affect, player,
        # A player that ends because all end must not end all again: launch fails at that.
        RegisterEventHandler(OnShutdown(
            on_shutdown=[UnregisterEventHandler(end)], handle_once=True))])
