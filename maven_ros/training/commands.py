"""The command that trains; :mod:`maven_ros.cli` adds it."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from maven_ros.arguments import Declare


def add_commands(declare: Declare) -> None:
    """Declare it."""
    one = declare('train', _train, 'Train weights from data, as a recipe has it.')
    one.add_argument('recipe', help="one that ships, such as compact, or a YAML file's path")
    one.add_argument('--data', type=Path, required=True, help='folder of the data sets')
    one.add_argument('--out', type=Path, help='folder of the run (default runs/train/RECIPE)')
    one.add_argument('--stages', default='', help='only these, with commas between')
    one.add_argument('--device', default='auto', help='auto (CUDA where present), cpu or cuda')


def _train(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.model.devices import choose_device
    from maven_ros.training.recipe import read_recipe, train

    recipe = read_recipe(arguments.recipe)
    out = arguments.out or Path('runs/train') / Path(arguments.recipe).stem
    stages = [name for name in arguments.stages.split(',') if name]
    train(recipe, arguments.data, out, stages, choose_device(arguments.device), stop)
    print(out)
