"""A model as a whole: it is there complete and checked, or not at all."""

import json
import zipfile
from dataclasses import replace

import pytest
import torch
from full_disk import largest_file
from modelserver import IMPATIENT, entry, pinned, sha256
from safetensors.torch import load_file

from maven_ros.errors import CannotWrite, ResourceError
from maven_ros.held_files import LOCK
from maven_ros.store.fetch import Fetcher
from maven_ros.store.lock import Lock
from maven_ros.store.manifest import RemoteFile

CONFIG, WEIGHTS = b'{"a": 1}', bytes(range(256)) * 4000
PINNED = entry(pinned('config.json', CONFIG), pinned('sub/model.onnx', WEIGHTS))
HUB = entry(RemoteFile('config.json', None, None),
            RemoteFile('model.safetensors', None, None, otherwise='pytorch_model.bin'),
            url=None, hub='some/tiny', revision='main')
COMMIT = 'c0ffee' + '0' * 34


@pytest.fixture
def said():
    return []


@pytest.fixture
def fetch(site, root, said):
    fetcher = Fetcher(root, site.url, IMPATIENT, said.append)
    return fetcher.fetch


@pytest.fixture
def served(site):
    site.put('/all/config.json', CONFIG)
    site.put('/all/sub/model.onnx', WEIGHTS)
    return site


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*')
                  if path.is_file())


def test_a_model_comes_whole_with_its_lock(served, fetch, root, said):
    folder = fetch(PINNED)
    assert folder == root / 'tiny'
    assert names(root) == ['tiny/config.json', f'tiny/{LOCK}', 'tiny/sub/model.onnx']
    lock = Lock.read(folder)
    assert [(one.path, one.sha256) for one in lock.files] == [
        ('config.json', sha256(CONFIG)), ('sub/model.onnx', sha256(WEIGHTS))]
    assert [one.checked for one in lock.sources] == ['manifest', 'manifest']
    assert lock.sources[0].url == f'{served.url}/all/config.json'
    assert lock.faults(folder, PINNED) == []
    assert 'tiny: config.json, 8 B: sha256 equals the manifest\'s' in said


def test_a_sound_one_is_left_alone(served, fetch, said):
    folder = fetch(PINNED)
    (folder / 'notes.txt').write_text('mine')
    count = len(served.requests)
    fetch(PINNED)
    assert len(served.requests) == count
    assert said[-1] == f'tiny: is in {folder}, complete and unchanged'
    assert (folder / 'notes.txt').exists()


def test_a_damaged_one_is_fetched_anew(served, fetch, said):
    folder = fetch(PINNED)
    (folder / 'config.json').write_bytes(b'{"a": 2}')
    fetch(PINNED)
    assert (folder / 'config.json').read_bytes() == CONFIG
    assert any('changed: config.json' in line for line in said)


def test_files_of_the_user_are_never_replaced(served, fetch, root):
    folder = fetch(PINNED)
    (folder / 'config.json').unlink()
    (folder / 'notes.txt').write_text('mine')
    with pytest.raises(ResourceError, match=r'missing: config.json; must be fetched again, but '
                       r'notes.txt is not part of the model: move it away first'):
        fetch(PINNED)
    (root / 'other').mkdir()
    with pytest.raises(ResourceError, match='other: exists and was not fetched; move it away'):
        fetch(replace(PINNED, name='other'))


def test_what_came_before_a_failure_is_not_fetched_again(served, fetch, root):
    served.pages['/all/sub/model.onnx'].cuts = [500_000, 0, 0, 0]
    with pytest.raises(ResourceError, match='gave up'):
        fetch(PINNED)
    assert not (root / 'tiny').exists()
    assert names(root) == ['tiny.part/config.json', f'tiny.part/{LOCK}',
                           'tiny.part/sub/model.onnx.part']
    served.pages['/all/sub/model.onnx'].cuts.clear()
    fetch(PINNED)
    assert served.sent('/all/config.json') == len(CONFIG)
    assert served.sent('/all/sub/model.onnx') == len(WEIGHTS)
    assert not (root / 'tiny.part').exists()


def test_what_an_older_manifest_wanted_does_not_get_in(served, fetch, root):
    served.pages['/all/sub/model.onnx'].refusals = [403]
    with pytest.raises(ResourceError, match='403'):
        fetch(replace(PINNED, files=(pinned('config.json', CONFIG), PINNED.files[1])))
    new = b'{"a": 3}'
    served.put('/all/new.json', new)
    fetch(replace(PINNED, files=(pinned('new.json', new),)))
    assert names(root) == [f'tiny/{LOCK}', 'tiny/new.json']


