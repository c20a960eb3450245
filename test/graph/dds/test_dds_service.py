"""Services of the embedded graph, and their form on the wire, which is that of Cyclone's rmw."""

import struct
import threading

import pytest
from waiting import eventually

from maven_ros.errors import GraphError, InputError
from maven_ros.graph.bag.bag_graph import BagGraph
from maven_ros.graph.dds.dds_graph import DdsGraph
from maven_ros.graph.dds.dds_service import _Ends
from maven_ros.graph.messages import new, to_cdr

ASKS = 'maven_ros/srv/GetAffect'


def answer(request):
    if request.person_id == 'nobody':
        raise InputError('bad_payload', 'nobody is no person')
    if request.person_id == 'error':
        raise RuntimeError('a fault of ours')
    return new(f'{ASKS}_Response', success=True, message=f'{request.person_id} {request.seconds}')


def ask(person_id='ann', seconds=1.5):
    return new(f'{ASKS}_Request', person_id=person_id, seconds=seconds)


@pytest.fixture
def pair():
    with DdsGraph(namespace='robot') as here, DdsGraph(namespace='robot') as there:
        yield here, there


def test_a_service_answers_each_client_with_its_own(pair):
    here, there = pair
    served = here.serve('asked', ASKS, answer)
    assert (served.service, served.srvtype) == ('/robot/asked', ASKS)
    said, lock = [], threading.Lock()

    def call(name):
        response = there.call('asked', ASKS, ask(name))
        with lock:
            said.append((name, response.message))

    threads = [threading.Thread(target=call, args=(f'p{n}',)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == [(f'p{n}', f'p{n} 1.5') for n in range(4)]
    assert here.call('asked', ASKS, ask()).message == 'ann 1.5'


def test_on_the_wire_it_is_cyclone_s_form(pair):
    """rmw_cyclonedds puts a client's and a request's number, 8 bytes each, before the fields."""
    here, there = pair
    here.serve('asked', ASKS, answer)
    with _Ends(there, '/robot/asked', ('rr/robot/askedReply', f'{ASKS}_Response'),
               ('rq/robot/askedRequest', f'{ASKS}_Request')) as ends:
        eventually(lambda: ends.writer.get_matched_subscriptions()
                   and ends.reader.get_matched_publications())
        names = {one.topic_name: one.type_name for one in (
            *map(ends.writer.get_matched_subscription_data,
                 ends.writer.get_matched_subscriptions()),
            *map(ends.reader.get_matched_publication_data,
                 ends.reader.get_matched_publications()))}
        assert names == {
            'rq/robot/askedRequest': 'maven_ros::srv::dds_::GetAffect_Request_',
            'rr/robot/askedReply': 'maven_ros::srv::dds_::GetAffect_Response_'}
        ends.send(struct.pack('=Qq', 77, 5), to_cdr(ask(), f'{ASKS}_Request'))
        found = []
        eventually(lambda: found.extend(ends.receive(10_000_000)) or found)
    assert struct.unpack_from('=Qq', found[0], 4) == (77, 5)
    assert b'ann 1.5' in found[0]


def test_a_service_goes_on_after_a_request_that_fails(pair):
    here, there = pair
    served = here.serve('asked', ASKS, answer)
    for name, cause in (('nobody', 'bad_payload'), ('error', 'failed')):
        with pytest.raises(GraphError, match=r'/robot/asked: no answer within 0\.5 s'):
            there.call('asked', ASKS, ask(name), 0.5)
        assert here.counters.get('/robot/asked', cause) == 1
    assert there.call('asked', ASKS, ask()).success
    served.close()
    with pytest.raises(GraphError, match=r'/robot/asked: nobody serves it, for 0\.3 s'):
        there.call('asked', ASKS, ask(), 0.3)


def test_what_cannot_be_served_is_refused(pair, tmp_path):
    here, _ = pair
    with pytest.raises(GraphError, match="'a b' is no ROS name"):
        here.serve('a b', ASKS, answer)
    with pytest.raises(GraphError, match='maven_ros/srv/Nothing_Request'):
        here.serve('asked', 'maven_ros/srv/Nothing', answer)
    here.close()
    with pytest.raises(GraphError, match='/robot/asked: the graph is closed'):
        here.serve('asked', ASKS, answer)
    with BagGraph(tmp_path / 'bag', 'w') as bag, pytest.raises(
            GraphError, match='/asked: a bag has no services'):
        bag.serve('/asked', ASKS, answer)
