"""
Read encoders from folders in the format of the Hugging Face hub.

A folder has ``config.json`` and ``model.safetensors``. That of an image or speech encoder also has
``preprocessor_config.json``, that of a language model ``tokenizer.json``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoTokenizer, PretrainedConfig

from maven_ros.errors import ResourceError, SettingsError
from maven_ros.files import read_json, read_object, sha256_of
from maven_ros.model import weights
from maven_ros.model.backbone_configuration import Backbone, is_number
from maven_ros.model.backbones import (
    BeitLayers,
    FaceBackbone,
    TextBackbone,
    VoiceBackbone,
    parse_config,
)
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.presets import config_dict, describe
from maven_ros.records import SAMPLE_RATE_HZ

CONFIG, PREPROCESSOR, TOKENIZER = 'config.json', 'preprocessor_config.json', 'tokenizer.json'


def read_config(folder: Path) -> MavenConfig:
    """
    Read the configuration of a checkpoint.

    :raises ResourceError: names the file and the fault.
    """
    if not folder.is_dir():
        raise ResourceError(f'{folder}: no such folder; a checkpoint is one with {CONFIG}')
    values = read_object(folder / CONFIG)
    with said_by(folder / CONFIG):
        config: MavenConfig = MavenConfig.from_dict(values)
    return config


@contextmanager
def said_by(path: Path) -> Iterator[None]:
    """
    Add the name of a file to the errors of its settings.

    :raises ResourceError: for each SettingsError.
    """
    try:
        yield
    except SettingsError as error:
        raise ResourceError(f'{path}: {error}') from error


def adapt(config: MavenConfig, folders: Mapping[str, Path]) -> MavenConfig:
    """
    Put encoders into a configuration, and adapt crops, widths and tokens to them.

    :param folders: folders of video, audio, text and context, or a subset of them.
    :raises ResourceError: names the file and the fault.
    """
    changes: dict[str, Any] = {}
    for part, folder in folders.items():
        if not folder.is_dir():
            raise ResourceError(f'{folder}: no such folder; the {part} encoder is one with '
                                f'{CONFIG} and {weights.WEIGHTS}')
        with said_by(folder / CONFIG):
            own = parse_config(part, Backbone(folder.name, read_object(folder / CONFIG)))
        sizes, preparation = _READERS[part](folder, own)
        frozen = part != 'context'
        changes |= sizes
        changes[part] = describe(Backbone(
            folder.resolve().name, config_dict(own), preparation, frozen,
            sha256=sha256_of(weights.require(folder)) if frozen else ''))
        with said_by(folder / PREPROCESSOR):
            backbone = Backbone.parse(part, changes[part])
        with said_by(folder / CONFIG), torch.device('meta'):  # sizes without memory
            built = _MODULES[part](backbone)
        if isinstance(built, TextBackbone):
            changes['max_tokens'] = min(256, built.max_tokens)
    return dataclasses.replace(config, **changes)


def find_encoder(part: str, backbone: Backbone, roots: Sequence[Path]) -> Path:
    """
    Return the folder of an encoder whose weights have the pinned hash.

    :param roots: folders to search, in this order; an encoder with another hash is skipped.
    :raises ResourceError: names the encoder, and what each folder holds.
    """
    found = []
    for root in dict.fromkeys(roots):
        try:
            path = weights.require(root / backbone.name)
            digest = sha256_of(path)
        except (OSError, ResourceError) as error:
            found.append(str(error))
            continue
        if digest == backbone.sha256:
            return path.parent
        found.append(f'{path}: SHA-256 is {digest}')
    raise ResourceError(f'{backbone.name}: the {part} encoder allowed here has SHA-256 '
                        f'{backbone.sha256}; looked at: {"; ".join(found)}')


def text_tokenizer(folder: Path) -> Tokenizer:
    """
    Return the tokenizer of a language model, to store in a checkpoint.

    :raises ResourceError: when there is none.
    """
    tokenizer: Tokenizer = _tokenizer(folder).backend_tokenizer
    return tokenizer


# --- the requirements of each kind of encoder
# ---------------------------------------------------------


def _video(folder: Path, own: PretrainedConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    values = read_object(folder / PREPROCESSOR)
    factor = values.get('rescale_factor', 1 / 255)
    if not is_number(factor):
        raise ResourceError(f'{folder / PREPROCESSOR}: rescale_factor: {factor!r} is not a '
                            'finite number')
    scale = factor * 255
    if not values.get('do_rescale', True) or abs(scale - 1) > 1e-6:
        raise ResourceError(f'{folder / PREPROCESSOR}: rescale_factor: pictures go in as '
                            f'{scale:g} of [0, 1]; allowed: 1')
    normalized = values.get('do_normalize', True)
    mean, std = ((values.get(f'image_{name}') if normalized else None) or [blank] * 3
                 for name, blank in (('mean', 0.0), ('std', 1.0)))
    return {'crop_px': _side(folder / PREPROCESSOR, values)}, {'mean': mean, 'std': std}


def _side(path: Path, values: dict[str, Any]) -> int:
    size = values.get('crop_size') if values.get('do_center_crop') else None
    size = size or values.get('size')
    sides = list(size.values()) if isinstance(size, dict) else [size]
    side = sides[0] if sides else None
    if type(side) is not int or not 0 < side < 1 << 15 or sides.count(side) < len(sides):
        raise ResourceError(f'{path}: size: {size!r} is not one side of a square, in pixels')
    return side


def _audio(folder: Path, own: PretrainedConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    values = read_object(folder / PREPROCESSOR)
    rate_hz = values.get('sampling_rate', SAMPLE_RATE_HZ)
    if rate_hz != SAMPLE_RATE_HZ:
        raise ResourceError(f'{folder / PREPROCESSOR}: sampling_rate: {rate_hz} Hz; allowed: '
                            f'{SAMPLE_RATE_HZ}')
    for name in ('conv_kernel', 'conv_stride'):
        if not hasattr(own, name):
            raise ResourceError(f'{folder / CONFIG}: has no {name}; allowed: speech models of the '
                                'wav2vec 2.0 family')
    return {}, {'normalize': bool(values.get('do_normalize', True))}


def _text(folder: Path, own: PretrainedConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    tokenizer = _tokenizer(folder)
    special = {'first': tokenizer.cls_token_id, 'last': tokenizer.sep_token_id,
               'pad': tokenizer.pad_token_id, 'unknown': tokenizer.unk_token}
    absent = sorted(name for name, value in special.items() if value is None)
    if absent:
        raise ResourceError(f'{folder}: its tokenizer has no token for {", ".join(absent)}')
    return {'vocabulary': own.vocab_size}, special


def _context(folder: Path, own: PretrainedConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    if own.model_type != 'beit':
        raise ResourceError(f"{folder / CONFIG}: model_type: {own.model_type!r} is not 'beit'")
    # These describe a grid of patches.
    own.use_relative_position_bias = own.use_shared_relative_position_bias = False
    # A file from masked pictures (pt22k) has the norm after its layers, which its configuration
    # leaves out: there it stands outside of what transformers calls the model.
    if weights.holds(folder, ('layernorm.weight', 'beit.layernorm.weight')):
        own.use_mean_pooling = False
    return {'context_width': own.hidden_size}, {}


_MODULES: dict[str, Callable[[Backbone], nn.Module]] = {
    'video': FaceBackbone, 'audio': VoiceBackbone, 'text': TextBackbone, 'context': BeitLayers}
_READERS = {'video': _video, 'audio': _audio, 'text': _text, 'context': _context}


def _tokenizer(folder: Path) -> Any:
    if not (folder / TOKENIZER).is_file():  # transformers would create an empty one
        raise ResourceError(f'{folder / TOKENIZER}: no such file')
    for path in sorted(folder.glob('*.json')):
        read_json(path)  # refuses what transformers, which reads most of them, does not
    try:
        return AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a damaged file leads transformers to
        if 'trust_remote_code' in str(error):  # its advice is what must not be done
            raise ResourceError(f'{folder}: its tokenizer needs code of its own, which is never '
                                'run; allowed: tokenizers that transformers knows') from error
        raise ResourceError(f'{folder}: its tokenizer cannot be read: '
                            f'{" ".join(str(error).split())}') from error
