"""What is said about people: golden sentences, and no claim without its evidence."""

from dataclasses import replace

import pytest

from maven_ros.affect import UNKNOWN, Affect
from maven_ros.errors import SettingsError
from maven_ros.records import NS, AffectMood, Alone, EventKind, Modality
from maven_ros.resources import resource
from maven_ros.summary import Observation, read_sentences

SENTENCES = read_sentences()
FACE, VOICE, WORDS = Modality.VIDEO, Modality.AUDIO, Modality.TEXT
TENSE, GLAD = Affect(-0.5, 0.4), Affect(0.6, 0.3)


def mood(point, evidence_s=60.0, minutes=5, std=0.1):
    return AffectMood(minutes * 60 * NS, False, 'person_1', 1, point, std, std, evidence_s, 0)


FULL = Observation(
    'person_1', affect=TENSE, valence_std=0.2, arousal_std=0.2, region='distressed',
    modalities=FACE | VOICE | WORDS, alone=Alone(TENSE, Affect(-0.4, 0.5), Affect(0.5, 0.1)),
    change=EventKind.REGION_ENTERED, since_s=4.2, words='that is just great')


@pytest.mark.parametrize('changes, said', [
    ({}, 'The person looks tense (fairly sure; from face, voice and words) and became so four '
         "seconds ago, while saying 'that is just great'. The words alone sound positive."),
    ({'alone': Alone(TENSE, Affect(-0.4, 0.5), Affect(-0.3, 0.3))},
     'The person looks tense (fairly sure; face, voice and words agree) and became so four '
     "seconds ago, while saying 'that is just great'."),
    ({'modalities': FACE, 'words': ''},
     'The person looks tense (fairly sure; from the face alone) and became so four seconds ago.'),
    ({'modalities': VOICE | WORDS, 'person_id': '', 'alone': Alone(), 'change': None},
     'Somebody out of view sounds tense (fairly sure; from voice and words), while saying '
     "'that is just great'. "),
    ({'people': 3, 'modalities': FACE, 'change': EventKind.ROSE, 'since_s': 1.2, 'words': ''},
     'person_1 looks tense (fairly sure; from the face alone), more strongly than a moment ago.'),
    ({'modalities': FACE, 'change': EventKind.FELL, 'since_s': 45, 'words': ''},
     'The person looks tense (fairly sure; from the face alone), less strongly than 45 seconds '
     'ago.'),
    ({'modalities': FACE, 'since_s': 300, 'words': ''},
     'The person looks tense (fairly sure; from the face alone) and became so about five minutes '
     'ago.'),
    ({'modalities': FACE, 'since_s': 70, 'words': ''},
     'The person looks tense (fairly sure; from the face alone) and became so about a minute '
     'ago.'),
    ({'valence_std': 0.1, 'arousal_std': 0.1, 'modalities': FACE, 'change': None, 'words': ''},
     'The person looks tense (quite sure; from the face alone).'),
    ({'valence_std': 0.3, 'arousal_std': 0.3, 'modalities': FACE, 'change': None, 'words': ''},
     'The person looks tense (not very sure; from the face alone).'),
    ({'valence_std': 0.4, 'arousal_std': 0.4},
     "The person said 'that is just great'; how they feel is not clear."),
    ({'valence_std': 0.4, 'arousal_std': 0.4, 'words': ''}, ''),
    ({'affect': UNKNOWN, 'valence_std': float('nan'), 'words': ''}, ''),
    ({'left': True}, 'The person has left.'),
    ({'left': True, 'people': 2}, 'person_1 has left.'),
    ({'modalities': FACE, 'change': None, 'words': '', 'stale': True},
     'The person looks tense (fairly sure; from the face alone). What was seen or heard has '
     'stopped; this rests on what is left.'),
    ({'modalities': FACE, 'change': None, 'words': '', 'attending': False},
     'The person looks tense (fairly sure; from the face alone). The person does not attend to '
     'the robot.'),
    ({'modalities': FACE, 'change': None, 'words': '', 'mood': mood(Affect(0.4, 0.0))},
     'The person looks tense (fairly sure; from the face alone). Over the last minutes the mood '
     'was more positive.'),
    ({'modalities': FACE, 'change': None, 'words': '', 'region': 'my_own'},
     "The person looks 'my_own' (fairly sure; from the face alone)."),
])
def test_golden_sentences(changes, said):
    assert SENTENCES.about(replace(FULL, **changes)) == said.strip()


@pytest.mark.parametrize('point, manner', [
    (Affect(0.35, 0.1), 'mildly pleased'), (Affect(-0.35, 0.1), 'mildly displeased'),
    (Affect(0.1, 0.35), 'stirred'), (Affect(0.1, -0.35), 'calm'),
    (Affect(0.2, -0.2), 'without a clear expression')])
def test_outside_all_regions_it_says_what_the_deviations_allow(point, manner):
    said = SENTENCES.about(Observation(
        'person_1', affect=point, valence_std=0.2, arousal_std=0.2, modalities=FACE))
    assert said == f'The person looks {manner} (fairly sure; from the face alone).'


#: Each claim with the fact that it rests on, and what that fact is without its evidence.
CLAIMS = {
    'tense': {'region': '', 'affect': Affect(0.0, 0.0)},
    'fairly sure': {'valence_std': 0.35, 'arousal_std': 0.35},
    'face': {'modalities': VOICE | WORDS}, 'looks': {'modalities': VOICE | WORDS},
    'voice': {'modalities': FACE | WORDS}, ' and words': {'modalities': FACE | VOICE},
    'became so': {'change': None},
    'that is just great': {'words': ''}, 'while saying': {'words': ''},
    'The words alone sound positive': {'alone': Alone()},
}


