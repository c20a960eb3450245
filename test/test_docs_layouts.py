"""The layouts for Foxglove and PlotJuggler name topics and fields that there are."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from maven_ros.graph.convert import DIAGNOSTICS
from maven_ros.graph.images import IMAGE
from maven_ros.graph.messages import field_types, new
from maven_ros.graph.topics import ANNOTATED_TOPIC, DIAGNOSTICS_TOPIC, OUTPUT_TYPES

DOCS = Path(__file__).resolve().parent.parent / 'docs'
TYPES = {DIAGNOSTICS_TOPIC: DIAGNOSTICS, f'/{ANNOTATED_TOPIC}': IMAGE,
         **{f'/{topic}': msgtype for topic, msgtype in OUTPUT_TYPES.items()}}


def check(topic, fields):
    """Refuse a topic that is not ours, and a field that its message has not."""
    message = new(TYPES[topic])
    for field in fields:
        msgtype = message.__msgtype__
        assert field in [name for name, _ in field_types(msgtype, TYPES[topic])], (topic, field)
        message = getattr(message, field)


def foxglove_paths(value):
    """Yield what names a topic in a layout of Foxglove."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key in ('value', 'topicPath', 'imageTopic', 'topicToRender'):
                yield one
            else:
                yield from foxglove_paths(one)
    elif isinstance(value, list):
        for one in value:
            yield from foxglove_paths(one)


def leaves(layout):
    return [layout] if isinstance(layout, str) else [
        *leaves(layout['first']), *leaves(layout['second'])]


def test_foxglove():
    layout = json.loads((DOCS / 'foxglove.json').read_text(encoding='utf-8'))
    paths = list(foxglove_paths(layout['configById']))
    assert len(paths) >= 12
    for path in paths:
        topic, *fields = path.split('.')
        check(topic, fields)
    assert sorted(leaves(layout['layout'])) == sorted(layout['configById'])


def test_plotjuggler():
    root = ET.parse(DOCS / 'plotjuggler.xml').getroot()
    curves = [curve.get(key) for curve in root.iter('curve')
              for key in ('name', 'curve_x', 'curve_y')
              if (curve.get(key) or '').startswith('/')]
    assert len(curves) >= 12
    for curve in curves:
        topic = next(one for one in sorted(TYPES, key=len, reverse=True)
                     if curve.startswith(f'{one}/'))
        check(topic, curve.removeprefix(f'{topic}/').split('/'))
    for splitter in root.iter('DockSplitter'):
        assert int(splitter.get('count')) == len(splitter.findall('DockArea'))


def test_a_field_that_is_not_there_is_noticed():
    with pytest.raises(AssertionError, match=re.escape("('/affect/state', 'valance')")):
        check('/affect/state', ['valance'])


def test_the_animation_of_the_view_is_small_and_lasts_ten_seconds():
    image = pytest.importorskip('PIL.Image')
    path = DOCS / 'view.webp'
    assert path.stat().st_size < 2_000_000
    with image.open(path) as animation:
        lasts_ms = 0
        for index in range(animation.n_frames):
            animation.seek(index)
            animation.load()
            lasts_ms += animation.info['duration']
    assert 9_500 <= lasts_ms <= 10_500
