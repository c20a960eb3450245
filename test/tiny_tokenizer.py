"""A tokenizer with a few whole words, and letters for all others."""

import string

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

WORDS = ('good', 'day', 'to', 'you', 'a', 'is')


def tokenizer(words=WORDS):
    """Return a WordPiece tokenizer of lower-case text."""
    letters = string.ascii_lowercase + string.digits + "'"
    names = dict.fromkeys(('<pad>', '<unk>', *words, *letters, *(f'##{one}' for one in letters)))
    made = Tokenizer(models.WordPiece(
        {name: number for number, name in enumerate(names)}, unk_token='<unk>',
        continuing_subword_prefix='##'))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made
