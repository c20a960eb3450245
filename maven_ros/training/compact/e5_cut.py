"""
Cut E5's table of subwords to the pieces that the texts at hand need.

Text is lower-cased before it is read, so an eighth of the pieces can never occur. A network of one
language needs far fewer: its most frequent pieces, and every single letter and sign of its script,
of which each other word is then put together.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, models

from maven_ros.training.compact.e5_file import E5Layers

_SPECIAL = 4        # <s>, <pad>, </s>, <unk>: the first pieces
_UNKNOWN = 3
_SPACE = '▁'        # in front of a piece that begins a word
_LATIN = 0x250      # the first letter behind Latin Extended-B
_SIGNS = 'PSN'      # Unicode's punctuation, symbols and numbers
_TABLE = 'embeddings.word_embeddings.'


def possible(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of the pieces that text can hold once the tokenizer has normalised it."""
    normal = tokenizer.normalizer.normalize_str
    return [number for number, piece in enumerate(_pieces(tokenizer))
            if number < _SPECIAL or normal(bare := piece.lstrip(_SPACE)) == bare]


def frequent(tokenizer: Tokenizer, texts: Iterable[Sequence[str]], most: int) -> list[int]:
    """
    Return the ids of the pieces that serve some texts best.

    These are the special ones, single Latin letters and signs, then the most frequent ones, and
    if the texts have too few, the first ones of the table.

    :param texts: some lists of texts.
    :param most: number of ids.
    """
    count, pieces = Counter[int](), _pieces(tokenizer)
    for some in texts:
        for encoding in tokenizer.encode_batch(list(some), add_special_tokens=False):
            count.update(encoding.ids)

    def rank(number: int) -> tuple[bool, int, int]:
        always = number < _SPECIAL or _is_single(pieces[number])
        return not always, -count[number], number

    return sorted(sorted(possible(tokenizer), key=rank)[:most])


def cut(read: E5Layers, kept: Sequence[int]) -> E5Layers:
    """
    Keep some pieces: the special ones, then those of the prefix, then the rest in their order.

    :param kept: ids of the pieces, without those of the prefix or with them.
    """
    prefix = read.preparation['prefix']
    order = [*range(_SPECIAL), *prefix,
             *(number for number in kept if number >= _SPECIAL and number not in prefix)]
    vocabulary = _vocabulary(read.tokenizer)
    tokenizer = Tokenizer(models.Unigram(
        [vocabulary[number] for number in order], unk_id=order.index(_UNKNOWN)))
    tokenizer.normalizer = read.tokenizer.normalizer
    tokenizer.pre_tokenizer = read.tokenizer.pre_tokenizer
    return E5Layers(
        {**read.config, 'vocab_size': len(order)},
        {**read.preparation,
         'prefix': [*range(_SPECIAL, _SPECIAL + len(prefix))]},
        {name: value[order] if name.startswith(_TABLE) else value
         for name, value in read.weights.items()}, tokenizer)


def _vocabulary(tokenizer: Tokenizer) -> list[tuple[str, float]]:
    """Return the pieces with their scores."""
    return [(piece, score) for piece, score in json.loads(tokenizer.to_str())['model']['vocab']]


def _pieces(tokenizer: Tokenizer) -> list[str]:
    return [piece for piece, _ in _vocabulary(tokenizer)]


def _is_single(piece: str) -> bool:
    bare = piece.lstrip(_SPACE)
    return len(bare) < 2 and all(
        ord(sign) < _LATIN or unicodedata.category(sign)[0] in _SIGNS for sign in bare)
