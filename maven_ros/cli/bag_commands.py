"""The commands about bags and evaluation; :mod:`maven_ros.cli.main` adds them."""

from __future__ import annotations

import argparse
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from maven_ros.cli.arguments import (
    Declare,
    Group,
    add_group,
    add_settings,
    add_streams,
    names,
    settings_of,
)
from maven_ros.errors import MavenError
from maven_ros.text import printable, say

if TYPE_CHECKING:
    from maven_ros.replay.replay import Progress
    from maven_ros.replay.sources import Sources
    from maven_ros.replay.summary import Summary


def add_commands(declare: Declare, commands: Group) -> None:
    """Declare the commands."""
    _add_replay(declare)
    _add_bag(declare, add_group(commands, 'bag', 'Make bags.'))
    evaluate = add_group(commands, 'evaluate', 'Measure how good estimates are.')
    _add_evaluate(declare, evaluate)
    _add_evaluate_model(declare, evaluate)
    _add_compare(declare)
    one = declare('timeline', _timeline, 'Draw the states in a bag into a PNG.')
    one.add_argument('bag', type=Path)
    one.add_argument('--out', type=Path, help='PNG to write; beside the bag if omitted')


# --- replay and bags -------------------------------------------------------------------------


def _add_replay(declare: Declare) -> None:
    one = declare('replay', _replay, 'Replay a bag through the pipeline, in its own time.')
    one.add_argument('bag', type=Path, help='folder of a rosbag2, or one of its files')
    one.add_argument('--out', type=Path, help='folder for the results; BAG_affect if omitted. An '
                     'interrupted replay continues there')
    add_sources(one)
    one.add_argument('--start', type=float, default=0.0,
                     help='seconds to leave out at the beginning')
    one.add_argument('--duration', type=float, default=0.0, help='seconds to replay; 0 for all')
    one.add_argument('--rate', type=float, default=0.0,
                     help='seconds of the bag per second; 0 for as fast as possible')
    one.add_argument('--storage', choices=['mcap', 'sqlite3'], default='mcap',
                     help='storage of the written bag')
    add_settings(one)


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add flags that name a bag's topics; :func:`sources_of` reads them."""
    for role, what in (('image', 'Image or CompressedImage'), ('audio', 'any type of sound'),
                       ('robot-speaking', 'std_msgs/Bool'),
                       ('robot-audio', 'AudioChunk or AudioStamped that the robot plays'),
                       ('speech', 'hri_msgs/LiveSpeech'),
                       ('faces', 'hri_msgs/IdsList of a ROS4HRI face detector')):
        parser.add_argument(f'--{role}-topic', default='',
                            help=f'topic of {what}; found if omitted')


def sources_of(arguments: argparse.Namespace) -> Sources:
    """Return the topics from the flags of :func:`add_sources`."""
    from maven_ros.replay.sources import Sources

    return Sources(
        image=arguments.image_topic, audio=arguments.audio_topic,
        robot_speaking=arguments.robot_speaking_topic,
        robot_audio=arguments.robot_audio_topic, speech=arguments.speech_topic,
        faces=arguments.faces_topic)


def _add_bag(declare: Declare, group: Group) -> None:
    one = declare('from-media', _bag_from_media, 'Convert videos to bags.', group)
    one.add_argument('files', nargs='+', type=Path, metavar='FILE')
    one.add_argument('--out', type=Path, default=Path(),
                     help='folder of the bags, which are named as the files (default: this one)')
    one.add_argument('--storage', choices=['mcap', 'sqlite3'], default='mcap')
    one.add_argument('--raw', action='store_true', help='write raw pictures instead of JPEG')
    one.add_argument('--width', type=int, default=0, help='largest width of pictures in pixels')
    one.add_argument('--loop', type=int, default=1, help='number of times')
    add_streams(one)


