"""A Whisper of random weights, as CTranslate2 writes it, and the voice encoder that reads it."""

import ctranslate2
import numpy as np

from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.presets import describe

WIDTH, HEADS, FORWARD, BANDS, POSITIONS = 64, 1, 16, 80, 60


def voice(width=8, layers=(1, 2)):
    """Return the entry of `audio` in a config.json."""
    return describe(Backbone('tiny-whisper', {
        'model_type': 'whisper', 'd_model': WIDTH, 'num_mel_bins': BANDS, 'encoder_layers': 2,
        'encoder_attention_heads': HEADS, 'encoder_ffn_dim': FORWARD,
        'max_source_positions': POSITIONS},
        {'layers': list(layers), 'width': width}, bits=8))


def write_whisper(folder, layers=3, quantization=None):
    """Write `model.bin`; returns the folder."""
    random = np.random.default_rng(0)
    spec = ctranslate2.specs.WhisperSpec(layers, HEADS, 1, HEADS)

    def fill(part, **shapes):
        for name, shape in shapes.items():
            setattr(part, name, random.normal(0, 0.1, shape).astype(np.float32))

    def linear(part, out, into):
        fill(part, weight=(out, into), bias=(out,))

    def norm(part):
        fill(part, gamma=(WIDTH,), beta=(WIDTH,))

    encoder = spec.encoder
    fill(encoder.conv1, weight=(WIDTH, BANDS, 3), bias=(WIDTH,))
    fill(encoder.conv2, weight=(WIDTH, WIDTH, 3), bias=(WIDTH,))
    fill(encoder.position_encodings, encodings=(POSITIONS, WIDTH))
    norm(encoder.layer_norm)
    for layer in (*encoder.layer, *spec.decoder.layer):
        norm(layer.self_attention.layer_norm)
        linear(layer.self_attention.linear[0], 3 * WIDTH, WIDTH)
        linear(layer.self_attention.linear[1], WIDTH, WIDTH)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, FORWARD, WIDTH)
        linear(layer.ffn.linear_1, WIDTH, FORWARD)
    for layer in spec.decoder.layer:
        norm(layer.attention.layer_norm)
        linear(layer.attention.linear[0], WIDTH, WIDTH)
        linear(layer.attention.linear[1], 2 * WIDTH, WIDTH)
        linear(layer.attention.linear[2], WIDTH, WIDTH)
    norm(spec.decoder.layer_norm)
    fill(spec.decoder.embeddings, weight=(20, WIDTH))
    fill(spec.decoder.position_encodings, encodings=(POSITIONS, WIDTH))
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    spec.register_vocabulary([f'<{number}>' for number in range(20)])
    spec.validate()
    if quantization:
        spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    return folder
