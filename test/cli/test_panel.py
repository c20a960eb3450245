"""The terminal's view: lines where there is no terminal, a panel where there is."""

import math
import re
from dataclasses import replace

import pytest

from maven_ros.affect import Affect
from maven_ros.cli.panel import LiveView
from maven_ros.records import NS, AffectState, Modality, Status, Utterance, VoiceAssigned, Word


def state(end_s, status=Status.OK, person='person_1'):
    known = status is not Status.NO_EVIDENCE
    point = Affect(0.5, 0.25) if known else Affect(math.nan, math.nan)
    return AffectState(
        0, int(end_s * NS), status, person if known else '', point, 0.1, 0.1,
        Modality.VIDEO | Modality.TEXT if known else Modality.NONE,
        (0.75, 0.0, 0.25) if known else (0.0, 0.0, 0.0), VoiceAssigned.NONE, '', None, '',
        'untrained compact-01234567')


def test_a_line_a_second_of_message_time_and_one_for_each_utterance(capsys):
    with LiveView('a clip') as view:
        for index in range(11):
            view.show_state(state(10 + index / 5), 0.123)
        view.show_state(state(13, Status.NO_EVIDENCE), 0.1)
        words = (Word('hello', 0, NS, 0.9), Word('there', NS, 2 * NS, 0.9))
        view.show_utterance(Utterance(0, NS, words[:1], False, 'test'))
        view.show_utterance(Utterance(0, 2 * NS, words, True, 'test'))
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == ('person_1: valence +0.50, arousal +0.25, intensity 0.56, angle +27° '
                        '(excited), sure 83%, from face 75%, words 25%; 123 ms')
    assert len([line for line in lines if line.startswith('person_1')]) == 3
    assert lines[-2:] == ['nobody in view: no evidence (100 ms)', '   heard: hello there']


def test_nothing_that_was_said_works_on_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '120')
    escape = '\x1b]0;title\x07'
    words = (Word(f'hello{escape}', 0, NS, 0.9),)
    for forced in ('', '1'):
        if forced:
            monkeypatch.setenv('FORCE_COLOR', forced)
        with LiveView(f'a clip{escape}') as view:
            view.say(f'said{escape}')
            view.show_state(replace(state(10, person=f'me{escape}'), model=f'm{escape}'), 0.1)
            view.show_utterance(Utterance(0, NS, words, True, 'test'))
            view.show_behaviour(f'nod{escape}')
        text = capsys.readouterr().out
        assert '\x1b]' not in text and '\x07' not in text
        plain = re.sub(r'\x1b\[[\d;]*m', '', text)  # rich's own colours
        assert all(f'{one}\\x1b]0;title' in plain for one in ('said', 'me', 'hello', 'nod'))


def test_the_panel_shows_everybody_with_values_evidence_and_words(capsys, monkeypatch):
    monkeypatch.setenv('FORCE_COLOR', '1')
    monkeypatch.setenv('COLUMNS', '80')
    with LiveView('a clip') as view:
        view.show_state(state(10), 0.05)
        view.show_state(state(10, Status.STALE, 'person_2'), 0.05)
        view.show_utterance(Utterance(0, NS, (Word('hello', 0, NS, 0.9),), True, 'test'))
        view.refresh()
    shown = capsys.readouterr().out
    for text in ('person_1', 'person_2', '+0.50', '0.56', 'excited', 'face 75%', 'STALE', 'hello',
                 '2 states by untrained compact-01234567', '50 ms'):
        assert text in shown, text


@pytest.mark.parametrize(('voice', 'modalities', 'said'), [
    (VoiceAssigned.SELF, Modality.VIDEO | Modality.AUDIO, 'from face 75%, voice 0%;'),
    (VoiceAssigned.OTHER, Modality.VIDEO, "from face 75%, not from another's voice;"),
    (VoiceAssigned.UNDECIDED, Modality.VIDEO, 'from face 75%, not from an undecided voice;'),
    (VoiceAssigned.UNDECIDED, Modality.VIDEO | Modality.AUDIO, 'from face 75%, voice 0%;')])
def test_a_voice_that_is_somebody_elses_is_told_apart(capsys, voice, modalities, said):
    with LiveView('a clip') as view:
        view.show_state(replace(state(10), voice_assigned=voice, modalities=modalities), 0.1)
    assert said in capsys.readouterr().out


def test_text_from_outside_is_shown_as_it_is(capsys, monkeypatch):
    words = (Word('[unk]', 0, NS, 0.9), Word('a[/b]c', NS, 2 * NS, 0.9))
    with LiveView('[final] a[/b]c.mp4') as view:
        view.show_utterance(Utterance(0, 2 * NS, words, True, 'test'))
    assert '[unk] a[/b]c' in capsys.readouterr().out
    monkeypatch.setenv('FORCE_COLOR', '1')
    with LiveView('[final] a[/b]c.mp4') as view:
        view.show_utterance(Utterance(0, 2 * NS, words, True, 'test'))
        view.refresh()
    shown = capsys.readouterr().out
    assert '[unk] a[/b]c' in shown and '[final] a[/b]c.mp4' in shown
