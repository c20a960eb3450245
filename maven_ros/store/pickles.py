"""Turns weights that the hub has only as a pickle into safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maven_ros.errors import ResourceError
from maven_ros.files import written

if TYPE_CHECKING:
    from torch import Tensor


def convert(pickle: Path, target: Path) -> None:
    """
    Convert a state dict, under the same names.

    It is read by an unpickler that knows tensors and nothing that runs code.

    :param pickle: ``pytorch_model.bin`` as torch.save() wrote it.
    :param target: safetensors file to write.
    :raises ResourceError: the pickle holds anything else.
    :raises CannotWrite: the target cannot be written.
    """
    from safetensors.torch import save_file

    weights = _apart(_read(pickle))
    with written(target) as part:
        save_file(weights, part, metadata={'format': 'pt'})  # which transformers insists on


def _read(pickle: Path) -> dict[str, Tensor]:
    import torch

    try:
        values: Any = torch.load(pickle, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged or malicious file shows as nearly any of them
        raise ResourceError(f'{pickle}: refused: not a file of weights only: {error}') from error
    if not isinstance(values, dict) or not values:
        raise ResourceError(f'{pickle}: refused: no table of tensors but {type(values).__name__}')
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ResourceError(f'{pickle}: refused: {name!r} is not a tensor but '
                                f'{type(value).__name__}')
    return dict(values)


def _apart(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """
    Give every name memory of its own: safetensors has no shared tensors.

    Dropping the other names instead would save their bytes, and may drop just the one under
    which a model looks for its embeddings, which it then draws at random.
    """
    seen: set[int] = set()
    out = {}
    for name, value in weights.items():
        start = value.untyped_storage().data_ptr()
        out[name] = value.clone().contiguous() if start in seen else value.contiguous()
        seen.add(start)
    return out
