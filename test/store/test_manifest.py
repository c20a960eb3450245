"""What the project says can be fetched, and what is wrong with a manifest that cannot be right."""

import pytest
from modelserver import entry, pinned

from maven_ros.errors import MavenError, ResourceError
from maven_ros.settings import Settings, parameters
from maven_ros.store.manifest import PackageFile, read_manifest

GOOD = """
one:
  kind: text encoder
  purpose: tests
  licence: MIT
  licence_means: free for any use
  hub: somebody/one
  revision: main
  files:
    config.json: {size: null, sha256: null}
"""


def test_the_shipped_manifest_has_what_base_is_made_of():
    manifest = read_manifest()
    assert {name: one.hub for name, one in manifest.items() if 'MAVEN base' in one.purpose
            or one.name == 'beit-base'} == {
        'swin-base': 'microsoft/swin-base-patch4-window7-224',
        'hubert-base': 'facebook/hubert-base-ls960',
        'roberta-base': 'FacebookAI/roberta-base',
        'beit-base': 'microsoft/beit-base-patch16-224-pt22k'}
    for one in manifest.values():
        assert one.licence in ('Apache-2.0', 'MIT') and one.licence_means and one.purpose
        assert one.address('x').startswith('https://')
        names = {file.path for file in one.files}
        assert one.hub is None or {'config.json', 'README.md'} <= names or one.is_pinned
        # What has no hash has no address that cannot change either, but for the model cards.
        unknown = [file.path for file in one.files if file.sha256 is None]
        assert unknown in ([], ['README.md']) or not one.is_pinned


def test_its_flags_are_parameters_of_the_node():
    known = {one.name for one in parameters(Settings())}
    for one in read_manifest().values():
        flags = [word.removeprefix('--') for word in one.use.split() if word.startswith('--')]
        assert set(flags) <= known
        assert ('vosk' in one.use) == one.name.startswith('vosk-')


def test_addresses(monkeypatch):
    monkeypatch.delenv('HF_ENDPOINT', raising=False)
    hub = entry(pinned('a', b'a'), url=None, hub='some/model', revision='main')
    assert hub.address('a') == 'https://huggingface.co/some/model/resolve/main/a'
    assert hub.address('a', commit='abc') == 'https://huggingface.co/some/model/resolve/abc/a'
    monkeypatch.setenv('HF_ENDPOINT', 'https://mirror.example/hf/')
    assert hub.address('a') == 'https://mirror.example/hf/some/model/resolve/main/a'
    assert hub.address('a', 'http://near') == 'http://near/some/model/resolve/main/a'
    other = entry(pinned('a', b'a'), url='https://models.example/all')
    assert other.address('a') == 'https://models.example/all/a'
    assert other.address('a', 'http://near/m/') == 'http://near/m/all/a'
    with pytest.raises(ResourceError, match="base URL: 'file:///etc' does not begin with http"):
        other.address('a', 'file:///etc')


@pytest.mark.parametrize(('old', 'new', 'message'), [
    (GOOD, '- one', r"the manifest: not a mapping but \['one'\]"),
    (GOOD, 'one: [', 'no readable YAML'),
    ('  kind: text encoder\n', '', 'one: missing: kind'),
    ('kind: text', 'colour: red\n  kind: text', 'one: unknown: colour'),
    ('one:', 'One/..:', "'One/..': names are lower-case"),
    ('  revision: main\n', '', 'one: needs hub and revision, or url'),
    ('config.json:', '../config.json:', "path: '../config.json' does not stay below the model"),
    ('config.json:', '/etc/config.json:', "path: '/etc/config.json' does not stay below"),
    ('size: null', 'size: -1', 'config.json: size -1 is not a whole number above 0'),
    ('sha256: null', 'sha256: abc', "config.json: sha256 'abc' is not 64 hexadecimals"),
    (', sha256: null', '', 'one: config.json: missing: sha256'),
    ('    config.json: {size: null, sha256: null}', '    {}', 'one: has no files'),
])
def test_a_bad_manifest_is_refused_by_name(tmp_path, old, new, message):
    path = tmp_path / 'models.yaml'
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(MavenError, match=f'{path}.*: .*{message}'):
        read_manifest(path)


SOURCED = GOOD.replace('{size: null, sha256: null}', f"""
      size: 1
      sha256: '{'a' * 64}'
      sources:
      - {{package: p, version: 1.0.0, path: p/a}}
      - parts: [{{package: p-1, version: '1', path: a}}, {{package: p-2, version: '1', path: a}}]
      - url: https://models.example/a""")


def test_sources_are_read_in_their_order(tmp_path):
    path = tmp_path / 'models.yaml'
    path.write_text(SOURCED)
    [file] = read_manifest(path)['one'].files
    assert file.sources == (
        (PackageFile('p', '1.0.0', 'p/a'),),
        (PackageFile('p-1', '1', 'a'), PackageFile('p-2', '1', 'a')), 'https://models.example/a')


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('size: 1', 'size: 1\n      path: 5', 'config.json: path: 5 is no text'),  # was a TypeError
    (f"'{'a' * 64}'", 'null', 'config.json: has sources but no sha256 to check them'),
    ('package: p,', 'package: -r evil,', "package: '-r evil'; allowed: "),
    ('version: 1.0.0', 'version: 1.0', 'version: 1.0 is no text'),
    ('path: p/a', "path: ''", "p: path '' names no file in it"),
    ('{package: p,', '{package: p, size: 1,', 'sources: unknown: size'),
    ('https://models.example', 'ftp://models.example', "sources: 'ftp://models.example/a' does"),
    ('parts: [{', 'parts: []\n      - parts: [{', r'parts: not a list of files in packages'),
])
def test_bad_sources_are_refused_by_name(tmp_path, old, new, message):
    path = tmp_path / 'models.yaml'
    assert old in SOURCED
    path.write_text(SOURCED.replace(old, new))
    with pytest.raises(MavenError, match=message):
        read_manifest(path)


def test_the_weights_of_whisper_come_from_packages_or_the_hub():
    manifest = read_manifest()
    for name in ('whisper-base', 'whisper-tiny-en', 'whisper-small'):
        one = manifest[name]
        assert one.is_pinned and one.licence == 'MIT' and 'OpenAI' in one.notice
        assert {file.path for file in one.files} == {
            'config.json', 'tokenizer.json', 'vocabulary.txt', 'model.bin'}
        assert all(file.sha256 for file in one.files)
        assert all(bool(file.sources) == (name != 'whisper-small') for file in one.files)


def test_a_good_one_is_read(tmp_path):
    path = tmp_path / 'models.yaml'
    path.write_text(GOOD)
    [one] = read_manifest(path).values()
    assert (one.name, one.hub, one.is_pinned, one.size) == ('one', 'somebody/one', False, '?')
