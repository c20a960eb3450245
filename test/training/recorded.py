"""A prepared set and features of it, made up: what is felt shows in the vectors."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tiny_tokenizer import tokenizer

from maven_ros.model import checkpoint
from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel
from maven_ros.records import NS
from maven_ros.training.affwild2.annotated import MANIFEST, PEOPLE
from maven_ros.training.people.feature_spec import Windowing, describe, key_of, windows_key
from maven_ros.training.people.shards import ShardWriter

TINY = MavenConfig(
    name='tiny', face_channels=(8, 32), face_blocks=1, mel_bands=16, voice_width=8,
    voice_channels=(4, 8), text_width=8, text_layers=1, fusion_width=16, context_width=12,
    head_width=(8,), dropout=0.0, head_dropout=0.0)
WINDOWING = Windowing(2.0, 0.5, 10.0, 0.0, 0.5, 0.0, 0.1, 0.2, 0.5)
FPS = 10
PEOPLE_OF = {'train': ('1', '2_left', '2_right', '3', '4'), 'valid': ('5', '6'), 'test': ('7',)}


def write_model(folder):
    checkpoint.save(folder, MavenModel.untrained(TINY, 3), tokenizer())
    return folder


def trace(seed, frames):
    """A slow walk over the circumplex, (frames, 2)."""
    random = np.random.default_rng(seed)
    phases, rates = random.uniform(0, 2 * np.pi, (2, 2)), random.uniform(0.02, 0.12, (2, 2))
    times_s = np.arange(frames)[:, None, None] / FPS
    return 0.45 * np.sin(2 * np.pi * rates * times_s + phases).sum(-1).astype(np.float32)


def write_prepared(folder, seconds=20, made_of=''):
    """Write the tables; the last second of each person is unlabelled."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, people = [], []
    for split, names in PEOPLE_OF.items():
        for name in names:
            count = seconds * FPS
            values = trace(hash_of(name), count)
            if split == 'test':
                values[:] = np.nan
            values[-FPS:] = np.nan
            video = name.partition('_')[0]
            labelled = np.isfinite(values[:, 0])
            rows += [dict(zip(MANIFEST, (
                video, name, split, number + 1, number * NS // FPS, *values[number].tolist(),
                bool(labelled[number]), f'crops/{name}/{number + 1:05}.jpg'), strict=True))
                for number in range(count)]
            people.append({
                **{key: '' if kind == 'string' else 0 for key, kind in PEOPLE.items()},
                'video': video, 'person': name, 'split': split, 'fps': FPS, 'frames': count,
                'duration_s': float(seconds), 'made_of': made_of, 'status': 'ok'})
    for file, table, columns in (('manifest', rows, MANIFEST), ('videos', people, PEOPLE)):
        schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in columns.items()])
        pq.write_table(pa.Table.from_pylist(table, schema), folder / f'{file}.parquet')
    counts = {'people': 1, 'frames': 2, 'labelled': 3, 'unlabelled': 4, 'faceless': 5}
    (folder / 'prepared.json').write_text(json.dumps({
        'format': 1, 'options': {}, 'counts': {
            'splits': dict.fromkeys(PEOPLE_OF, counts), 'excluded': 0}}))
    return folder


def write_features(folder, model_folder, seconds=20, made_of=''):
    """Write vectors in which the trace shows: the face has valence, the voice has arousal."""
    loaded = checkpoint.load(model_folder)
    spec = describe(loaded.model, loaded.tokenizer, WINDOWING)
    writer = ShardWriter(folder, spec, 1 << 20)
    mixing = {name: np.random.default_rng(number).normal(size=(2, spec['encoders'][name]['dim']))
              for number, name in enumerate(('video', 'audio', 'text'))}
    windows = WINDOWING.count(seconds)
    voice = loaded.model.voice_encoder
    vectors = int((WINDOWING.length_s - 2 * voice.first_s) / voice.step_s) + 1
    for name in (name for names in PEOPLE_OF.values() for name in names):
        random = np.random.default_rng(hash_of(name) + 1000)
        felt = trace(hash_of(name), seconds * FPS)
        seen = random.random(len(felt)) > 0.1
        starts_s = np.array([WINDOWING.start_ns(window) / NS for window in range(windows)])
        times_s = starts_s[:, None] + voice.first_s + voice.step_s * np.arange(vectors)
        at = (times_s * FPS).astype(int).clip(0, len(felt) - 1)
        tensors = {
            'video': {
                '': _noisy(felt * [1, 0.2], mixing['video'], random),
                '.mask': torch.from_numpy(seen),
                '.stamps': torch.arange(len(felt)) * (NS // FPS)},
            'audio': {
                '': _noisy(felt[at] * [0.2, 1], mixing['audio'], random),
                '.mask': torch.from_numpy(times_s >= 0),
                windows_key(name): torch.where(torch.arange(windows) % 5 == 0, -1,
                                               torch.arange(windows))},
            'text': {
                '': _noisy(felt[:windows], mixing['text'], random),
                '.words': torch.tensor([[0, WINDOWING.start_ns(window) + NS,
                                         WINDOWING.start_ns(window) + NS + NS // 2]
                                        for window in range(windows)]),
                windows_key(name): torch.tensor([[window, int(window % 3 == 0)]
                                                 for window in range(windows)])}}
        for modality, parts in tensors.items():
            key = key_of(spec, name, modality)
            writer.add({f'{key}{part}': value for part, value in parts.items()}, [{
                'person': name, 'modality': modality, 'key': key, 'rows': len(parts['']),
                'first_stamp_ns': 0, 'step_ns': WINDOWING.hop_ns, 'made_of': made_of}])
    writer.finish()
    return folder


def _noisy(felt, mixing, random):
    values = felt @ mixing + 0.3 * random.normal(size=(*felt.shape[:-1], mixing.shape[1]))
    return torch.from_numpy(values).half()


def hash_of(name):
    return sum(ord(letter) * 31 ** place for place, letter in enumerate(name)) % 9973
