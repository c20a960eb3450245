"""What is fed with damaged input, kind by kind, and the sound input that damage begins from."""

import io
import itertools
import json
import shutil
import sqlite3
import struct
import zipfile
from contextlib import closing, suppress
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from mutating import mutated_bytes, mutated_text, mutated_tree
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin

from maven_ros.acting.decisions import read_decisions
from maven_ros.acting.regions import read_regions
from maven_ros.cli.echo import lines
from maven_ros.counters import Counters
from maven_ros.errors import InputError
from maven_ros.files import read_object
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.bag.folder import METADATA
from maven_ros.graph.bag.writer import BagWriter
from maven_ros.graph.camera_info import CAMERA_INFO
from maven_ros.graph.convert import (
    OUTLETS,
    attention_record,
    event_record,
    mood_record,
    state_record,
    turn_record,
    utterance_record,
)
from maven_ros.graph.images import COMPRESSED_IMAGE, IMAGE, compressed_message, image_message
from maven_ros.graph.interface import STATE, Received
from maven_ros.graph.messages import definition, from_cdr, new, to_cdr, type_hash
from maven_ros.graph.sound import (
    AUDIO_CHUNK,
    AUDIO_DATA,
    AUDIO_DATA_STAMPED,
    AUDIO_INFO,
    AUDIO_STAMPED,
    audio_message,
)
from maven_ros.intake.face_pairing import IDS_LIST, LANDMARKS, REGION
from maven_ros.intake.intake import Intake
from maven_ros.model.backbone_configuration import Backbone
from maven_ros.model.backbones import (
    BeitLayers,
    FaceBackbone,
    TextBackbone,
    VoiceBackbone,
    parse_config,
)
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.hub import CONFIG, read_config
from maven_ros.model.maven import MavenModel
from maven_ros.records import (
    NS,
    AffectEvent,
    AffectMood,
    AffectState,
    AffectTurn,
    Attention,
    AudioChunk,
    Box,
    Camera,
    Face,
    Frame,
    Utterance,
)
from maven_ros.resources import resource
from maven_ros.scoring.annotations import read_file, read_frame_values
from maven_ros.senses.lens import Lens
from maven_ros.settings import AttentionSettings, Settings, load_values
from maven_ros.store.archive import unpack
from maven_ros.store.manifest import read_manifest
from maven_ros.training.compact.recipe import read_recipe
from maven_ros.training.people.run_settings import read_run_settings

