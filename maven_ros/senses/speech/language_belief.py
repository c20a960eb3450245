"""What is believed of the language of a stream, over its utterances."""

from __future__ import annotations

import math
from collections.abc import Mapping

#: How likely the next utterance is in the language of the last.
_STAYS = 0.95
#: Of no language does an utterance say that it is less likely.
_LEAST = 1e-4
#: Speech of this length counts in full; shorter tells less of its language.
_FULL_S = 1.5


class LanguageBelief:
    """
    What is believed of the language of a stream: a hidden Markov chain over its utterances.

    A person does not change language with each sentence: what was said before counts, more than
    the few words of a short utterance, and less than a long one.
    """

    def __init__(self) -> None:
        #: Probability of each language; empty before the first utterance.
        self.belief: dict[str, float] = {}

    def weigh(self, odds: Mapping[str, float], voiced_s: float) -> dict[str, float]:
        """
        Return how likely an utterance is in each language, by itself and by those before it.

        :param odds: what its sound says, by language; they sum to 1.
        :param voiced_s: how long somebody spoke in it, in seconds.
        """
        weight = min(voiced_s / _FULL_S, 1.0)
        evenly = 1.0 / len(odds)
        scores = {
            language: (_STAYS * self.belief.get(language, 0.0) + (1 - _STAYS) * evenly
                       if self.belief else evenly) * max(odd, _LEAST) ** weight
            for language, odd in odds.items()}
        total = math.fsum(scores.values())
        return {language: score / total for language, score in scores.items()}

    def learn(self, weighed: Mapping[str, float]) -> None:
        """Take what :meth:`weigh` said of an utterance that is over."""
        self.belief = dict(weighed)
