"""Two processes train as one does, on the same batches."""

import json
import socket
import subprocess
import sys

import pytest
import recorded
import torch
import yaml

from maven_ros.cli.main import main
from maven_ros.errors import SettingsError
from maven_ros.training.loop import CHECKPOINT
from maven_ros.training.processes import Processes


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def launch(*command):
    """Start what `accelerate launch` starts on GPUs; on processors it would start MPI."""
    return subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node', '2', '--master_port',
         str(free_port()), *map(str, command)], capture_output=True, text=True, timeout=110)


def test_two_processes_lose_what_one_does(tmp_path):
    recorded.write_model(tmp_path / 'model')
    recorded.write_prepared(tmp_path / 'data', seconds=10)
    recorded.write_features(tmp_path / 'features', tmp_path / 'model', seconds=10)
    config = tmp_path / 'run.yaml'
    config.write_text(yaml.safe_dump({
        'model': str(tmp_path / 'model'), 'inputs': {'dropout': 0.2},
        'loss': {'frames': 0.5, 'spread': 0.1},
        'loop': {'epochs': 2, 'batch_size': 20, 'learning_rate': 0.01, 'precision': 'fp32',
                 'select': 'mean_ccc'}}))
    command = ['train', 'run', '--config', config, '--data', tmp_path / 'data', '--features',
               tmp_path / 'features', '--device', 'cpu', '--out']
    assert main([str(one) for one in (*command, tmp_path / 'out1')]) == 0
    done = launch('-m', 'maven_ros', *command, tmp_path / 'out2')
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count('causal: ') == 1  # one of them speaks
    one, two = (torch.load(tmp_path / out / CHECKPOINT)['history'] for out in ('out1', 'out2'))
    assert len(one) == len(two) == 2
    for alone, together in zip(one, two, strict=True):
        assert together[1] == pytest.approx(alone[1], abs=2e-4)
        assert together[2] == pytest.approx(alone[2], abs=2e-3)
    card = (tmp_path / 'out2/model/README.md').read_text()
    assert '2 processes on ' in card
    assert json.loads((tmp_path / 'out2/run.json').read_text())['loop']['batch_size'] == 20


SHARES = '''
import sys

import torch
from torch import nn

from maven_ros.training.processes import Processes

with Processes.launched('cpu') as processes:
    model = nn.ModuleDict({name: nn.Linear(2, 1, bias=False) for name in (
        'frozen', 'said', 'heard', 'missed')})
    model['frozen'].requires_grad_(False)
    share = torch.full((1, 2), processes.rank + 1.0)
    loss = model['heard'](share)
    if processes.rank == 1:
        loss = loss + model['said'](share)
    loss.sum().backward()
    stops = processes.add_gradients(model, stop=processes.rank == 0)
    added = {name: own.weight.grad for name, own in model.items()}
    torch.save({'stops': stops, **{
        name: None if one is None else one.tolist() for name, one in added.items()}},
        f'{sys.argv[1]}/{processes.rank}.pt')
'''


def test_what_one_share_alone_has_a_gradient_of_is_added_up_all_the_same(tmp_path):
    (tmp_path / 'shares.py').write_text(SHARES)
    done = launch(tmp_path / 'shares.py', tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}.pt') == {
            'stops': True, 'frozen': None, 'said': [[2, 2]], 'heard': [[3, 3]], 'missed': None}


def test_a_batch_is_parted_evenly_and_in_order():
    assert [Processes(rank, 3).part(12) for rank in range(3)] == [
        slice(0, 4), slice(4, 8), slice(8, 12)]
    with pytest.raises(SettingsError, match=r'loop.batch_size: 16 is no multiple of the 3 proc'):
        Processes(0, 3).part(16)
