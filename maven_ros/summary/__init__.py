"""
Plain sentences about people, for a language model that speaks: made by rules, and only of facts.

    from maven_ros.summary import Observation, read_sentences
    sentences = read_sentences()          # or the path of a file in another language
    text = sentences.about(Observation(...))

:mod:`maven_ros.summary.summaries` makes observations of a pipeline's outputs; they are published
on ``affect/summary``.
"""

from maven_ros.summary.observation import Observation
from maven_ros.summary.sentences import Sentences, read_sentences

__all__ = ['Observation', 'Sentences', 'read_sentences']
