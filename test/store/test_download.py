"""One file over HTTP: what a bad connection, a bad server and a full disk do to it."""

import errno
import hashlib
import random
import shutil
import socket
import time

import pytest
from full_disk import largest_file
from modelserver import IMPATIENT, sha256

from maven_ros.errors import ResourceError
from maven_ros.store.answer import NotOnServer
from maven_ros.store.download import Patience, download

DATA = random.Random(1).randbytes(3_000_000)
HASH = sha256(DATA)


@pytest.fixture
def get(site, tmp_path):
    def get(path='/file', **options):
        return download(site.url + path, tmp_path / 'file', **{'patience': IMPATIENT, **options})
    return get


def test_a_file_comes_whole_and_its_progress_is_told(site, get, tmp_path):
    site.put('/file', DATA)
    told = []
    got = get(size=len(DATA), sha256=HASH, progress=lambda *numbers: told.append(numbers))
    assert (got.size, got.sha256, got.checked) == (len(DATA), HASH, 'manifest')
    assert (tmp_path / 'file').read_bytes() == DATA
    assert not (tmp_path / 'file.part').exists()
    assert told[0] == (0, len(DATA)) and told[-1] == (len(DATA), len(DATA))
    assert told == sorted(told) and len(told) > 2


def test_a_cut_connection_is_continued_where_it_was_cut(site, get, tmp_path):
    site.put('/file', DATA, cuts=[1_000_000, 500_000])
    get(sha256=HASH)
    assert (tmp_path / 'file').read_bytes() == DATA
    assert [one.range for one in site.requests] == [None, 'bytes=1000000-', 'bytes=1500000-']
    assert site.sent('/file') == len(DATA)  # no byte twice


def test_the_next_fetch_continues_what_an_earlier_one_left(site, get, tmp_path):
    site.put('/file', DATA, cuts=[700_000, 0, 0, 0])
    with pytest.raises(ResourceError, match=r'cut after 700000 of 3000000 bytes; gave up after 3 '
                       r'attempts without progress. 700000 bytes are kept'):
        get(sha256=HASH)
    assert (tmp_path / 'file.part').stat().st_size == 700_000
    assert not (tmp_path / 'file').exists()
    site.pages['/file'].cuts.clear()
    get(sha256=HASH)
    assert (tmp_path / 'file').read_bytes() == DATA
    assert site.sent('/file') == len(DATA)


def test_the_reason_of_a_refusal_does_nothing_on_a_terminal(site, get):
    site.put('/file', DATA, refusals=[403], reason='No \x1b]0;title\x07')
    with pytest.raises(ResourceError) as raised:
        get()
    assert str(raised.value).endswith(r'/file: 403 No \x1b]0;title\x07')


def test_a_server_without_ranges_starts_again(site, get, tmp_path):
    site.put('/file', DATA, ranges=False, cuts=[1_000_000])
    get(sha256=HASH)
    assert (tmp_path / 'file').read_bytes() == DATA
    assert site.sent('/file') == 1_000_000 + len(DATA)


def test_a_connection_that_always_breaks_is_given_up(site, get):
    site.put('/file', DATA, ranges=False, cuts=[100_000, 90_000, 200_000] + 20 * [200_100])
    with pytest.raises(ResourceError, match='gave up after 3 attempts'):
        get(sha256=HASH)
    assert len(site.requests) == 5  # the third got much further than any before


def test_without_a_hash_nothing_is_continued(site, get, tmp_path):
    (tmp_path / 'file.part').write_bytes(b'of another day')
    site.put('/file', DATA, cuts=[len(DATA), 1000])  # the first is the rest that was asked for
    got = get()
    assert (tmp_path / 'file').read_bytes() == DATA
    assert (got.checked, got.sha256) == ('nothing', HASH)
    assert [one.range for one in site.requests] == ['bytes=14-', None, None]


def test_a_wrong_hash_is_refused_by_name_and_removed(site, get, tmp_path):
    site.put('/file', DATA[:-1] + b'!')
    with pytest.raises(ResourceError, match=rf'/file: sha256 is [0-9a-f]{{64}}, and the manifest '
                       rf'says {HASH}; what came was removed'):
        get(size=len(DATA), sha256=HASH)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_something_else_is_found_out_and_removed(site, get, tmp_path):
    (tmp_path / 'file.part').write_bytes(b'x' * 1000)
    site.put('/file', DATA)
    with pytest.raises(ResourceError, match='what came was removed'):
        get(sha256=HASH)
    get(sha256=HASH)
    assert (tmp_path / 'file').read_bytes() == DATA


def test_a_part_longer_than_the_file_is_begun_again(site, get, tmp_path):
    (tmp_path / 'file.part').write_bytes(DATA + b'more')
    site.put('/file', DATA)
    get(sha256=HASH)
    assert [one.status for one in site.requests] == [416, 200]