def _replay(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.replay.replay import ReplayOptions, default_out, replay
    from maven_ros.tables import require_pyarrow

    require_pyarrow()
    settings, bag = settings_of(arguments), arguments.bag.resolve()
    import cv2

    cv2.setNumThreads(1)  # as in the affect node; the recogniser uses the other core
    options = ReplayOptions(
        sources=sources_of(arguments), start_s=arguments.start, duration_s=arguments.duration,
        rate=arguments.rate, storage=arguments.storage)
    out = arguments.out or default_out(bag)
    with progress_bar(bag.name) as progress:
        summary = replay(bag, settings, out, options, stop, progress)
    if summary is None:
        raise MavenError(f'interrupted; the same command continues from {out}')
    say(described(summary))
    say(out)


def described(summary: Summary) -> str:
    """Describe the results of a replay in a few lines."""
    lines = [f'{summary.duration_s:.1f} s in {summary.wall_s:.1f} s ({summary.speed:.1f} times '
             f'real time): {summary.states} states in {summary.windows} windows, '
             f'{len(summary.people)} people, {summary.utterances} utterances, by {summary.model}']
    return '\n  '.join([*lines, *summary.flaws])


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Progress]:
    """Show progress, speed and remaining time."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn('{task.description}', markup=False), BarColumn(), TaskProgressColumn(),
        TextColumn('{task.fields[seconds]}'),
        TextColumn('{task.fields[speed]}'), TimeRemainingColumn(),
        console=Console(stderr=True))
    task = bar.add_task(printable(name), total=None, seconds='', speed='')

    def show(done_s: float, total_s: float) -> None:
        bar.start()  # only now: the work may have been refused before
        bar.update(task, completed=done_s, total=total_s,
                   seconds=f'{done_s:.0f} of {total_s:.0f} s')
        speed = bar.tasks[0].speed
        bar.update(task, speed='' if speed is None else f'{speed:.1f}x')

    try:
        yield show
    finally:
        bar.stop()


def _bag_from_media(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.replay.from_media import MediaBag, bags_from_media

    def made(bag: MediaBag) -> None:
        report = bag.report
        say(f'{bag.path}: {report.frames} pictures, {report.chunks} chunks of sound, '
            f'{report.duration_ns / 1e9:.1f} s'
            + ''.join(f', {name} {n}' for name, n in bag.skipped.items()))

    bags_from_media(
        arguments.files, arguments.out, storage=arguments.storage, compressed=not arguments.raw,
        width=arguments.width, loop=arguments.loop, stop=stop, done=made,
        video_stream=arguments.video_stream, audio_stream=arguments.audio_stream)


def _timeline(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.report.timeline import draw_bag

    bag = arguments.bag.resolve()
    path = arguments.out or bag.with_name(f'{bag.name}.png')
    draw_bag(bag, path)
    say(path)


# --- evaluation ------------------------------------------------------------------------------


def _add_evaluate(declare: Declare, group: Group) -> None:
    one = declare('bags', _evaluate_bags, 'Replay bags, compare them with annotations, score '
                  'them and write a report.', group)
    one.add_argument('bags', nargs='+', type=Path, metavar='BAG')
    one.add_argument('--annotations', type=Path, metavar='DIR', help='folder of NAME.txt or '
                     'NAME.csv; the topic /affect/annotation of the bags if omitted')
    one.add_argument('--out', type=Path, default=Path('runs/evaluation'),
                     help='folder for the results (default %(default)s); an evaluation there is '
                     'replaced only by one of the same bags or more')
    one.add_argument('--without', nargs='+', default=[], metavar='PART',
                     help='ablations, each with its own result: video, audio, text, or a pathway '
                     'such as video_to_audio')
    one.add_argument('--offset-search', type=float, default=0.0, metavar='S',
                     help='search for a delay of the raters, up to S seconds either way')
    one.add_argument('--mismatch', choices=['exclude', 'cut'], default='exclude',
                     help='annotations with more or fewer lines than pictures, as some of '
                     'Aff-Wild2: not scored, or line i is picture i as far as both go '
                     '(default %(default)s)')
    one.add_argument('--draws', type=int, default=1000, help='draws of the bootstrap')
    one.add_argument('--seed', type=int, default=0, help='seed of the bootstrap')
    for name in ('pictures', 'words'):
        one.add_argument(f'--{name}', action='store_true', help=f'put {name} of the people '
                         'recorded into the report')
    one.add_argument('--workers', type=int, default=1, help='number of bags replayed at a time')
    one.add_argument('--ray', default='', metavar='ADDRESS',
                     help='replay on a Ray cluster that has the same files')
    add_sources(one)
    add_settings(one)


def _add_compare(declare: Declare) -> None:
    one = declare('compare', _compare, 'Compare two results of `evaluate bags`.')
    one.add_argument('first', type=Path,
                     help='the --out of a result, or the folder of an ablation in it')
    one.add_argument('second', type=Path)
    one.add_argument('--draws', type=int, default=1000, help='draws of the bootstrap')
    one.add_argument('--seed', type=int, default=0, help='seed of the bootstrap')


def _evaluate_bags(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from maven_ros.report.bag_annotations import check_annotations
    from maven_ros.report.benchmark import BenchmarkPlan, replay_all
    from maven_ros.report.console import as_text
    from maven_ros.report.kept import check_out, write_sets
    from maven_ros.report.outcome import score_replays
    from maven_ros.report.page import require_jinja, write_report
    from maven_ros.tables import require_pyarrow

    require_pyarrow()
    require_jinja()
    plan = BenchmarkPlan(
        bags=tuple(arguments.bags), annotations=arguments.annotations, out=arguments.out,
        settings=settings_of(arguments), without=tuple(arguments.without),
        offset_search_s=arguments.offset_search, sources=sources_of(arguments),
        draws=arguments.draws, seed=arguments.seed, mismatch=arguments.mismatch)
    check_out(plan)
    check_annotations(plan)
    errors = replay_all(plan, stop, progress_bar, arguments.workers, arguments.ray)
    outcome = score_replays(plan, errors)
    say(as_text(outcome))
    write_sets(outcome)
    write_report(outcome, plan.out / 'report.html', arguments.pictures, arguments.words)
    say(plan.out / 'report.html')
    return 0 if outcome.complete else 1


# --- models ----------------------------------------------------------------------------------


def _add_evaluate_model(declare: Declare, group: Group) -> None:
    one = declare('model', _evaluate_model, 'Reproduce every figure of a model card.', group)
    one.add_argument('model', type=Path, help='folder of the checkpoint, such as models/compact')
    one.add_argument('--data', type=Path, required=True, help='folder of the data sets')
    one.add_argument('--split', choices=['valid', 'test'], default='test',
                     help='(default %(default)s)')
    one.add_argument('--sets', type=names, default='', help='only these, with commas between')
    one.add_argument('--out', type=Path, default=Path('runs/evaluate/model'),
                     help='folder for tables and plots (default %(default)s)')
    one.add_argument('--card', action='store_true',
                     help="put the figures into the checkpoint's README.md, too")


def _evaluate_model(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.training.compact.card import evaluate
    from maven_ros.training.compact.card_report import PAGE, show, update_card, write

    found = evaluate(
        arguments.model, arguments.data, arguments.split, arguments.sets, arguments.out)
    show(found)
    write(found, arguments.out)
    if arguments.card:
        update_card(found, arguments.model / 'README.md')
    say(arguments.out / PAGE)


def _compare(arguments: argparse.Namespace, stop: threading.Event) -> None:
    from maven_ros.scoring.compare import as_text, compare
    from maven_ros.scoring.resultset import read_result_set

    say(as_text(compare(read_result_set(arguments.first), read_result_set(arguments.second),
                        arguments.draws, arguments.seed)))
