"""``maven-ros models``: what people see of it, and that nothing but it ever downloads."""

import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from modelserver import entry, pinned
from safetensors.numpy import save_file

import maven_ros
from maven_ros.cli import model_commands as commands
from maven_ros.cli.main import main
from maven_ros.resources import resource
from maven_ros.store.manifest import RemoteFile

PACKAGE = Path(maven_ros.__file__).parent
CONFIG = json.dumps({
    'model_type': 'tiny', 'width': 4, 'id2label': dict.fromkeys('abcdefghijklmnopq')})
CARD = '---\nlicense: mit\n---\n\n# Tiny\n\nOf no use.\n'


@pytest.fixture
def weights(tmp_path):
    save_file({'a': np.zeros((1000, 250), np.float32), 'b': np.zeros(500, np.float16)},
              tmp_path / 'w.safetensors')
    return (tmp_path / 'w.safetensors').read_bytes()


@pytest.fixture
def tiny(site, weights, monkeypatch):
    """The only model of the manifest, on the server."""
    files = {'config.json': CONFIG.encode(), 'README.md': CARD.encode(),
             'model.safetensors': weights}
    for path, data in files.items():
        site.put(f'/all/{path}', data)
    one = entry(*(pinned(path, data) for path, data in files.items()), url=f'{site.url}/all',
                use='--speech.vosk_model {folder}')
    manifest = {'tiny': one}
    monkeypatch.setattr(commands, 'read_manifest', lambda: manifest)
    return manifest


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main(['models', *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err
    return run


def test_a_model_is_fetched_and_checked_and_told_of(tiny, root, run):
    code, out, _ = run('fetch', 'tiny', '--yes')
    assert code == 0
    assert 'licence  MIT: free for any use' in out
    assert out.index('licence  MIT') < out.index('config.json')
    assert out.endswith(f'use it: maven-ros run --speech.vosk_model {root / "tiny"}\n')
    assert run('verify', 'tiny')[:2] == (0, 'tiny: 3 files are unchanged\n')
    assert run('verify', str(root / 'tiny'))[0] == 0
    (root / 'tiny' / 'config.json').unlink()
    (root / 'tiny' / 'evil.py').write_text('')
    assert run('verify', 'tiny')[:2] == (1, 'tiny: missing: config.json\ntiny: extra: evil.py\n')


def test_verify_loads_what_was_not_fetched(run, tmp_path):
    code, said = run('verify', 'compact')[:2]
    assert code == 0 and said.startswith('compact: loads, as ')
    (tmp_path / 'config.json').write_text('{"model_type": "maven"')
    assert run('verify', str(tmp_path))[0] == 1


def test_verify_says_what_nothing_vouched_for(tiny, root, run):
    files = (RemoteFile('config.json', None, None), *tiny['tiny'].files[1:])
    tiny['tiny'] = replace(tiny['tiny'], files=files)
    run('fetch', 'tiny', '--yes')
    assert run('verify', 'tiny')[1] == ('tiny: 3 files are unchanged; fetched without '
                                        'a known hash: config.json\n')


def test_the_list_has_shipped_and_fetched_models(tiny, root, run):
    def row(name):
        lines = run('list')[1].splitlines()
        assert lines[0].split() == ['NAME', 'KIND', 'SIZE', 'LICENCE', 'STATE', 'WHERE']
        [line] = [line for line in lines if line.split()[0] == name]
        return re.split(r'\s{2,}', line)

    compact = row('compact')
    assert compact[1] == 'affect model' and compact[3] == 'cc-by-nc-sa-4.0'
    assert compact[4:] == ['trained', str(resource('models/compact'))]
    assert row('compact-small')[4:] == ['trained', str(resource('models/compact-small'))]
    assert row('tiny') == ['tiny', 'text encoder', '1.0 MB', 'MIT', 'not fetched', '-']
    run('fetch', 'tiny', '--yes')
    assert row('tiny')[3:] == ['MIT', 'trained', str(root / 'tiny')]


def test_info_tells_everything(tiny, root, run):
    assert 'to fetch it: maven-ros models fetch tiny' in run('info', 'tiny')[1]
    run('fetch', 'tiny', '--yes')
    for name in ('tiny', str(root / 'tiny')):
        out = run('info', name)[1]
        assert out.startswith('tiny: text encoder, trained\nlicence: MIT (free for any use)\n')
        assert 'parameters: 0.25 M\n' in out
        assert re.search(r'sha256 of model.safetensors: [0-9a-f]{64}\n', out)
        assert 'model_type: "tiny"\n    width: 4\n    id2label: 17 values\n' in out
        assert out.endswith('card:\n    # Tiny\n    Of no use.\n')


def test_info_of_the_shipped_model_and_of_any_folder(root, run, tmp_path):
    out = run('info', 'compact')[1]
    assert out.startswith('compact: affect model, trained\nlicence: cc-by-nc-sa-4.0\n')
    assert 'card:\n    # MAVEN compact' in out
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'config.json').write_text('{}')
    assert 'licence: not stated' in run('info', str(tmp_path / 'mine'))[1]
    (tmp_path / 'mine' / 'model.safetensors').write_bytes(b'<html>')
    code, _, err = run('info', str(tmp_path / 'mine'))
    assert code == 1 and 'model.safetensors: not a safetensors file' in err


@pytest.mark.parametrize(('arguments', 'message'), [
    (['fetch', 'nothing'], 'nothing: not in the manifest; it has tiny'),
    (['info', 'nothing'], 'nothing: neither a folder nor a model; models: compact'),
    (['verify', 'tiny'], 'tiny: not fetched; maven-ros models fetch tiny'),
    (['fetch', 'tiny', '--yes', '--base-url', 'ftp://x'], "base URL: 'ftp://x' does not begin"),
    (['fetch', 'tiny', '--yes', '--base-url', 'http://127.0.0.1:9/m'], 'http://127.0.0.1:9/m/all'),
])
def test_errors_name_the_thing(tiny, root, run, arguments, message, monkeypatch):
    monkeypatch.setattr('time.sleep', lambda _: None)
    code, _, err = run(*arguments)
    assert code == 1 and message in err


# --- licences --------------------------------------------------------------------------------


def test_without_a_terminal_agreement_has_to_be_given(tiny, root, run, site, monkeypatch):
    monkeypatch.setattr('sys.stdin', open(os.devnull))  # noqa: SIM115, PTH123
    code, out, err = run('fetch', 'tiny')
    assert code == 1 and '--yes: is needed to agree to the licences' in err
    assert 'licence  MIT' in out and site.requests == []


@pytest.mark.parametrize(('answer', 'agreed'), [('y', True), ('Yes', True), ('n', False),
                                                ('', False)])
def test_on_a_terminal_it_asks(tiny, root, run, site, monkeypatch, answer, agreed):
    master, slave = os.openpty()
    with os.fdopen(slave) as terminal, os.fdopen(master, 'w') as keyboard:
        monkeypatch.setattr('sys.stdin', terminal)
        keyboard.write(answer + '\n')
        keyboard.flush()
        code, out, err = run('fetch', 'tiny')
    assert f'Fetch this model under its licence into {root}? [y/N]' in out
    assert (code == 0) == agreed == bool(site.requests)
    assert agreed or 'not agreed: nothing was fetched' in err


#: ``maven-ros models`` with the manifest that is named first.
COMMAND = """
import functools, pathlib, sys
from maven_ros.cli import main, model_commands
from maven_ros.store.manifest import read_manifest
model_commands.read_manifest = functools.partial(read_manifest, pathlib.Path(sys.argv[1]))
sys.exit(main.main(['models', *sys.argv[2:]]))
"""


@pytest.fixture
def listed(site, tmp_path):
    """The only model of a manifest that is a file, and what the file of that model holds."""
    data = np.random.default_rng(0).bytes(229_738)
    (tmp_path / 'models.yaml').write_text(yaml.safe_dump({'faces': {
        'kind': 'face detector', 'purpose': 'tests', 'licence': 'MIT',
        'licence_means': 'free for any use', 'url': f'{site.url}/all',
        'use': '--faces.yunet_model {folder}', 'files': {
            'faces.onnx': {'size': len(data), 'sha256': hashlib.sha256(data).hexdigest()}}}}))
    return tmp_path / 'models.yaml', data


class Terminal:
    """The command in a process of its own, on a terminal."""

    def __init__(self, manifest, *arguments):
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, '-c', COMMAND, manifest, *arguments],
            stdin=slave, stdout=slave, stderr=slave, close_fds=True,
            env={**os.environ, 'TERM': 'xterm', 'COLUMNS': '120',
                 'PYTHONPATH': str(PACKAGE.parent)})
        os.close(slave)
        self.shown = ''

    def wait_for(self, text, limit_s=20.0):
        end_s = time.monotonic() + limit_s
        while text not in self.shown and time.monotonic() < end_s:
            if not select.select([self._master], [], [], 0.2)[0]:
                continue
            try:
                self.shown += os.read(self._master, 4096).decode(errors='replace')
            except OSError:  # the process has closed its end
                break
        assert text in self.shown, self.shown

    def type(self, text):
        os.write(self._master, text.encode())

    def interrupt(self):
        time.sleep(0.2)  # readline misses a signal between its prompt and its wait
        self._process.send_signal(signal.SIGINT)

    def end(self):
        code = self._process.wait(20)
        os.close(self._master)
        return code


