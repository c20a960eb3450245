"""Where the inputs of tests are: the clip that ships, and data that lie beside the checkout."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: A portrait in gentle motion, and a voice that is not hers; media/README.md has the licences.
SAMPLE = ROOT / 'media' / 'sample.mp4'
#: Clips, corpora and bags that are too large or too unfree to ship; tests of them are additions.
SHARED_DATA = Path(os.environ.get('MAVEN_ROS_SHARED_DATA', ROOT.parent / 'shared' / 'data'))


def cases(pattern):
    """
    Return shared inputs that once broke something; none where they are not there.

    They are parameters beside inputs of the same kind that the tests make themselves.
    """
    return sorted((SHARED_DATA.parent / 'cases').glob(pattern))
