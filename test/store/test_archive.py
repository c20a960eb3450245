"""Archives are unpacked below their folder, or not at all."""

import re
import shutil
import stat
import zipfile

import pytest

from maven_ros.errors import ResourceError
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


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*')
                  if path.is_file())


def test_a_single_folder_at_the_top_is_left_out(archive, tmp_path):
    path = archive(names=['vosk-0.15/am/final.mdl', 'vosk-0.15/README', 'vosk-0.15/conf/'])
    unpack(path, tmp_path / 'out')
    assert files(tmp_path / 'out') == ['README', 'am/final.mdl']
    assert (tmp_path / 'out' / 'README').read_text() == 'in vosk-0.15/README'


@pytest.mark.parametrize('names', [['a', 'b'], ['a/x', 'b/x'], ['a/x', 'b']])
def test_else_it_is_unpacked_as_it_is(archive, tmp_path, names):
    unpack(archive(names=names), tmp_path / 'out')
    assert files(tmp_path / 'out') == names


@pytest.mark.parametrize('name', [
    '../evil', 'model/../../evil', '/tmp/evil', 'model\\..\\evil', 'C:/evil'])
def test_a_path_that_leads_out_is_refused_before_anything_is_unpacked(archive, tmp_path, name):
    path = archive(names=['model/good', name])
    with pytest.raises(ResourceError, match='leads out of the folder; nothing was unpacked'):
        unpack(path, tmp_path / 'out')
    assert files(tmp_path) == ['model.zip']


def test_a_link_is_refused(archive, tmp_path):
    link = zipfile.ZipInfo('model/link')
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ResourceError, match="'model/link' is a link"):
        unpack(archive((link, '/etc/passwd'), names=['model/good']), tmp_path / 'out')
    assert files(tmp_path / 'out') == []


def test_what_does_not_fit_is_refused_before_it_is_unpacked(archive, tmp_path):
    claimed = 2 ** 32 - 2
    count = shutil.disk_usage(tmp_path).free // claimed + 2
    path = archive(names=[f'file{i}' for i in range(count)])
    data = bytearray(path.read_bytes())
    for entry in re.finditer(b'PK\x01\x02', bytes(data)):
        data[entry.start() + 24:entry.start() + 28] = claimed.to_bytes(4, 'little')
    path.write_bytes(data)
    with pytest.raises(ResourceError, match=r'model.zip: needs [\d.]+ .B on the disk of'):
        unpack(path, tmp_path / 'out')
    assert files(tmp_path / 'out') == []


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
