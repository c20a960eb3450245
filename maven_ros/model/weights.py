"""
Read and write weights, in safetensors files only.

Pickles are never read, because unpickling runs code from the file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.files import parse_json
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.backbones import build_options, parse_config, quietly
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.quantized import BITS, Quantized, dequantize, quantize

WEIGHTS = 'model.safetensors'
_PICKLES = ('*.bin', '*.pt', '*.pth', '*.ckpt', '*.pkl', '*.pickle')
# Options of transformers' save_pretrained, each with the only value that is accepted.
_SAVED_AS = {'safe_serialization': True, 'push_to_hub': False, 'distributed_checkpoint': False,
             'variant': None, 'token': None, 'max_shard_size': '50GB', 'save_peft_format': True,
             'save_original_format': True}
_FLOATS = ('F64', 'F32', 'F16', 'BF16')  # names in safetensors
_TORCH_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_COUNTER = '.num_batches_tracked'  # of batch normalisation
#: Ends of the names of codes in few bits, by their bits; the scales stand beside them.
_CODES = {bits: f':codes{bits}' for bits in BITS}
_SCALES = ':scales'
_WHOLE = (_COUNTER, '.codes')  # ends of names of tensors of whole numbers
_ADAPTER = 'adapter_config.json'


def find(folder: Path) -> Path | None:
    """
    Return the file of weights in a folder; None if there is none.

    :raises ResourceError: if there are only pickles, or weights in several files.
    """
    path = folder / WEIGHTS
    if path.exists() or path.is_symlink():  # a broken link is an error, not a lack of weights
        return path
    for other in sorted((*folder.glob('*.safetensors'), *folder.glob('*.safetensors.index.json'))):
        raise ResourceError(f'{other}: weights must be in one file, {WEIGHTS}')
    for pattern in _PICKLES:
        for pickle in sorted(folder.glob(pattern)):
            raise ResourceError(f'{pickle}: weights must be in {WEIGHTS}; pickles are not read')
    return None


def require(folder: Path) -> Path:
    """
    Return the file of weights in a folder.

    :raises ResourceError: if there is none, or there are only pickles.
    """
    path = find(folder)
    if path is None:
        raise ResourceError(f'{folder / WEIGHTS}: no such file')
    return path


def holds(folder: Path, names: Collection[str]) -> bool:
    """
    Return whether the file of weights in a folder has one of some tensors.

    :raises ResourceError: when there is none, or it is no safetensors file.
    """
    path = require(folder)
    try:
        with safe_open(path, framework='pt') as file:
            return any(name in names for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ResourceError(f'{path}: not a safetensors file: {error}') from error


def write(
    path: Path, tensors: Mapping[str, Tensor], config: MavenConfig, bits: Mapping[str, int],
) -> None:
    """
    Write weights, with the configuration inside, so that a mismatch is detected.

    :param bits: bits of the weights that are quantized, by name.
    :raises OSError: if they cannot be written; or SafetensorError.
    """
    stored: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, value in _in_few_bits(tensors, bits):
        stored[name] = value.detach().cpu().contiguous()
        if stored[name].untyped_storage().data_ptr() in taken:  # no shared memory there
            stored[name] = stored[name].clone()
        taken.add(stored[name].untyped_storage().data_ptr())
    save_file(stored, path, metadata={'format': 'pt', 'config': config.to_json_string()})


def _in_few_bits(
    tensors: Mapping[str, Tensor], bits: Mapping[str, int],
) -> Iterator[tuple[str, Tensor]]:
    for name, value in tensors.items():
        if name in bits:
            quantized = quantize(value.detach().cpu(), bits[name])
            yield name + _CODES[bits[name]], quantized.codes
            yield name + _SCALES, quantized.scales
        else:
            yield name, value


def read(path: Path) -> dict[str, Tensor]:
    """
    Read weights; those in few bits as float32.

    :raises ResourceError: if it is not a safetensors file, or scales are missing.
    """
    try:
        tensors = load_file(path)
        for bits, end in _CODES.items():
            for name in [name for name in tensors if name.endswith(end)]:
                own = name.removesuffix(end)
                tensors[own] = dequantize(
                    Quantized(tensors.pop(name), tensors.pop(own + _SCALES)), bits)
    except (OSError, SafetensorError) as error:
        raise ResourceError(f'{path}: not a safetensors file: {error}') from error
    except (KeyError, RuntimeError) as error:
        raise ResourceError(f'{path}: codes and scales do not belong together: {error}') from error
    return tensors


def check_header(path: Path, config: MavenConfig) -> None:
    """
    Check the header of a file, without its weights.

    :raises ResourceError: if it is not a safetensors file, holds other tensors than weights, or
        was written with another configuration.
    """
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ResourceError(f'{path}: not a safetensors file: {error}') from error
    for name, kind in kinds.items():
        if kind not in _FLOATS and not name.endswith((*_WHOLE, *_CODES.values())):
            raise ResourceError(f'{path}: {name} is {kind}; allowed: floating point')
    if 'config' not in metadata:
        return
    try:
        own = MavenConfig.from_dict(parse_json(metadata['config'])).own()
    except (ValueError, SettingsError) as error:
        raise ResourceError(f'{path} (configuration inside): {error}') from error
    differing = sorted(name for name, value in config.own().items() if value != own[name])
    if differing:
        raise ResourceError(f'{path}: made with another config.json; they differ in '
                            f'{", ".join(differing)}')


def check_report(path: Path, report: Mapping[str, Any]) -> None:
    """
    Refuse weights that transformers could not assign.

    :param report: loading information of transformers.
    :raises ResourceError: names the tensors.
    """
    for what, kind in (('missing', 'missing_keys'), ('not of this model', 'unexpected_keys')):
        if report[kind]:
            raise ResourceError(f'{path}: tensors {what}: {", ".join(sorted(report[kind]))}')
    for name, found, wanted in sorted(report['mismatched_keys']):
        raise ResourceError(f'{path}: {name} has shape {tuple(found)}, and config.json asks for '
                            f'{tuple(wanted)}')


def check_complete(path: Path, stored: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """
    Refuse to store weights that could not be loaded again.

    :param own: weights that the network itself would store.
    :raises ResourceError: names the tensors that are missing, unknown, of another shape, or not
        floating point.
    """
    both = sorted(own.keys() & stored.keys())
    check_report(path, {
        'missing_keys': own.keys() - stored.keys(),
        'unexpected_keys': stored.keys() - own.keys(),
        'mismatched_keys': [(name, stored[name].shape, own[name].shape) for name in both
                            if stored[name].shape != own[name].shape]})
    for name in both:
        if stored[name].dtype not in _TORCH_FLOATS and not name.endswith(_WHOLE):
            raise ResourceError(f'{path}: {name} is {stored[name].dtype}; allowed: floating '
                                'point')


def check_options(options: Mapping[str, Any]) -> None:
    """
    Refuse options for another way of saving.

    :param options: options of transformers' ``save_pretrained``.
    :raises SettingsError: names the option, its value and the allowed value.
    """
    for name, value in options.items():
        if name not in _SAVED_AS or value not in (None, _SAVED_AS[name]):
            allowed = ', '.join(f'{own}={only!r}' for own, only in _SAVED_AS.items())
            raise SettingsError(f'save_pretrained: {name}={value!r}; allowed: {allowed}')


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """
    Refuse weights that are not finite.

    :raises ResourceError: names the tensor.
    """
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ResourceError(f'{path}: {name} holds NaN or infinite values')


def read_backbone(part: str, folder: Path, backbone: Backbone) -> Any:
    """
    Read a backbone and its weights from a folder in the hub's format.

    Further weights in the folder, such as the head of another task, are ignored.

    :param part: name of the modality, for messages.
    :raises ResourceError: if the weights are missing, or do not fit the configuration.
    """
    path = require(folder)
    if (folder / _ADAPTER).exists():  # transformers would add it, and read what it names
        raise ResourceError(f'{folder / _ADAPTER}: weights are read from {WEIGHTS} alone; '
                            'allowed: no adapter')
    config = parse_config(part, backbone)
    try:
        with quietly():
            model, report = AutoModel.from_pretrained(
                folder, config=config, use_safetensors=True, local_files_only=True,
                trust_remote_code=False, ignore_mismatched_sizes=True, output_loading_info=True,
                dtype=torch.float32, **build_options(config))
    except (OSError, SafetensorError) as error:
        raise ResourceError(f'{path}: not a safetensors file: {error}') from error
    check_report(path, {**report, 'unexpected_keys': ()})
    check_finite(path, model.state_dict())
    return model
