"""maven_ros: valence and arousal from face, voice and words, live, with the evidence used."""

__version__ = '0.1.0'
