"""Each rule of windows and voices: its edges, and that the node and training follow it alike."""

import ast
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import SAMPLE
from listening import Listening, blank_frames, chunks_of, feed

from maven_ros import rules
from maven_ros.counters import Counters
from maven_ros.records import NS, Box, Face, Utterance, VoiceAssigned, Window, Word
from maven_ros.scoring.alignment import Believed, align
from maven_ros.scoring.annotations import Annotation
from maven_ros.senses.speaker import ActiveSpeaker
from maven_ros.settings import Settings
from maven_ros.training.people.clips import label
from maven_ros.training.people.evidence import RecordedVideo, evidence_in
from maven_ros.training.people.feature_spec import Windowing
from maven_ros.training.people.prepared import Frames, RecordedPerson
from maven_ros.training.people.recorded_sound import (
    read_flac,
    read_sound,
    write_flac,
    write_words,
)

MS = 1_000_000
PACKAGE = Path(rules.__file__).parent


# --- edges -----------------------------------------------------------------------------------


def test_the_first_frame_of_each_slot_is_looked_at():
    stamps = np.array([0, 99, 100, 150, 199, 200, 450, 499]) * MS
    chosen = rules.looked_at(stamps, 10.0)
    assert (stamps[chosen] // MS).tolist() == [0, 100, 200, 450]
    assert chosen.dtype == np.bool_ and rules.looked_at(stamps[:0], 10.0).tolist() == []


def test_slots_are_counted_from_the_epoch_not_from_the_first_frame():
    assert rules.is_looked_at(350 * MS, None, 10.0)
    assert not rules.is_looked_at(399 * MS, 350 * MS, 10.0)
    assert rules.is_looked_at(400 * MS, 399 * MS, 10.0)
    assert rules.looked_at(np.array([-150, -101, -100]) * MS, 10.0).tolist() == [True, False, True]


def test_slots_of_a_rate_that_is_no_whole_number_do_not_drift():
    hour = np.arange(0, 3600 * 30) * NS // 30
    assert rules.looked_at(hour, 7.5).sum() == 3600 * 7.5


def test_a_window_ends_after_a_stamp_and_not_at_it():
    assert [rules.end_after(one, 200) for one in (-201, -200, -1, 0, 199, 200, 201)] == [
        -200, 0, 0, 200, 200, 400, 400]
    assert rules.start_of(400, 2000) == -1600


def test_a_state_speaks_from_its_end_for_one_hop():
    assert rules.speaks_until(400, 200) == 600


def test_a_window_has_as_many_samples_as_its_length():
    assert [rules.window_samples(round(length_s * NS)) for length_s in (0.2, 2.0, 1 / 3)] == [
        3200, 32_000, 5333]


def test_a_window_has_a_slot_for_each_frame_that_is_looked_at_and_at_least_one():
    assert rules.time_grid(2.0, 10.0) == rules.Grid(20, 0.1)
    assert rules.time_grid(0.2, 0.5) == rules.Grid(1, 0.2)


def test_slots_of_a_window_are_half_open():
    assert [rules.slot_of(stamp, 1000, 1100, 4) for stamp in (1000, 1024, 1025, 1099)] == [
        0, 0, 1, 3]


def test_the_newest_frame_stands_in_its_slot():
    assert rules.newest_per_slot([99, 0, 30, 49], 0, 100, 2) == {0: 3, 1: 0}
    assert rules.newest_per_slot([], 0, 100, 2) == {}


@given(st.integers(-10**18, 10**18), st.integers(1, 10**9), st.integers(1, 60))
def test_the_edges_of_slots_are_the_first_stamps_in_them(start_ns, length_ns, slots):
    length_ns += slots  # no slot is shorter than a nanosecond
    edges = rules.slot_edges(start_ns, start_ns + length_ns, slots)
    assert edges[0] == start_ns and edges[-1] == start_ns + length_ns
    assert rules.slot_of(edges[:-1], start_ns, start_ns + length_ns, slots).tolist() == [
        *range(slots)]
    assert rules.slot_of(edges[1:-1] - 1, start_ns, start_ns + length_ns, slots).tolist() == [
        *range(slots - 1)]


def test_a_window_holds_its_beginning_and_not_its_end():
    assert [rules.holds(100, 200, one) for one in (99, 100, 199, 200)] == [
        False, True, True, False]
    assert rules.holds(100, 200, np.array([99, 100, 199, 200])).tolist() == [
        False, True, True, False]


def test_words_are_in_a_window_that_holds_all_of_them_in_order():
    spans = {'late': (150, 200), 'whole': (100, 200), 'before': (99, 150), 'beyond': (150, 201),
             'instant': (200, 200), 'first': (100, 100)}
    words = [Word(text, *span, 1.0) for text, span in spans.items()]
    assert [word.text for word in rules.words_inside(words, 100, 200)] == [
        'whole', 'first', 'late', 'instant']


def window(*people, voiced_blocks=0, words=()):
    """Return 1 s of which so many blocks of 32 ms have a voice."""
    faces = tuple(Face(number, person, Box(0, 0, 1, 1), np.zeros((1, 1, 3), np.uint8))
                  for number, person in enumerate(people))
    return Window(0, NS, faces, np.ones(16_000, np.float32), np.ones(16_000, np.bool_),
                  np.arange(31) < voiced_blocks, tuple(words))


GATES = rules.Gates(0.2, 0.5, ('en',))


@pytest.mark.parametrize(('people', 'speaker', 'voiced_blocks', 'expected'), [
    ('', '', 6, {'': VoiceAssigned.NONE}),          # 192 ms are too little
    ('', '', 7, {'': VoiceAssigned.UNDECIDED}),     # 224 ms are enough
    ('a', 'a', 7, {'a': VoiceAssigned.UNDECIDED}),  # alone: somebody out of view may speak
    ('ab', '', 7, {'a': VoiceAssigned.UNDECIDED, 'b': VoiceAssigned.UNDECIDED}),
    ('ab', 'b', 7, {'a': VoiceAssigned.OTHER, 'b': VoiceAssigned.SELF}),
    ('ba', 'b', 6, {'b': VoiceAssigned.NONE, 'a': VoiceAssigned.NONE}),
])
def test_whose_voice_it_is(people, speaker, voiced_blocks, expected):
    assert rules.voices(window(*people, voiced_blocks=voiced_blocks), speaker, GATES) == expected


@pytest.mark.parametrize(('people', 'voice', 'heard', 'said'), [
    ('aa', VoiceAssigned.NONE, False, True),        # words have a gate of their own
    ('aa', VoiceAssigned.UNDECIDED, True, True),
    ('ab', VoiceAssigned.UNDECIDED, False, False),
    ('ab', VoiceAssigned.SELF, True, True),
    ('ab', VoiceAssigned.OTHER, False, False),
    ('b', VoiceAssigned.OTHER, False, False),       # out of view beside another
    ('', VoiceAssigned.UNDECIDED, True, True),      # nobody is in view
])
def test_what_of_a_window_is_of_one_person(people, voice, heard, said):
    words = [Word('sure', 0, 1, 0.5), Word('unsure', 2, 3, 0.4999)]
    piece = rules.evidence_of(window(*people, words=words), 'a', voice, GATES)
    assert len(piece.faces) == people.count('a') and piece.person_id == 'a'
    assert (len(piece.waveform), len(piece.heard)) == ((16_000, 16_000) if heard else (0, 0))
    assert [word.text for word in piece.words] == ['sure'] * said


# --- one place -------------------------------------------------------------------------------

SETTINGS = Settings().with_values({
    'windows.length_s': 1.5, 'windows.hop_s': 0.5, 'speech.recogniser': 'none',
    'audio.min_voiced_s': 0.6})
WINDOWING = Windowing.of(SETTINGS, 0.5)
WORDS = tuple(Word(text, begin * MS, end * MS, sure) for text, begin, end, sure in (
    ('well', 700, 900, 0.9), ('I', 1000, 1000, 0.9), ('doubt', 1450, 1550, 0.9),
    ('it', 1600, 1700, 0.3), ('rather', 2400, 2500, 0.5), ('much', 2900, 3300, 0.9)))
STAMPS = np.arange(100) * NS // 25  # four seconds
SEEN = {'left': STAMPS >= 0, 'right': (STAMPS >= NS * 26 // 10) & (STAMPS < NS * 32 // 10)}
PEOPLE = [RecordedPerson('clip', person, 'train', 100, 4.0, 'clip.flac', 0, 'clip.json', '')
          for person in SEEN]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A sentence that ends at 0.6 s, one from 1.7 s on, other words, a picture of everybody."""
    folder = tmp_path_factory.mktemp('clip')
    sound = read_sound(SAMPLE, SETTINGS.audio, Counters())
    write_flac(folder / 'clip.flac', sound.waveform[int(2.1 * 16_000):int(6.1 * 16_000)])
    write_words(folder / 'clip.json', WORDS)
    for person in SEEN:
        cv2.imwrite(str(folder / f'{person}.png'), np.full((48, 48, 3), 90, np.uint8))
    return folder


def content(piece):
    return ([face.stamp_ns for face in piece.faces], piece.waveform.tobytes(),
            piece.heard.tobytes(), [word.text for word in piece.words])


def seen_by_the_node(folder):
    """Return what the node's pipeline gives to the engine: by window's end and person."""
    faces = {int(stamp_ns): [
        Face(int(stamp_ns), person, Box(0, 0, 9, 9), np.full((48, 48, 3), 90, np.uint8))
        for person in SEEN if SEEN[person][number]] for number, stamp_ns in enumerate(STAMPS)}
    with Listening(SETTINGS, faces) as pipeline:
        for word in WORDS:
            pipeline.feed(Utterance(word.start_ns, word.end_ns, (word,), True, 'made'), 0)
        feed(pipeline, [*chunks_of(read_flac(folder / 'clip.flac'), 0), *blank_frames(STAMPS)])
    return {(piece.end_ns, piece.person_id): content(piece) for piece in pipeline.pieces}


def trained_on(folder):
    """Return what training has of the same, of people in view."""
    frames = {person: Frames(STAMPS, np.zeros((100, 2), np.float32),
                             [f'{person}.png' if seen else '' for seen in SEEN[person]])
              for person in SEEN}
    video = RecordedVideo(folder, PEOPLE, frames, 48, ('en',))
    pieces = [piece for whose in evidence_in(video, WINDOWING, Counters())
              for piece in whose.values()]
    return {(piece.end_ns, piece.person_id): content(piece) for piece in pieces
            if piece.faces and piece.end_ns <= 4 * NS}  # the node waits for what is beyond


@pytest.fixture(scope='module')
def usual(folder):
    """Return what both have, by the rules as they are."""
    node, training = seen_by_the_node(folder), trained_on(folder)
    assert node == training
    return node


def test_without_a_change_both_see_faces_sound_and_words_of_two_people(usual):
    assert {person for _, person in usual} == {'left', 'right'} and len(usual) == 8 + 3
    assert {len(sound) for _, sound, _, _ in usual.values()} == {0, 4 * 24_000}
    assert usual[2 * NS, 'left'][3] == ['well', 'I', 'doubt']
    assert usual[3 * NS, 'left'][1] == b'' and usual[3 * NS, 'right'][3] == []


ORIGINAL = {name: getattr(rules, name) for name in (
    'is_looked_at', 'end_after', 'start_of', 'voices', 'evidence_of', 'words_inside')}


def _shifted(stamp_ns, hop_ns):
    return ORIGINAL['end_after'](stamp_ns - 100 * MS, hop_ns) + 100 * MS


def _everybody_speaks(window, speaker, gates):
    return dict.fromkeys(ORIGINAL['voices'](window, speaker, gates), VoiceAssigned.SELF)


def _no_words(window, person_id, voice, gates):
    return ORIGINAL['evidence_of'](window, person_id, voice, gates._replace(confidence=1.0))


#: Each rule, and another one in its place.
OTHERS = {
    'is_looked_at': lambda stamp_ns, before_ns, rate_hz: ORIGINAL['is_looked_at'](
        stamp_ns, before_ns, rate_hz / 2),
    'end_after': _shifted,
    'start_of': lambda end_ns, length_ns: end_ns - length_ns - 300 * MS,
    'window_samples': lambda length_ns: max(length_ns * 16 // MS - 320, 0),
    'holds': lambda start_ns, end_ns, stamp_ns: (start_ns < stamp_ns) & (stamp_ns <= end_ns),
    'words_inside': lambda words, start_ns, end_ns: tuple(
        word for word in words if start_ns <= word.start_ns < end_ns),
    'voiced': lambda voice, *_: np.ones(len(voice), np.bool_),
    'voiced_s': lambda voiced: 0.0,
    'voices': _everybody_speaks,
    'evidence_of': _no_words,
}


@pytest.mark.parametrize('name', OTHERS)
def test_a_rule_that_is_changed_in_its_place_changes_what_both_see(
        name, folder, usual, monkeypatch):
    monkeypatch.setattr(rules, name, OTHERS[name])
    node, training = seen_by_the_node(folder), trained_on(folder)
    assert node == training and node != usual


def test_who_speaks_has_sound_and_words_in_training_as_in_the_node(folder, usual, monkeypatch):
    """Once training gave nobody a voice beside another, whoever spoke."""
    monkeypatch.setattr(ActiveSpeaker, 'take', lambda self, window: 'right')
    node, training = seen_by_the_node(folder), trained_on(folder)
    assert node == training and node != usual
    assert node[3 * NS, 'right'][1] and not node[3 * NS, 'left'][1]


@pytest.mark.parametrize(('name', 'value'), [
    ('audio.voice_threshold', 0.95), ('audio.voice_lead_s', 0.5), ('audio.voice_hangover_s', 0.5),
    ('audio.min_voiced_s', 1.4),
    ('speech.confidence_gate', 0.2), ('faces.rate_hz', 5.0), ('windows.length_s', 1.0)])
def test_a_gate_that_is_set_otherwise_is_so_for_both(name, value, folder, usual, monkeypatch):
    settings = SETTINGS.with_values({name: value})
    monkeypatch.setitem(globals(), 'SETTINGS', settings)
    monkeypatch.setitem(globals(), 'WINDOWING', Windowing.of(settings, 0.5))
    node, training = seen_by_the_node(folder), trained_on(folder)
    assert node == training and node != usual


def test_scoring_follows_the_rule_of_how_long_a_state_speaks(monkeypatch):
    held = Believed(np.array([NS, 2 * NS]), np.zeros((2, 5)), np.ones(2, np.bool_), 1.0)
    asked = Annotation('a', '', np.array([10, 14, 16, 19, 24]) * NS // 10, np.zeros((5, 2)), 0)
    assert align('clip', asked, held).covered.tolist() == [True] * 5
    monkeypatch.setattr(rules, 'speaks_until', lambda end_ns, hop_ns: end_ns + hop_ns // 2)
    assert align('clip', asked, held).covered.tolist() == [True, True, False, False, True]


def test_labels_of_slots_follow_the_rule_of_slots(monkeypatch):
    values = np.arange(4, dtype=np.float32).repeat(2).reshape(4, 2)
    stamps, starts = np.arange(4) * NS // 2, np.array([0])

    def slots():
        return label(stamps, values, starts, rules.Grid(2, 1.0)).slots[0, :, 0].tolist()

    assert slots() == [0.5, 2.5]
    monkeypatch.setattr(rules, 'slot_edges', lambda *_: np.array([0, NS // 2, 2 * NS]))
    assert slots() == [0.0, 2.0]


def test_no_other_module_compares_with_a_gate_or_counts_hops():
    """The gates are compared, and ends of windows counted, in rules.py alone."""
    found = set()
    for path in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            divides = isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv | ast.Mod)
            if divides or isinstance(node, ast.Compare):
                names = {getattr(one, 'attr', getattr(one, 'id', '')).strip('_')
                         for one in ast.walk(node)}
                if names & ({'hop_ns'} if divides else {'min_voiced_s', 'confidence_gate'}):
                    found.add(path.relative_to(PACKAGE).as_posix())
    # The settings say that a window must be long enough for its voice; a clip's stride and the
    # number of a file's windows are how many hops they take.
    assert found == {'rules.py', 'settings.py', 'training/people/feature_spec.py',
                     'training/people/run.py'}