def test_on_a_terminal_a_model_comes_with_a_bar_after_agreement(site, root, listed):
    manifest, data = listed
    site.put('/all/faces.onnx', data, cuts=[100_000])
    terminal = Terminal(manifest, 'fetch', 'faces')
    terminal.wait_for('[y/N]')
    assert 'licence  MIT: free for any use' in terminal.shown and site.requests == []
    terminal.type('y\n')
    terminal.wait_for('use it: maven-ros run --faces.yunet_model')
    assert terminal.end() == 0
    assert 'faces.onnx \x1b' in terminal.shown and '229.7 kB' in terminal.shown
    assert site.requests[1].range == 'bytes=100000-'
    assert (root / 'faces' / 'faces.onnx').read_bytes() == data
    assert main(['models', 'verify', str(root / 'faces')]) == 0


def test_ctrl_c_ends_the_question_and_the_download(site, root, listed):
    manifest, data = listed
    terminal = Terminal(manifest, 'fetch', 'faces')
    terminal.wait_for('[y/N]')
    terminal.interrupt()
    terminal.wait_for('stopped; the next fetch continues the download')
    assert terminal.end() == 128 + signal.SIGINT
    site.put('/all/faces.onnx', data, cuts=[1000], silent_s=5)
    terminal = Terminal(manifest, 'fetch', 'faces', '--yes')
    terminal.wait_for('1.0/229.7 kB')
    terminal.interrupt()
    terminal.wait_for('stopped')
    assert terminal.end() == 128 + signal.SIGINT
    assert (root / 'faces.part' / 'faces.onnx.part').stat().st_size == 1000