def test_a_newer_manifest_makes_it_outdated(served, fetch):
    folder = fetch(PINNED)
    new = b'{"a": 3}'
    newer = replace(PINNED, files=(pinned('config.json', new), PINNED.files[1]))
    [fault] = Lock.read(folder).faults(folder, newer)
    assert (fault.kind, fault.path) == ('outdated', 'config.json')
    served.put('/all/config.json', new)
    fetch(newer)
    assert (folder / 'config.json').read_bytes() == new


def test_a_wrong_file_leaves_no_model(served, fetch, root):
    served.put('/all/sub/model.onnx', WEIGHTS[:-1] + b'!')
    with pytest.raises(ResourceError, match=r'model.onnx: sha256 is .* and the manifest says'):
        fetch(PINNED)
    assert names(root) == ['tiny.part/config.json', f'tiny.part/{LOCK}']


def test_what_cannot_fit_is_refused_before_anything_comes(served, fetch):
    huge = replace(PINNED, files=(*PINNED.files, RemoteFile('huge.onnx', 10 ** 18, 'a' * 64)))
    with pytest.raises(ResourceError, match=r'tiny: needs 1000000.0 TB on the disk of'):
        fetch(huge)
    assert served.requests == []


def test_two_fetches_of_one_model_do_not_meet(served, fetch, site, root):
    def meanwhile(path, done, total):
        with pytest.raises(ResourceError, match=r'tiny.part: another fetch is using it'):
            fetch(PINNED)
        met.append(path)

    met = []
    Fetcher(root, site.url, IMPATIENT, lambda text: None, meanwhile).fetch(PINNED)
    assert met


# --- the hub ---------------------------------------------------------------------------------


@pytest.fixture
def hub(site, tmp_path):
    """A repository whose weights are a pickle, behind a redirect that declares their hash."""
    torch.save({'weight': torch.ones(3, 4)}, tmp_path / 'weights.bin')
    weights = (tmp_path / 'weights.bin').read_bytes()
    (tmp_path / 'weights.bin').unlink()
    commit = {'X-Repo-Commit': COMMIT}
    site.put('/some/tiny/resolve/main/config.json', CONFIG, headers={**commit, 'ETag': '"ab"'})
    site.put(f'/some/tiny/resolve/{COMMIT}/pytorch_model.bin', redirect='/cdn/weights',
             headers={**commit, 'X-Linked-ETag': f'"{sha256(weights)}"'})
    site.put('/cdn/weights', weights)
    return site


def test_an_unpinned_model_is_one_commit_checked_as_far_as_the_server_says(hub, fetch, said):
    folder = fetch(HUB)
    lock = Lock.read(folder)
    assert (lock.revision, lock.commit) == ('main', COMMIT)
    assert {one.path: one.checked for one in lock.sources} == {
        'config.json': 'nothing', 'pytorch_model.bin': 'server'}
    assert f'tiny: main is not pinned in the manifest; fetched {COMMIT}' in said
    assert ('tiny: config.json, 8 B: not pinned in the manifest, and the server declares no '
            'sha256: not checked') in said
    assert lock.faults(folder, HUB) == []


def test_a_pickle_becomes_safetensors_and_goes(hub, fetch):
    folder = fetch(HUB)
    assert names(folder) == ['config.json', LOCK, 'model.safetensors']
    assert torch.equal(load_file(folder / 'model.safetensors')['weight'], torch.ones(3, 4))


def test_a_pickle_is_continued_by_the_next_fetch(hub, fetch):
    page = hub.pages['/cdn/weights']
    page.cuts = [1000, 0, 0, 0]
    with pytest.raises(ResourceError, match='gave up'):
        fetch(HUB)
    page.cuts.clear()
    fetch(HUB)
    assert hub.sent('/cdn/weights') == len(page.body)


