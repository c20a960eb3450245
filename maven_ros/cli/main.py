"""
The command line: ``maven-ros COMMAND``.

Each command is a few lines that call other packages. Groups of commands have their own modules,
such as :mod:`maven_ros.cli.bag_commands`. SIGINT and SIGTERM set one event that every command
watches.
"""

from __future__ import annotations

import argparse
import difflib
import io
import logging
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from maven_ros import __version__
from maven_ros.cli.arguments import (
    Group,
    Run,
    add_graph,
    add_group,
    add_settings,
    add_streams,
    flags_of,
    graph_of,
    joined,
    settings_of,
)
from maven_ros.cli.bag_commands import add_commands as add_evaluation_commands
from maven_ros.cli.data_commands import add_commands as add_data_commands
from maven_ros.cli.training_commands import add_commands as add_training_commands
from maven_ros.cli.view_command import add_command as add_view_command
from maven_ros.counters import Counters
from maven_ros.errors import MavenError
from maven_ros.graph.topics import (
    AUDIO_TOPIC,
    IMAGE_TOPIC,
    ROBOT_AUDIO_TOPIC,
    ROBOT_SPEAKING_TOPIC,
    SPEECH_TOPIC,
)
from maven_ros.interrupts import Interrupts
from maven_ros.settings import GONE, unknown_parameter
from maven_ros.text import PrintableFormatter, say, shown


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    :param argv: the arguments; those of the process if omitted.
    :returns: 0 on success, 1 after an error that the user can correct, 2 for wrong usage, 128 plus
        the signal's number if a signal ended the work before its end.
    """
    arguments = _parse(joined(sys.argv[1:] if argv is None else argv))
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(PrintableFormatter('[%(levelname)s] %(name)s: %(message)s'))
    log.addFilter(_is_ours_or_a_warning)
    logging.basicConfig(level=arguments.log_level.upper(), handlers=[log])
    if isinstance(sys.stdout, io.TextIOWrapper):  # like stderr: its encoding may lack letters
        sys.stdout.reconfigure(errors='backslashreplace')
    stop = Interrupts.on_signals()
    if arguments.end_with_stdin:
        threading.Thread(target=stop.set_at_end_of_stdin, daemon=True).start()
    try:
        return int(arguments.command(arguments, stop) or 0)
    except MavenError as error:
        say(f'maven-ros: {error}', file=sys.stderr)
        return 128 + stop.number if stop.number else 1
    except BrokenPipeError:  # the reader of the output has ended, such as `| head`
        sys.stderr.close()
        return 0
    except OSError as error:  # a name too long, no permission, a failing disk
        if error.filename is None:
            raise
        say(f'maven-ros: {shown(str(error.filename))}: {error.strerror}', file=sys.stderr)
        return 1
    except SystemExit:
        if stop.number:
            say('maven-ros: stopped', file=sys.stderr)
        raise


def _is_ours_or_a_warning(record: logging.LogRecord) -> bool:
    """Leave out what other libraries say of their work, such as matplotlib of its fonts."""
    return record.levelno >= logging.WARNING or record.name.partition('.')[0] == 'maven_ros'


# --- arguments -------------------------------------------------------------------------------


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; unknown flags are reported with the usage of their command."""
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:
        own: argparse.ArgumentParser = arguments.parser
        flag, flags = unknown[0].partition('=')[0], re.findall(r'--[\w.-]+', own.format_usage())
        if flag.removeprefix('--') in GONE:
            own.error(f'--{unknown_parameter(flag.removeprefix("--"), ())}')
        near = difflib.get_close_matches(flag, flags, 1)
        own.error(f'unrecognized arguments: {" ".join(unknown)}'
                  + (f'; did you mean {near[0]}?' if near else ''))
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='maven-ros', description='Valence and arousal from face, voice and words, live.')
    parser.add_argument('--version', action='version', version=f'maven-ros {__version__}')
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)

    def command(
        name: str, run: Run, text: str, group: Group = commands,
    ) -> argparse.ArgumentParser:
        # A shortened parameter name is a misspelling, not an abbreviation.
        sub = group.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.add_argument('--log-level', default='info',
                         choices=['debug', 'info', 'warning', 'error'])
        sub.add_argument('--end-with-stdin', action='store_true', help=argparse.SUPPRESS)
        sub.set_defaults(command=run, name=name, parser=sub)
        return sub

    one = command('demo', _demo, 'Run everything on a clip or on live devices, and show states.')
    one.add_argument('--media', type=Path, help='video or sound file; the shipped clip if omitted')
    one.add_argument('--camera', help='camera number or path, instead of a file')
    one.add_argument('--microphone', help='microphone number or name, instead of a file')
    one.add_argument('--record', action='store_true',
                     help='record live devices as well (files are always recorded)')
    one.add_argument('--view', action='store_true', help='also open the view in Rerun')
    one.add_argument('--behaviour', action='store_true',
                     help='also run the example behaviour of a social robot')
    one.add_argument('--out', type=Path, default=Path('runs'), help='folder for results')
    add_settings(one)

    one = command('run', _run, 'Run the affect node: topics in, /affect/state out.')
    add_graph(one)
    one.add_argument('--image-topic', default=IMAGE_TOPIC, help='(default %(default)s)')
    one.add_argument('--audio-topic', default=AUDIO_TOPIC, help='(default %(default)s)')
    one.add_argument('--robot-speaking-topic', default=ROBOT_SPEAKING_TOPIC,
                     help='true while the robot itself speaks (std_msgs/Bool)')
    one.add_argument('--robot-audio-topic', default=ROBOT_AUDIO_TOPIC,
                     help='what the robot plays (AudioChunk, AudioStamped): not heard')
    one.add_argument('--speech-topic', default=SPEECH_TOPIC,
                     help='words from another recogniser (hri_msgs/LiveSpeech); they alone open '
                          'no windows')
    add_settings(one)

    one = command('play', _play, 'Play a media file as a camera and a microphone.')
    add_graph(one)
    one.add_argument('file', type=Path)
    one.add_argument('--image-topic', default=IMAGE_TOPIC, help='(default %(default)s)')
    one.add_argument('--audio-topic', default=AUDIO_TOPIC, help='(default %(default)s)')
    one.add_argument('--rate', type=float, default=1.0,
                     help='seconds of media per second; 0 for as fast as possible')
    one.add_argument('--loop', type=int, default=1, help='number of times; 0 for endless')
    one.add_argument('--width', type=int, default=0, help='largest width of pictures in pixels')
    one.add_argument('--compressed', action='store_true', help='publish JPEG pictures')
    add_streams(one)
    one.add_argument('--subscribers', type=int, default=1,
                     help='number of subscribers per topic to wait for; 0 starts at once')

    one = command('camera', _camera, 'Publish a camera.')
    add_graph(one)
    one.add_argument('--device', default='0', help='number, path or address')
    one.add_argument('--image-topic', default=IMAGE_TOPIC, help='(default %(default)s)')

    one = command('microphone', _microphone, 'Publish a microphone.')
    add_graph(one)
    one.add_argument('--device', default='default', help='number or name')
    one.add_argument('--audio-topic', default=AUDIO_TOPIC, help='(default %(default)s)')

    one = command('record', _record, 'Record topics into a bag.')
    add_graph(one, remaps=False)
    one.add_argument('topics', nargs='*', help='topics to record; all if none is named')
    one.add_argument('--out', type=Path, required=True, help='new folder for the bag')
    one.add_argument('--storage', choices=['mcap', 'sqlite3'], default='mcap')
    one.add_argument('--jpeg', action='store_true', help='record raw pictures as JPEG, a tenth of '
                     'the size, on TOPIC/compressed')

    one = command('echo', _echo, 'Show the messages of a topic.')
    add_graph(one)
    one.add_argument('topic')
    one.add_argument('-n', '--count', type=int, default=0, help='number of messages; 0 for all')
    one.add_argument('--wait', type=float, default=5.0,
                     help='seconds to wait for the topic; 0 waits for ever')

    one = command('behaviour', _behaviour, 'Run the example behaviour of a social robot.')
    add_graph(one)
    one.add_argument('--table', default='', help='decision table; '
                     'config/behaviour.yaml if omitted')
    one.add_argument('--regions', default='', help='regions of the events; '
                     'config/regions.yaml if omitted')

    one = command('topics', _topics, 'List the topics on the network, with their types.')
    add_graph(one)
    add_evaluation_commands(command, commands)
    add_training_commands(command)
    add_data_commands(command, commands)
    add_view_command(command)
    models = add_group(commands, 'models', 'Fetch, list, check and describe models. No other '
                       'command downloads.')
    one = command('fetch', _models_fetch, 'Download models under their licences.', models)
    one.add_argument('models', nargs='+', metavar='MODEL')
    one.add_argument('--yes', action='store_true', help='agree to the licences without a question')
    one.add_argument('--base-url', help='mirror of all servers; '
                     'HF_ENDPOINT names a mirror of the hub only')
    command('list', _models_list, 'List all models, on this machine or to fetch.', models)
    one = command('verify', _models_verify, 'Check every file of a fetched model.', models)
    one.add_argument('model', help='name or path')
    one = command('info', _models_info, 'Describe a model and its licence.', models)
    one.add_argument('model', help='name or path')
    command('parameters', _parameters, 'Write a ROS parameter file with every parameter.')
    command('devices', _devices, 'List cameras and microphones.')
    command('doctor', _doctor, 'Check the installation, and suggest remedies.')
    return parser


