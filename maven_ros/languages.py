"""Names of languages: IETF tags (BCP 47), such as ``en`` or ``pt-BR``."""

from __future__ import annotations

import re
from collections.abc import Collection

#: In place of a tag: detect the language.
AUTO = 'auto'
_TAG = re.compile(r'[a-z]{2,3}(-[a-z0-9]{2,8})*', re.IGNORECASE)
#: Alternative tags of a language, and its usual tag.
_SAME = {'nb': 'no', 'iw': 'he', 'in': 'id', 'ji': 'yi', 'fil': 'tl', 'cmn': 'zh', 'mo': 'ro'}


def is_tag(text: str) -> bool:
    """Tell whether a text has the form of an IETF language tag."""
    return bool(_TAG.fullmatch(text))


def primary(tag: str) -> str:
    """Return a tag's language without script and region: ``en`` for ``en-US``."""
    language = tag.lower().partition('-')[0]
    return _SAME.get(language, language)


def is_known(language: str, known: Collection[str]) -> bool:
    """
    Tell whether a language is among known ones. Regions and scripts are ignored.

    :param language: IETF tag.
    :param known: IETF tags.
    """
    return primary(language) in map(primary, known)
