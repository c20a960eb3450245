import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from inputs import SAMPLE

from maven_ros.counters import Counters
from maven_ros.devices import decoder_process
from maven_ros.devices.media import MediaReader, probe, read_media, read_sounds
from maven_ros.errors import ResourceError


def decoders(process=None):
    return [child for child in (process or psutil.Process()).children()
            if 'maven_ros.devices.decoder_process' in child.cmdline()]


@pytest.mark.parametrize('number', [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_decoder_that_dies_is_an_error_that_names_the_file(number):
    with MediaReader(SAMPLE, loop=0) as reader:
        records = reader.records()
        next(records)
        decoders()[0].send_signal(number)
        with pytest.raises(ResourceError, match=(
                rf'sample\.mp4: its decoder died \({number.name}\); nothing more of this file')):
            list(records)
    assert not decoders()


def test_a_decoder_that_hangs_is_an_error_that_names_the_file(monkeypatch):
    records = read_media(SAMPLE, loop=0)
    next(records)
    decoders()[0].send_signal(signal.SIGSTOP)
    monkeypatch.setattr(decoder_process, 'SILENT_S', 0.2)
    with pytest.raises(ResourceError, match=(
            r'sample\.mp4: its decoder hangs, 0\.2 s without a picture or sound; nothing more')):
        list(records)
    assert not decoders()


def test_a_look_at_a_file_has_a_time_limit(monkeypatch):
    monkeypatch.setattr(decoder_process, 'SILENT_S', 0.0)
    with pytest.raises(ResourceError, match=r'sample\.mp4: its decoder hangs'):
        probe(SAMPLE)
    assert not decoders()


def test_a_command_whose_decoder_dies_ends_in_one_line(tmp_path):
    command = subprocess.Popen(
        [sys.executable, '-m', 'maven_ros', 'bag', 'from-media', str(SAMPLE), '--out',
         str(tmp_path), '--loop', '1000'], stderr=subprocess.PIPE, text=True)
    parent, deadline = psutil.Process(command.pid), time.monotonic() + 60
    while not (found := decoders(parent)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found[0].send_signal(signal.SIGSEGV)
    assert command.communicate(timeout=60)[1] == (
        f'maven-ros: {SAMPLE}: its decoder died (SIGSEGV); nothing more of this file is read\n')
    assert command.returncode == 1


def test_the_sound_of_many_files_is_read_by_one_process_which_a_broken_one_ends(tmp_path):
    (tmp_path / 'broken.flac').write_bytes(b'fLaC')
    expected = [one.samples for one in read_media(SAMPLE, video=False)]
    seen = set()
    with pytest.raises(ResourceError, match=r'broken\.flac: cannot be read as a media file'):
        for chunks in read_sounds([SAMPLE, SAMPLE, tmp_path / 'broken.flac', SAMPLE], Counters()):
            assert all(map(np.array_equal, [one.samples for one in chunks], expected))
            seen.add(tuple(one.pid for one in decoders()))
    assert len(seen) == 1 and len(*seen) == 1 and not decoders()


@pytest.mark.parametrize('begun', [b'', b'\x20', bytes([32, *bytes(7)]), bytes([32, *bytes(9)])])
def test_a_decoder_whose_parent_ends_while_it_asks_ends_in_silence(begun):
    ended = subprocess.run([sys.executable, '-m', decoder_process.__name__], input=begun,
                           capture_output=True, check=True)
    assert not ended.stdout and not ended.stderr


def test_decoders_end_with_their_reader_and_with_their_parent():
    records = read_media(SAMPLE, loop=0)
    next(records)
    records.close()
    assert not decoders()
    program = ('import sys; from maven_ros.devices.media import read_media\n'
               'records = read_media(sys.argv[1], loop=0); next(records)\n'
               'print("reading", flush=True); sys.stdin.read()')
    parent = subprocess.Popen([sys.executable, '-c', program, str(SAMPLE)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b'reading\n'
    orphan = decoders(psutil.Process(parent.pid))[0]
    orphan.suspend()  # it cannot notice by writing
    parent.kill()
    parent.communicate()
    os.kill(orphan.pid, signal.SIGCONT)
    orphan.wait(10)