def test_the_hash_that_the_hub_declares_is_checked(site, get, tmp_path):
    headers = {'X-Linked-ETag': f'"{HASH}"', 'X-Repo-Commit': 'c' * 40}
    site.put('/file', redirect='/store', headers=headers)
    site.put('/store', DATA, headers={'ETag': f'"{"a" * 64}"'}, cuts=[1_000_000])
    got = get()
    assert (got.checked, got.commit) == ('server', 'c' * 40)
    assert site.sent('/store') == len(DATA)  # and makes it continuable
    site.put('/store', b'not that')
    with pytest.raises(ResourceError, match=f'the server itself declares {HASH}'):
        get()


def test_an_etag_that_is_no_hash_vouches_for_nothing(site, get):
    site.put('/file', DATA, headers={'ETag': '"5f3-61"'})
    assert get().checked == 'nothing'


@pytest.mark.parametrize('behaviour', [{'says_length': False}, {'chunked': True}])
def test_a_server_may_keep_the_length_to_itself(site, get, behaviour):
    site.put('/file', DATA, **behaviour)
    told = []
    assert get(progress=lambda *numbers: told.append(numbers)).sha256 == HASH
    assert told[-1] == (len(DATA), None)


@pytest.mark.parametrize('behaviour', [{'says_length': False}, {'chunked': True}])
def test_a_cut_without_a_length_is_seen_where_the_manifest_has_it(site, get, tmp_path, behaviour):
    site.put('/file', DATA, cuts=[1000], **behaviour)
    get(size=len(DATA), sha256=HASH)
    assert (tmp_path / 'file').read_bytes() == DATA
    assert site.requests[1].range == 'bytes=1000-'


def test_another_size_is_refused_before_it_comes(site, get, tmp_path):
    site.put('/file', b'<html>Log in to this network</html>')
    with pytest.raises(ResourceError, match='has 35 bytes there, and the manifest says 3000000'):
        get(size=len(DATA), sha256=HASH)
    assert list(tmp_path.iterdir()) == []


def test_more_than_was_announced_is_refused(site, get, tmp_path):
    site.put('/file', DATA, says_length=False)
    with pytest.raises(ResourceError, match='sends more than its 1000 bytes'):
        get(size=1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('chunked', [False, True])
def test_a_body_without_end_ends_where_nobody_knows_its_size(site, get, tmp_path, chunked,
                                                             monkeypatch):
    monkeypatch.setattr('maven_ros.store.download._MOST_UNTOLD', 2_000_000)
    site.put('/file', DATA, says_length=False, chunked=chunked)
    with pytest.raises(ResourceError, match=r'sends more than 2\.0 MB, and neither it nor the '
                       'manifest says its size'):
        get()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('header', 'value', 'status'), [
    ('Content-Length', '²', 200), ('Content-Length', '-1', 200), ('Content-Length', '1e3', 200),
    ('Content-Length', '9' * 5000, 200), ('Content-Length', '0x10\x1b[2J', 200),
    ('Content-Range', 'bytes 5-3/10', 206), ('Content-Range', 'bytes 0-9/5', 206),
    ('Content-Range', 'bytes 0-1/*', 206), ('Content-Range', 'bytes 0-1/' + '9' * 5000, 206),
    ('Content-Range', 'x', 206)])
def test_nonsense_in_headers_is_refused_at_once_by_name(site, get, header, value, status):
    site.put('/file', DATA, says_length=False, headers={header: value}, status=status)
    with pytest.raises(ResourceError, match=f'/file: {header} .* is not understood') as raised:
        get()
    assert str(raised.value).isprintable() and len(str(raised.value)) < 300
    assert len(site.requests) == 1


def test_an_answer_that_is_neither_the_file_nor_its_rest_is_refused(site, get):
    site.put('/file', b'', status=204, says_length=False)
    with pytest.raises(ResourceError, match='/file: answers 204 No Content; allowed: 200, 206'):
        get()


def test_a_rest_that_was_not_asked_for_is_not_taken_for_the_file(site, get, tmp_path):
    site.put('/file', DATA, headers={'Content-Range': 'bytes 10-19/3000000'}, status=206)
    with pytest.raises(ResourceError, match='the rest that it sent does not fit what is here'):
        get()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('where', ['ftp://127.0.0.1/file', 'FTP://127.0.0.1/file',
                                   'data:text/plain,model'])
def test_a_redirect_to_another_protocol_is_refused(site, get, where):
    site.put('/file', redirect=where)
    with pytest.raises(ResourceError, match=r'redirects to .*; allowed: http|302 Found'):
        get()


def test_a_server_that_drips_is_not_waited_for(site, get, tmp_path):
    # Each byte ended the silence, so that nothing ever did.
    site.put('/file', DATA[:2000], drip_s=0.02)
    began_s = time.monotonic()
    with pytest.raises(ResourceError, match=r'/file: sent \d+ bytes in [\d.]+ s; allowed: 1000 '
                       'bytes a second. What came is kept'):
        get(sha256=HASH, patience=Patience(retries=1, delay_s=0.01, timeout_s=0.3))
    assert time.monotonic() - began_s < 5
    assert (tmp_path / 'file.part').stat().st_size > 1


