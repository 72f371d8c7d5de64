"""A directory as a backend."""

import os

import anyio
import pytest

from pipelines.caches.errors import Conflict, Damaged, Missing, Unavailable
from pipelines.caches.open import open_transport
from pipelines.caches.transports.anchored import Anchored
from pipelines.caches.transports.directory import DirectoryTransport
from tests.caches.transports.conformance import Conformance, OneHead, names, put

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class TestDirectory(Conformance, OneHead):
    @pytest.fixture(params=["unnamed", "named", "no-links"])
    def transport(self, tmp_path, request):
        root = str(tmp_path / "made" / "by the first write")
        unnamed = request.param == "unnamed"
        files = Anchored(root, unnamed=unnamed, links=request.param != "no-links")
        return DirectoryTransport(root, files)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def transport(root):
    return open_transport(str(root), {})


async def test_an_address_may_be_a_path_or_a_url(tmp_path):
    for url in (str(tmp_path), f"file://{tmp_path}", "~/x"):
        assert open_transport(url, {"HOME": str(tmp_path)}).url.startswith(f"file://{tmp_path}")


@pytest.mark.parametrize("url", ["", "file://host/x", "ftp://x", "file:///x?y=1", "a\0b"])
def test_another_address_is_refused_by_its_name(url):
    with pytest.raises(ValueError, match="cache url"):
        open_transport(url, {})


async def test_reading_makes_no_directory(root, transport):
    assert not await transport.heads("heads/local/key")
    assert not root.exists()


async def test_nothing_but_the_objects_is_left(root, transport):
    await transport.write("packs/ab01", b"1")
    await put(transport, "heads/local/key", b"2")
    found = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    assert found == ["heads/local/key@/000000000001", "packs/ab01"]


async def test_a_file_that_a_crash_left_short_is_written_again(root, transport):
    (root / "packs").mkdir(parents=True)
    (root / "packs/ab01").write_bytes(b"wh")
    assert await transport.write("packs/ab01", b"whole")
    assert await transport.read("packs/ab01") == b"whole"


