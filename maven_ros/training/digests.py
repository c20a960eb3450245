"""Digests of data in 16 characters, to detect changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np
from torch import Tensor


def digest_of(*parts: Any) -> str:
    """
    Return 16 hexadecimal digits of the SHA-256 over data.

    :param parts: arrays and tensors, including their types and shapes; JSON values; dataclasses
        and sequences of these.
    """
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()[:16]


def _feed(digest: Any, part: Any) -> None:
    if isinstance(part, Tensor):
        part = part.numpy()
    if isinstance(part, np.ndarray):
        digest.update(f'{part.dtype.str}{part.shape}'.encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            _feed(digest, getattr(part, field.name))
    elif isinstance(part, list | tuple):
        digest.update(f'[{len(part)}]'.encode())
        for one in part:
            _feed(digest, one)
    else:
        digest.update(json.dumps(part, sort_keys=True).encode() + b'\0')
