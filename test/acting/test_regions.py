"""Regions of the circumplex: where they are, and files that are refused."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from maven_ros.acting.regions import Region, read_regions
from maven_ros.affect import Affect
from maven_ros.errors import SettingsError

VALUES = st.floats(-1, 1)


@st.composite
def regions(draw):
    low, first = draw(st.floats(0, 1.4)), draw(st.floats(-360, 350))
    return Region((low, draw(st.floats(low + 0.01, 1.5))),
                  (first, draw(st.floats(first + 1, min(360, first + 360)))))


def test_the_shipped_regions_are_where_russell_has_them():
    shipped = read_regions()
    for point, name in ((Affect(0.0, 0.0), 'neutral'), (Affect(0.6, 0.5), 'excited'),
                        (Affect(-0.6, 0.5), 'distressed'), (Affect(-0.5, -0.5), 'depressed'),
                        (Affect(1.0, -1.0), 'relaxed'), (Affect(0.25, 0.0), None)):
        assert [own for own, region in shipped.items() if region.holds(point)] == (
            [name] if name else [])
        assert name is None or point.octant == name


def test_how_far_outside_is_measured_along_the_radius_and_the_arc():
    region = Region((0.5, 1.0), (-45, 45))
    assert region.outside(Affect(0.7, 0.0)) == 0 and region.holds(Affect(0.7, 0.0))
    assert region.outside(Affect(0.3, 0.0)) == pytest.approx(0.2)
    assert region.outside(Affect(1.1, 0.0)) == pytest.approx(0.1)
    assert region.outside(Affect.from_polar(0.8, 1.0)) == pytest.approx(0.8 * (1.0 - 0.785398))
    assert region.outside(Affect.from_polar(0.8, -1.0)) == pytest.approx(0.8 * (1.0 - 0.785398))
    assert not region.holds(Affect(float('nan'), 0.0))


@given(regions(), VALUES, VALUES)
def test_what_is_held_is_not_outside(region, valence, arousal):
    point = Affect(valence, arousal)
    assume(point.intensity > 1e-3)  # neutral itself has no direction
    if region.holds(point):
        assert region.outside(point) == 0
    elif region.outside(point) == 0:  # only at an upper end, which is left out
        assert min(abs(point.intensity - region.intensity[1]),
                   abs(region._past_deg(point) - region._width_deg)) < 1e-6


@given(regions(), regions(), VALUES, VALUES)
def test_a_point_in_two_regions_shows_that_they_overlap(one, other, valence, arousal):
    point = Affect(valence, arousal)
    if one.holds(point) and other.holds(point):
        assert one.overlaps(other) and other.overlaps(one)


def test_regions_that_touch_do_not_overlap_also_across_the_full_turn():
    ring, half = Region((0.0, 0.3)), Region((0.3, 1.5), (180, 360))
    assert not ring.overlaps(half)
    assert not half.overlaps(Region((0.3, 1.5), (0, 180)))
    assert half.overlaps(Region((0.3, 1.5), (-10, 10)))
    assert half.overlaps(Region((0.3, 1.5), (-100, -90)))


@pytest.mark.parametrize(('text', 'message'), [
    ('{', 'no readable YAML'), ('', 'holds NoneType; allowed: a mapping'),
    ('- a', 'holds list; allowed: a mapping'),
    ('a: {intensity: [0, 1]}\na: {intensity: [1, 1.5]}', 'a is there twice; allowed: once'),
    ('Big one: {intensity: [0, 1]}', "'Big one': is not a name; allowed: lower-case letters"),
    ('1: {intensity: [0, 1]}', 'key 1 is no text; allowed: text'),
    ('a: 3', 'a: 3; allowed: intensity and angle_deg'),
    ('a: {intensity: [0, 1], angle: [0, 9]}',
     "a: 'angle' is unknown; allowed: intensity, angle_deg; did you mean angle_deg"),
    ('a: {angle_deg: [0, 9]}', 'a: has no intensity'),
    ('a: {intensity: 1}', 'a: intensity: 1; allowed: a pair of numbers'),
    ('a: {intensity: [0, true]}', r'a: intensity: \[0, True\]; allowed: a pair'),
    ('a: {intensity: [0, 2]}', r'a: intensity: \[0, 2\]; allowed: .* in \[0, 1.5\]'),
    ('a: {intensity: [0.5, 0.5]}', r'a: intensity: \[0.5, 0.5\]; allowed: from below to'),
    ('a: {intensity: [.nan, 1]}', r'a: intensity: \[nan, 1\]'),
    ('a: {intensity: [0, 1], angle_deg: [10, 400]}', r'angle_deg: \[10, 400\]; allowed: .*360'),
    ('a: {intensity: [0, 1], angle_deg: [-90, 300]}', 'at most 360 apart'),
    ('a: {intensity: [0, 1]}\nb: {intensity: [0.9, 1.2], angle_deg: [0, 9]}',
     'a and b overlap; allowed: regions with no common point')])
def test_files_that_cannot_be_used_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / 'mine.yaml'
    path.write_text(text)
    with pytest.raises(SettingsError, match=rf'(?s)mine\.yaml.*: .*{message}'):
        read_regions(path)