def test_a_pickle_stays_where_the_disk_is_full_and_does_not_come_again(
        hub, fetch, root, tmp_path):
    weight = torch.ones(1000)  # in the pickle once, in safetensors for each of its names
    torch.save({str(number): weight for number in range(9)}, tmp_path / 'weights.bin')
    hub.pages[f'/some/tiny/resolve/{COMMIT}/pytorch_model.bin'].headers.pop('X-Linked-ETag')
    page = hub.put('/cdn/weights', (tmp_path / 'weights.bin').read_bytes())
    with largest_file(15_000), pytest.raises(
            CannotWrite, match=r'model.safetensors: cannot be written: .*File too large'):
        fetch(HUB)
    assert names(root) == ['tiny.part/config.json', f'tiny.part/{LOCK}',
                           'tiny.part/pytorch_model.bin']
    assert names(fetch(HUB)) == ['config.json', LOCK, 'model.safetensors']
    assert hub.sent('/cdn/weights') == len(page.body)


def test_safetensors_are_taken_where_there_are_some(hub, fetch):
    hub.put(f'/some/tiny/resolve/{COMMIT}/model.safetensors', WEIGHTS)
    folder = fetch(HUB)
    assert (folder / 'model.safetensors').read_bytes() == WEIGHTS


def test_a_malicious_pickle_is_refused_and_does_not_stay(hub, fetch, root):
    hub.pages[f'/some/tiny/resolve/{COMMIT}/pytorch_model.bin'].headers.pop('X-Linked-ETag')
    hub.put('/cdn/weights', b'cos\nsystem\n(S"touch owned"\ntR.')
    with pytest.raises(ResourceError, match=r'pytorch_model.bin: refused: not a file of weights'):
        fetch(HUB)
    assert names(root) == ['tiny.part/config.json', f'tiny.part/{LOCK}']


def test_a_model_without_its_file_is_said(site, fetch):
    with pytest.raises(ResourceError, match=r'/some/tiny/resolve/main/config.json: 404 Not Found'):
        fetch(HUB)


# --- archives --------------------------------------------------------------------------------


def zipped(tmp_path, members):
    path = tmp_path / 'x.zip'
    with zipfile.ZipFile(path, 'w') as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path.read_bytes()


def test_an_archive_is_unpacked_and_goes(site, fetch, tmp_path):
    data = zipped(tmp_path, {'vosk-0.15/am/final.mdl': 'm', 'vosk-0.15/conf/mfcc.conf': 'c'})
    site.put('/all/vosk-0.15.zip', data)
    one = entry(pinned('vosk-0.15.zip', data))
    folder = fetch(one)
    assert names(folder) == ['am/final.mdl', 'conf/mfcc.conf', LOCK]
    assert Lock.read(folder).faults(folder, one) == []


def test_an_archive_that_leads_out_is_refused_and_does_not_stay(site, fetch, root, tmp_path):
    data = zipped(tmp_path, {'../../evil': 'e'})
    site.put('/all/x.zip', data)
    with pytest.raises(ResourceError, match=r"'../../evil' leads out of the folder"):
        fetch(entry(pinned('x.zip', data)))
    assert names(root) == [f'tiny.part/{LOCK}']


# --- the lock --------------------------------------------------------------------------------


def test_every_kind_of_fault_is_named(served, fetch):
    folder = fetch(PINNED)
    (folder / 'config.json').unlink()
    (folder / 'sub' / 'model.onnx').write_bytes(WEIGHTS[:-1] + b'!')
    (folder / 'evil.py').write_text('')
    faults = [str(fault) for fault in Lock.read(folder).faults(folder, PINNED)]
    assert faults[0] == 'missing: config.json'
    assert faults[1].startswith('changed: sub/model.onnx (sha256 is ')
    assert faults[2] == 'extra: evil.py'
    (folder / 'sub' / 'model.onnx').write_bytes(b'short')
    assert 'changed: sub/model.onnx (5 bytes, not 1024000)' in map(
        str, Lock.read(folder).faults(folder, PINNED))


@pytest.mark.parametrize('text', ['', '[]', '{"name": "tiny"}', '{"sources": [{}], "files": []}'])
def test_a_broken_lock_is_refused_by_name(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    with pytest.raises(ResourceError, match=f'{LOCK}: not a lock of maven-ros'):
        Lock.read(tmp_path)


def test_the_lock_is_plain_json(served, fetch):
    values = json.loads((fetch(PINNED) / LOCK).read_text())
    assert values['name'] == 'tiny' and values['licence'] == 'MIT'
    assert values['files'][0] == {'path': 'config.json', 'size': 8, 'sha256': sha256(CONFIG)}
