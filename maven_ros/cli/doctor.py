"""Check the installation of maven_ros, and suggest remedies."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from maven_ros.devices.listing import cameras, microphones
from maven_ros.errors import MavenError, ResourceError
from maven_ros.graph.dds.domain import RECEIVE_BUFFER_BYTES
from maven_ros.graph.interface import STATE
from maven_ros.resources import resource

LOOPBACK_S = 10.0
RMEM_MAX = Path('/proc/sys/net/core/rmem_max')
_INSTALL = 'pip install "maven_ros[demo]"'
_REINSTALL = 'install maven_ros again; its files are incomplete'


@dataclass(frozen=True, slots=True)
class Check:
    """
    The result of a check.

    :param ok: None if something optional is absent.
    :param advice: the remedy; empty if the check passed.
    """

    name: str
    ok: bool | None
    detail: str
    advice: str = ''


@dataclass(frozen=True, slots=True)
class Checker:
    """
    A check.

    :param look: returns what it found, or raises MavenError, ImportError or OSError.
    :param required: whether the node needs it.
    :param advice: the remedy.
    """

    name: str
    look: Callable[[], str]
    required: bool
    advice: str

    def __call__(self) -> Check:
        """Run it."""
        try:
            return Check(self.name, True, self.look())
        except (MavenError, ImportError, OSError) as error:
            return Check(self.name, False if self.required else None, str(error), self.advice)


def run_checks() -> list[Check]:
    """Run every check."""
    return [checker() for checker in CHECKERS]


def report(checks: Sequence[Check]) -> str:
    """Return the results as text, each with its advice."""
    marks = {True: 'ok', False: 'FAILED', None: 'absent'}
    lines = []
    for check in checks:
        lines.append(f'{marks[check.ok]:6}  {check.name}: {check.detail}')
        if check.advice:
            lines.append(f'        -> {check.advice}')
    return '\n'.join(lines)


def _python() -> str:
    return f'{sys.version.split()[0]} at {sys.executable}'


def _torch() -> str:
    import torch

    from maven_ros.model.compute import uses_bf16

    if not torch.cuda.is_available():
        bf16 = 'has' if uses_bf16('auto', torch.device('cpu')) else 'lacks'
        return (f'{torch.__version__}, no CUDA: inference on the processor, which {bf16} '
                'bfloat16 products (model.precision)')
    return f'{torch.__version__}, CUDA on {torch.cuda.get_device_name()}'


def _opencv() -> str:
    import cv2

    return str(cv2.__version__)


def _faces() -> str:
    from maven_ros.senses.face_detector import FaceDetector
    from maven_ros.settings import FaceSettings

    FaceDetector(FaceSettings())
    return 'YuNet loads'


def _package(module: str, distribution: str) -> Callable[[], str]:
    def look() -> str:
        importlib.import_module(module)
        return f'{distribution} {_version(distribution)}'

    return look


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # from a system package
        return 'of an unknown version'


def _messages() -> str:
    from maven_ros.graph.messages import type_hash

    type_hash('maven_ros/msg/AffectState')
    return str(resource('msg'))


def _loopback() -> str:
    """Receive a message from another process through DDS, with this environment's settings."""
    from maven_ros.graph.dds.dds_graph import DdsGraph

    topic = f'maven_ros_doctor_{os.getpid()}'
    heard = threading.Event()
    talker = multiprocessing.get_context('spawn').Process(target=_talk, args=(topic,), daemon=True)
    with DdsGraph() as graph:
        graph.subscribe(topic, 'std_msgs/msg/String', STATE, lambda _: heard.set())
        talker.start()
        try:
            if not heard.wait(LOOPBACK_S):
                raise ResourceError(
                    f'nothing came from another process within {LOOPBACK_S:g} s')
        finally:
            talker.terminate()
            talker.join()
    return f'cyclonedds {_version("cyclonedds")}: two processes hear each other'


def _talk(topic: str) -> None:
    from maven_ros.graph.dds.dds_graph import DdsGraph
    from maven_ros.graph.messages import new

    with DdsGraph() as graph:
        publisher = graph.advertise(topic, 'std_msgs/msg/String', STATE)
        pause = threading.Event()
        while not pause.wait(0.1):
            publisher.publish(new('std_msgs/msg/String', data='hello'))


def _receive_buffer() -> str:
    granted = int(RMEM_MAX.read_text())
    if granted < RECEIVE_BUFFER_BYTES:
        raise ResourceError(
            f'net.core.rmem_max grants {granted} bytes of the {RECEIVE_BUFFER_BYTES} requested')
    return f'{RECEIVE_BUFFER_BYTES} bytes'


def _microphones() -> str:
    found = microphones()
    if not found:
        raise ResourceError('PortAudio finds no sound input')
    return ', '.join(f'{device.index} {device.name!r}' for device in found)


def _cameras() -> str:
    found = cameras()
    if not found:
        raise ResourceError('none in /sys/class/video4linux')
    blocked = [device.path for device in found if not os.access(device.path, os.R_OK | os.W_OK)]
    if blocked:
        raise ResourceError(f'no permission for {", ".join(blocked)}')
    return ', '.join(f'{device.index} {device.name!r}' for device in found)


def _whisper() -> str:
    from maven_ros.senses.speech import whisper_model
    from maven_ros.settings import SpeechSettings

    settings = SpeechSettings()
    whisper_model.check(settings)
    folder = whisper_model.folder_of(settings)
    if not folder.is_dir():
        raise ResourceError(f'no weights in {folder}')
    return f'faster-whisper {_version("faster-whisper")}, {folder}'


CHECKERS = (
    Checker('Python', _python, True, 'use Python 3.10 to 3.13'),
    Checker('messages', _messages, True, _REINSTALL),
    Checker('model', lambda: str(resource('models/compact')), True, _REINSTALL),
    Checker('PyTorch', _torch, True, _INSTALL),
    Checker('OpenCV', _opencv, True, _INSTALL),
    Checker('face detector', _faces, True,
            f'{_INSTALL}, which installs a suitable OpenCV; or {_REINSTALL}'),
    Checker('embedded graph', _loopback, True,
            f'{_INSTALL}; let UDP pass the firewall, check ROS_DOMAIN_ID and CYCLONEDDS_URI, '
            'or try ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'),
    Checker('receive buffer', _receive_buffer, False,
            'large pictures from best-effort drivers may get lost; to increase it: '
            f'sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}, and permanently: '
            f'net.core.rmem_max={RECEIVE_BUFFER_BYTES} in /etc/sysctl.d/60-receive-buffer.conf'),
    Checker('ROS 2', _package('rclpy', 'rclpy'), False,
            'needed only for the rclpy transport: source /opt/ros/<distribution>/setup.bash'),
    Checker('media files', _package('av', 'av'), False, 'to play files: ' + _INSTALL),
    Checker('microphones', _microphones, False,
            'connect one, and check that PulseAudio, PipeWire or ALSA lists it'),
    Checker('cameras', _cameras, False,
            'connect one; without permission to open it: sudo usermod -aG video $USER'),
    Checker('Whisper', _whisper, False,
            'to recognise words: pip install "maven_ros[whisper]", and maven-ros models fetch '
            'whisper-base'),
    Checker('Vosk', _package('vosk', 'vosk'), False,
            'only for speech.recogniser vosk: pip install vosk, and set speech.vosk_model'),
)
