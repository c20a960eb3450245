"""Damage to bytes, to text and to trees of values; the same number gives the same damage."""

import copy
import struct

#: What lengths, counts, times and numbers are that nobody expects.
_INTEGERS = (0, 1, 2, 4, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 2**31 - 1, 2**31, 2**32 - 1,
             2**63 - 1, 2**63, 2**64 - 1)
_FLOATS = (float('nan'), float('inf'), -float('inf'), -0.0, 1e-45, 3e38, 1e300)
_WORDS = (
    *(struct.pack('<I', one & 0xffffffff) for one in _INTEGERS),
    *(struct.pack('<Q', one) for one in _INTEGERS), b'\0', b'\xff', b'\xed\xa0\x80', b'\0' * 64,
    *(struct.pack(kind, min(one, 3e38) if kind == '<f' else one)
      for kind in ('<f', '<d') for one in _FLOATS))
_TOKENS = (
    b'-1', b'0', b'1e999', b'-1e-999', b'nan', b'-5', b'9' * 40, b'9' * 5000, b'0x' + b'f' * 300,
    b'1_000', b'.inf', b'~', b'null', b'true', b'', b'"', b"'", b'"' * 99, b',', b',' * 300, b'\n',
    b'\r', b'\r\n', b'\0', b'\xff', b'\xef\xbb\xbf', b'\xed\xa0\x80', b'\xe2\x80\xa8', b': ',
    b'- ', b'- ' * 200, b'[' * 2000, b'{' * 2000, b'{"a":' * 2000, b'&a ', b'*a', b'<<: ', b'? ',
    b'!!python/object:os.system ', b'!!int ', b'!!binary ', b'!!set ', b'|\n', b'>-\n', b'---\n',
    b'...\n', b'%YAML 9.9\n', b'#', b'\t', b'a' * 10_000, b'2001-13-45', b'1:2:3:4',
    b'\\ud800', b'\\u0000', b'../', b'/etc/passwd', b'=1+1', b'\x1b[2J')
_VALUES = (
    None, True, False, 0, -1, 1, 2, 3, 2**31 - 1, 2**31, 2**63, -2**63, 10**40, 10**400, 0.5, -0.0,
    1e-320, 1e308, float('nan'), float('inf'), -float('inf'), '', ' ', '0', 'x', 'nan', 'a' * 5000,
    '\0', '\n', '../..', '/', '/dev/null', '\ud800', '\u202e', '\x1b[2J', [], {}, [[]], [None],
    [0] * 50, {'': 0}, {'a': {'a': {}}}, 'null', 'en', 'utf-8')


def mutated_bytes(rng, data, others=()):
    """
    Return bytes with one to four damages.

    :param others: of the same kind, whose parts may come in.
    """
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _damage(rng, data, others)
    return bytes(data)


def _damage(rng, data, others):
    at = rng.randrange(len(data) + 1)
    length = rng.choice((1, 2, 4, 8, 16, 64, 1000))
    match rng.randrange(9):
        case 0 if data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        case 1:
            data[at:at + length] = rng.randbytes(length)
        case 2:
            word, at = rng.choice(_WORDS), at & ~3
            data[at:at + len(word)] = word
        case 3:
            word = rng.choice(_WORDS)  # near the beginning, where headers are
            at = rng.randrange(min(len(data), 256) + 1)
            data[at:at + len(word)] = word
        case 4:
            del data[at:at + length]
        case 5:
            data[at:at] = data[at:at + length]
        case 6 if rng.randrange(4) == 0:
            del data[at:]
        case 7 if others:
            other = rng.choice(others)
            begin = rng.randrange(len(other) + 1)
            data[at:at + length] = other[begin:begin + length]
        case _:
            data[at:at] = rng.randbytes(rng.choice((1, 3, 4, 200)))


def mutated_text(rng, data, others=()):
    """Return the bytes of a text with one to four damages, most of which leave it text."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        lines = data.split(b'\n')
        index, token = rng.randrange(len(lines)), rng.choice(_TOKENS)
        match rng.randrange(7):
            case 0:
                at = rng.randrange(len(data) + 1)
                data[at:at] = token
            case 1:
                at = rng.randrange(len(data) + 1)
                data[at:at + len(token)] = token
            case 2:
                lines.insert(index, bytes(rng.choice(lines)))
                data = bytearray(b'\n'.join(lines))
            case 3:
                del lines[index]
                data = bytearray(b'\n'.join(lines))
            case 4:
                lines[index] = b' ' * rng.randrange(9) + lines[index].strip()
                data = bytearray(b'\n'.join(lines))
            case 5:
                cut = lines[index].rfind(rng.choice((b':', b',', b' '))) + 1
                lines[index] = lines[index][:cut] + b' ' + token
                data = bytearray(b'\n'.join(lines))
            case _:
                _damage(rng, data, others)
    return bytes(data)


def mutated_tree(rng, tree):
    """Return mappings, lists and scalars of which one to three values are others, or gone."""
    tree = {'': copy.deepcopy(tree)}
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = [*_places(tree)]
        outer, key = rng.choice(places)
        match rng.randrange(8):
            case 0 if outer is not tree:
                del outer[key]
            case 1:
                other, name = rng.choice(places)
                outer[key] = copy.deepcopy(other[name])
            case 2 if isinstance(outer, dict):
                name = rng.choice(('', 'x', 'name', '0', 'a' * 300))
                outer[name] = copy.deepcopy(rng.choice(_VALUES))
            case 3 if isinstance(outer, list):
                value, times = rng.choice(_VALUES), rng.choice((1, 3, 200))
                outer[key:key] = [copy.deepcopy(value) for _ in range(times)]
            case _:
                outer[key] = copy.deepcopy(rng.choice(_VALUES))
    return tree['']


def _places(tree):
    for key in [*(tree if isinstance(tree, dict) else range(len(tree)))]:
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])
