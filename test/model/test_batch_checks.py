"""What the network refuses, each by its message; 2 windows of 8 slots of 0.1 s."""

import dataclasses
import re

import pytest
import torch
from tiny_encoders import tiny_config

from maven_ros.errors import InputError
from maven_ros.model.maven import MavenModel
from maven_ros.records import MODALITIES
from maven_ros.rules import Grid

NAN = float('nan')


def put(name, place, value):
    """Return a change that writes one value into a tensor of the inputs."""
    def change(inputs):
        tensor = getattr(inputs, name).clone()
        tensor[place] = value
        return {name: tensor}
    return change


def cut(name, *shape):
    return lambda inputs: {name: getattr(inputs, name)[tuple(slice(size) for size in shape)]}


def cast(name, kind):
    return lambda inputs: {name: getattr(inputs, name).to(kind)}


def sound(samples):
    return lambda inputs: {'waveform': torch.zeros(2, samples),
                           'heard': torch.ones(2, samples, dtype=torch.bool)}


def text(length):
    return lambda inputs: {'tokens': torch.zeros(2, length, dtype=torch.long),
                           'token_mask': torch.ones(2, length, dtype=torch.bool),
                           'token_weights': torch.ones(2, 8, length)}


@pytest.fixture(scope='module')
def ours():
    return MavenModel.untrained(tiny_config(), 0).eval()


@pytest.mark.parametrize(('change', 'cause', 'message'), [
    (lambda _: {'grid': Grid(0, 0.1)}, 'empty_window', 'grid: 0 slots of 0.1 s; allowed: at lea'),
    (lambda _: {'grid': Grid(8, NAN)}, 'empty_window', 'grid: 8 slots of nan s; allowed: at lea'),
    (lambda _: {'frame_mask': None}, 'incomplete',
     'frame_mask: None; allowed: frames, frame_mask together, or none of them'),
    (lambda _: {'waveform': None}, 'incomplete', 'waveform: None; allowed: waveform, heard tog'),
    (lambda _: {'tokens': None, 'token_weights': None}, 'incomplete',
     'tokens, token_weights: None; allowed: tokens, token_mask, token_weights together'),
    (cut('heard', 1), 'batch_size', 'windows in each tensor: frames 2, frame_mask 2, waveform 2, '
                                    'heard 1, tokens 2'),
    (lambda _: {'frames': torch.zeros(())}, 'batch_size', 'frames 0, frame_mask 2'),
    # --- faces
    (cut('frames', 2, 8, 3, 16, 15), 'bad_shape', 'frames: float32 (2, 8, 3, 16, 15); allowed: '
                                                  'uint8 or float32 (2, 8, 3, 16, 16)'),
    (cut('frames', 2, 7), 'bad_shape', 'frames: float32 (2, 7, 3, 16, 16); allowed'),
    (lambda inputs: {'frames': inputs.frames[:, :, :, :8, :8]}, 'bad_shape',
     'frames: float32 (2, 8, 3, 8, 8); allowed: uint8 or float32 (2, 8, 3, 16, 16)'),
    (cast('frames', torch.int64), 'bad_shape', 'frames: int64 (2, 8, 3, 16, 16); allowed'),
    (cut('frame_mask', 2, 7), 'bad_shape', 'frame_mask: bool (2, 7); allowed: bool (2, 8)'),
    (cast('frame_mask', torch.float32), 'bad_shape', 'frame_mask: float32 (2, 8); allowed'),
    (put('frames', (1, 0, 2, 3, 4), NAN), 'not_finite', 'frames: NaN or infinity where frame'),
    (put('frames', (0, 7, 0, 0, 0), -torch.inf), 'not_finite', 'frames: NaN or infinity where'),
    (lambda inputs: {'frames': inputs.frames * 0 + 255}, 'out_of_range',
     'frames: 255 to 255; allowed: [0, 1] of float, or uint8'),
    (put('frames', (0, 0, 0, 0, 0), -0.5), 'out_of_range', 'frames: -0.5 to '),
    # --- sound
    (sound(6400), 'waveform_length', 'waveform: 6400 samples; allowed: 12800, 0.8 s at 16000 Hz'),
    (sound(38400), 'waveform_length', 'waveform: 38400 samples; allowed: 12800, 0.8 s'),
    (cast('waveform', torch.int16), 'bad_shape', 'waveform: int16 (2, 12800); allowed: float32'),
    (cast('waveform', torch.float64), 'bad_shape', 'waveform: float64 (2, 12800); allowed'),
    (lambda inputs: {'waveform': inputs.waveform[:, None]}, 'bad_shape',
     'waveform: float32 (2, 1, 12800); allowed: float32 (batch, samples)'),
    (cut('heard', 2, 12799), 'bad_shape', 'heard: bool (2, 12799); allowed: bool (2, 12800)'),
    (cast('heard', torch.uint8), 'bad_shape', 'heard: uint8 (2, 12800); allowed: bool'),
    (put('waveform', (1, 1999), NAN), 'not_finite', 'waveform: NaN or infinity where heard is'),
    (put('waveform', (1, 1999), -3000.0), 'out_of_range',
     'waveform: a sample has the magnitude 3000 where heard is True; allowed: [-8, 8]'),
    # --- words
    (text(13), 'too_many_subwords', 'tokens: 13 subwords; allowed: 12'),
    (text(0), 'bad_shape', 'tokens: int64 (2, 0); allowed: int64 (batch, tokens), at least 1'),
    (cast('tokens', torch.int32), 'bad_shape', 'tokens: int32 (2, 5); allowed: int64'),
    (put('tokens', (1, 4), 300), 'out_of_range', 'to 300; allowed: 0 to 299'),
    (put('tokens', (0, 0), -1), 'out_of_range', 'tokens: ids from -1 to'),
    (cut('token_mask', 2, 4), 'bad_shape', 'token_mask: bool (2, 4); allowed: bool (2, 5)'),
    (put('token_mask', (0, 0), False), 'out_of_range', 'token_mask: True after a False; allowed'),
    (cut('token_weights', 2, 8, 4), 'bad_shape', 'token_weights: float32 (2, 8, 4); allowed: '
                                                 'float32 (2, 8, 5)'),
    (cast('token_weights', torch.float64), 'bad_shape', 'token_weights: float64 (2, 8, 5)'),
    (put('token_weights', (0, 1, 0), NAN), 'not_finite', 'token_weights: NaN or infinity'),
    (put('token_weights', (0, 1, 0), -0.25), 'out_of_range', 'token_weights: -0.25; allowed: 0 a'),
    (put('token_mask', (0, 4), False), 'out_of_range', 'token_weights: not 0 where token_mask is'),
])
def test_refuses_inputs_by_name(ours, inputs, change, cause, message):
    spoiled = dataclasses.replace(inputs, **change(inputs))
    for run in (ours, ours.encode):
        with pytest.raises(InputError, match=re.escape(message)) as raised:
            run(spoiled)
        assert raised.value.cause == cause


