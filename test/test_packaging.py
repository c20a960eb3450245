"""The package as others get it: what is built, installed and declared, and that it agrees."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import xml.etree.ElementTree as ET
import zipfile
from email import message_from_bytes
from email.utils import parseaddr
from pathlib import Path

import pytest
from inputs import ROOT, SAMPLE
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import maven_ros

PYTHONS = ['3.10', '3.11', '3.12', '3.13']
SHIPPED = ('config', 'media', 'models', 'msg')


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(*folders):
    if not (ROOT / '.git').exists():
        pytest.skip('not a git checkout')
    return run('git', 'ls-files', '-z', '--', *folders, cwd=ROOT).split('\0')[:-1]


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """Build an sdist from the tracked files, and a wheel from the sdist, as pip would."""
    # A distribution's own setuptools, as ROS's Python has it, builds wheels with this beside it.
    if importlib.util.find_spec('setuptools.command.bdist_wheel') is None:
        pytest.importorskip('wheel')
    top = tmp_path_factory.mktemp('build')
    source = top / 'source'
    for name in tracked('.'):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    build = 'from setuptools import build_meta; print(build_meta.build_{}({!r}))'
    out = str(top)
    sdist = run(sys.executable, '-c', build.format('sdist', out), cwd=source).split()[-1]
    with tarfile.open(top / sdist) as file:
        file.extractall(top)
    unpacked = top / sdist.removesuffix('.tar.gz')
    wheel = run(sys.executable, '-c', build.format('wheel', out), cwd=unpacked).split()[-1]
    return unpacked, top / wheel


@pytest.fixture(scope='module')
def metadata(built):
    with zipfile.ZipFile(built[1]) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith('.dist-info/METADATA')]
        return message_from_bytes(wheel.read(name))


@pytest.fixture(scope='module')
def manifest():
    return ET.parse(ROOT / 'package.xml').getroot()


# --- what is built ---------------------------------------------------------------------------


def test_the_wheel_carries_every_module_and_every_shipped_file(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
    data = f'maven_ros-{maven_ros.__version__}.data/data/share/maven_ros/'
    assert set(tracked('maven_ros')) <= names
    assert {data + name for name in tracked(*SHIPPED)} <= names
    assert {name.split('/')[0] for name in names} == {
        'maven_ros', f'maven_ros-{maven_ros.__version__}.data',
        f'maven_ros-{maven_ros.__version__}.dist-info'}


def test_the_sdist_carries_every_tracked_file(built):
    missing = [name for name in tracked('.') if not (built[0] / name).exists()]
    assert missing in ([], ['.gitignore'])


def test_every_module_folder_is_a_package():
    folders = {Path(name).parent for name in tracked('maven_ros') if name.endswith('.py')}
    assert [folder for folder in sorted(folders) if not (ROOT / folder / '__init__.py').exists()
            ] == []


def test_an_installed_wheel_finds_its_resources_and_has_its_command(built, tmp_path):
    venv.create(tmp_path / 'env', with_pip=False)
    python = tmp_path / 'env' / 'bin' / 'python'
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '--quiet', '--no-deps',
        '--no-index', '--disable-pip-version-check', built[1])
    # A ROS workspace that is sourced has a maven_ros of its own, which would come first.
    outside = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    found = run(python, '-c', 'from maven_ros.resources import resource\n'
                'print(resource("msg/AffectState.msg"), resource("media/sample.mp4"),\n'
                '      resource("models/yunet/face_detection_yunet_2026may.onnx"))',
                cwd=tmp_path, env=outside)
    assert [Path(path).relative_to(tmp_path.resolve()) for path in found.split()] == [
        Path('env/share/maven_ros/msg/AffectState.msg'),
        Path('env/share/maven_ros/media/sample.mp4'),
        Path('env/share/maven_ros/models/yunet/face_detection_yunet_2026may.onnx')]
    command = (tmp_path / 'env' / 'bin' / 'maven-ros').read_text()
    assert 'from maven_ros.cli.main import main' in command


def test_a_folder_of_this_name_does_not_hide_the_package(tmp_path):
    (tmp_path / 'maven_ros').mkdir()  # as a clone is, seen from the folder above
    done = run(sys.executable, '-c', 'import maven_ros; print(maven_ros.__file__)', cwd=tmp_path)
    assert Path(done.strip()).name == '__init__.py'


def test_the_script_for_ros2_run_is_the_command_line():
    script = ROOT / 'scripts' / 'maven-ros'
    assert os.access(script, os.X_OK)
    said = run(sys.executable, script, '--version', env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert said.split() == ['maven-ros', maven_ros.__version__]


# --- versions and dependencies ---------------------------------------------------------------


def test_versions_and_licences_agree(metadata, manifest):
    changelog = (ROOT / 'CHANGELOG.md').read_text(encoding='utf-8')
    assert metadata['Version'] == maven_ros.__version__
    assert manifest.findtext('version') == maven_ros.__version__
    assert re.search(r'^## (\S+)', changelog, re.MULTILINE)[1] == maven_ros.__version__
    assert (metadata['License-Expression'] or metadata['License']) == 'Apache-2.0'
    assert manifest.findtext('license') == 'Apache-2.0'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text(encoding='utf-8')


def pins(python):
    """Return {package: version} that constraints.txt gives for a Python version."""
    found = {}
    for line in (ROOT / 'constraints.txt').read_text(encoding='utf-8').splitlines():
        if not line or line.startswith('#'):
            continue
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate({'python_version': python}):
            [version] = [one.version for one in pin.specifier if one.operator == '==']
            name = canonicalize_name(pin.name)
            assert name not in found, f'{name} is pinned twice for Python {python}'
            found[name] = version
    return found


@pytest.mark.parametrize('python', PYTHONS)
def test_every_requirement_is_pinned_within_its_range(metadata, python):
    pinned = pins(python)
    for text in metadata.get_all('Requires-Dist'):
        wanted = Requirement(text)
        version = pinned.get(canonicalize_name(wanted.name))
        assert version, f'{wanted.name} is not pinned for Python {python}'
        assert wanted.specifier.contains(version), f'{version} is not in {text}'


def test_torch_is_pinned_and_the_heavy_parts_are_extras(metadata):
    assert {pins(python)['torch'] for python in PYTHONS} == {'2.13.0'}
    core = {canonicalize_name(Requirement(text).name) for text in metadata.get_all('Requires-Dist')
            if 'extra ==' not in text}
    assert core.isdisjoint({'cyclonedds', 'rosbags', 'faster-whisper', 'vosk', 'av',
                            'sounddevice'})
    assert {'bag', 'dds', 'media', 'whisper', 'vosk', 'plot', 'evaluation', 'ray',
            'train', 'view', 'demo', 'test'} == set(
        metadata.get_all('Provides-Extra'))


# --- the ROS package -------------------------------------------------------------------------


def test_package_xml_is_what_ament_accepts(manifest):
    assert manifest.tag == 'package' and manifest.get('format') == '3'
    assert manifest.findtext('name') == 'maven_ros'
    assert re.fullmatch(r'[^@\s]+@[^@\s]+\.[^@\s]+', manifest.find('maintainer').get('email'))
    assert parseaddr(manifest.find('maintainer').get('email'))[1]
    assert manifest.findtext('export/build_type') == 'ament_cmake'
    assert manifest.findtext('member_of_group') == 'rosidl_interface_packages'
    assert 'rosidl_default_generators' in {one.text for one in manifest.iter('buildtool_depend')}
    assert 'rosidl_default_runtime' in {one.text for one in manifest.iter('exec_depend')}


def test_cmake_generates_every_message_with_what_it_depends_on(manifest):
    cmake = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    block = re.search(r'rosidl_generate_interfaces\((.*?)\)', cmake, re.DOTALL)[1]
    messages, dependencies = block.split('DEPENDENCIES')
    assert messages.split()[1:] == ['${interfaces}']
    assert re.search(r'file\(GLOB interfaces .* msg/\*\.msg srv/\*\.srv\)', cmake)
    assert {path.suffix for path in (ROOT / 'msg').iterdir()} == {'.msg'}
    assert {path.suffix for path in (ROOT / 'srv').iterdir()} == {'.srv'}
    used = {package for path in (*(ROOT / 'msg').glob('*.msg'), *(ROOT / 'srv').glob('*.srv'))
            for package in re.findall(r'^(\w+)/', path.read_text(), re.MULTILINE)}
    assert used <= set(dependencies.split())
    for package in dependencies.split():
        assert f'find_package({package} REQUIRED)' in cmake
        assert package in {one.text for one in manifest.iter('depend')}


def test_cmake_installs_the_folders_that_a_fresh_clone_has():
    cmake = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    [folders] = re.findall(r'DIRECTORY (.*) DESTINATION share', cmake)
    [programs] = re.findall(r'PROGRAMS\s+(.*?)\s+DESTINATION', cmake, re.DOTALL)
    present = [name for name in ('config', 'launch', 'media', 'models') if tracked(name)]
    assert sorted(folders.split()) == present
    assert sorted(programs.split()) == tracked('scripts')


@pytest.mark.parametrize('script', sorted((ROOT / 'scripts').iterdir()), ids=lambda one: one.name)
def test_every_executable_starts_a_function_that_is_there(script):
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding='utf-8')
    assert text.startswith('#!/usr/bin/env python3\n')  # the Python of the active environment
    module, function = re.search(r'^from (\S+) import (\w+)$', text, re.MULTILINE).groups()
    assert f'sys.exit({function}())' in text
    if importlib.util.find_spec(module) is None:
        pytest.skip(f'no {module}')
    assert callable(getattr(importlib.import_module(module), function))


def test_what_the_launch_files_start_is_declared(manifest):
    declared = {one.text for one in manifest if one.tag.endswith('depend')} | {'maven_ros'}
    optional = {'usb_cam'}
    for path in (ROOT / 'launch').glob('*.launch.py'):
        text = path.read_text(encoding='utf-8')
        used = set(re.findall(r"package='(\w+)'", text))
        used |= set(re.findall(r'^from (\w+)', text, re.MULTILINE))
        assert used <= declared | optional, path.name
        assert set(re.findall(r"executable='(\w+)'", text)) <= {
            Path(name).name for name in tracked('scripts')} | {'usb_cam_node_exe'}


def test_the_source_folder_leaves_room_for_the_generated_messages():
    assert not (ROOT / 'maven_ros' / 'msg').exists()


# --- make and CI -----------------------------------------------------------------------------


def make(*arguments):
    if shutil.which('make') is None:
        pytest.skip('no make')
    return subprocess.run(['make', *arguments], cwd=ROOT, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, 'MAKEFLAGS': ''})


def test_make_help_names_the_two_commands():
    said = make('help').stdout
    assert 'make demo' in said and 'make test' in said


def test_make_clean_says_what_it_keeps_and_clean_runs_removes_it(tmp_path):
    (tmp_path / 'runs').mkdir()
    (tmp_path / 'runs' / 'bag').write_bytes(bytes(2_000_000))
    (tmp_path / 'build').mkdir()
    elsewhere = '-f', str(ROOT / 'Makefile'), '-C', str(tmp_path), 'MODELS=/nowhere'
    said = make(*elsewhere, 'clean').stdout
    assert re.search(r'kept: runs/, 2.0M of recordings and results; make clean-runs removes', said)
    assert 'models' not in said and [one.name for one in tmp_path.iterdir()] == ['runs']
    assert make(*elsewhere, 'clean-runs').returncode == 0 and not [*tmp_path.iterdir()]
    assert 'make clean-runs' in make('help').stdout


def test_make_refuses_another_python_by_name(tmp_path):
    old = tmp_path / 'python3.9'
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1\nexit 1\n')
    old.chmod(0o755)
    done = make('demo', f'PYTHON={old}', f'VENV={tmp_path / "env"}')
    assert done.returncode != 0
    assert 'is Python 3.9.1, not Python 3.10 to 3.13' in done.stderr


def test_ci_runs_make_test():
    script = ROOT / '.ci' / 'run'
    assert os.access(script, os.X_OK)
    assert 'make test' in script.read_text()


# --- the sample ------------------------------------------------------------------------------


def test_the_sample_is_small_and_has_a_picture_and_a_sound():
    av = pytest.importorskip('av')
    assert SAMPLE.stat().st_size < 500_000
    with av.open(str(SAMPLE)) as container:
        assert 12 <= container.duration / 1e6 <= 15
        assert container.streams.video[0].codec_context.name == 'h264'
        assert container.streams.video[0].average_rate == 25
        assert container.streams.audio[0].codec_context.name == 'aac'


def test_the_sample_can_be_made_again(tmp_path):
    if shutil.which('espeak-ng') is None:
        pytest.skip('no espeak-ng')
    av = pytest.importorskip('av')
    pytest.importorskip('skimage')
    for name in ('one.mp4', 'two.mp4'):
        run(sys.executable, ROOT / 'tools' / 'make_sample.py', tmp_path / name)
    one, two = (hashlib.sha256((tmp_path / name).read_bytes()).digest()
                for name in ('one.mp4', 'two.mp4'))
    assert one == two
    with av.open(str(tmp_path / 'one.mp4')) as new, av.open(str(SAMPLE)) as shipped:
        # Another version of espeak-ng or of the encoders may differ a little.
        assert new.duration == pytest.approx(shipped.duration, rel=0.1)
