"""Fields that say what is allowed, and are held to it."""

from dataclasses import dataclass, field

import pytest

from maven_ros.declarations import Checked, declared, fraction, setting
from maven_ros.errors import SettingsError


@dataclass(frozen=True)
class Inner(Checked):
    part: float = fraction(0.5, 'Of it.')


@dataclass(frozen=True)
class Mine(Checked):
    count: int = setting(doc='How many.', minimum=1, below=10)
    rate: float = setting(1.0, 'How often.', above=0)
    most: float = setting(1.0, 'Not beyond.', maximum=2)
    less: float = setting(1.0, 'Not there.', below=2)
    name: str = setting('a', 'Which.', choices=('a', 'bee'))
    on: bool = setting(True, 'Whether.')
    span: tuple[float, float] = setting((0.0, 1.0), 'From, to.', minimum=-1, rises=True)
    sides: tuple[int, ...] = setting((3,), 'Of all.', minimum=2)
    names: tuple[str, ...] = setting((), 'Which of them.', choices=('x', 'y'))
    inner: Inner = setting(doc='More.', made=Inner)
    plain: object = field(default=None)

    def contradictions(self):
        if self.rate > self.count:
            yield f'rate: {self.rate} is more than count, {self.count}'


@pytest.mark.parametrize('values', [
    {'count': 1}, {'count': 9}, {'rate': 0.001}, {'rate': 2}, {'most': 2}, {'less': 1.999},
    {'name': 'bee'}, {'on': False}, {'span': (-1, 0.5)}, {'span': (1.0, 1.0)}, {'sides': ()},
    {'sides': (2, 9)}, {'names': ('y', 'x')}, {'inner': Inner(0.0)}, {'plain': 'anything'}])
def test_what_is_allowed_is_kept(values):
    made = Mine(**{'count': 3, **values})
    assert all(getattr(made, name) == value for name, value in values.items())


@pytest.mark.parametrize(('values', 'message'), [
    ({'count': 0}, r'^count: 0 is not int in \[1, 10\)$'),
    ({'count': 10}, r'^count: 10 is not int in \[1, 10\)$'),
    ({'count': 3.0}, r'^count: 3.0 is not int'),
    ({'count': True}, r'^count: True is not int'),
    ({'rate': 0.0}, '^rate: 0.0 is not float above 0$'),
    ({'rate': float('inf')}, '^rate: inf is not float above 0$'),
    ({'rate': float('nan')}, '^rate: nan is not float above 0$'),
    ({'most': 2.1}, '^most: 2.1 is not float of at most 2$'),
    ({'less': 2.0}, '^less: 2.0 is not float below 2$'),
    ({'name': 'be'}, "^name: 'be' is not 'a' or 'bee'; did you mean 'bee'?"),
    ({'on': 1}, '^on: 1 is not true or false$'),
    ({'span': (1.0, 0.0)}, r'^span: \(1.0, 0.0\) is not 2 rising floats of at least -1$'),
    ({'span': (0.0,)}, r'^span: \(0.0,\) is not 2 rising floats of at least -1$'),
    ({'span': [0.0, 1.0]}, r'^span: \[0.0, 1.0\] is not 2 rising floats of at least -1$'),
    ({'sides': (3, 1)}, r'^sides: \(3, 1\) is not ints of at least 2$'),
    ({'names': ('x', 'z')}, r"^names: \('x', 'z'\) is not some of 'x', 'y'$"),
    ({'rate': 4.0}, '^rate: 4.0 is more than count, 3$'),
    ({'rate': 0.0, 'sides': (1,)}, '^rate: 0.0 is .*; sides: .*$'),
])
def test_what_is_not_is_refused_by_name_value_and_what_is_allowed(values, message):
    with pytest.raises(SettingsError, match=message):
        Mine(**{'count': 3, **values})


def test_a_field_without_a_default_has_to_be_given():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'count'"):
        Mine()


def test_fields_say_what_they_are():
    docs = {one.name: one.doc for one in declared(Mine(3), 'mine.')}
    assert docs['mine.rate'] == 'How often.' and docs['mine.inner'] == 'More.'
    assert 'mine.plain' not in docs