HEAD = b'HTTP/1.1 200 OK\r\nX-Filler: '
IN_HEAD = r'of the head of its answer in [\d.]+ s; allowed: all of it in 0.3 s'


@pytest.mark.parametrize(('raw', 'message'), [
    ((b'', b'H'), IN_HEAD),
    ((HEAD, b'a'), IN_HEAD),
    ((HEAD, b'a' * 500), IN_HEAD),  # fast enough for a body
    ((b'', b'HTTP/1.1 100 Continue\r\n\r\n'), IN_HEAD),
    ((b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', b'1'), 'allowed: 1000 bytes'),
    ((b'HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n', b'a' * 500), '404 Not Found'),
])
def test_a_drip_ends_wherever_it_is(site, get, raw, message):
    """Heads, sizes of chunks and bodies of redirects dripped for ever; only a body's did not."""
    site.put('/file', raw=raw, drip_s=0.02)
    began_s = time.monotonic()
    with pytest.raises(ResourceError, match=message):
        get(sha256=HASH, patience=Patience(retries=1, delay_s=0.01, timeout_s=0.3))
    assert time.monotonic() - began_s < 5


def test_a_byte_each_time_is_no_progress(site, get):
    site.put('/file', DATA, cuts=list(range(1, 90)))
    with pytest.raises(ResourceError, match='gave up after 3 attempts'):
        get(sha256=HASH)
    assert len(site.requests) == 3


@pytest.mark.parametrize('error', [
    socket.gaierror(-3, 'Temporary failure in name resolution'),
    OSError(errno.ENETUNREACH, 'Network is unreachable')])
def test_a_machine_that_is_offline_is_told_so_at_once(get, monkeypatch, error):
    def fail(*_, **__):
        raise error
    monkeypatch.setattr(socket, 'create_connection', fail)
    began_s = time.monotonic()
    with pytest.raises(ResourceError, match='this machine is offline, or the server is unknown'):
        get(patience=Patience(delay_s=60))
    assert time.monotonic() - began_s < 5


def test_a_missing_file_is_said_at_once(site, get):
    with pytest.raises(NotOnServer, match='/file: 404 Not Found'):
        get()
    assert len(site.requests) == 1


def test_a_refusal_is_said_at_once_and_a_busy_server_is_asked_again(site, get):
    page = site.put('/file', DATA, refusals=[503, 429])
    assert get().sha256 == HASH
    page.refusals = [401]
    with pytest.raises(ResourceError, match='/file: 401 Unauthorized'):
        get()


def test_a_silent_server_times_out_and_is_continued(site, get, tmp_path):
    site.put('/file', DATA, cuts=[1_000_000], silent_s=0.6)
    get(sha256=HASH, patience=Patience(retries=1, delay_s=0.01, timeout_s=0.2))
    assert (tmp_path / 'file').read_bytes() == DATA
    assert site.requests[1].range == 'bytes=1000000-'  # what came before the silence is kept


def test_nobody_at_the_address_is_said(get, site, tmp_path):
    site.url = 'http://127.0.0.1:9'
    with pytest.raises(ResourceError, match=r'127.0.0.1:9/file: .*refused.*; gave up after 3'):
        get()


def test_attempts_wait_longer_and_longer(site, get, monkeypatch):
    waits = []
    monkeypatch.setattr('time.sleep', waits.append)
    site.put('/file', refusals=[500] * 9)
    with pytest.raises(ResourceError, match='500 Internal Server Error; gave up after 4'):
        get(patience=Patience(retries=3, delay_s=1.0))
    assert waits == [1.0, 2.0, 4.0]


def test_a_full_disk_is_said_before_the_download(site, get, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    site.put('/file', b'', headers={'Content-Length': str(2 * free)}, says_length=False)
    with pytest.raises(ResourceError, match=r'/file: needs [\d.]+ .B on the disk of .*, and '
                       r'[\d.]+ .B are free'):
        get()


def test_a_disk_that_fills_up_is_named_and_the_file_is_continued_later(site, get, tmp_path):
    site.put('/file', DATA)
    with largest_file(1_000_000), pytest.raises(
            ResourceError, match=r'file.part: cannot be written: .*File too large'):
        get(sha256=HASH)
    get(sha256=HASH)
    assert site.requests[1].range == 'bytes=1000000-'
    assert (tmp_path / 'file').read_bytes() == DATA


def test_the_hash_is_that_of_the_file_not_of_what_came_last(site, get, tmp_path):
    (tmp_path / 'file.part').write_bytes(DATA[:2_500_000])
    site.put('/file', DATA)
    assert get(sha256=HASH).sha256 == hashlib.sha256((tmp_path / 'file').read_bytes()).hexdigest()
