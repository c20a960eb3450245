"""Of a broken MCAP, what is whole."""

import re
import struct

import pytest
from counted import record

from maven_ros.errors import ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph

HEAD = 49     # bytes of a chunk before its records
MESSAGE = 39  # bytes of the record of a count


@pytest.fixture(scope='module')
def content(tmp_path_factory):
    """Three chunks of counts, as they lie in a file."""
    path = record(tmp_path_factory.mktemp('whole') / 'bag', range(60_000))
    return next(path.glob('*.mcap')).read_bytes()


def records(content):
    """Yield where each record begins, its kind and its end."""
    at = 8
    while at + 9 <= len(content):
        kind, length = struct.unpack_from('<BQ', content, at)
        yield at, kind, at + 9 + length
        at += 9 + length


def read(path, content, **part):
    """Return what is heard, and what is said at the end."""
    path.write_bytes(content)
    times, said = [], ''
    with BagGraph(path) as graph:
        try:
            times += [one.received_ns for one in graph.read(['/x'], **part)]
        except ResourceError as error:
            said = str(error)
            times = []
            for one in iterate(graph, part):
                times.append(one.received_ns)
    return times, said


def iterate(graph, part):
    messages = graph.read(['/x'], **part)
    while True:
        try:
            yield next(messages)
        except (ResourceError, StopIteration):
            return


def test_a_whole_one_says_nothing(tmp_path, content):
    assert read(tmp_path / 'x.mcap', content) == (list(range(1000, 61_000)), '')


def test_all_whole_chunks_are_read_and_the_break_is_told_by_its_place(tmp_path, content):
    chunks = [(at, end) for at, kind, end in records(content) if kind == 6]
    assert len(chunks) >= 3
    at, end = chunks[1]
    first = len(read(tmp_path / 'x.mcap', content[:at])[0])
    for cut in (at + 5, at + 9, at + HEAD, at + HEAD + MESSAGE - 1, at + 1000, end - 1):
        more = max(0, (cut - at - HEAD) // MESSAGE)  # of the chunk that is not whole
        broken = at + HEAD + more * MESSAGE if more else at
        times, said = read(tmp_path / 'x.mcap', content[:cut])
        assert times == list(range(1000, 1000 + first + more)) and 10_000 < len(times) < 60_000
        assert re.search(rf'x.mcap: is damaged: .*broken at byte {broken} of {cut} \(.*\); '
                         rf'{len(times)} messages before that are whole', said)
    with_second = read(tmp_path / 'x.mcap', content[:end])[0]
    assert len(with_second) > len(times)
    assert with_second == list(range(1000, with_second[-1] + 1))


def test_a_chunk_whose_head_was_never_filled_in_is_read_as_far_as_it_was_written(
        tmp_path, content):
    """As of a recorder that writes the head last, and died: no sizes, no times, space behind."""
    at = [at for at, kind, _ in records(content) if kind == 6][1]
    unfilled = struct.pack('<BQQQQIIQ', 6, 2**64 - 1, 0, 0, 0, 0, 0, 2**64 - 1)
    first = len(read(tmp_path / 'x.mcap', content[:at])[0])
    more = 250
    cut = content[:at] + unfilled + content[at + HEAD:at + HEAD + more * MESSAGE] + bytes(500)
    times, said = read(tmp_path / 'x.mcap', cut)
    assert times == list(range(1000, 1000 + first + more))
    assert f'broken at byte {at + HEAD + more * MESSAGE} of {len(cut)}' in said
    assert read(tmp_path / 'x.mcap', cut, start_ns=1000 + first, end_ns=1000 + first + 9) == (
        list(range(1000 + first, 1000 + first + 9)), '')


def test_a_compressed_chunk_that_is_not_whole_is_given_up(tmp_path, content):
    at = [at for at, kind, _ in records(content) if kind == 6][1]
    head = content[at:at + 37] + struct.pack('<I4sQ', 4, b'zstd', 5000)
    times, said = read(tmp_path / 'x.mcap', content[:at] + head + bytes(range(1, 256)) * 4)
    assert times == read(tmp_path / 'x.mcap', content[:at])[0]
    assert f'broken at byte {at} of' in said


def test_where_only_what_is_whole_was_wanted_nothing_is_missing(tmp_path, content):
    cut = content[:len(content) * 2 // 3]
    assert read(tmp_path / 'x.mcap', cut, start_ns=1500, end_ns=2000) == (
        list(range(1500, 2000)), '')


def test_what_never_was_one_is_refused(tmp_path):
    (tmp_path / 'x.mcap').write_bytes(b'no MCAP at all, but long enough for a footer of one')
    with pytest.raises(ResourceError, match='cannot be read: File magic is invalid'):
        BagGraph(tmp_path / 'x.mcap')


def test_a_summary_that_ends_before_it_begins_is_not_believed(tmp_path, content):
    # The end of the recording was before its beginning, and all times that follow were wrong.
    data = bytearray(content)
    [at] = [at for at, kind, _ in records(content) if kind == 0x0b]
    data[at + 43:at + 51] = bytes(8)
    times, said = read(tmp_path / 'x.mcap', bytes(data))
    assert len(times) == 60_000 and 'its summary ends at 1 ns, before it begins' in said


def test_quality_of_service_that_is_none_is_damage(tmp_path, content):
    # rosbags met it with an AttributeError, which came out as it was.
    path = tmp_path / 'x.mcap'
    path.write_bytes(content.replace(b'reliability: reliable', b'reliability: ~       '))
    with pytest.raises(ResourceError, match=r'x\.mcap: cannot be read'):
        BagGraph(path)
