"""Left and right of a picture."""

from maven_ros.records import Box
from maven_ros.scoring.sides import side_of, usual_sides


def at(**places):
    return {person: Box(x, 0, 10, 10) for person, x in places.items()}


def test_the_outermost_of_several_have_a_side_and_those_between_have_none():
    boxes = at(a=50, b=0, c=20)
    assert [side_of(one, boxes, {}) for one in 'abc'] == ['right', 'left', '']


def test_one_alone_has_the_side_on_which_it_was_most_often():
    usual = usual_sides([at(a=0, b=50), at(a=0, b=50), at(a=50, b=0), at(c=5)])
    assert usual == {'a': 'left', 'b': 'right'}
    assert side_of('b', at(b=0), usual) == 'right'
    assert side_of('c', at(c=5), usual) == ''
