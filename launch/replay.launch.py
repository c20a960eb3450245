"""A bag, the affect node on its time, and a recorder; all arguments of affect.launch.py too."""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
    UnregisterEventHandler,
)
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

ARGUMENTS = [
    DeclareLaunchArgument('bag', description='bag to play'),
    DeclareLaunchArgument(
        'out', default_value=[LaunchConfiguration('bag'), '_affect'],
        description='bag to record states and utterances into; it must not be there yet'),
    DeclareLaunchArgument('rate', default_value='1.0', description='bag seconds a second'),
    DeclareLaunchArgument(
        'image_topic', default_value='/camera/image_raw',
        description='pictures in the bag; their JPEG topic beside it is played, too'),
    DeclareLaunchArgument(
        'audio_topic', default_value='/audio', description='sound in the bag'),
]


def generate_launch_description():
    """Describe player, affect node, recorder, the order they start in, and their arguments."""
    affect = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare('maven_ros'), 'launch', 'affect.launch.py']),
        launch_arguments={'use_sim_time': 'true'}.items())
    namespace, image, audio = map(
        LaunchConfiguration, ('namespace', 'image_topic', 'audio_topic'))
    # ros-drivers' audio says its format on a topic beside itself.
    audio_info = PythonExpression(["'", audio, "'.rpartition('/')[0] + '/audio_info'"])
    camera_info = PythonExpression(["'", image, "'.rpartition('/')[0] + '/camera_info'"])
    play = ExecuteProcess(
        name='play', output='screen',
        cmd=['ros2', 'bag', 'play', LaunchConfiguration('bag'), '--clock', '100',
             '--rate', LaunchConfiguration('rate'),
             '--delay', '1.0',  # for discovery
             '--disable-keyboard-controls',
             # Inputs alone: states that are in the bag are no states of this run.
             '--topics', image, [image, '/compressed'], camera_info, audio, audio_info,
             PathJoinSubstitution(['/', namespace, 'robot_speaking']),
             PathJoinSubstitution(['/', namespace, 'robot_audio']),
             PathJoinSubstitution(['/', namespace, 'speech'])])
    record = ExecuteProcess(
        name='record', output='screen',
        cmd=['ros2', 'bag', 'record', '--output', LaunchConfiguration('out'), '--use-sim-time',
             '--regex', '/affect/(state|state_smoothed|attention|utterance|event)$'])
    deactivate = EmitEvent(event=ChangeState(
        lifecycle_node_matcher=lambda node: True,
        transition_id=Transition.TRANSITION_DEACTIVATE))
    ends = [
        OnStateTransition(
            start_state='configuring', goal_state='unconfigured',
            entities=[Shutdown(reason='affect_node could not be configured')]),
        OnStateTransition(  # an error takes another way than a refusal
            start_state='errorprocessing', entities=[Shutdown(reason='affect_node has failed')]),
        OnProcessExit(
            target_action=lambda one: one is record or isinstance(one, LifecycleNode),
            on_exit=[Shutdown(reason='the recorder or affect_node ended')]),
        # Deactivated, the node publishes what is still open; the recorder must hear that.
        OnProcessExit(target_action=play, on_exit=[
            deactivate,
            TimerAction(period=3.0, actions=[Shutdown(reason='the bag was played')])])]
    return LaunchDescription([
        *ARGUMENTS,
        RegisterEventHandler(OnStateTransition(
            goal_state='active', entities=[play], handle_once=True)),
        *map(RegisterEventHandler, ends),
        record, affect,
        # What ends because all end must not end all again: launch fails at that. The last to be
        # registered is the first to be asked, before launch takes its time to close ROS.
        RegisterEventHandler(OnShutdown(
            on_shutdown=list(map(UnregisterEventHandler, ends)), handle_once=True))])
