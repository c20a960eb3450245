"""Check evidence before the engine uses it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maven_ros import rules
from maven_ros.errors import InputError
from maven_ros.records import LOUDEST, SAMPLE_RATE_HZ, Evidence


def check_evidence(pieces: Sequence[Evidence], length_ns: int, crop_px: int) -> None:
    """
    Check the evidence of one call of the engine.

    :param pieces: evidence of one stream.
    :param length_ns: length of every window.
    :param crop_px: side of the face crops, in pixels.
    :raises InputError: names the piece, its fault and the allowed values.
    """
    known: set[tuple[str, int]] = set()
    for piece in pieces:
        who = piece.person_id, piece.start_ns
        if who in known:
            raise _refuse(piece, 'two_people', 'two pieces of evidence', 'one of each person and '
                                                                         'window')
        known.add(who)
        if piece.end_ns - piece.start_ns != length_ns:
            raise _refuse(piece, 'window_length', f'it is {piece.end_ns - piece.start_ns} ns long',
                          f'{length_ns}')
        if not piece.modalities:
            raise no_evidence(piece)
        _check_faces(piece, (crop_px, crop_px, 3))
        _check_sound(piece, rules.window_samples(length_ns))
        _check_words(piece)


def no_evidence(piece: Evidence) -> InputError:
    """Return the error for a piece without evidence that the model can use."""
    # A vector of sound covers 25 ms, and one begins every 40 ms (20 ms in the hub's speech
    # models), so 65 ms always hold one.
    return _refuse(piece, 'no_evidence', 'none that the model can use',
                   'a face, a word or 65 ms of sound, at least')


def not_finite(piece: Evidence) -> InputError:
    """Return the error for a piece for which the network's output is NaN or infinite."""
    return _refuse(piece, 'not_finite', "the network's output is NaN or infinite", 'finite values')


def _check_faces(piece: Evidence, shape: tuple[int, int, int]) -> None:
    for face in piece.faces:
        if face.person_id != piece.person_id:
            raise _refuse(piece, 'face_of_another', f'a face of {face.person_id!r}',
                          f'{piece.person_id!r}')
        if not rules.holds(piece.start_ns, piece.end_ns, face.stamp_ns):
            raise _refuse(piece, 'face_outside', f'a face at {face.stamp_ns} ns', 'inside')
        if face.crop.shape != shape or face.crop.dtype != np.uint8:
            raise _refuse(piece, 'crop_shape', f'a crop is {face.crop.dtype} {face.crop.shape}',
                          f'uint8 {shape}')


def _check_sound(piece: Evidence, samples: int) -> None:
    for name, values, kind in (('waveform', piece.waveform, np.float32),
                               ('heard', piece.heard, np.bool_)):
        if values.dtype != kind or values.ndim != 1:
            raise _refuse(piece, 'waveform_kind', f'{name} is {values.dtype} {values.shape}',
                          f'{np.dtype(kind)} (samples,)')
    if len(piece.waveform) not in (0, samples) or len(piece.heard) != len(piece.waveform):
        raise _refuse(piece, 'waveform_length', f'{len(piece.waveform)} samples and '
                      f'{len(piece.heard)} of their mask',
                      f'0 or {samples} of both, at {SAMPLE_RATE_HZ} Hz')
    if not np.isfinite(piece.waveform).all():
        raise _refuse(piece, 'not_finite', 'samples hold NaN or infinity', 'finite values')
    loudest = np.abs(piece.waveform).max(initial=0, where=piece.heard)
    if loudest > LOUDEST:
        raise _refuse(piece, 'out_of_range', f'a sample that was heard is {loudest:g} from 0',
                      f'[-{LOUDEST}, {LOUDEST}]')


def _check_words(piece: Evidence) -> None:
    for word in piece.words:
        if not isinstance(word.text, str) or any('\ud800' <= one <= '\udfff' for one in word.text):
            raise _refuse(piece, 'word_text', f'a word is {word.text!r}',
                          'a str without lone surrogates')
        if not piece.start_ns <= word.start_ns <= word.end_ns <= piece.end_ns:
            raise _refuse(piece, 'word_outside', f'{word.text!r} is spoken in [{word.start_ns}, '
                                                 f'{word.end_ns}) ns', 'inside')
        if not 0 <= word.confidence <= 1:  # NaN is not, either
            raise _refuse(piece, 'word_confidence',
                          f'{word.text!r} has a confidence of {word.confidence}', '[0, 1]')


def _refuse(piece: Evidence, cause: str, found: str, allowed: str) -> InputError:
    return InputError(cause, f'evidence about {piece.person_id!r} in [{piece.start_ns}, '
                             f'{piece.end_ns}) ns: {found}; allowed: {allowed}')
