"""What ships beside the code is found, and its absence is named."""

import subprocess
import sys
from pathlib import Path

import pytest

from maven_ros.errors import ResourceError
from maven_ros.resources import models_folder, resource


def test_shipped_files_are_found():
    assert (resource('msg') / 'AffectState.msg').is_file()


def test_what_is_missing_is_named():
    with pytest.raises(ResourceError, match=r'models/none: not found in .*installed completely'):
        resource('models/none')


def test_fetched_models_go_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv('MAVEN_ROS_MODELS', str(tmp_path / 'a'))
    assert models_folder() == tmp_path / 'a'
    monkeypatch.delenv('MAVEN_ROS_MODELS')
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'b'))
    assert models_folder() == tmp_path / 'b' / 'maven_ros' / 'models'
    monkeypatch.delenv('XDG_DATA_HOME')
    assert models_folder() == Path.home() / '.local/share/maven_ros/models'


def test_importing_the_package_is_cheap():
    heavy = ('torch', 'cv2', 'cyclonedds', 'rclpy', 'rosbags', 'av', 'sounddevice', 'vosk',
             'faster_whisper', 'matplotlib')
    code = ('import sys, maven_ros, maven_ros.cli.main, maven_ros.records, maven_ros.settings; '
            f'print([name for name in {heavy} if name in sys.modules])')
    got = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert got.stdout.strip() == '[]'