# --- commands --------------------------------------------------------------------------------


def _demo(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from maven_ros.cli.demo import run_demo

    settings_of(arguments)  # refuse wrong settings before anything starts
    passed = [text for path in arguments.params_file for text in ('--params-file', str(path))]
    for name, value in flags_of(arguments).items():
        passed += [f'--{name}', value]
    return run_demo(
        arguments.media, arguments.camera, arguments.microphone, arguments.record,
        arguments.out, passed, stop, arguments.view, arguments.behaviour)


def _run(arguments: argparse.Namespace, stop: threading.Event) -> None:
    settings = settings_of(arguments)
    import cv2

    from maven_ros.intake.inputs import InputTopics
    from maven_ros.nodes.affect_node import AffectNode

    # OpenCV's threads are shared by the whole process. For these small pictures a second thread
    # costs 5 to 65% more CPU, and it would occupy the recogniser's core.
    cv2.setNumThreads(1)
    topics = InputTopics(
        image=arguments.image_topic, audio=arguments.audio_topic,
        robot_speaking=arguments.robot_speaking_topic,
        robot_audio=arguments.robot_audio_topic, speech=arguments.speech_topic)
    counters = Counters()
    with graph_of(arguments, counters) as graph:
        AffectNode(graph, settings, topics, counters).run(stop)


def _play(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.devices.player import Player

    with graph_of(arguments) as graph:
        player = Player(
            graph, arguments.file, image_topic=arguments.image_topic,
            audio_topic=arguments.audio_topic, rate=arguments.rate, loop=arguments.loop,
            width=arguments.width, compressed=arguments.compressed,
            subscribers=arguments.subscribers, video_stream=arguments.video_stream,
            audio_stream=arguments.audio_stream)
        report = player.run(stop)
    say(f'played {report.frames} frames and {report.chunks} chunks of sound, '
        f'{report.duration_ns / 1e9:.1f} s')


def _camera(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.devices.camera import Camera

    with graph_of(arguments) as graph:
        Camera(graph, arguments.device, image_topic=arguments.image_topic).run(stop)


def _microphone(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.devices.microphone import Microphone

    with graph_of(arguments) as graph:
        Microphone(graph, arguments.device, audio_topic=arguments.audio_topic).run(stop)


def _record(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.graph.bag.bag_graph import BagGraph
    from maven_ros.nodes.recorder import Recorder

    counters = Counters()
    with graph_of(arguments, counters) as graph:
        topics = [graph.resolve(topic) for topic in arguments.topics]  # fails before a bag exists
        with BagGraph(arguments.out, 'w', arguments.storage) as bag:
            written = Recorder(graph, bag, topics, counters, arguments.jpeg).run(stop)
    say(f'recorded {written} messages to {arguments.out}; {counters.summary()}')


def _echo(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.cli.echo import echo

    with graph_of(arguments) as graph:
        echo(graph, arguments.topic, stop, say, arguments.count, arguments.wait)


def _behaviour(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.acting.decisions import read_decisions
    from maven_ros.nodes.behaviour import Behaviour

    table = read_decisions(arguments.table, arguments.regions)
    counters = Counters()
    with graph_of(arguments, counters) as graph:
        Behaviour(graph, table, counters=counters).run(stop)


def _topics(arguments: argparse.Namespace, stop: threading.Event) -> None:
    with graph_of(arguments) as graph:
        stop.wait(1.0)  # discovery needs some time
        for topic, msgtype in sorted(graph.topics().items()):
            say(f'{topic} [{msgtype}]')


def _models_fetch(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.cli.model_commands import fetch

    fetch(arguments.models, arguments.yes, arguments.base_url)


def _models_list(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.cli.model_commands import list_models

    say(list_models())


def _models_verify(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from maven_ros.cli.model_commands import verify

    sound, found = verify(arguments.model)
    say(found)
    return 0 if sound else 1


def _models_info(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.cli.model_commands import info

    say(info(arguments.model))


def _parameters(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.cli.reference import parameter_file

    print(parameter_file(), end='')


def _devices(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.devices.listing import describe_devices

    say(describe_devices())


def _doctor(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from maven_ros.cli.doctor import report, run_checks

    checks = run_checks()
    say(report(checks))
    return 0 if all(check.ok is not False for check in checks) else 1
