"""Counting drops: every one counts, few are logged."""

import logging

from maven_ros.counters import Counters


def test_everything_is_counted_and_the_log_is_not_flooded(caplog):
    counters = Counters()
    with caplog.at_level(logging.WARNING, 'maven_ros'):
        for index in range(100):
            counters.count('video', 'late', f'frame {index}')
        counters.count('audio', 'gap', n=7)
        counters.count('video', 'thinned', normal=True)
    assert counters.snapshot() == {'audio.gap': 7, 'video.late': 100, 'video.thinned': 1}
    assert counters.get('video', 'late') == 100 and counters.get('video', 'unknown') == 0
    assert counters.details() == {'video.late': 'frame 99'}
    assert [record.getMessage() for record in caplog.records] == [
        'video: late (1 so far): frame 0', 'video: late (10 so far): frame 9',
        'video: late (100 so far): frame 99', 'audio: gap (7 so far)']