async def test_foreign_files_are_neither_listed_nor_deleted(root, transport):
    for name in ("packs/.hidden", "packs/a b", "README", "heads/local/key@/notes", "x@/y"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    assert await names(transport, "") == ["README"]
    await transport.delete("heads/local/key")
    assert (root / "heads/local/key@/notes").read_text() == "mine"


async def test_links_in_place_of_objects_are_not_followed(root, transport, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ab01").write_bytes(b"secret")
    root.mkdir()
    (root / "packs").symlink_to(outside)
    for act in (
        transport.read("packs/ab01"),
        transport.write("packs/ab02", b"x"),
    ):
        with pytest.raises(Unavailable, match="is a link"):
            await act
    await transport.delete("packs/ab01")
    assert await names(transport, "packs/") == []
    assert sorted(os.listdir(outside)) == ["ab01"]


async def test_a_link_in_place_of_a_pack_is_replaced_not_followed(root, transport, tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (root / "packs").mkdir(parents=True)
    (root / "packs/ab01").symlink_to(tmp_path / "target")
    with pytest.raises(Missing):
        await transport.read("packs/ab01")
    assert await transport.write("packs/ab01", b"new")
    assert await transport.read("packs/ab01") == b"new"
    assert (tmp_path / "target").read_bytes() == b"old"


async def test_a_fifo_in_place_of_a_pack_does_not_hang(root, transport):
    (root / "packs").mkdir(parents=True)
    os.mkfifo(root / "packs/ab01")
    with anyio.fail_after(5):
        with pytest.raises(Missing):
            await transport.read("packs/ab01")


async def test_a_head_that_a_writer_reserved_and_left_does_not_block(root, transport):
    await put(transport, "heads/local/key", b"one")
    (root / "heads/local/key@/000000000002").touch()
    (head,) = await transport.heads("heads/local/key")
    assert head.content == b"one"
    await transport.swap("heads/local/key", b"two", [head])
    assert [h.content for h in await transport.heads("heads/local/key")] == [b"two"]


class Slow(Anchored):
    """No links; what is to happen once a name is taken, and before it has its content, happens."""

    def __init__(self, root, meanwhile=lambda: None):
        super().__init__(root, unnamed=False, links=False)
        self.meanwhile = meanwhile

    def create(self, parts, content, still=None):
        def look():
            self.meanwhile()
            return still is None or still()

        return super().create(parts, content, look)


def slow(root, meanwhile=lambda: None):
    return DirectoryTransport(str(root), Slow(str(root), meanwhile))


async def test_a_version_that_is_filled_after_it_was_read_is_merged_and_not_lost(root):
    """The other writer has its name when we read, and is done before we take ours."""
    await put(slow(root), "heads/local/key", b"one")
    seen = []

    def read():
        seen.extend(anyio.run(slow(root).heads, "heads/local/key"))

    await put(slow(root, read), "heads/local/key", b"one two")
    assert [head.content for head in seen] == [b"one"]
    with pytest.raises(Conflict):
        await slow(root).swap("heads/local/key", b"one three", seen)
    assert sorted(os.listdir(root / "heads/local/key@")) == ["000000000001", "000000000002"]
    assert [h.content for h in await slow(root).heads("heads/local/key")] == [b"one two"]


async def test_a_name_that_was_given_back_and_taken_again_is_merged_and_not_lost(root):
    """What was empty when we read is gone when we begin, and there whole when we have our name."""
    await put(slow(root), "heads/local/key", b"one")
    other = root / "heads/local/key@/000000000002"
    other.touch()
    seen = await slow(root).heads("heads/local/key")
    other.unlink()
    with pytest.raises(Conflict):
        await slow(root, lambda: other.write_bytes(b"one two")).swap(
            "heads/local/key", b"one three", seen
        )
    assert [h.content for h in await slow(root).heads("heads/local/key")] == [b"one two"]


async def test_a_writer_that_is_overtaken_before_its_version_is_filled_is_told(root):
    """We take our name while the other has only its own: it is the one that is late."""
    await put(slow(root), "heads/local/key", b"one")

    def overtake():
        seen = anyio.run(slow(root).heads, "heads/local/key")
        anyio.run(slow(root).swap, "heads/local/key", b"one three", seen)

    seen = await slow(root).heads("heads/local/key")
    with pytest.raises(Conflict):
        await slow(root, overtake).swap("heads/local/key", b"one two", seen)
    assert [h.content for h in await slow(root).heads("heads/local/key")] == [b"one three"]


async def test_a_writer_that_died_with_an_empty_version_stops_nobody(root):
    await put(slow(root), "heads/local/key", b"one")
    (root / "heads/local/key@/000000000002").touch()
    for transport in (slow(root), DirectoryTransport(str(root))):
        [head] = await transport.heads("heads/local/key")
        assert head.content == b"one"
        await transport.swap("heads/local/key", b"one", [head])
        (root / f"heads/local/key@/{int(head.version.split()[0]) + 2:012}").touch()


async def test_links_and_directories_as_versions_do_not_block(root, transport, tmp_path):
    await put(transport, "heads/local/key", b"one")
    (root / "heads/local/key@/000000000002").symlink_to(tmp_path)
    (root / "heads/local/key@/000000000003").mkdir()
    assert [h.content for h in await transport.heads("heads/local/key")] == [b"one"]
    await put(transport, "heads/local/key", b"two")
    assert [h.content for h in await transport.heads("heads/local/key")] == [b"two"]


async def test_the_last_number_does_not_end_the_counting(root, transport):
    await put(transport, "heads/local/key", b"one")
    (root / "heads/local/key@/999999999999").write_bytes(b"end")
    await put(transport, "heads/local/key", b"two")
    assert [h.content for h in await transport.heads("heads/local/key")] == [b"two"]


async def test_who_creates_a_version_that_was_there_and_is_gone_is_told(root, transport):
    await put(transport, "heads/local/key", b"0")
    seen = await transport.heads("heads/local/key")
    for number in range(1, 12):
        await put(transport, "heads/local/key", b"%d" % number)
    (root / "heads/local/key@/000000000002").unlink(missing_ok=True)
    with pytest.raises(Conflict):
        await transport.swap("heads/local/key", b"late", seen)
    assert [h.content for h in await transport.heads("heads/local/key")] == [b"11"]


async def test_old_versions_of_a_head_are_cleared_away(root, transport):
    for number in range(20):
        await put(transport, "heads/local/key", b"%d" % number)
    assert len(os.listdir(root / "heads/local/key@")) <= 6


async def test_what_dead_writers_left_goes_after_a_day(root):
    transport = DirectoryTransport(str(root), Anchored(str(root), unnamed=False))
    (root / ".incoming").mkdir(parents=True)
    for name, age in (("old", 0), ("new", None)):
        (root / ".incoming" / name).touch()
        if age is not None:
            os.utime(root / ".incoming" / name, (age, age))
    await transport.write("packs/ab01", b"x")
    assert os.listdir(root / ".incoming") == ["new"]


async def test_a_huge_object_is_not_read_whole(root, transport):
    (root / "packs").mkdir(parents=True)
    with (root / "packs/ab01").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Damaged, match="more than"):
        await transport.read("packs/ab01")
    assert await transport.read("packs/ab01", 5, 3) == b"\0\0\0"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_directory_of_others_is_read_but_a_write_says_why(root, transport):
    await transport.write("packs/ab01", b"x")
    (root / "packs").chmod(0o555)
    assert await transport.read("packs/ab01") == b"x"
    with pytest.raises(Unavailable, match="owner and mode"):
        await transport.write("packs/ab02", b"x")
    (root / "packs").chmod(0o755)


async def test_a_file_in_place_of_the_directory_is_told(root, transport):
    root.write_text("a file")
    with pytest.raises(Unavailable, match="directory is wanted"):
        await transport.write("packs/ab01", b"x")
