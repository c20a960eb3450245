"""The annotations of a benchmark's bags: checked before the replays, read after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from maven_ros.errors import InputError, MavenError, ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.replay.pictures import picture_stamps
from maven_ros.replay.replayed import name_of
from maven_ros.report.benchmark import BenchmarkPlan
from maven_ros.scoring.annotations import (
    ANNOTATION_TOPIC,
    Annotation,
    AnnotationFolder,
    parse_file,
    read_file,
    read_topic,
)

_SHOWN = 12  # refusals in one message


def annotation_files(plan: BenchmarkPlan) -> AnnotationFolder | None:
    """
    Return the files of a plan's annotations; None if the bags hold them.

    :raises ResourceError: if the folder does not exist, or holds no annotation file.
    """
    return AnnotationFolder(plan.annotations, [name_of(bag) for bag in plan.bags]) \
        if plan.annotations else None


def check_annotations(plan: BenchmarkPlan) -> None:
    """
    Check before the replays that each bag has annotations that can be parsed.

    Whether they fit to a bag's pictures is known after its replay.

    :raises ResourceError: names the line and the value of each fault.
    """
    files = annotation_files(plan)
    faults = [fault for bag in plan.bags for fault in _faults(bag, files)]
    if faults:
        more = [f'and {len(faults) - _SHOWN} more'] if len(faults) > _SHOWN else []
        raise ResourceError('\n  '.join([
            f'{plan.annotated_in}: nothing is replayed, because of these annotations:',
            *faults[:_SHOWN], *more]))


def readers(
    bag: Path, files: AnnotationFolder | None, image_topic: str, mismatch: str,
) -> Iterator[tuple[str, Callable[[], list[Annotation]]]]:
    """
    Yield each source of annotations of a bag, with a function that reads it.

    A bag that neither files nor a topic annotate is shown, but not scored.

    :raises InputError: if no file annotates the bag, or two annotate the same person.
    """
    if files is not None:
        for file, side in files.of_bag(name_of(bag)):
            yield file.name, partial(_read_file, file, side, bag, image_topic, mismatch)
    elif _is_annotated(bag):
        yield f'/{ANNOTATION_TOPIC}', partial(read_topic, bag)


def _read_file(
    file: Path, side: str, bag: Path, image_topic: str, mismatch: str,
) -> list[Annotation]:
    return read_file(file, side, picture_stamps(bag, image_topic), mismatch)


def _is_annotated(bag: Path) -> bool:
    with BagGraph(bag) as graph:
        return graph.resolve(ANNOTATION_TOPIC) in graph.topics()


def _faults(bag: Path, files: AnnotationFolder | None) -> Iterator[str]:
    checks: list[Callable[[], object]] = []
    try:
        if files is not None:
            checks += [partial(parse_file, file) for file, _ in files.of_bag(name_of(bag))]
        elif _is_annotated(bag):
            checks.append(partial(read_topic, bag))
    except InputError as refused:
        yield str(refused)
    except MavenError:
        return  # its replay says what is wrong with the bag
    for check in checks:
        try:
            check()
        except InputError as refused:
            yield str(refused)
        except MavenError:
            continue
