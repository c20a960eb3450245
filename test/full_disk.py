"""A disk that is full, as far as one process can tell."""

import resource
from contextlib import contextmanager


@contextmanager
def largest_file(size):
    """Let no file grow beyond so many bytes."""
    before = limit_files(size)
    try:
        yield
    finally:
        limit_files(before)


def limit_files(size):
    """Let no file grow beyond so many bytes from now on; return what was allowed."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    return before
