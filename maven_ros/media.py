"""Media files as records on one clock: :mod:`maven_ros.devices.media` under its public name."""

from maven_ros.devices.media import Media, available_ns, probe, read_media

__all__ = ['Media', 'available_ns', 'probe', 'read_media']
