"""Words from sound, on the device."""

from maven_ros.senses.speech.recogniser import Recogniser, open_recogniser
from maven_ros.senses.speech.worker import Speech, SpeechWorker

__all__ = ['Recogniser', 'Speech', 'SpeechWorker', 'open_recogniser']