@pytest.mark.parametrize('claim', CLAIMS)
def test_without_its_evidence_a_claim_goes(claim):
    assert claim in SENTENCES.about(FULL)
    assert claim not in SENTENCES.about(replace(FULL, **CLAIMS[claim]))


@pytest.mark.parametrize('text', [None, Affect(0.1, 0.1), Affect(-0.5, 0.0)])
def test_words_do_not_contrast_unless_they_are_clearly_on_the_other_side(text):
    assert 'alone sound' not in SENTENCES.about(replace(
        FULL, alone=replace(FULL.alone, text=text)))


@pytest.mark.parametrize('alone', [
    Alone(), Alone(TENSE, None, TENSE), Alone(TENSE, Affect(-0.5, -0.4), TENSE),
    Alone(TENSE, GLAD, TENSE)])
def test_parts_agree_only_if_each_is_known_and_near_the_others(alone):
    assert 'agree' not in SENTENCES.about(replace(FULL, alone=alone))


@pytest.mark.parametrize('slow', [
    mood(GLAD, evidence_s=20.0), mood(GLAD, minutes=1), mood(GLAD, std=0.5), mood(TENSE),
    mood(Affect(0.05, 0.0))])
def test_a_mood_is_told_only_if_it_lasts_is_sure_and_differs(slow):
    assert 'mood' not in SENTENCES.about(replace(FULL, alone=Alone(), mood=slow))
    assert 'mood' in SENTENCES.about(replace(FULL, alone=Alone(), mood=mood(GLAD)))


def test_there_are_never_more_than_two_sentences():
    everything = replace(FULL, words='', stale=True, attending=True, mood=mood(GLAD))
    assert SENTENCES.about(everything).count('. ') == 1


@pytest.mark.parametrize('words, quoted', [
    ('I\nam "fine".', "'I am fine'."), ("it's", "'it's'."),
    ('ha ' * 100, f"'{'ha ' * 39}ha...'.")])
def test_words_stay_within_their_quotation_marks_and_short(words, quoted):
    said = SENTENCES.about(replace(FULL, words=words, alone=Alone()))
    assert said.endswith(f'while saying {quoted}')


def test_no_sentence_names_an_illness():
    text = resource('config/summary/en.yaml').read_text(encoding='utf-8').lower()
    texts = text[text.index('\nwho:'):]
    for word in ('depressi', 'anxiety', 'disorder', 'ill', 'symptom', 'patient', 'stress',
                 'autis', 'mental'):
        assert not any(one.startswith(word) for one in texts.replace('"', ' ').split()), word


# --- files of texts ----------------------------------------------------------------------------


def changed(tmp_path, old, new):
    text = resource('config/summary/en.yaml').read_text(encoding='utf-8')
    assert old in text
    path = tmp_path / 'mine.yaml'
    path.write_text(text.replace(old, new), encoding='utf-8')
    return path


def test_a_language_is_a_file(tmp_path):
    path = changed(tmp_path, '"{who} has left."', '"{who} ist gegangen."')
    path.write_text(path.read_text().replace('one: The person', 'one: Die Person'))
    assert read_sentences(path).about(replace(FULL, left=True)) == 'Die Person ist gegangen.'


def test_regions_of_one_s_own_have_texts(tmp_path):
    path = changed(tmp_path, '  neutral: neutral\n', '  neutral: neutral\n  amused: amused\n')
    assert 'looks amused (' in read_sentences(path).about(replace(FULL, region='amused'))


@pytest.mark.parametrize('old, new, said', [
    ('{who} has left', '{whom} has left',
     r'left: {whom} is an unknown field \(did you mean who\?\); allowed: {who}$'),
    ('{who} looks', '{why} looks', r'state\.seen: {why} is an unknown field.*; allowed: {who}, '
     r'{manner}, {sure}, {basis}, {change}, {saying}$'),
    ('neutral: neutral', "neutral: '{who}'",
     r'regions\.neutral: {who} is an unknown field; allowed: no fields$'),
    ('{who} has left', '{who.__class__} has left', r'left: {who\.__class__} is an unknown field'),
    ('{who} has left', '{who!r} has left', r'left: {who} is an unknown field'),
    ('{who} has left', '{} has left', r'left: {} is an unknown field'),
    ('{who} has left', '{who has left', r"left: '{who has left\.': .*; allowed: {who}$"),
    ('left: "{who} has left."', 'gone: bye', r'gone: is unknown'),
    ('left: "{who} has left."', '', r'lacks left$'),
    ('left: "{who} has left."', 'left: 7', r'left: 7; allowed: a text$'),
    ('numbers: [zero,', 'numbers: [0,', r'numbers: \[0, .*; allowed: a list of the words'),
])
def test_a_text_that_cannot_be_used_is_refused(tmp_path, old, new, said):
    path = changed(tmp_path, old, new)
    with pytest.raises(SettingsError, match=rf'mine\.yaml: {said}'):
        read_sentences(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('- a\n')
    with pytest.raises(SettingsError, match=r'mine\.yaml: holds list; allowed: a mapping'):
        read_sentences(path)
