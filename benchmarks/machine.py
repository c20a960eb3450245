"""The machine that a benchmark runs on."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    info = Path('/proc/cpuinfo')
    names = [line.split(':', 1)[1].strip() for line in
             (info.read_text().splitlines() if info.exists() else [])
             if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()
