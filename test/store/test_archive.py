"""Archives are unpacked below their folder, or not at all."""

import shutil
import stat
import zipfile
from types import SimpleNamespace

import pytest

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.held_files import inside
from maven_ros.store.archive import unpack


@pytest.fixture
def archive(tmp_path):
    def write(*members, names=()):
        path = tmp_path / 'model.zip'
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
            for name in names:
                file.writestr(name, f'in {name}')
            for member, data in members:
                file.writestr(member, data)
        return path
    (tmp_path / 'out').mkdir()
    return write


def test_a_single_folder_at_the_top_is_left_out(archive, tmp_path):
    path = archive(names=['vosk-0.15/am/final.mdl', 'vosk-0.15/README', 'vosk-0.15/conf/'])
    unpack(path, tmp_path / 'out')
    assert inside(tmp_path / 'out') == ['README', 'am/final.mdl']
    assert (tmp_path / 'out' / 'README').read_text() == 'in vosk-0.15/README'


@pytest.mark.parametrize('names', [['a', 'b'], ['a/x', 'b/x'], ['a/x', 'b']])
def test_else_it_is_unpacked_as_it_is(archive, tmp_path, names):
    unpack(archive(names=names), tmp_path / 'out')
    assert inside(tmp_path / 'out') == names


@pytest.mark.parametrize('name', [
    '../evil', 'model/../../evil', '/tmp/evil', 'model\\..\\evil', 'C:/evil'])
def test_a_path_that_leads_out_is_refused_before_anything_is_unpacked(archive, tmp_path, name):
    path = archive(names=['model/good', name])
    with pytest.raises(ResourceError, match='leads out of the folder; nothing was unpacked'):
        unpack(path, tmp_path / 'out')
    assert inside(tmp_path) == ['model.zip']


def test_a_link_is_refused(archive, tmp_path):
    link = zipfile.ZipInfo('model/link')
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ResourceError, match="'model/link' is a link"):
        unpack(archive((link, '/etc/passwd'), names=['model/good']), tmp_path / 'out')
    assert inside(tmp_path / 'out') == []


def refused(path, folder, message):
    with pytest.raises(ResourceError, match=message) as raised:
        unpack(path, folder)
    assert '\n' not in str(raised.value) and not isinstance(raised.value, CannotWrite)
    assert inside(folder) == []


@pytest.mark.parametrize('name', [
    '.', 'model/\x1b[2J', 'a' * 256, 'ü' * 128, 'model/a\nb', 'a/' + 'x' * 300 + '/b'])
def test_what_is_no_name_is_refused(archive, tmp_path, name):
    refused(archive(names=[name, 'good']), tmp_path / 'out', 'is no name of a file; nothing was')


def test_what_does_not_fit_is_refused_before_it_is_unpacked(archive, tmp_path, monkeypatch):
    path = archive(names=['a', 'b'])
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: SimpleNamespace(free=5))
    with pytest.raises(CannotWrite, match=r'model.zip: needs 8 B on the disk of .*, and 5 B are'):
        unpack(path, tmp_path / 'out')
    assert inside(tmp_path / 'out') == []


def test_a_bomb_is_refused_before_it_is_unpacked(archive, tmp_path):
    refused(archive(('a', b'0' * 20_000_000)), tmp_path / 'out',
            r'model.zip: unpacks to 20.0 MB, over 20 times its size; nothing was unpacked')
    refused(archive(names=map(str, range(10_001))), tmp_path / 'out',
            'holds 10001 files; allowed: up to 10000')


def test_a_size_that_is_not_true_unpacks_no_more_than_that(archive, tmp_path):
    path = archive(('a', b'0' * 1_000_000))
    data = bytearray(path.read_bytes())
    entry = data.index(b'PK\x01\x02')
    data[entry + 24:entry + 28] = (100).to_bytes(4, 'little')
    path.write_bytes(data)
    with pytest.raises(ResourceError, match='not a sound zip archive: Bad CRC-32'):
        unpack(path, tmp_path / 'out')
    assert sum(one.stat().st_size for one in (tmp_path / 'out').iterdir()) <= 100


@pytest.mark.parametrize(('method', 'number'), [(zipfile.ZIP_LZMA, 14), (zipfile.ZIP_BZIP2, 12)])
def test_other_methods_are_refused_by_name(tmp_path, method, number):
    (tmp_path / 'out').mkdir()
    with zipfile.ZipFile(tmp_path / 'model.zip', 'w', method) as file:
        file.writestr('a', 'b')
    refused(tmp_path / 'model.zip', tmp_path / 'out',
            f"'a' is packed by method {number}; allowed: stored, deflated")


def test_an_empty_archive_is_no_model(archive, tmp_path):
    refused(archive(), tmp_path / 'out', 'model.zip: holds no file')
    refused(archive(names=['model/']), tmp_path / 'out', 'model.zip: holds no file')


@pytest.mark.parametrize('names', [
    ['model.zip', 'b'], ['model.zip/a', 'b'], ['a', 'a'], ['a', 'a/b'], ['a/b', 'a'],
    ['m/maven-ros-lock.json', 'm/a']])
@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_nothing_that_is_there_is_replaced(archive, tmp_path, names):
    # A member named as the archive made it read what it was writing.
    path = archive(names=names)
    (tmp_path / 'maven-ros-lock.json').write_text('{}')
    before = inside(tmp_path), path.read_bytes()
    with pytest.raises(ResourceError, match=r'already; nothing was|is a file and a folder; noth'):
        unpack(path, tmp_path)
    assert (inside(tmp_path), path.read_bytes()) == before


def test_damage_is_said(archive, tmp_path):
    path = archive(('a', b'x' * 10_000))
    data = bytearray(path.read_bytes())
    data[40] ^= 255
    path.write_bytes(data)
    with pytest.raises(ResourceError, match=r'model.zip: not a sound zip archive'):
        unpack(path, tmp_path / 'out')
    path.write_bytes(b'<html>')
    with pytest.raises(ResourceError, match=r'model.zip: not a sound zip archive'):
        unpack(path, tmp_path / 'out')
