"""A camera, a microphone and the affect node; all arguments of affect.launch.py too."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = [
    DeclareLaunchArgument(
        'camera', default_value='/dev/video0',
        description='path of the camera; for the driver maven_ros also a number or an address'),
    DeclareLaunchArgument(
        'camera_driver', default_value='maven_ros', choices=['maven_ros', 'usb_cam'],
        description='whose node publishes the camera; usb_cam is a package of its own'),
    DeclareLaunchArgument(
        'microphone', default_value='default',
        description='number or name of the microphone, as `maven-ros devices` lists them'),
]


def chosen(argument, value):
    """Hold where an argument has a value."""
    return IfCondition(PythonExpression(["'", LaunchConfiguration(argument), f"' == '{value}'"]))


def generate_launch_description():
    """Describe the drivers, the affect node and their arguments."""
    affect = IncludeLaunchDescription(PathJoinSubstitution(
        [FindPackageShare('maven_ros'), 'launch', 'affect.launch.py']))
    # What affect.launch.py declares, the drivers share with it.
    namespace, image, audio, compressed, log_level = map(LaunchConfiguration, (
        'namespace', 'image_topic', 'audio_topic', 'compressed', 'log_level'))
    camera = Node(
        package='maven_ros', executable='camera_node', name='camera_node', namespace=namespace,
        output='screen', condition=chosen('camera_driver', 'maven_ros'),
        remappings=[('image', image)], ros_arguments=['--log-level', log_level],
        parameters=[{
            'device': ParameterValue(LaunchConfiguration('camera'), value_type=str),
            'compressed': ParameterValue(compressed, value_type=bool)}])
    usb_cam = Node(
        package='usb_cam', executable='usb_cam_node_exe', name='camera_node', namespace=namespace,
        output='screen', condition=chosen('camera_driver', 'usb_cam'),
        # A remap is of one name alone: the JPEG topic beside it has its own.
        remappings=[('image_raw', image), ('image_raw/compressed', [image, '/compressed'])],
        ros_arguments=['--log-level', log_level],
        parameters=[{
            'video_device': ParameterValue(LaunchConfiguration('camera'), value_type=str),
            'frame_id': 'camera'}])
    microphone = Node(
        package='maven_ros', executable='microphone_node', name='microphone_node',
        namespace=namespace, output='screen', remappings=[('audio', audio)],
        ros_arguments=['--log-level', log_level],
        parameters=[{
            'device': ParameterValue(LaunchConfiguration('microphone'), value_type=str)}])
    return LaunchDescription([*ARGUMENTS, affect, camera, usb_cam, microphone])
