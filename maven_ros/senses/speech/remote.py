"""A recogniser elsewhere: sound goes there in small doses, utterances come back."""

from __future__ import annotations

import time
from collections import deque

from maven_ros.counters import Counters
from maven_ros.errors import ResourceError
from maven_ros.records import NS, SAMPLE_RATE_HZ, Samples, Utterance
from maven_ros.senses.speech.host import NO_SOUND, Host, ProcessHost, Reply, Request, ThreadHost
from maven_ros.settings import SpeechSettings

DOSE_SAMPLES = SAMPLE_RATE_HZ // 10
IN_FLIGHT_SAMPLES = SAMPLE_RATE_HZ // 2  # 32 kB: fits a socket's buffer, so sending never blocks
#: It may be started again so often within so long; then it rests until that is past.
RESTARTS, WITHIN_S = 3, 60.0
LOAD_S = 120.0  # large Vosk models take a minute


class RemoteRecogniser:
    """
    Feeds a host and collects from it; starts it again where it dies, a few times a minute.

    :raises ResourceError: the recogniser cannot be opened.
    """

    def __init__(self, settings: SpeechSettings, counters: Counters) -> None:
        self._settings, self._counters = settings, counters
        self._waiting: deque[Request] = deque()
        self._in_flight = 0      # samples
        self._epoch = 0
        self._finished = True
        self._found: list[Utterance] = []
        self._restarts_s: deque[float] = deque(maxlen=RESTARTS)  # when, on the steady clock
        self._loaded = self._closed = False
        self._host: Host | None = self._start()
        try:
            self._load(self._host)
        except ResourceError:
            self._host.close()
            raise

    @property
    def lag_s(self) -> float:
        """Sound that was put and is not yet recognised, in seconds."""
        waiting = sum(len(request.samples) for request in self._waiting)
        return (waiting + self._in_flight) / SAMPLE_RATE_HZ

    def put(self, samples: Samples, start_ns: int) -> None:
        """Take sound; where too much of it waits already, what waits is skipped."""
        if self._host is None and not self._start_again():
            self._counters.count('speech', 'skipped', 'the recogniser has stopped')
            return
        for at in range(0, len(samples), DOSE_SAMPLES):
            self._waiting.append(Request(
                self._epoch, samples[at:at + DOSE_SAMPLES],
                start_ns + at * NS // SAMPLE_RATE_HZ))
        if self.lag_s > self._settings.max_lag_s:
            self._skip(f'{self.lag_s:.1f} s behind; speech.max_lag_s allows '
                       f'{self._settings.max_lag_s:g}')
        self._pump()

    def poll(self) -> list[Utterance]:
        """Return what has been recognised since."""
        self._pump()
        found, self._found = self._found, []
        return found

    def reset(self) -> None:
        """Forget all sound; nothing of it is returned any more."""
        self._epoch += 1
        self._waiting.clear()
        self._found.clear()
        if self._host is not None:
            self._waiting.append(Request(self._epoch, NO_SOUND, 0))
        self._pump()

    def finish(self, timeout_s: float) -> list[Utterance]:
        """Close what is being said, once all sound is recognised or the time is up."""
        if self._host is None:
            return self.poll()
        self._finished = False
        self._waiting.append(Request(self._epoch, NO_SOUND, 0, finish=True))
        until = time.monotonic() + timeout_s  # how long to wait for another process, no stamp
        found = self.poll()
        while not self._finished and self._host is not None:
            left_s = until - time.monotonic()
            if left_s <= 0:
                self._counters.count(
                    'speech', 'unfinished',
                    f'{self.lag_s:.1f} s of sound not recognised after {timeout_s:g} s')
                break
            self._host.connection.poll(min(left_s, 0.1))
            found += self.poll()
        return found

    def close(self) -> None:
        """End within a second."""
        self._closed = True
        if self._host is not None:
            self._host.close()
            self._host = None
        self._waiting.clear()

    def _start(self) -> Host:
        self._loaded = False
        host = ProcessHost() if self._settings.recogniser == 'pocketsphinx' else ThreadHost()
        host.connection.send(self._settings)
        return host

    def _load(self, host: Host) -> None:
        """Wait until the recogniser is there."""
        if not host.connection.poll(LOAD_S):
            raise ResourceError(f'speech.recogniser: {self._settings.recogniser!r} did not load '
                                f'in {LOAD_S:g} s')
        try:
            self._collect(host)
        except (EOFError, OSError) as error:
            raise ResourceError(f'speech.recogniser: {self._settings.recogniser!r} ended while '
                                f'it loaded ({host.close()})') from error

    def _pump(self) -> None:
        """Collect what is there and send what may be sent; never wait."""
        if self._host is None:
            return
        try:
            self._collect(self._host)
            self._send(self._host)
        except (EOFError, OSError, ResourceError) as error:
            self._restart(self._host, error)

    def _collect(self, host: Host) -> None:
        while host.connection.poll():
            answer: Reply | ResourceError | None = host.connection.recv()
            if isinstance(answer, ResourceError):
                raise answer
            self._loaded = True
            if answer is None:
                continue
            self._in_flight -= answer.samples
            if answer.epoch == self._epoch:
                self._found += answer.utterances
                self._finished |= answer.finished

    def _send(self, host: Host) -> None:
        while self._loaded and self._waiting and (
                self._in_flight + len(self._waiting[0].samples) <= IN_FLIGHT_SAMPLES):
            request = self._waiting.popleft()
            self._in_flight += len(request.samples)
            host.connection.send(request)

    def _skip(self, why: str) -> None:
        sounds = [request for request in self._waiting if len(request.samples)]
        skipped_s = sum(len(request.samples) for request in sounds) / SAMPLE_RATE_HZ
        self._counters.count(
            'speech', 'skipped', f'{skipped_s:.1f} s of sound: {why}', n=max(len(sounds), 1))
        self._waiting = deque(
            request for request in self._waiting if not len(request.samples))

    def _restart(self, host: Host, error: Exception) -> None:
        """Replace a host that died; what it was working on is lost."""
        how = f'{host.close()}: {error!r}'
        self._in_flight = 0
        self._finished = True
        self._host = None
        if not self._start_again(how):
            self._counters.count('speech', 'stopped', f'ended {RESTARTS + 1} times within '
                                 f'{WITHIN_S:g} s, and rests until that is past; {how}')
            if self._waiting:
                self._skip('the recogniser has stopped')

    def _start_again(self, how: str = 'a rest') -> bool:
        """Start a host, unless too many were started of late; return whether that was done."""
        now_s = time.monotonic()
        if self._closed or (len(self._restarts_s) == RESTARTS
                            and now_s - self._restarts_s[0] < WITHIN_S):
            return False
        self._restarts_s.append(now_s)
        self._counters.count('speech', 'restarted', f'after {how}')
        self._host = self._start()
        return True
