"""
Make the subword tokenizer of ``models/compact``.

It has the WordPiece vocabulary of BERT (uncased, Apache-2.0), so that it can use the embedding of
a related model (:mod:`maven_ros.training.compact.teacher`). Text is lower-cased and stripped of
accents and punctuation, as speech recognisers write it, so written and spoken words have the same
ids. The shipped file was made from the teacher's::

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

PAD = '<pad>'  # id 0; always masked
INSIDE = '##'  # prefix of subwords inside a word
_OURS = {'[PAD]': PAD, '[UNK]': UNKNOWN_TOKEN}


def build(vocabulary: Mapping[str, int]) -> Tokenizer:
    """
    Build a tokenizer from a vocabulary.

    :param vocabulary: ids by subword, with BERT's names of special tokens.
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
    """Read the vocabulary of a WordPiece tokenizer, and write our tokenizer."""
    from tokenizers import Tokenizer

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('source', type=Path, help='tokenizer.json of BERT or a related model')
    parser.add_argument('output', type=Path, help='tokenizer.json to write')
    options = parser.parse_args(arguments)
    try:
        theirs = Tokenizer.from_file(str(options.source))
    except Exception as error:  # the binding raises plain Exception for any fault
        raise ResourceError(f'{options.source}: cannot be read: {error}') from error
    build(theirs.get_vocab()).save(str(options.output), pretty=False)


if __name__ == '__main__':
    main()
