"""Two processes train as one does, on the same batches."""

import json
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

#: What two processes do: add up the gradients of two shares, then train as they are told.
BOTH = '''
import sys

import torch
from torch import nn

from maven_ros.cli.main import main
from maven_ros.training.processes import Processes

processes = Processes.launched('cpu')
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
Processes.launched = lambda device: processes  # a process joins no second time
sys.exit(main(sys.argv[2:]))
'''


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Return the folder of what one process trained and two did, and what the two said."""
    tmp_path = tmp_path_factory.mktemp('processes')
    recorded.write_model(tmp_path / 'model')
    recorded.write_prepared(tmp_path / 'data', seconds=10)
    recorded.write_features(tmp_path / 'features', tmp_path / 'model', seconds=10)
    config = tmp_path / 'run.yaml'
    config.write_text(yaml.safe_dump({
        'model': str(tmp_path / 'model'), 'inputs': {'dropout': 0.2},
        'loss': {'frames': 0.5, 'spread': 0.1},
        'loop': {'epochs': 2, 'batch_size': 20, 'learning_rate': 0.01, 'precision': 'fp32',
                 'select': 'mean_ccc'}}))
    command = [str(one) for one in (
        'train', 'run', '--config', config, '--data', tmp_path / 'data', '--features',
        tmp_path / 'features', '--device', 'cpu', '--out')]
    assert main([*command, str(tmp_path / 'out1')]) == 0
    (tmp_path / 'both.py').write_text(BOTH)
    # What `accelerate launch` starts on GPUs; on processors it would start MPI.
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2',
         tmp_path / 'both.py', tmp_path, *command, tmp_path / 'out2'],
        capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    return tmp_path, done.stdout


def test_two_processes_lose_what_one_does(trained):
    tmp_path, said = trained
    assert said.count('causal: ') == 1  # one of them speaks
    one, two = (torch.load(tmp_path / out / CHECKPOINT)['history'] for out in ('out1', 'out2'))
    assert len(one) == len(two) == 2
    for alone, together in zip(one, two, strict=True):
        assert together[1] == pytest.approx(alone[1], abs=2e-4)
        assert together[2] == pytest.approx(alone[2], abs=2e-3)
    card = (tmp_path / 'out2/model/README.md').read_text()
    assert '2 processes on ' in card
    assert json.loads((tmp_path / 'out2/run.json').read_text())['loop']['batch_size'] == 20


def test_what_one_share_alone_has_a_gradient_of_is_added_up_all_the_same(trained):
    for rank in range(2):
        assert torch.load(trained[0] / f'{rank}.pt') == {
            'stops': True, 'frozen': None, 'said': [[2, 2]], 'heard': [[3, 3]], 'missed': None}


def test_a_batch_is_parted_evenly_and_in_order():
    assert [Processes(rank, 3).part(12) for rank in range(3)] == [
        slice(0, 4), slice(4, 8), slice(8, 12)]
    with pytest.raises(SettingsError, match=r'loop.batch_size: 16 is not a multiple of the 3 p'):
        Processes(0, 3).part(16)