T0 = 1_700_000_000 * NS
HEADER = {'stamp': {'sec': T0 // NS, 'nanosec': 5}, 'frame_id': 'camera'}


class Kind:
    """
    A kind of input.

    :param folder: where it may put files; it exists and is empty.
    """

    def __init__(self, folder):
        self.folder = folder

    def sound(self):
        """Yield input that is taken without complaint."""
        raise ValueError(f'{type(self).__name__} has no sound input')

    def damaged(self, rng):
        """Return damaged input, which depends on the state of the generator alone."""
        raise ValueError(f'{type(self).__name__} damages nothing')

    def take(self, given):
        """Take input; what it raises but MavenError is a fault."""
        raise ValueError(f'{type(self).__name__} takes nothing')


class Messages(Kind):
    """CDR of every type that the intake, the view and echo read; one to four after each other."""

    def __init__(self, folder):
        super().__init__(folder)
        self._messages = [
            (topic, msgtype, to_cdr(message, msgtype)) for topic, msgtype, message in _messages()]
        self._cdrs = [cdr for *_, cdr in self._messages]
        self._audio, self._time = Settings().audio, Settings().time

    def sound(self):
        for one in self._messages:
            yield [one]

    def damaged(self, rng):
        chosen = rng.choices(self._messages, k=rng.choice((1, 1, 1, 4)))
        return [(topic, msgtype, mutated_bytes(rng, cdr, self._cdrs))
                if rng.random() < 0.8 else (topic, msgtype, cdr) for topic, msgtype, cdr in chosen]

    def take(self, given):
        intake = Intake(self._audio, Counters(), self._time)
        records = {OUTLETS[AffectMood].msgtype: mood_record,
                   OUTLETS[AffectState].msgtype: state_record,
                   OUTLETS[AffectEvent].msgtype: event_record,
                   OUTLETS[Attention].msgtype: attention_record,
                   OUTLETS[AffectTurn].msgtype: turn_record,
                   OUTLETS[Utterance].msgtype: utterance_record}
        for index, (topic, msgtype, cdr) in enumerate(given):
            with suppress(InputError):  # the next one must not suffer from it
                message = from_cdr(cdr, msgtype)
                [*lines(message)]
                if msgtype in records:
                    records[msgtype](message)
            if msgtype not in records:
                received = Received(topic, msgtype, cdr, T0 + index * NS // 50)
                for record in intake.take(received):
                    _look_at(record)


def _look_at(record):
    if isinstance(record, Frame):
        with suppress(InputError):
            record.decode()
    elif isinstance(record, AudioChunk):
        assert record.samples.ndim == 2 and np.isfinite(record.samples).all()
        assert record.end_ns >= record.stamp_ns
    elif isinstance(record, Camera):
        lens = Lens(AttentionSettings(), Counters())
        lens.take(record)
        face = Face(T0, 'a', Box(2, 2, 6, 6), np.zeros((2, 2, 3), np.uint8), ((3.0, 4.0),) * 5)
        lens.place([face], 16, 12)


def _messages():
    pixels = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    _, png = cv2.imencode('.png', pixels)
    chunk = AudioChunk(T0, np.linspace(-0.5, 0.5, 40, dtype=np.float32)[:, None], 16000)
    sound = (chunk.samples * 32767).astype('<i2')
    for encoding in ('bgr8', 'mono8'):
        yield '/camera/image_raw', IMAGE, image_message(T0, pixels, 'camera', encoding)
    for encoding, size in (('nv12', 12 * 16 * 3 // 2), ('yuv422_yuy2', 12 * 32),
                           ('bayer_rggb8', 12 * 16), ('rgb16', 12 * 96), ('8UC3', 12 * 48)):
        step = {'nv12': 16}.get(encoding, size // 12)
        yield '/camera/image_raw', IMAGE, new(
            IMAGE, header=HEADER, height=12, width=16, encoding=encoding, step=step,
            data=np.zeros(size, np.uint8))
    yield '/camera/image_raw/compressed', COMPRESSED_IMAGE, compressed_message(T0, pixels)
    yield '/camera/image_raw/compressed', COMPRESSED_IMAGE, new(
        COMPRESSED_IMAGE, header=HEADER, format='png', data=png.reshape(-1))
    for encoding in ('S16LE', 'F32LE'):
        yield '/audio', AUDIO_CHUNK, audio_message(chunk, 'mic', encoding)
    for sample_format, name in ((1, 'float32_data'), (8, 'int16_data')):
        values = chunk.samples[:, 0] if name[0] == 'f' else sound[:, 0]
        yield '/audio', AUDIO_STAMPED, new(AUDIO_STAMPED, header=HEADER, audio={
            'audio_data': {name: values},
            'info': {'format': sample_format, 'channels': 1, 'rate': 16000, 'chunk': 40}})
    yield '/camera/camera_info', CAMERA_INFO, new(
        CAMERA_INFO, header=HEADER, width=16, height=12, distortion_model='plumb_bob',
        d=[0.1, 0.0, 0.0, 0.0, 0.01], k=[20.0, 0.0, 8.0, 0.0, 20.0, 6.0, 0.0, 0.0, 1.0])
    yield '/audio', AUDIO_DATA, new(AUDIO_DATA, data=sound.tobytes())
    yield '/audio', AUDIO_DATA_STAMPED, new(
        AUDIO_DATA_STAMPED, header=HEADER, audio={'data': sound.tobytes()})
    yield '/audio_info', AUDIO_INFO, new(
        AUDIO_INFO, channels=1, sample_rate=16000, sample_format='S16LE', coding_format='wave')
    yield '/robot_speaking', 'std_msgs/msg/Bool', new('std_msgs/msg/Bool', data=True)
    yield '/speech', 'hri_msgs/msg/LiveSpeech', new(
        'hri_msgs/msg/LiveSpeech', header=HEADER, final='hello there', confidence=0.9,
        locale='en_GB')
    yield '/humans/faces/tracked', IDS_LIST, new(IDS_LIST, header=HEADER, ids=['abc', 'def'])
    yield '/humans/faces/abc/roi', REGION, new(
        REGION, header=HEADER, xmin=0.2, ymin=0.2, xmax=0.6, ymax=0.7, c=0.9)
    yield '/humans/faces/abc/landmarks', LANDMARKS, new(
        LANDMARKS, header=HEADER, height=12, width=16,
        landmarks=[{'x': 0.5, 'y': 0.5, 'c': 1.0}] * 70)
    for record in _SAID:
        msgtype = OUTLETS[record].msgtype
        yield f'/{OUTLETS[record].topic}', msgtype, new(msgtype, **_SAID[record])


_SAID = {
    AffectState: {'header': HEADER, 'person_id': 'a', 'valence': 0.5, 'arousal': 0.1},
    AffectEvent: {'header': HEADER, 'person_id': 'a', 'kind': 1, 'region': 'happy'},
    Attention: {'header': HEADER, 'person_id': 'a', 'engagement': 3, 'attending': True},
    AffectMood: {'header': HEADER, 'person_id': 'a', 'valence': 0.5, 'evidence_s': 9.0},
    AffectTurn: {'header': HEADER, 'person_id': 'a', 'speaker': 1, 'words': [{'text': 'hello'}]},
    Utterance: {'header': HEADER, 'text': 'hello', 'confidence': 0.5},
}


# --- recordings --------------------------------------------------------------------------------


def _record(path, storage):
    """Write a small recording; the same each time."""
    with BagGraph(path, 'w', storage) as graph:
        publishers = {}
        for index, (topic, msgtype, message) in enumerate(itertools.islice(_messages(), 12)):
            if msgtype not in publishers:
                publishers[msgtype] = graph.advertise(f'{topic}_{len(publishers)}', msgtype, STATE)
            graph.time_ns = T0 + index * NS // 10
            publishers[msgtype].publish(message)
    return path


def _read(path):
    with BagGraph(path) as graph:
        graph.message_counts()
        assert graph.span_ns[0] <= graph.span_ns[1]
        heard = []
        for topic, msgtype in graph.topics().items():
            graph.subscribe(topic, msgtype, STATE, heard.append)
        graph.play()
        [*graph.read([*graph.topics()], start_ns=T0, end_ns=T0 + NS // 2)]


class Mcap(Kind):
    """MCAP files: in chunks, packed and loose."""

    def __init__(self, folder):
        super().__init__(folder)
        bag = _record(folder / 'bag', 'mcap')
        plain = (bag / 'bag.mcap').read_bytes()
        self._whole = [plain, _packed(bag)]
        self._files = [*self._whole, _loose(plain)]

    def sound(self):
        yield from self._whole

    def damaged(self, rng):
        return mutated_bytes(rng, rng.choice(self._files), self._files)

    def take(self, given):
        path = self.folder / 'it.mcap'
        path.write_bytes(given)
        _read(path)


class Sqlite(Kind):
    """SQLite files, damaged as bytes, or by values that no recorder writes."""

    def __init__(self, folder):
        super().__init__(folder)
        self._path = _record(folder / 'bag', 'sqlite3') / 'bag.db3'
        self._files = [self._path.read_bytes()]
        with closing(sqlite3.connect(self._path)) as db:
            self._columns = [(table, row[1]) for (table,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
                for row in db.execute(f'PRAGMA table_info({table})').fetchall()]

    def sound(self):
        for one in self._files:
            yield one, ()

    def damaged(self, rng):
        if rng.random() < 0.5:
            return mutated_bytes(rng, rng.choice(self._files), self._files), ()
        changes = []
        for _ in range(rng.choice((1, 1, 2))):
            table, column = rng.choice(self._columns)
            which = rng.choice(('1', 'id = 1', 'id > 3'))
            changes.append((table, column, rng.choice(_CELLS), which))
        return self._files[0], tuple(changes)

    def take(self, given):
        data, changes = given
        path = self.folder / 'it.db3'
        path.write_bytes(data)
        if changes:
            with closing(sqlite3.connect(path)) as db:
                db.execute('PRAGMA journal_mode = OFF')
                db.execute('PRAGMA synchronous = OFF')
                for table, column, value, which in changes:
                    with suppress(sqlite3.Error):  # a value that the column refuses
                        db.execute(f'UPDATE {table} SET {column} = ? WHERE {which}', (value,))
                db.commit()
        _read(path)


_CELLS = (None, -1, 0, 1, 2**63 - 1, -2**63, 1.5, float('inf'), '', 'text', 'a' * 10_000, b'',
          b'\0\1\0\0', b'\xff' * 64, '\0', '/', 'std_msgs/msg/String', 'sensor_msgs/Image',
          '\x1b[2J', '- history: 9\n', '&a [*a]', '[' * 500)


def _packed(path):
    """Return the same recording in chunks that are packed."""
    with BagGraph(path) as graph:
        messages = [*graph.read([*graph.topics()])]
    writer = BagWriter(path.with_name('packed'), version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for one in messages:
            if one.topic not in connections:
                connections[one.topic] = writer.add_connection(
                    one.topic, one.msgtype, msgdef=definition(one.msgtype),
                    rihs01=type_hash(one.msgtype))
            writer.write(connections[one.topic], one.received_ns, one.cdr)
    return (path.with_name('packed') / 'packed.mcap').read_bytes()


def _loose(data):
    """Return the same recording with messages outside chunks, and without its end."""
    found, at = [data[:8]], 8
    while data[at] != 0x0f:
        kind, length = struct.unpack_from('<BQ', data, at)
        begin, at = at, at + 9 + length
        # Of a chunk, what is not packed lies behind its head.
        found.append(data[begin + 9 + 40:at] if kind == 6 else data[begin:at])
    return b''.join(found)


# --- text --------------------------------------------------------------------------------------


class Yaml(Kind):
    """Parameters, models, regions, decisions, and what is beside a recording."""

    def __init__(self, folder):
        super().__init__(folder)
        bag = _record(folder / 'bag', 'mcap')
        self._readers = {
            'params': (resource('config/affect.yaml'), self._settings),
            'models': (resource('config/models.yaml'), read_manifest),
            'regions': (resource('config/regions.yaml'), read_regions),
            'decisions': (resource('config/behaviour.yaml'), read_decisions),
            'bag': (bag / METADATA, self._bag),
        }
        self._texts = {name: path.read_bytes() for name, (path, _) in self._readers.items()}
        self._trees = {name: yaml.safe_load(text) for name, text in self._texts.items()}

    def sound(self):
        yield from self._texts.items()

    def damaged(self, rng):
        name = rng.choice([*self._texts])
        if rng.random() < 0.5:
            return name, mutated_text(rng, self._texts[name], [*self._texts.values()])
        return name, _dumped(mutated_tree(rng, self._trees[name]))

    def take(self, given):
        name, text = given
        path = self.folder / 'it.yaml'
        path.write_bytes(text)
        self._readers[name][1](path)

    def _settings(self, path):
        Settings().with_values(load_values(path))

    def _bag(self, path):
        shutil.copyfile(path, self.folder / 'bag' / METADATA)
        _read(self.folder / 'bag')


def _dumped(tree):
    try:
        return yaml.safe_dump(tree, sort_keys=False).encode('utf-8', 'surrogatepass')
    except ValueError:  # 10**400 has too many digits for some versions of Python
        return b'- ' + b'9' * 400


class Archives(Kind):
    """Zip archives."""

    def __init__(self, folder):
        super().__init__(folder)
        self._files = [_zip(method, names) for method, names in itertools.product(
            (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), (('a', 'b/c'), ('top/a', 'top/b/c')))]

    def sound(self):
        yield from self._files

    def damaged(self, rng):
        return mutated_bytes(rng, rng.choice(self._files), self._files)

    def take(self, given):
        path, target = self.folder / 'it.zip', self.folder / 'unpacked'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        path.write_bytes(given)
        try:
            unpack(path, target)
        finally:
            outside = {one.name for one in self.folder.iterdir()} - {path.name, target.name}
            assert not outside, outside


def _zip(method, names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', method) as archive:
        for index, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name), bytes(range(200)) * (1 + index), method)
    return file.getvalue()


class Csv(Kind):
    """Annotations."""

    _STAMPS_NS = T0 + np.arange(20) * (NS // 10)

    def __init__(self, folder):
        super().__init__(folder)
        frames = ''.join(f'{index / 20},{-index / 20}\n' for index in range(20))
        times = ''.join(f'{index / 10},{index / 20},-0.5{{}}\n' for index in range(20))
        self._texts = [
            f'valence,arousal\n{frames}'.encode(),
            f'time_s,valence,arousal\n{times}'.replace('{}', '').encode(),
            f'time_s,valence,arousal,person_id\n{times}'.replace('{}', ',p1').encode()]

    def sound(self):
        yield from self._texts

    def damaged(self, rng):
        return mutated_text(rng, rng.choice(self._texts), self._texts)

    def take(self, given):
        path = self.folder / 'it.csv'
        path.write_bytes(given)
        with suppress(InputError):
            read_frame_values(path)
        read_file(path, '', self._STAMPS_NS)


class Configs(Kind):
    """config.json of networks and of their encoders, built; recipes, and the settings of runs."""

    def __init__(self, folder):
        super().__init__(folder)
        self._json = [_shallow(MavenConfig.compact()), _shallow(MavenConfig.base())]
        self._parts = {part: self._json[1][part]['config']
                       for part in ('video', 'audio', 'text', 'context')}
        (folder / 'model').mkdir()
        self._yaml = {name: resource(f'config/train/{name}.yaml').read_bytes()
                      for name in ('compact', 'affwild2')}
        self._trees = {name: yaml.safe_load(text) for name, text in self._yaml.items()}

    def sound(self):
        for one in self._json:
            yield 'json', json.dumps(one).encode()
        for part, config in self._parts.items():
            yield part, json.dumps(config).encode()
        yield from self._yaml.items()

    def damaged(self, rng):
        name = rng.choice(('json', *self._parts, *self._yaml))
        if name not in self._yaml:
            tree = self._parts[name] if name in self._parts else rng.choice(self._json)
            if rng.random() < 0.3:
                return name, mutated_text(rng, json.dumps(tree, indent=1).encode())
            return name, json.dumps(mutated_tree(rng, tree)).encode()
        if rng.random() < 0.5:
            return name, mutated_text(rng, self._yaml[name])
        return name, _dumped(mutated_tree(rng, self._trees[name]))

    def take(self, given):
        name, text = given
        if name not in self._yaml:
            path = self.folder / 'model' / CONFIG
            path.write_bytes(text)
            with torch.device('meta'):  # sizes without memory
                if name == 'json':
                    MavenModel(read_config(path.parent))
                else:
                    parse_config(name, Backbone('it', read_object(path)))
                    _ENCODERS[name](Backbone.parse(
                        name, {**self._json[1][name], 'config': read_object(path)}))
            return
        path = Path(self.folder / 'it.yaml')
        path.write_bytes(text)
        read_recipe(str(path)) if name == 'compact' else read_run_settings(path)


_ENCODERS = {
    'video': FaceBackbone, 'audio': VoiceBackbone, 'text': TextBackbone, 'context': BeitLayers}


def _shallow(config):
    """Return the content of a config.json; few layers, since each input is built."""
    values = {**config.own(), 'model_type': 'maven'}
    for part in values.keys() & {'video', 'audio', 'text', 'context'}:
        own = (values[part] or {'config': {}})['config']
        if 'depths' in own:
            own['depths'] = [1] * 4
        elif own.get('num_hidden_layers') and not own.get('out_features'):  # of certain layers
            own['num_hidden_layers'] = 1
    return values


KINDS = {kind.__name__.lower(): kind
         for kind in (Messages, Mcap, Sqlite, Yaml, Archives, Csv, Configs)}
