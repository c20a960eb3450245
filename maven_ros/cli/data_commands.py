"""The commands that prepare data for training; :mod:`maven_ros.cli.main` adds them."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from maven_ros.cli.arguments import Declare, Group, add_group, add_settings, settings_of
from maven_ros.files import owner_only
from maven_ros.settings import Settings, load_values
from maven_ros.text import say

_SETS = ['aff-wild2']


def add_commands(declare: Declare, commands: Group) -> None:
    """Declare the commands."""
    data = add_group(commands, 'data', 'Prepare data for training.')
    _add_prepare(declare, data)
    _add_embed(declare, data)
    one = declare('generate', _generate, 'Compose a small data set in the layout of a real one, '
                  'to try out the other commands.', data)
    one.add_argument('set', choices=_SETS)
    one.add_argument('--out', type=Path, required=True, help='new or empty folder')
    one.add_argument('--data', type=Path, help='folder with FER+, RAVDESS and EmoBank to compose '
                     'from; drawn faces, babble and made-up words if omitted')
    one.add_argument('--videos', type=int, default=12,
                     help='number of videos (default %(default)s)')
    one.add_argument('--seconds', type=float, default=20.0,
                     help='length of each video in seconds (default %(default)s)')
    one.add_argument('--seed', type=int, default=0)


def _add_prepare(declare: Declare, group: Group) -> None:
    one = declare('prepare', _prepare, 'Extract faces, sound and words from videos, with a '
                  'manifest of every frame. Continues after an interruption.', group)
    one.add_argument('set', choices=_SETS)
    one.add_argument('--videos', type=Path, required=True, metavar='DIR',
                     help='folder with batch1, batch2, ...')
    one.add_argument('--annotations', type=Path, required=True, metavar='DIR',
                     help='folder with VA_Estimation_Challenge/Train_Set, Validation_Set')
    one.add_argument('--crops', type=Path, metavar='DIR', help='cropped and aligned faces, '
                     'NAME/00001.jpg; people without crops are tracked in the video')
    one.add_argument('--transcripts', type=Path, metavar='DIR', help='NAME.json, words with '
                     'text, start_ns, end_ns, confidence; without it words are recognised')
    one.add_argument('--out', type=Path, required=True, metavar='DIR')
    one.add_argument('--crop-px', type=int, default=112,
                     help='side of new crops in pixels (default %(default)s)')
    one.add_argument('--mismatch', default='cut', help='videos whose lines and frames differ in '
                     'number: cut (line i is frame i) or exclude (default %(default)s)')
    one.add_argument('--workers', type=int, default=1, help='number of videos at a time')
    add_settings(one)


def _add_embed(declare: Declare, group: Group) -> None:
    one = declare('embed', _embed, 'Encode a prepared set once, so that training reads vectors. '
                  'Continues after an interruption.', group)
    one.add_argument('--data', type=Path, required=True, metavar='DIR',
                     help='what `data prepare` wrote')
    one.add_argument('--model', type=Path, required=True, metavar='DIR',
                     help='a checkpoint whose encoders are used, such as models/compact')
    one.add_argument('--out', type=Path, required=True, metavar='DIR')
    one.add_argument('--length', type=float,
                     help='length of a window in seconds (default windows.length_s, 2)')
    one.add_argument('--hop', type=float, default=0.5,
                     help='seconds from one window to the next (default %(default)s); sound '
                     'needs length / hop times the disk space')
    one.add_argument('--device', default='auto', help='auto (CUDA if present), cpu or cuda')
    one.add_argument('--precision', choices=['auto', 'fp32', 'bf16'], default='auto')
    one.add_argument('--params-file', type=Path, action='append', default=[], help="a node's "
                     'ROS parameter file, for its windows, rates and gates')


def _prepare(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.cli.bag_commands import progress_bar
    from maven_ros.training.affwild2.layout import find_layout
    from maven_ros.training.affwild2.plan import PrepareOptions
    from maven_ros.training.affwild2.prepare import prepare
    from maven_ros.training.affwild2.prepared_report import REPORT

    options = PrepareOptions(settings_of(arguments), arguments.crop_px, arguments.mismatch)
    layout = find_layout(
        arguments.videos, arguments.annotations, arguments.crops, arguments.transcripts)
    with progress_bar('prepare') as progress:
        counts = prepare(layout, arguments.out, options, stop, progress, arguments.workers)
    for split, one in counts['splits'].items():
        say(f'{split}: {one["people"]} people, {one["frames"]} frames, {one["labelled"]} of '
            f'them labelled, {one["faceless"]} without a face')
    say(f'excluded: {counts["excluded"]} people; {arguments.out / REPORT} says why')


@owner_only()
def _embed(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.cli.bag_commands import progress_bar
    from maven_ros.model.checkpoint import load
    from maven_ros.model.compute import choose_device
    from maven_ros.tables import require_pyarrow
    from maven_ros.training.people.embed import Embedder
    from maven_ros.training.people.feature_spec import Windowing
    from maven_ros.training.people.prepared import PreparedSet

    require_pyarrow()
    values = {name: value for path in arguments.params_file
              for name, value in load_values(path).items()}
    if arguments.length is not None:
        values['windows.length_s'] = arguments.length
        values['windows.hop_s'] = min(arguments.length, arguments.hop)
    windowing = Windowing.of(Settings().with_values(values), arguments.hop)
    embedder = Embedder(
        PreparedSet(arguments.data), load(arguments.model), arguments.out, windowing,
        choose_device(arguments.device), arguments.precision)
    say(f'this will take {embedder.size()}')
    with progress_bar('embed') as progress:
        embedder.run(stop, progress)
    for cause, detail in embedder.counters.details().items():
        say(f'{cause}: {detail}')
    say(arguments.out)


def _generate(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.training.affwild2.generate import GenerateSettings, generate

    generate(arguments.out, GenerateSettings(
        arguments.videos, arguments.seconds, arguments.seed), arguments.data)
    out = arguments.out
    say(f'maven-ros data prepare aff-wild2 --videos {out / "videos"} --annotations '
        f'{out / "annotations"} --crops {out / "cropped_aligned"} --transcripts '
        f'{out / "transcripts"} --out DIR')
