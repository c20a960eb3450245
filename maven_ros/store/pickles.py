"""Convert weights that are published as a pickle to safetensors."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maven_ros.errors import ResourceError
from maven_ros.files import readable, written

if TYPE_CHECKING:
    from torch import Tensor

_MOST_TIMES = 10  # largest ratio of tensors to file size; shared tensors are stored separately


def convert(pickle: Path, target: Path) -> None:
    """
    Convert a state dict; names stay the same.

    The unpickler reads tensors only and runs no code.

    :param pickle: ``pytorch_model.bin`` from torch.save().
    :param target: safetensors file to write.
    :raises ResourceError: if the pickle holds anything else.
    :raises CannotWrite: if the target cannot be written.
    """
    from safetensors.torch import save_file

    weights = _apart(_read(pickle))
    with written(target) as part:
        save_file(weights, part, metadata={'format': 'pt'})  # transformers requires it


def _refuse_packed(pickle: Path) -> None:
    """Refuse compressed files, which may be bombs; torch.save() does not compress."""
    if not zipfile.is_zipfile(pickle):
        return
    try:
        with zipfile.ZipFile(pickle) as file:
            packed = [one for one in file.infolist() if one.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError) as error:
        raise ResourceError(f'{pickle}: refused: not a file of weights only: {error}') from error
    if packed:
        raise ResourceError(f'{pickle}: refused: {packed[0].filename!r:.200} is packed; allowed: '
                            'as torch.save() wrote it')


def _read(pickle: Path) -> dict[str, Tensor]:
    import torch

    _refuse_packed(pickle)
    try:
        values: Any = torch.load(pickle, map_location='cpu', weights_only=True)
    except Exception as error:  # damaged or malicious files raise almost any exception
        raise ResourceError(f'{pickle}: refused: not a file of weights only: {error}') from error
    if not isinstance(values, dict) or not values:
        raise ResourceError(f'{pickle}: refused: no table of tensors but {type(values).__name__}')
    for name, value in values.items():
        if fault := _fault(name, value):
            raise ResourceError(f'{pickle}: refused: {name!r:.200} {fault}')
    size, here = sum(one.nbytes for one in values.values()), pickle.stat().st_size
    if size > _MOST_TIMES * here:
        raise ResourceError(f'{pickle}: refused: its tensors are {readable(size)}, over '
                            f'{_MOST_TIMES} times its size')
    return dict(values)


def _fault(name: Any, value: Any) -> str:
    """Return why an entry is not a weight; empty if it is one."""
    import torch

    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        return f'is not a tensor but {type(value).__name__}'
    if value.layout != torch.strided or value.device.type != 'cpu' or value.is_quantized:
        kind = 'quantized' if value.is_quantized else f'{value.layout} on {value.device}'
        return f'is {kind}; allowed: dense tensors with their values'
    if value.is_complex():
        return f'is {value.dtype}; allowed: real numbers'
    stored = value.untyped_storage().nbytes()
    if value.nbytes > stored:  # a stride of 0 repeats one number
        return f'is {readable(value.nbytes)} of {readable(stored)} that are stored'
    if not name.isprintable():
        return 'is no name of a weight'
    return ''


def _apart(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """
    Copy shared tensors, because safetensors does not store them.

    Dropping the other names would save space, but might drop the one under which a model looks
    for its embeddings; it would then draw them at random.
    """
    seen: set[int] = set()
    out = {}
    for name, value in weights.items():
        start = value.untyped_storage().data_ptr()
        out[name] = value.clone().contiguous() if start in seen else value.contiguous()
        seen.add(start)
    return out
