"""The decision table: what is read, what is refused, and what it decides."""

import pytest

from maven_ros.acting.decisions import Conduct, event_name, read_decisions
from maven_ros.affect import Affect
from maven_ros.errors import SettingsError
from maven_ros.records import AffectEvent, EventKind

IDLE = "idle: {led: '#102030', style: neutral, distance_m: 1.2, look: false}\n"


@pytest.fixture
def table(tmp_path):
    def read(text, regions=''):
        path = tmp_path / 'table.yaml'
        path.write_text(text, encoding='utf-8')
        return read_decisions(path, regions)
    return read


def event(kind, region=''):
    nothing = Affect(0.0, 0.0)
    return AffectEvent(0, kind, 'person_1', 0, nothing, nothing, 0.5, region)


def test_an_event_changes_what_its_rule_names_and_leaving_goes_idle(table):
    rules = table(IDLE + "appeared: {style: warm, look: true}\n"
                         "entered distressed: {led: circumplex, distance_m: 2}\n")
    near = rules.after(event(EventKind.APPEARED), rules.idle)
    assert near == Conduct('#102030', 'warm', 1.2, True)
    away = rules.after(event(EventKind.REGION_ENTERED, 'distressed'), near)
    assert away == Conduct('circumplex', 'warm', 2, True)
    assert rules.after(event(EventKind.ROSE), away) == away
    assert rules.after(event(EventKind.LEFT), away) == rules.idle


def test_a_led_has_its_own_colour_or_that_of_the_circumplex():
    own = Conduct('#102030', 'calm', 1.0, False)
    assert own.colour(Affect(1.0, 0.0)) == (16, 32, 48)
    circumplex = Conduct('circumplex', 'calm', 1.0, False)
    assert circumplex.colour(Affect(0.8, 0.0)) == (0, 255, 0)
    assert circumplex.colour(Affect(-0.5, 0.5)) == (255, 0, 0)
    assert circumplex.colour(Affect(float('nan'), 0.0)) == (255, 255, 255)


def test_the_shipped_table_backs_off_from_distress():
    shipped = read_decisions()
    distressed = shipped.after(event(EventKind.REGION_ENTERED, 'distressed'), shipped.idle)
    assert distressed.distance_m > shipped.idle.distance_m and not distressed.look
    assert event_name(EventKind.REGION_LEFT, 'excited') == 'left excited'


@pytest.mark.parametrize(('text', 'message'), [
    (IDLE + 'apeared: {look: true}',
     r"'apeared' is not an event \(did you mean appeared\?\); allowed: idle, rose"),
    (IDLE + 'entered amused: {look: true}', "'entered amused' is not an event"),
    (IDLE + 'left: {look: true}', "'left' is not an event"),
    (IDLE + "rose: {led: '#12'}",
     "rose: led: '#12' is not a colour; allowed: '#rrggbb', circumplex"),
    (IDLE + 'rose: {led: 7}', 'rose: led: 7 is not a colour'),
    (IDLE + 'rose: {distance_m: 0.1}', r'rose: distance_m: 0.1; allowed: \[0.3, 5\]'),
    (IDLE + 'rose: {look: 1}', 'rose: look: 1; allowed: true, false'),
    (IDLE + "rose: {style: ''}", "rose: style: ''; allowed: a word"),
    (IDLE + 'rose: {lead: circumplex}', r"rose: 'lead' is unknown \(did you mean led\?\)"),
    (IDLE + 'rose: [1]', r'rose: \[1\]; allowed: a mapping of led, style, distance_m, look'),
    ('idle: {style: calm}', 'idle: lacks led, distance_m, look'),
    ('appeared: {look: true}', 'allowed: a mapping of events to conduct, with idle'),
    ('{', 'no readable YAML'),
])
def test_a_table_that_cannot_be_used_is_refused_by_name(table, text, message):
    with pytest.raises(SettingsError, match=message) as refused:
        table(text)
    assert 'table.yaml' in str(refused.value)


def test_events_are_those_of_the_regions_in_use(table, tmp_path):
    regions = tmp_path / 'regions.yaml'
    regions.write_text('amused: {intensity: [0.4, 1.5], angle_deg: [-20, 60]}\n')
    table(IDLE + 'entered amused: {look: true}', regions)
    with pytest.raises(SettingsError, match="'entered distressed' is not an event"):
        table(IDLE + 'entered distressed: {look: true}', regions)
