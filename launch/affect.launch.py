"""
The affect node; where asked, the view and the example behaviour beside it.

An argument wins over the parameter file, unless it is empty.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import LifecycleNode, Node, SetParameter
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = [
    DeclareLaunchArgument(
        'namespace', default_value='', description='namespace of the node and of all its topics'),
    DeclareLaunchArgument(
        'image_topic', default_value='camera/image_raw',
        description='pictures (sensor_msgs/Image or CompressedImage), relative to the namespace'),
    DeclareLaunchArgument(
        'compressed', default_value='false', choices=['true', 'false'],
        description='listen to <image_topic>/compressed'),
    DeclareLaunchArgument(
        'audio_topic', default_value='audio',
        description='sound (AudioChunk or audio_common_msgs), relative to the namespace'),
    DeclareLaunchArgument(
        'robot_audio_topic', default_value='robot_audio',
        description='what the robot plays (AudioChunk or AudioStamped): its echo is not heard'),
    DeclareLaunchArgument(
        'params_file',
        default_value=PathJoinSubstitution(
            [FindPackageShare('maven_ros'), 'config', 'affect.yaml']),
        description='ROS parameter file; config/affect.yaml lists every parameter'),
    DeclareLaunchArgument(
        'use_sim_time', default_value='false', choices=['true', 'false'],
        description='take the time from /clock, as with `ros2 bag play --clock`'),
    DeclareLaunchArgument(
        'device', default_value='',
        description='auto, cpu, cuda or cuda:N; empty: model.device of the parameter file'),
    DeclareLaunchArgument(
        'model', default_value='',
        description='folder of a checkpoint; empty: model.path of the parameter file'),
    DeclareLaunchArgument(
        'recogniser', default_value='',
        description='recogniser of words; empty: speech.recogniser of the parameter file'),
    DeclareLaunchArgument(
        'vosk_model', default_value='',
        description='folder of a Vosk model; empty: speech.vosk_model of the parameter file'),
    DeclareLaunchArgument(
        'autostart', default_value='true', choices=['true', 'false'],
        description='configure and activate at once; else wait for `ros2 lifecycle set`'),
    DeclareLaunchArgument(
        'view', default_value='false', choices=['true', 'false'],
        description='show it in Rerun, on a page of this machine that the log names'),
    DeclareLaunchArgument(
        'behaviour', default_value='false', choices=['true', 'false'],
        description='run the example behaviour, which publishes robot/...'),
    DeclareLaunchArgument(
        'log_level', default_value='info', choices=['debug', 'info', 'warn', 'error', 'fatal'],
        description='least severity that is logged'),
]


def set_if_given(parameter, argument):
    """Set a parameter to the text of an argument, unless that is empty."""
    text = LaunchConfiguration(argument)
    return SetParameter(
        # In YAML's quotes, or else a folder called 1e5 would reach the node as a number.
        parameter, ParameterValue(['"', text, '"'], value_type=str),
        condition=IfCondition(PythonExpression(['"""', text, '""" != ""'])))


def generate_launch_description():
    """Describe the node and its arguments."""
    suffix = PythonExpression(
        ["'/compressed' if '", LaunchConfiguration('compressed'), "' == 'true' else ''"])
    node = LifecycleNode(
        package='maven_ros', executable='affect_node', name='affect_node',
        namespace=LaunchConfiguration('namespace'), output='screen',
        remappings=[
            ('image', [LaunchConfiguration('image_topic'), suffix]),
            ('audio', LaunchConfiguration('audio_topic')),
            ('robot_audio', LaunchConfiguration('robot_audio_topic'))],
        # A file that is missing ends the node this way; as one of `parameters` it is a warning.
        ros_arguments=['--params-file', LaunchConfiguration('params_file'),
                       '--log-level', LaunchConfiguration('log_level')],
        parameters=[{
            name: ParameterValue(LaunchConfiguration(name), value_type=bool)
            for name in ('use_sim_time', 'autostart')}])
    namespace = LaunchConfiguration('namespace')
    level = ['--log-level', LaunchConfiguration('log_level')]
    sim_time = {'use_sim_time': ParameterValue(
        LaunchConfiguration('use_sim_time'), value_type=bool)}
    view = Node(
        package='maven_ros', executable='view_node', name='view_node', namespace=namespace,
        output='screen', condition=IfCondition(LaunchConfiguration('view')),
        remappings=[('image', [LaunchConfiguration('image_topic'), suffix]),
                    ('audio', LaunchConfiguration('audio_topic'))],
        ros_arguments=level, parameters=[sim_time])
    behaviour = Node(
        package='maven_ros', executable='behaviour_node', name='behaviour_node',
        namespace=namespace, output='screen',
        condition=IfCondition(LaunchConfiguration('behaviour')), ros_arguments=level,
        parameters=[sim_time])
    return LaunchDescription([*ARGUMENTS, GroupAction([
        set_if_given('model.device', 'device'),
        set_if_given('model.path', 'model'),
        set_if_given('speech.recogniser', 'recogniser'),
        set_if_given('speech.vosk_model', 'vosk_model'),
        node]), view, behaviour])
