"""The programs in examples/: each does what it says, on real DDS, media and HTTP."""

import importlib.util
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from inputs import SAMPLE
from tiny_encoders import write_untrained
from waiting import eventually

from maven_ros.affect import UNKNOWN, Affect
from maven_ros.errors import MavenError, SettingsError
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.interface import STATE
from maven_ros.graph.topics import OUTPUT_TYPES, output_message
from maven_ros.records import (
    AffectEvent,
    AffectSummary,
    AffectTurn,
    Alone,
    EventKind,
    Modality,
    Speaker,
    Word,
)

EXAMPLES = Path(__file__).resolve().parents[2] / 'examples'


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def event(kind, region='', confidence=0.8):
    return AffectEvent(5, kind, 'person_1', 4, UNKNOWN, Affect(-0.5, 0.4), confidence, region)


def turn(text):
    return AffectTurn(5, 6, Speaker.ALONE, 'person_1', (Word(text, 5, 6, 0.9, 'en'),), 'en',
                      Affect(-0.5, 0.4), 0.2, 0.2, Modality.VIDEO, Alone(), 1.0, 'camera', 'test')


@contextmanager
def running(run, *arguments):
    """Run an example in a thread; yield what it says, and a function that publishes to it."""
    said, stop = [], threading.Event()
    thread = threading.Thread(target=run, args=(*arguments, stop, said.append))
    thread.start()
    try:
        with DdsGraph() as graph:
            publishers = {topic: graph.advertise(topic, OUTPUT_TYPES[topic], STATE)
                          for topic in ('affect/event', 'affect/turn', 'affect/summary')}

            def publish(output):
                topic, message = output_message(output, 0)
                eventually(lambda: publishers[topic].subscription_count())
                publishers[topic].publish(message)

            yield said, publish
    finally:
        stop.set()
        thread.join()


def test_events_are_reacted_to():
    with running(example('react_to_events').run) as (said, publish):
        publish(event(EventKind.REGION_ENTERED, 'distressed', confidence=0.1))
        publish(event(EventKind.SPEECH_STARTED))
        publish(event(EventKind.REGION_ENTERED, 'distressed'))
        publish(event(EventKind.LEFT))
        eventually(lambda: len(said) == 2)
    assert said == [
        'give person_1 more room, and speak calmly, because person_1 entered distressed',
        'say goodbye to person_1, because person_1 left']


def test_a_video_is_told_and_remembered(tmp_path, capsys):
    example('video_pipeline').main([
        str(SAMPLE), 'speech.recogniser=none', f'model.path={write_untrained(tmp_path)}'])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith('s  person_1 appeared') for line in lines)
    assert any(line.startswith('person_1: ') and ' of evidence, valence ' in line
               for line in lines)


class Model(BaseHTTPRequestHandler):
    """A language model that answers what its server was given to say."""

    def do_POST(self):
        self.server.asked.append((self.path, json.loads(
            self.rfile.read(int(self.headers['Content-Length'])))))
        content = self.server.answers.pop(0)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content if isinstance(content, bytes) else json.dumps(
            {'choices': [{'message': {'content': content}}]}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def model():
    with HTTPServer(('127.0.0.1', 0), Model) as server:
        server.asked, server.answers = [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_turns_and_summaries_reach_the_language_model(model, monkeypatch):
    monkeypatch.setenv('http_proxy', 'http://192.0.2.1:9')  # nothing leaves this machine
    llm = example('llm_agent')
    agent = llm.Agent(f'http://127.0.0.1:{model.server_port}/v1/', 'tiny')
    model.answers += ['Shall we take a break?', b'no json', 'Good.']
    with running(llm.run, agent) as (said, publish):
        publish(turn('this is too much'))
        publish(AffectSummary(6, 'person_1', 'The person looks tense.'))
        eventually(lambda: len(said) == 1)
        publish(turn('hello?'))
        eventually(lambda: len(said) == 2)
        publish(turn('better now'))
        eventually(lambda: len(said) == 3)
    assert said[0] == 'Shall we take a break?' and said[2] == 'Good.'
    assert said[1].startswith(f'(http://127.0.0.1:{model.server_port}/v1/: no answer: JSONDecode')
    path, asked = model.asked[-1]
    assert path == '/v1/chat/completions' and asked['model'] == 'tiny'
    system, *lines = [(one['role'], one['content']) for one in asked['messages']]
    assert system == ('system', llm.SYSTEM)
    assert lines == [
        ('system', 'Observed: The person looks tense.'), ('user', 'this is too much'),
        ('assistant', 'Shall we take a break?'), ('user', 'hello?'), ('user', 'better now')]


def test_without_an_endpoint_nothing_is_sent_and_the_messages_are_shown():
    agent = example('llm_agent').Agent('', 'tiny', lines=2)
    agent.observe('one')
    agent.observe('two')
    shown = json.loads(agent.answer('three'))
    assert [one['content'] for one in shown[1:]] == ['Observed: two', 'three']


@pytest.mark.parametrize('endpoint', [
    'https://api.example.com/v1', 'http://192.0.2.1:80/v1', 'http://localhost.example.com/v1',
    'file:///etc/passwd', 'http://localhost@example.com/v1'])
def test_only_this_machine_is_asked(endpoint):
    with pytest.raises(SettingsError, match=r'--endpoint: .*; allowed: http:// and one of'):
        example('llm_agent').Agent(endpoint, 'tiny')


def test_a_server_that_is_not_there_is_named(model):
    port = model.server_port
    agent = example('llm_agent').Agent(f'http://127.0.0.1:{port}/nothing', 'tiny')
    model.answers += [b'{"choices": []}']
    with pytest.raises(MavenError, match=rf'127\.0\.0\.1:{port}/nothing: no answer: IndexError'):
        agent.answer('hello')
