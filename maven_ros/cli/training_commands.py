"""The commands that train; :mod:`maven_ros.cli.main` adds them."""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

from maven_ros.cli.arguments import Declare, names
from maven_ros.text import say

_DEVICE = 'auto (CUDA if present), cpu or cuda'


def add_commands(declare: Declare) -> None:
    """Declare the commands."""
    one = declare('train', _train, 'Train weights by a recipe; `train run` and '
                  '`train ablations` train on recorded people.')
    one.add_argument('recipe', help='a shipped recipe, such as compact, or the path of a YAML '
                     'file')
    one.add_argument('--data', type=Path, required=True, help='folder of the data sets')
    one.add_argument('--out', type=Path, help='folder of the run (default runs/train/RECIPE)')
    one.add_argument('--stages', type=names, default='',
                     help='only these stages, separated by commas')
    one.add_argument('--device', default='auto',
                     help=f'{_DEVICE}; the fusion is trained on the processor')

    one = declare('train run', _run, 'Train on a prepared set, export the weights for the node, '
                  'and score them. `accelerate launch -m maven_ros train run ...` uses several '
                  'GPUs or machines.')
    _add_run(one)
    one.add_argument('--resume', action='store_true', help='continue the run in --out, if there '
                     'is one')

    one = declare('train ablations', _ablations, 'Train and score each modality alone, and '
                  'without each of our changes to the published code. Continues after an '
                  'interruption.')
    _add_run(one)
    one.add_argument('--only', type=names, default='', help='only these, separated by commas: '
                     'full, video, audio, text, pooled, raw_head, unmasked')

    one = declare('predict', _predict, 'Predict every frame of a split of a prepared set, and '
                  'score the labelled ones.')
    one.add_argument('--model', type=Path, required=True, help='folder of the checkpoint')
    one.add_argument('--data', type=Path, required=True, help='the prepared set')
    one.add_argument('--features', type=Path, required=True, help='the output of `data embed`')
    one.add_argument('--split', default='valid', choices=['train', 'valid', 'test'])
    one.add_argument('--out', type=Path, required=True, help='folder for the results')
    one.add_argument('--smoothing', default='causal', choices=['none', 'causal', 'centred'],
                     help='none: the window that ended last; causal: smoothed as in the node; '
                     'centred: smoothed in both directions, for recordings only '
                     '(default %(default)s)')
    one.add_argument('--smoothing-s', type=float, default=1.0, metavar='S',
                     help='standard deviation of centred smoothing in s (default %(default)s)')
    one.add_argument('--device', default='auto', help=_DEVICE)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--config', type=Path, required=True,
                        help='YAML file, such as config/train/affwild2.yaml')
    parser.add_argument('--model', default='', help="checkpoint whose encoders are used, instead "
                        "of the file's")
    parser.add_argument('--data', type=Path, required=True, help='the prepared set')
    parser.add_argument('--features', type=Path, help='the output of `data embed`; not needed if '
                        'encoders are tuned')
    parser.add_argument('--out', type=Path, required=True, help='folder of the run; with several '
                        'machines, a shared folder')
    parser.add_argument('--device', default='auto', help=_DEVICE)


def _train(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.model.compute import choose_device
    from maven_ros.training.compact.recipe import read_recipe, train

    recipe = read_recipe(arguments.recipe)
    out = arguments.out or Path('runs/train') / Path(arguments.recipe).stem
    train(recipe, arguments.data, out, arguments.stages, choose_device(arguments.device), stop)
    say(out)


def _run(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.store.shelf import Model
    from maven_ros.tables import require_pyarrow
    from maven_ros.training.people.run import CARD, model_folder, train_run
    from maven_ros.training.people.run_card import scores_text, write_card
    from maven_ros.training.people.run_settings import read_run_settings
    from maven_ros.training.processes import Processes

    require_pyarrow()
    settings = read_run_settings(arguments.config, arguments.model)
    with Processes.launched(arguments.device) as processes:
        begun_s = time.monotonic()
        result = train_run(
            settings, arguments.data, arguments.features, arguments.out, processes=processes,
            stop=stop, resume=arguments.resume)
        if result is None:
            return
        card = (result.model or arguments.out) / CARD
        base = Model(settings.model, model_folder(settings.model))
        write_card(result, arguments.data, base.licence, time.monotonic() - begun_s, processes,
                   card)
        for name, (_, scores) in result.sets.items():
            say(f'{name}: {scores_text(scores.overall)}')
        say(result.model or f'{arguments.out}: no model for the node, because the node gives the '
            'network all modalities as masked sequences, and `inputs` differs')


def _ablations(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.tables import require_pyarrow
    from maven_ros.training.people.ablations import TABLE, run_ablations
    from maven_ros.training.people.run_settings import read_run_settings
    from maven_ros.training.processes import Processes

    require_pyarrow()
    settings = read_run_settings(arguments.config, arguments.model)
    with Processes.launched(arguments.device) as processes:
        run_ablations(
            settings, arguments.only, arguments.data, arguments.features, arguments.out,
            processes=processes, stop=stop)
        if processes.main:
            say((arguments.out / f'{TABLE}.md').read_text('utf-8').rstrip())
            say(arguments.out / f'{TABLE}.md')


def _predict(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.model.compute import choose_device
    from maven_ros.tables import require_pyarrow
    from maven_ros.training.people.predict import predict_and_score
    from maven_ros.training.people.run_card import scores_text

    require_pyarrow()
    scores = predict_and_score(
        arguments.model, arguments.data, arguments.features, arguments.split, arguments.out,
        arguments.smoothing, arguments.smoothing_s, choose_device(arguments.device))
    say(scores_text(scores) if scores else f'{arguments.split}: no labelled frame to score')
    say(arguments.out)
