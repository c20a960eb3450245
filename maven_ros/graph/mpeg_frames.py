"""Tells MPEG audio (MP3) from samples: frames that follow one another, each as long as it says."""

from __future__ import annotations

#: Kilobits a second by number, of MPEG-1's layers and of those of MPEG-2 and 2.5 (ISO 11172-3,
#: 13818-3).
_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
#: Samples a second by number, of MPEG-2.5, none, MPEG-2 and MPEG-1.
_HZ = ((11025, 12000, 8000), (), (22050, 24000, 16000), (44100, 48000, 32000))


def is_mpeg(data: bytes) -> bool:
    """Tell whether bytes are whole frames of MPEG audio, the last of which may be cut off."""
    at = frames = 0
    while at + 4 <= len(data):
        length = _frame_length(data[at:at + 4])
        if not length:
            return False
        at, frames = at + length, frames + 1
    # One frame that fits is no coincidence; of one that is cut off only the length is missing.
    return (at == len(data) and frames > 0) or frames > 2


def _frame_length(header: bytes) -> int:
    """Return how many bytes a frame has; 0 where none begins."""
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate, bitrate = header[2] >> 2 & 3, header[2] >> 4
    if (header[0] != 0xff or header[1] < 0xe0 or version == 1 or layer == 4 or rate == 3
            or not 1 <= bitrate <= 14):
        return 0
    kind = 1 if version == 3 else 2
    bits, hz = 1000 * _KBPS[kind, layer][bitrate - 1], _HZ[version][rate]
    padding = header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hz + padding) * 4
    return (72 if kind == 2 and layer == 3 else 144) * bits // hz + padding
