"""The layout of the package stays one that can be read from the bottom up."""

import subprocess
import sys

import pytest
from inputs import ROOT

SCRIPT = ROOT / 'tools' / 'check_layout.py'

sys.path.insert(0, str(SCRIPT.parent))
check_layout = pytest.importorskip('check_layout')


def package(root, **modules):
    for name, text in modules.items():
        path = root / 'maven_ros' / f'{name.replace("__", "/")}.py'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_no_folders_import_each_other():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (
        0, 'no folders import each other; no file name occurs twice')


def test_a_ring_of_three_is_found(tmp_path):
    root = package(tmp_path, a__one='from maven_ros.b import two',
                   b__two='from maven_ros.three import x', three='import maven_ros.a.one',
                   c__four='from maven_ros.three import x')
    assert check_layout.rings(check_layout.arrows(root)) == [
        ['maven_ros.a', 'maven_ros.b', 'maven_ros.three']]


def test_an_import_inside_a_function_counts(tmp_path):
    root = package(tmp_path, a__one='def f():\n    from maven_ros.b.two import g\n',
                   b__two='from maven_ros.a.one import f')
    assert check_layout.rings(check_layout.arrows(root)) == [['maven_ros.a', 'maven_ros.b']]


def test_a_name_that_stands_twice_is_found(tmp_path):
    assert check_layout.twins(package(tmp_path, a__one='', b__one='', c__two='')) == ['one.py']
