"""The inbox: order of arrival, bounds, nothing lost uncounted."""

from maven_ros.counters import Counters
from maven_ros.graph.interface import Received
from maven_ros.intake.inbox import Inbox


def received(topic, at):
    return Received(topic, 'std_msgs/msg/Bool', b'', at)


def test_messages_come_out_in_the_order_of_their_arrival():
    inbox = Inbox({'image': 10, 'audio': 10}, Counters())
    inbox.put('image', received('/i', 1))
    inbox.put('image', received('/i', 4))
    inbox.put('audio', received('/a', 2))
    inbox.put('audio', received('/a', 3))
    assert [inbox.get(0).received_ns for _ in range(4)] == [1, 2, 3, 4]
    assert inbox.get(0.01) is None


def test_a_full_queue_drops_its_oldest_and_counts_it():
    counters = Counters()
    inbox = Inbox({'image': 2, 'audio': 2}, counters)
    for at in range(5):
        inbox.put('image', received('/i', at))
    inbox.put('audio', received('/a', 9))
    assert [inbox.get(0).received_ns for _ in range(3)] == [3, 4, 9]
    assert counters.get('image', 'overflow') == 3 and counters.get('audio', 'overflow') == 0


def test_what_waits_when_all_is_forgotten_is_counted_as_unread():
    counters = Counters()
    inbox = Inbox({'image': 10, 'audio': 10}, counters)
    for at in range(3):
        inbox.put('image', received('/i', at))
    inbox.clear()
    inbox.clear()
    assert inbox.get(0) is None
    assert counters.snapshot() == {'image.unread': 3}
