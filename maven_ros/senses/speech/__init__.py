"""Words from sound, on the device."""

from maven_ros.senses.speech.recogniser import Recogniser, open_recogniser, recognised_by
from maven_ros.senses.speech.worker import SpeechStream, SpeechWorker

__all__ = ['Recogniser', 'SpeechStream', 'SpeechWorker', 'open_recogniser', 'recognised_by']
