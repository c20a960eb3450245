"""Words from sound, on the device."""

from maven_ros.senses.speech.recogniser import Recogniser, open_recogniser
from maven_ros.senses.speech.worker import SpeechWorker

__all__ = ['Recogniser', 'SpeechWorker', 'open_recogniser']
