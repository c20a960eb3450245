"""A clip as camera and microphone, and the affect node; all arguments of affect.launch.py too."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

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
    """Describe the player, the affect node and their arguments."""
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
    return LaunchDescription([*ARGUMENTS, affect, player])
