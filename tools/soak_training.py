#!/usr/bin/env python3
"""
Kill a training ten times at random and resume it: the weights are those of an undisturbed one.

It trains on a made-up set, on the processor, in deterministic mode. Not part of make test.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'test' / 'training'))

import recorded  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from maven_ros.training.loop import CHECKPOINT  # noqa: E402


def main():
    """Return 0 if the weights are the same."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--epochs', type=int, default=12)
    parser.add_argument('--seconds', type=int, default=20, help='of each recording')
    parser.add_argument('--seed', type=int, default=0, help='of the times of the kills')
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        command = prepare(folder, given)
        begun = time.monotonic()
        subprocess.run([*command, folder / 'whole'], check=True, stdout=subprocess.DEVNULL)
        whole_s = time.monotonic() - begun
        print(f'undisturbed: {whole_s:.1f} s', flush=True)
        kills = 0
        while kills < given.kills:
            kills += disturbed([*command, folder / 'killed'], chance.uniform(0, whole_s),
                               folder / 'killed')
        subprocess.run([*command, folder / 'killed'], check=True, stdout=subprocess.DEVNULL)
        same = compare(folder / 'whole', folder / 'killed')
    print(f'{kills} kills, seed {given.seed}: the weights are '
          + ('the same' if same else 'NOT THE SAME'))
    return 0 if same else 1


def prepare(folder, given):
    """Make up a set, and return the command that trains on it, without its folder."""
    recorded.write_model(folder / 'model')
    recorded.write_prepared(folder / 'data', given.seconds)
    recorded.write_features(folder / 'features', folder / 'model', given.seconds)
    (folder / 'run.yaml').write_text(yaml.safe_dump({
        'model': str(folder / 'model'), 'deterministic': True,
        'network': {'dropout': 0.2, 'head_dropout': 0.2},
        'loss': {'frames': 0.5, 'spread': 0.1},
        'loop': {'epochs': given.epochs, 'batch_size': 16, 'learning_rate': 0.005,
                 'select': 'mean_ccc'}}))
    return [sys.executable, '-m', 'maven_ros', 'train', 'run', '--config', folder / 'run.yaml',
            '--data', folder / 'data', '--features', folder / 'features', '--device', 'cpu',
            '--resume', '--out']


def disturbed(command, after_s, out):
    """Kill one after a while; say whether it still ran."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    time.sleep(after_s)
    killed = child.poll() is None
    child.kill()
    code = child.wait()
    if not killed and code:
        raise SystemExit(f'the training failed by itself: {code}')
    if killed:
        assert code == -signal.SIGKILL
        done = 'a checkpoint' if (out / CHECKPOINT).exists() else 'no checkpoint yet'
        print(f'killed after {after_s:.1f} s, {done}', flush=True)
    else:  # it had ended: only a run that is not done can be killed
        raise SystemExit('the training ended before it was killed as often; more --epochs')
    return killed


def compare(one, other):
    """Say whether the weights of two runs are the same, bit for bit."""
    first, second = (load_file(folder / 'model' / 'model.safetensors') for folder in (one, other))
    return first.keys() == second.keys() and all(
        bool((value == second[name]).all()) for name, value in first.items())


if __name__ == '__main__':
    sys.exit(main())
