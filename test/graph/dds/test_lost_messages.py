"""Lost messages are counted by the numbers that publishers give them; the cases are by hand."""

from maven_ros.graph.dds.lost_messages import LostMessages


def heard(lost, *publishers):
    for publisher in publishers:
        lost.hear(publisher)


def settle(lost, newest, reliable=()):
    lost.look(newest)
    return lost.settle(newest, reliable)


def settled(lost, *numbers, reliable=()):
    return [settle(lost, {1: number}, reliable) for number in numbers]


def test_what_stays_missing_is_lost():
    lost = LostMessages()
    lost.look({1: 0})
    heard(lost, 1)
    lost.look({1: 1})  # from here on
    heard(lost, 1, 1)
    assert settled(lost, 6, 6) == [0, 0]  # 2 of 5 came; the others may be on their way
    heard(lost, 1)  # one was
    assert settled(lost, 6, 6, 6, 6) == [2, 0, 0, 0]  # counted once


def test_while_more_comes_some_may_be_on_their_way():
    lost = LostMessages()
    lost.look({1: 1})
    assert settled(lost, 2, 3, 4, 5) == [0, 0, 0, 1]  # of 2 missing for long, one less
    assert settled(lost, 5, 5, 5) == [2, 1, 0]  # nothing more comes: 2 to 5 are lost


def test_more_may_be_on_their_way_where_what_got_lost_is_sent_again():
    lost = LostMessages()
    lost.look({1: 1})
    # 16 are missing for long; of the 16 that were sent since, 1 + 16 / 8 may be behind.
    assert settled(lost, 17, 33, 49, 65, reliable=[1]) == [0, 0, 13, 16]


def test_what_was_on_its_way_at_the_first_look_is_none_too_many():
    lost = LostMessages()
    lost.look({1: 7})
    heard(lost, 1, 1)  # numbers 7 and 8
    assert settled(lost, 8, 9, 9, 9, 9) == [0, 0, 0, 1, 0]


def test_each_publisher_has_numbers_of_its_own_and_one_that_goes_is_settled():
    lost = LostMessages()
    lost.look({1: 100, 2: 5})
    heard(lost, 1, 2)
    assert settle(lost, {1: 101, 2: 9}) == 0
    assert settle(lost, {1: 101}) == 3  # nothing more comes of the other
    assert settle(lost, {1: 101, 2: 40}) == 0  # one of the same handle begins anew


def test_what_comes_between_look_and_settling_is_none_of_those_before():
    lost = LostMessages()
    lost.look({1: 0})
    heard(lost, 1)
    for number in range(1, 9):
        lost.look({1: number})
        heard(lost, 1)
        assert lost.settle({1: number}) == 0
    assert settled(lost, 9, 10, 10, 10, 10) == [0, 0, 0, 1, 0]
