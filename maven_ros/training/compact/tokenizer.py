"""
Make the subword tokenizer that ``models/compact`` ships.

It has the WordPiece vocabulary of BERT (uncased, Apache-2.0), so that what its kin know of words
can be taken over: :mod:`maven_ros.training.compact.teacher`. Text is lower-cased and stripped of
accents and of punctuation, since that is how speech recognisers write; so written and spoken words
get the same ids. The shipped file was made from the teacher's::

    python -m maven_ros.training.compact.tokenizer TEACHER/tokenizer.json OUT/tokenizer.json
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maven_ros.errors import ResourceError
from maven_ros.model.configuration import UNKNOWN_TOKEN

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD = '<pad>'  # id 0; masked wherever it stands
INSIDE = '##'  # with which a subword begins that begins no word
_OURS = {'[PAD]': PAD, '[UNK]': UNKNOWN_TOKEN}


def build(vocabulary: Mapping[str, int]) -> Tokenizer:
    """
    Build the tokenizer of a vocabulary.

    :param vocabulary: ids of subwords, BERT's names of special ones among them.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordPiece(
        {_OURS.get(name, name): number for name, number in vocabulary.items()},
        unk_token=UNKNOWN_TOKEN, continuing_subword_prefix=INSIDE))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Replace('’', "'"),
        normalizers.Replace(Regex(r"[^\p{L}\p{M}\p{N}' ]+"), ' '),
        normalizers.BertNormalizer(lowercase=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the vocabulary of a WordPiece tokenizer and save ours."""
    from tokenizers import Tokenizer

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('source', type=Path, help='tokenizer.json of BERT, or of its kin')
    parser.add_argument('output', type=Path, help='tokenizer.json to write')
    options = parser.parse_args(arguments)
    try:
        theirs = Tokenizer.from_file(str(options.source))
    except Exception as error:  # the binding raises the bare class, for whatever is wrong
        raise ResourceError(f'{options.source}: cannot be read: {error}') from error
    build(theirs.get_vocab()).save(str(options.output), pretty=False)


if __name__ == '__main__':
    main()