def test_refuses_a_batch_of_no_windows(ours, more_inputs):
    with pytest.raises(InputError, match='frames 0, frame_mask 0, waveform 0') as raised:
        ours(more_inputs(0))
    assert raised.value.cause == 'batch_size'


def test_refuses_inputs_of_nothing(ours, inputs, drop):
    with pytest.raises(InputError, match='frames, waveform, tokens: all None; allowed') as raised:
        ours(drop(inputs, *MODALITIES))
    assert raised.value.cause == 'no_modality'


def test_refuses_a_window_shorter_than_a_vector_of_sound(model, inputs, drop):
    short = dataclasses.replace(
        drop(inputs, 'video', 'text'), grid=Grid(1, 0.02), waveform=torch.zeros(2, 320),
        heard=torch.ones(2, 320, dtype=torch.bool))
    with pytest.raises(InputError, match='waveform: 320 samples; allowed: at least 400'):
        model(short)
    enough = dataclasses.replace(
        short, grid=Grid(1, 0.025), waveform=torch.zeros(2, 400),
        heard=torch.ones(2, 400, dtype=torch.bool))
    assert model(enough).valence.isfinite().all()


@pytest.mark.parametrize('samples', [12_799, 12_801])
def test_a_window_may_end_between_two_samples(ours, inputs, samples):
    odd = dataclasses.replace(inputs, **sound(samples)(inputs))
    assert ours(odd).valence.isfinite().all()


def test_bytes_and_floats_of_the_same_pictures_agree(model, inputs):
    pictures = (inputs.frames * 255).round()
    as_bytes = dataclasses.replace(inputs, frames=pictures.to(torch.uint8))
    as_floats = dataclasses.replace(inputs, frames=pictures / 255)
    torch.testing.assert_close(model(as_bytes).valence, model(as_floats).valence)


def test_one_window_without_evidence_is_nan_beside_one_with(model, inputs):
    inputs.frame_mask[0], inputs.heard[0], inputs.token_mask[0] = False, False, False
    inputs.token_weights[0] = 0
    output = model(inputs, influence=True)
    for name in ('valence', 'arousal', 'intensity', 'angle', 'valence_std', 'arousal_std',
                 'frame_valence', 'frame_arousal'):
        assert getattr(output, name)[0].isnan().all(), name
        assert getattr(output, name)[1].isfinite().all(), name
    assert not output.frame_mask[0].any()
    assert output.influence[0].tolist() == [0, 0, 0]
    assert output.influence[1].sum().item() == pytest.approx(1)
