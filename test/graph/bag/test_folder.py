"""Folders of bags whose metadata are missing, empty or wrong: their files tell what there is."""

import logging
import re

import pytest
from counted import record

from maven_ros.errors import ResourceError
from maven_ros.graph.bag.bag_graph import BagGraph


def heard(path):
    with BagGraph(path) as graph:
        found = [one.received_ns - 1000 for one in graph.read([*graph.topics()])]
        assert found == sorted(found)
        assert graph.span_ns == (1000 + found[0], 1001 + found[-1])
        assert sum(graph.message_counts().values()) == len(found)
    return found


def split(tmp_path, storage, numbers=range(12), metadata=False):
    """Write one recording in files of two messages each."""
    folder = tmp_path / 'talk'
    folder.mkdir()
    for number in numbers:
        part = record(tmp_path / f'talk_{number}', (2 * number, 2 * number + 1), storage)
        [file] = (one for one in part.iterdir() if one.name != 'metadata.yaml')
        file.rename(folder / file.name)
        if metadata and number == 0:
            (part / 'metadata.yaml').rename(folder / 'metadata.yaml')
    return folder


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_split_files_without_metadata_are_one_recording(tmp_path, storage, caplog):
    folder = split(tmp_path, storage)  # as text, 10 comes before 2
    assert heard(folder) == list(range(24))
    assert 'talk: has no metadata.yaml; its files are read by their names' in caplog.text
    assert 'not there' not in caplog.text


def test_a_part_that_is_missing_is_said(tmp_path, caplog):
    assert heard(split(tmp_path, 'mcap', (0, 3))) == [0, 1, 6, 7]
    assert '2 parts of talk are not there, such as number 1' in caplog.text


def test_parts_whose_times_overlap_are_read_in_the_order_of_time(tmp_path):
    (tmp_path / 'bag').mkdir()
    for number, numbers in enumerate([(5, 6, 9), (0, 2, 7), (20, 21)]):
        record(tmp_path / f'r_{number}', numbers)
        (tmp_path / f'r_{number}' / f'r_{number}.mcap').rename(
            tmp_path / 'bag' / f'r_{number}.mcap')
    assert heard(tmp_path / 'bag') == [0, 2, 5, 6, 7, 9, 20, 21]


def test_two_recordings_in_a_folder_are_not_taken_for_one(tmp_path):
    folder = split(tmp_path, 'mcap', (0, 1))
    (folder / 'talk_1.mcap').rename(folder / 'walk_1.mcap')
    with pytest.raises(ResourceError, match=(
            r'talk_0\.mcap, walk_1\.mcap: are several recordings, and no metadata\.yaml tells')):
        BagGraph(folder)
    (folder / 'walk_1.mcap').rename(folder / '._talk_0.mcap')  # as another system copies
    assert heard(folder) == [0, 1]


@pytest.mark.parametrize('said', ['', 'nothing', 'a: [', 'rosbag2_bagfile_information:',
                                  'rosbag2_bagfile_information: {version: 9}'])
def test_metadata_that_say_nothing_do_not_hide_the_files(tmp_path, said):
    bag = record(tmp_path / 'bag', range(5))
    (bag / 'metadata.yaml').write_text(said)
    assert heard(bag) == list(range(5))


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_metadata_get_wrong_is_taken_from_the_files(tmp_path, storage):
    bag = record(tmp_path / 'bag', range(5), storage, silent='/silent')
    metadata = bag / 'metadata.yaml'
    text = metadata.read_text()
    for name, value in (('message_count', 0), ('nanoseconds', 7),
                        ('nanoseconds_since_epoch', 99), ('storage_identifier', 'other'),
                        ('type_description_hash', "''"), ('version', 12)):
        wrong = re.sub(rf'(\b{name}:)\s+\S+', rf'\1 {value}', text)
        assert wrong != text
        metadata.write_text(wrong)
        assert heard(bag) == list(range(5))
    with BagGraph(bag) as graph:
        assert graph.message_counts() == {'/silent': 0, '/x': 5}
    metadata.write_text(re.sub(r'topics_with_message_count:(\n.*)+', 'files: []', text))
    assert heard(bag) == list(range(5))


def test_a_file_that_was_renamed_and_parts_that_metadata_do_not_name_are_read(tmp_path, caplog):
    folder = split(tmp_path, 'mcap', (0, 1, 2), metadata=True)
    assert heard(folder) == list(range(6))
    assert 'does not name talk_1.mcap, talk_2.mcap, and they are read, too' in caplog.text
    for name in ('talk_1.mcap', 'talk_2.mcap'):
        (folder / name).unlink()
    (folder / 'talk_0.mcap').rename(folder / 'other.mcap')
    assert heard(folder) == [0, 1]
    assert 'names talk_0.mcap, not there; read are other.mcap' in caplog.text


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_is_declared_and_not_there_is_told_once_the_rest_is_read(tmp_path, storage):
    bag = record(tmp_path / 'bag', range(5), storage)
    metadata = bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('message_count: 5', 'message_count: 46'))
    got = []
    with BagGraph(bag) as graph, pytest.raises(ResourceError, match=(
            r'bag: is damaged: metadata.yaml declares 46 messages, and its files hold 5')):
        for one in graph.read(['/x']):
            got.append(one)
    assert len(got) == 5
    with BagGraph(bag) as graph:  # a part of it is whole
        assert len(list(graph.read(['/x'], 1000, 1003))) == 3


def test_what_an_index_hides_is_told(tmp_path, monkeypatch):
    from rosbags.rosbag2.storage_mcap import McapReader

    bag = record(tmp_path / 'bag', range(5))
    whole = McapReader.messages
    monkeypatch.setattr(McapReader, 'messages', lambda *given: list(whole(*given))[:3].__iter__())
    with BagGraph(bag) as graph, pytest.raises(ResourceError, match=(
            'bag: is damaged: 5 messages are declared on /x, and 3 are there')):
        list(graph.read(['/x']))


def test_a_whole_bag_is_read_without_a_remark(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert heard(record(tmp_path / 'bag', range(5))) == list(range(5))
    assert not caplog.text
