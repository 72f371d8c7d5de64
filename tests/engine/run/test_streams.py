"""Output: whole, in order, without secrets."""

import base64
import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.digest import Digest
from pipelines.engine.run.streams import Scrubber, Spool, Streams, patterns


def scrub(secret: bytes, chunks: list[bytes]) -> bytes:
    scrubber = Scrubber(patterns([secret]))
    return b"".join(map(scrubber.feed, chunks)) + scrubber.close()


@given(
    st.binary(min_size=4, max_size=12), st.binary(max_size=40), st.binary(max_size=40), st.data()
)
def test_a_secret_is_hidden_however_the_output_is_cut(secret, before, after, data):
    text = before + secret + after
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    bounds = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(bounds)]
    shown = scrub(secret, pieces)
    assert secret not in shown or secret in b"***"


@given(st.binary(min_size=8, max_size=40), st.integers(0, 5))
def test_base64_of_a_secret_is_hidden_at_every_alignment(secret, offset):
    text = base64.b64encode(b"x" * offset + secret + b"tail")
    inner = base64.b64encode(b"\0" * (offset % 3) + secret)
    core = inner[((offset % 3) * 8 + 5) // 6 : (offset % 3 + len(secret)) * 8 // 6]
    assert core not in scrub(secret, [text])


def test_lines_of_a_multi_line_secret_are_hidden_one_by_one():
    assert b"line-two" not in scrub(b"line-one\nline-two", [b"> line-", b"two\n"])


def test_output_without_secrets_is_untouched():
    assert scrub(b"hunter2", [b"hunter", b"3 hunt"]) == b"hunter3 hunt"


@pytest.mark.parametrize("size", [0, 10, 200_000])
def test_a_spool_gives_back_what_was_written(tmp_path, size):
    class Store:
        def put(self, data):
            return Digest.of_hex(hashlib.sha256(data).hexdigest())

        def put_file(self, path):
            data = path.read_bytes()
            path.unlink()
            return self.put(data)

    text = bytes(i % 251 for i in range(size))
    spool = Spool(tmp_path / "spool")
    for at in range(0, size, 1000):
        spool.write(text[at : at + 1000])
    assert b"".join(spool.read()) == text
    assert spool.tail(5) == (text[-5:], max(0, size - 5))
    assert spool.store(Store()) == Store().put(text)
    assert list(tmp_path.iterdir()) == []


def test_both_streams_are_kept_in_the_order_they_came(tmp_path):
    seen = []
    streams = Streams(tmp_path.joinpath, (), lambda name, data: seen.append((name, data)))
    streams.on_stdout(b"1")
    streams.on_stderr(b"2")
    streams.on_stdout(b"3")
    assert b"".join(streams.combined.read()) == b"123"
    assert seen == [("stdout", b"1"), ("stderr", b"2"), ("stdout", b"3")]
