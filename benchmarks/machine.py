"""The machine that a benchmark runs on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def described() -> str:
    """Return the machine in words, with its present load."""
    return (f'{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, '
            f'Python {platform.python_version()}')


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    names = [line.split(':', 1)[1].strip() for line in
             (info.read_text().splitlines() if info.exists() else [])
             if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()