# --- the node --------------------------------------------------------------------------------


def test_nothing_but_the_command_line_knows_how_to_fetch():
    for path in PACKAGE.rglob('*.py'):
        if path.parent.name in ('store', 'cli'):
            continue
        text = path.read_text('utf-8')
        assert 'maven_ros.store' not in text, path
        assert not re.search(r'\b(urllib(?!\.parse)|requests|httpx|huggingface_hub)\b', text), path


def test_the_node_runs_without_it():
    modules = ['maven_ros.cli.main', 'maven_ros.pipeline', 'maven_ros.engine',
               'maven_ros.nodes.affect_node']
    code = (f'import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n'
            'assert not [name for name in sys.modules if name.startswith("maven_ros.store")]')
    subprocess.run([sys.executable, '-c', code], check=True,
                   env={**os.environ, 'PYTHONPATH': str(PACKAGE.parent)})


@pytest.mark.parametrize('lock', [
    '{', '{"name": ["a"], "licence": "x", "sources": [], "files": []}'])
def test_one_damaged_lock_stops_no_other_model(root, run, lock):
    (root / 'swin-base').mkdir(parents=True)
    (root / 'swin-base' / 'maven-ros-lock.json').write_text(lock)
    code, said = run('list')[:2]
    assert code == 0 and 'damaged' in said
    assert run('verify', 'compact')[0] == 0
    code, said = run('verify', 'swin-base')[:2]
    assert code == 1 and 'not a lock of maven-ros' in said


def test_a_folder_that_is_no_model_is_refused(run, tmp_path):
    code, *said = run('info', str(tmp_path))
    assert code == 1 and 'neither a config.json nor a lock' in ''.join(said)
