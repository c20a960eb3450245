"""A few seconds in Aff-Wild2's layout, drawn, and prepared."""

from threading import Event

from maven_ros.settings import Settings
from maven_ros.training.affwild2.generate import GenerateSettings, generate
from maven_ros.training.affwild2.layout import find_layout
from maven_ros.training.affwild2.plan import PrepareOptions
from maven_ros.training.affwild2.prepare import prepare

SETTINGS = Settings().with_values({'speech.recogniser': 'none'})


def write(folder, seconds=4.0):
    """Generate into ``folder/generated`` and prepare into ``folder/prepared``."""
    generate(folder / 'generated', GenerateSettings(3, seconds, seed=1))
    prepare_again(folder)


def layout(folder, crops=True):
    generated = folder / 'generated'
    return find_layout(
        generated / 'videos', generated / 'annotations',
        generated / 'cropped_aligned' if crops else None, generated / 'transcripts')


def prepare_again(folder, stop=None, crops=True, **options):
    return prepare(layout(folder, crops), folder / 'prepared',
                   PrepareOptions(SETTINGS, **options), stop or Event())
