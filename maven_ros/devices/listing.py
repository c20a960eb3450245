"""The cameras and microphones that this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maven_ros.errors import ResourceError

VIDEO4LINUX = Path('/sys/class/video4linux')


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """
    A camera that Linux lists.

    :param index: what ``--camera`` takes.
    """

    index: int
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class MicrophoneDevice:
    """
    A sound input that PortAudio lists.

    :param index: what ``--microphone`` takes; a part of the name does too.
    :param channels: at most so many.
    :param sample_rate_hz: its own rate.
    """

    index: int
    name: str
    host_api: str
    channels: int
    sample_rate_hz: int
    is_default: bool


def cameras(folder: Path = VIDEO4LINUX) -> tuple[CameraDevice, ...]:
    """
    List the cameras by index; always empty where there is no Video4Linux.

    :param folder: where Linux describes them.
    """
    found = []
    for device in folder.glob('video*'):
        number = device.name.removeprefix('video')
        # A camera's further nodes (index 1, 2 ...) give metadata, no pictures.
        if number.isdigit() and _text(device / 'index') in ('', '0'):
            found.append(CameraDevice(
                int(number), _text(device / 'name') or 'unnamed', f'/dev/{device.name}'))
    return tuple(sorted(found, key=lambda camera: camera.index))


def microphones() -> tuple[MicrophoneDevice, ...]:
    """
    List the sound inputs by index.

    :raises ResourceError: when PortAudio is missing.
    """
    sounddevice = portaudio()
    default = sounddevice.default.device[0]
    return tuple(
        MicrophoneDevice(
            index=index, name=device['name'],
            host_api=sounddevice.query_hostapis(device['hostapi'])['name'],
            channels=device['max_input_channels'],
            sample_rate_hz=round(device['default_samplerate']), is_default=index == default)
        for index, device in enumerate(sounddevice.query_devices())
        if device['max_input_channels'])


def describe_devices() -> str:
    """Return both lists as text, with what ``--camera`` and ``--microphone`` take."""
    lines = ['cameras:']
    lines += [f'  {one.index}: {one.name} ({one.path})' for one in cameras()] or ['  none']
    lines.append('microphones:')
    try:
        lines += [
            f'  {one.index}: {one.name}, {one.channels} channels, {one.sample_rate_hz} Hz, '
            f'{one.host_api}{" (default)" if one.is_default else ""}'
            for one in microphones()] or ['  none']
    except ResourceError as error:
        lines.append(f'  {error}')
    return '\n'.join(lines)


def portaudio() -> Any:
    """
    Return the module sounddevice, which binds PortAudio.

    :raises ResourceError: names what to install when either is missing; when it does not start.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise ResourceError(
            'microphones need sounddevice; pip install "maven_ros[media]"') from error
    except OSError as error:
        raise ResourceError(
            f'microphones need the PortAudio library ({error}); install it with '
            '"apt install libportaudio2", "dnf install portaudio" or "brew install portaudio"'
        ) from error
    except Exception as error:  # PortAudioError, which an import that failed leaves without a name
        raise ResourceError(f'PortAudio does not start: {error}; is the sound server up?'
                            ) from error
    return sounddevice


def _text(path: Path) -> str:
    try:
        return path.read_text(errors='replace').strip()
    except OSError:  # the camera may go while it is looked at
        return ''
