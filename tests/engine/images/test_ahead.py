"""Reading ahead: the same bytes, the same errors, in their place; nothing left running."""

import hashlib
import io
import threading

import pytest

from pipelines.engine.errors import ImageError
from pipelines.engine.images.ahead import Ahead

DATA = bytes(range(256)) * 40_000


def everything(ahead):
    return b"".join(iter(lambda: ahead.read(1), b""))


def test_all_comes_in_order_and_is_digested():
    with Ahead(io.BytesIO(DATA).read) as ahead:
        assert everything(ahead) == DATA
        assert ahead.read(1) == b""
        assert ahead.digest.hex == hashlib.sha256(DATA).hexdigest()


def test_an_error_comes_after_what_was_read_before_it():
    pieces = iter([b"one", b"two"])

    def read(_count):
        if piece := next(pieces, None):
            return piece
        raise ImageError("damaged")

    with Ahead(read) as ahead:
        assert (ahead.read(1), ahead.read(1)) == (b"one", b"two")
        for _ in range(2):
            with pytest.raises(ImageError, match="damaged"):
                ahead.read(1)


def test_leaving_early_ends_the_thread():
    with Ahead(bytes) as ahead:  # an endless stream
        ahead.read(1)
    assert not ahead._thread.is_alive()


def test_a_reader_whose_caller_has_left_is_told_while_it_waits():
    class Gone(BaseException):
        pass

    never = threading.Event()

    def alive():
        raise Gone

    with pytest.raises(Gone):
        with Ahead(lambda _: never.wait() and b"", alive, never.set) as ahead:
            ahead.read(1)
    assert not ahead._thread.is_alive()
