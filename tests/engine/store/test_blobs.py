import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.digest import digest_bytes
from pipelines.engine.errors import ContentMissing

same_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@same_store
@given(st.binary(max_size=4096))
def test_what_was_put_is_got(blobs, content):
    assert blobs.get(blobs.put(content)) == content


@same_store
@given(st.lists(st.binary(max_size=512), max_size=8))
def test_a_writer_keeps_the_pieces_in_order(blobs, pieces):
    with blobs.writer() as writer:
        for piece in pieces:
            writer.write(piece)
    assert writer.digest == digest_bytes(b"".join(pieces))
    assert blobs.get(writer.digest) == b"".join(pieces)


def test_a_writer_that_fails_keeps_nothing(blobs, layout):
    with pytest.raises(RuntimeError):
        with blobs.writer() as writer:
            writer.write(b"half")
            raise RuntimeError
    assert os.listdir(layout.blobs) == os.listdir(layout.incoming) == []


def test_a_file_that_is_put_is_consumed(blobs, tmp_path):
    (tmp_path / "f").write_bytes(b"bytes")
    digest = blobs.put_file(tmp_path / "f")
    assert not (tmp_path / "f").exists()
    assert blobs.get(digest) == b"bytes"


def test_a_missing_blob_is_a_miss(blobs):
    with pytest.raises(ContentMissing):
        blobs.get(digest_bytes(b"never"))


def test_a_damaged_blob_is_removed_and_then_missing(blobs):
    digest = blobs.put(b"right")
    blobs.path(digest).chmod(0o600)
    blobs.path(digest).write_bytes(b"wrong")
    with pytest.raises(ContentMissing, match="damaged"):
        blobs.get(digest)
    assert not blobs.has(digest)


def test_a_blob_put_twice_is_one_file(blobs, layout):
    blobs.put(b"x")
    before = os.listdir(layout.blobs)
    blobs.put(b"x")
    assert os.listdir(layout.blobs) == before


def test_two_processes_putting_one_blob_both_have_it(blobs, other):
    code = """
        for n in range(200):
            Blobs(layout).put(b"%d" % n)
    """
    both = [other(code), other(code)]
    assert [p.wait() for p in both] == [0, 0]
    assert all(blobs.get(digest_bytes(b"%d" % n)) for n in range(200))


def test_memory_does_not_grow_with_a_blob(blobs, other):
    process = other("""
        import resource
        blobs, before = Blobs(layout), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with blobs.writer() as writer:
            for _ in range(64):
                writer.write(bytes(1 << 20))
        assert blobs.check(writer.digest)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    assert int(process.communicate()[0]) < 16 << 10
