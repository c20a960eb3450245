"""A few faces, clips and sentences in the form of the real corpora."""

from fractions import Fraction

import av
import cv2
import numpy as np

from maven_ros.training.corpora.goemotions import GROUPS
from maven_ros.training.corpora.wild import FILE
from maven_ros.training.listed import Corpora, CorpusSettings

FACES = {'train': 24, 'valid': 12, 'test': 12}
FER_EMOTIONS = ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear',
                'contempt', 'unknown', 'NF')
LABELS = sorted(name for group in GROUPS.values() for name in group)


#: As a recipe lists them; of some at most so many pieces.
LISTED = (
    CorpusSettings('ferplus', 'faces', most=20), CorpusSettings('ravdess', 'speech/ravdess'),
    CorpusSettings('emobank', 'text/emobank'),
    CorpusSettings('goemotions', 'text/goemotions', most=8))

#: With corpora that have no test split.
WITH_NEMO = (*LISTED, CorpusSettings('nemo', 'speech/nemo', splits=('train', 'valid')),
             CorpusSettings('wild', 'faces', splits=('train', 'valid')))

#: Right eye, left eye, nose, corners of the mouth of a level face; its crop is 60 pixels wide.
LANDMARKS = np.array([[37.35, 40], [58.65, 40], [48, 50], [40, 62], [56, 62]], np.float32)


def corpora(folder, listed=LISTED):
    return Corpora(listed, folder)


def write(folder):
    random = np.random.default_rng(0)
    write_faces(folder / 'faces', random)
    write_wild(folder / 'faces', ['neutral', 'happy'] * 8)
    write_clips(folder / 'speech' / 'ravdess')
    write_listed_clips(folder / 'speech' / 'nemo', [
        (speaker, emotion) for speaker in ('EB0', 'IC0', 'KS0', 'MK0')
        for emotion in ('anger', 'happiness', 'neutral')])
    write_sentences(folder / 'text', random)
    return folder


def write_faces(folder, random):
    """Pictures whose stripes are finer the happier."""
    folder.mkdir(parents=True)
    for split, count in FACES.items():
        emotions = np.arange(count) % 8
        votes = np.zeros((count, 10), np.uint8)
        votes[np.arange(count), emotions] = 8
        votes[np.arange(count), (emotions + 1) % 8] = 2
        stripes = np.sin(np.arange(48) * (0.2 + 0.1 * emotions[:, None]))
        pictures = 128 + 80 * stripes[:, None, :] + 20 * random.normal(size=(count, 48, 48))
        np.savez(folder / f'ferplus_{split}.npz', images=pictures.clip(0, 255).astype(np.uint8),
                 votes=votes, names=np.array([str(index) for index in range(count)]),
                 emotions=np.array(FER_EMOTIONS))


def drawn_face(random, landmarks):
    """A face of random shades in which the eyes are white dots."""
    small = random.integers(40, 160, (12, 12, 3)).astype(np.uint8)
    picture = cv2.resize(small, (96, 96), interpolation=cv2.INTER_CUBIC)
    for x, y in landmarks[:2]:
        cv2.circle(picture, (round(float(x)), round(float(y))), 3, (255, 255, 255), -1)
    return picture


def write_wild(folder, emotions, landmarks=None, **changes):
    """One drawn face of each of the emotions, in a file like that of the faces in the wild."""
    random = np.random.default_rng(3)
    landmarks = np.stack([LANDMARKS] * len(emotions)) if landmarks is None else landmarks
    data = [cv2.imencode('.jpg', drawn_face(random, one))[1]
            for one in np.nan_to_num(landmarks)]
    arrays = {
        'jpeg': np.concatenate(data), 'emotion': np.array(emotions), 'landmarks': landmarks,
        'offsets': np.cumsum([0, *map(len, data)]), **changes}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / FILE, **arrays)
    return folder


def write_clips(folder):
    """One hum of each actor."""
    folder.mkdir(parents=True)
    for actor in range(1, 25):
        emotion = 1 + actor % 8
        write_clip(folder / f'03-01-0{emotion}-01-01-01-{actor:02}.flac', 100 * emotion, 0.75)


def write_listed_clips(folder, rows):
    """A hum for each row of speaker and emotion, and the table of them."""
    folder.mkdir(parents=True)
    lines = ['file\tspeaker\temotion']
    for index, (speaker, emotion) in enumerate(rows):
        name = f'{speaker}_{emotion}_{index}.opus'
        write_clip(folder / name, 100 + 10 * index)
        lines.append(f'{name}\t{speaker}\t{emotion}')
    (folder / 'clips.tsv').write_text('\n'.join(lines) + '\n')
    return folder


def write_clip(path, hz, seconds=0.5, rate_hz=16_000):
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    hum = 0.3 * np.sin(2 * np.pi * hz * times_s)
    with av.open(path, 'w') as container:
        codec = 'flac' if path.suffix == '.flac' else 'libopus'
        stream = container.add_stream(codec, rate=rate_hz, layout='mono')
        frame = av.AudioFrame.from_ndarray((hum * 32767).astype(np.int16)[None], 's16', 'mono')
        frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


def write_sentences(folder, random):
    words = ('good', 'bad', 'very', 'day', 'calm', 'angry', 'it', 'was', 'a')
    (folder / 'emobank').mkdir(parents=True)
    (folder / 'goemotions').mkdir()
    lines = ['id,split,V,A,D,text']
    for split in ('train', 'dev', 'test'):
        for index in range(10):
            text = ' '.join(random.choice(words, 3 + index % 5))
            valence, arousal = random.uniform(2, 4, 2).round(2)
            lines.append(f'{split}{index},{split},{valence},{arousal},3.0,{text}')
        comments = [f'{" ".join(random.choice(words, 4))}\t{index % len(LABELS)}\tid{index}'
                    for index in range(10)]
        (folder / 'goemotions' / f'{split}.tsv').write_text('\n'.join(comments) + '\n')
    (folder / 'emobank' / 'emobank.csv').write_text('\n'.join(lines) + '\n')
    (folder / 'goemotions' / 'labels.txt').write_text('\n'.join(LABELS) + '\n')
