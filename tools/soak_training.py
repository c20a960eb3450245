#!/usr/bin/env python3
"""
Kill a training ten times at random and resume it, and compare the weights with a training without
kills.

It trains on a generated set, on the CPU, in deterministic mode. It is not part of make test.
"""

import argparse
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'test' / 'training'))

import recorded  # noqa: E402

from maven_ros.cli.main import main as maven_ros  # noqa: E402
from maven_ros.training.loop import CHECKPOINT  # noqa: E402

# A fork of this process, so that a kill hits the training and not the import of torch.
COPIES = multiprocessing.get_context('fork')


def main():
    """Return 0 if the weights are the same."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--epochs', type=int, default=30)
    parser.add_argument('--seconds', type=int, default=20, help='length of each recording')
    parser.add_argument('--seed', type=int, default=0, help='seed of the kill times')
    given = parser.parse_args()
    torch.set_num_threads(1)
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        arguments = prepare(folder, given)
        whole_s = undisturbed([*arguments, folder / 'whole'])
        print(f'without kills: {whole_s:.1f} s', flush=True)
        killed = folder / 'killed'
        for kill in range(given.kills):
            disturbed([*arguments, killed], killed / CHECKPOINT, chance.choice((0, 1, 1)),
                      chance.uniform(0, whole_s / given.epochs))
            done = len(torch.load(killed / CHECKPOINT)['history']) if (
                killed / CHECKPOINT).exists() else 0
            print(f'killed {kill + 1} times, {done} epochs done', flush=True)
        undisturbed([*arguments, killed])
        same = compare(folder / 'whole', killed)
    print(f'{given.kills} kills, seed {given.seed}: the weights are '
          + ('the same' if same else 'NOT THE SAME'))
    return 0 if same else 1


def prepare(folder, given):
    """Generate a set; return the command that trains on it, without the output folder."""
    recorded.write_model(folder / 'model')
    recorded.write_prepared(folder / 'data', given.seconds)
    recorded.write_features(folder / 'features', folder / 'model', given.seconds)
    (folder / 'run.yaml').write_text(yaml.safe_dump({
        'model': str(folder / 'model'), 'deterministic': True,
        'network': {'dropout': 0.2, 'head_dropout': 0.2},
        'loss': {'frames': 0.5, 'spread': 0.1},
        'loop': {'epochs': given.epochs, 'batch_size': 16, 'learning_rate': 0.005,
                 'select': 'mean_ccc'}}))
    return ['train', 'run', '--config', folder / 'run.yaml', '--data', folder / 'data',
            '--features', folder / 'features', '--device', 'cpu', '--resume', '--out']


def undisturbed(arguments):
    """Train to the end; return the duration in seconds."""
    begun_s = time.monotonic()
    child = started(arguments)
    child.join()
    if child.exitcode:
        raise SystemExit(f'the training failed by itself: {child.exitcode}')
    return time.monotonic() - begun_s


def disturbed(arguments, path, epochs, after_s):
    """Kill a training some time after it has written a number of checkpoints."""
    child = started(arguments)
    before = stamp(path)
    while epochs and child.is_alive():
        time.sleep(0.005)
        if stamp(path) != before:
            before, epochs = stamp(path), epochs - 1
    child.join(after_s)
    child.kill()
    child.join()
    if child.exitcode != -signal.SIGKILL:
        raise SystemExit('the training ended before it was killed; more --epochs')


def stamp(path):
    """Return the modification time of a file; 0 if it does not exist."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def started(arguments):
    """Start a training in a copy of this process."""
    child = COPIES.Process(target=_train, args=([str(one) for one in arguments],))
    child.start()
    return child


def _train(arguments):
    sys.stdout = open('/dev/null', 'w')  # noqa: PTH123, SIM115
    sys.exit(maven_ros(arguments))


def compare(one, other):
    """Tell whether the weights of two runs are identical."""
    first, second = (load_file(folder / 'model' / 'model.safetensors') for folder in (one, other))
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items())


if __name__ == '__main__':
    sys.exit(main())
