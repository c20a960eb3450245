"""
Train the subword tokenizer that ``models/compact`` ships.

A byte-level BPE: every letter of every script has ids. Text is lower-cased and stripped of
punctuation, since that is how speech recognisers write; so written and spoken words get the same
ids. The shipped file was made from the training split of GoEmotions (Apache-2.0)::

    python -m maven_ros.training.tokenizer goemotions/train.tsv models/compact/tokenizer.json
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maven_ros.errors import ResourceError
from maven_ros.model.configuration import UNKNOWN_TOKEN

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD = '<pad>'  # id 0; masked wherever it stands
VOCABULARY = 4000
_PLACEHOLDERS = re.compile(r'\[(?:NAME|RELIGION)\]')  # put in by GoEmotions' makers


def texts(path: Path) -> Iterator[str]:
    """
    Yield the sentences of a tab-separated file, the first column of each line.

    :raises ResourceError: when it cannot be read.
    """
    try:
        with path.open(encoding='utf-8') as lines:
            for line in lines:
                yield _PLACEHOLDERS.sub(' ', line.split('\t')[0])
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f'{path}: cannot be read: {error}') from error


def train(sentences: Iterable[str], vocabulary: int = VOCABULARY) -> Tokenizer:
    """
    Train a tokenizer; the same sentences give the same one.

    :param vocabulary: most subwords, the 256 bytes and two special ones included.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace('’', "'"),
        normalizers.Replace(Regex(r"[^\p{L}\p{M}\p{N}' ]+"), ' ')])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=True)])
    tokenizer.train_from_iterator(sentences, trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, UNKNOWN_TOKEN], min_frequency=2,
        show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return tokenizer


def main(arguments: Sequence[str] | None = None) -> None:
    """Train on a file of sentences and save."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('sentences', type=Path, help='tab-separated; the first column is text')
    parser.add_argument('output', type=Path, help='tokenizer.json to write')
    options = parser.parse_args(arguments)
    train(texts(options.sentences)).save(str(options.output), pretty=False)


if __name__ == '__main__':
    main()
