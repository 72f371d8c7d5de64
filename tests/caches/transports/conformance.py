"""What every transport promises; each module runs these over its own."""

import anyio
import pytest

from pipelines.caches.arrivals import listening
from pipelines.caches.errors import Conflict, Damaged, Missing
from pipelines.caches.transport import HEAD_LIMIT


async def names(transport, prefix):
    return sorted([item.name async for item in transport.list(prefix)])


async def put(transport, name, content):
    await transport.swap(name, content, await transport.heads(name))


class Conformance:
    """Mixed into a test class with a fixture `transport`; all names are below `self.at`."""

    async def test_what_is_written_is_read(self, transport):
        assert await transport.write("packs/ab01", b"x" * 1000)
        assert await transport.read("packs/ab01") == b"x" * 1000

    async def test_a_range_is_read(self, transport):
        await transport.write("packs/ab01", b"0123456789")
        assert await transport.read("packs/ab01", 3, 4) == b"3456"
        assert await transport.read("packs/ab01", 7) == b"789"
        assert await transport.read("packs/ab01", 8, 100) == b"89"

    async def test_bytes_are_told_while_they_arrive(self, transport):
        told = []
        await transport.write("packs/ab01", b"x" * 100_000)
        with listening(told.append):
            await transport.read("packs/ab01", 10, 90_000)
        assert sum(told) >= 90_000

    async def test_what_is_there_is_not_sent_again(self, transport):
        assert await transport.write("packs/ab01", b"once")
        assert not await transport.write("packs/ab01", b"once")

    async def test_what_is_not_there_is_missing(self, transport):
        with pytest.raises(Missing):
            await transport.read("packs/ab01")
        with pytest.raises(Missing):
            await transport.read("packs/ab01", 1, 2)
        assert not await transport.heads("heads/local/key")

    @pytest.mark.parametrize(
        "name", ["../out", "packs/../../out", "/etc/passwd", "", "a//b", ".x", "a\nb", "a" * 600]
    )
    async def test_a_name_that_is_none_is_refused(self, transport, name):
        with pytest.raises(Damaged):
            await transport.read(name)
        with pytest.raises(Damaged):
            await transport.write(name, b"")
        with pytest.raises(Damaged):
            await transport.heads(name)
        with pytest.raises(Damaged):
            await transport.delete(name)

    async def test_a_head_is_replaced(self, transport):
        for content in (b"one", b"two", b"three"):
            await put(transport, "heads/local/key", content)
        assert [head.content for head in await transport.heads("heads/local/key")] == [b"three"]

    async def test_an_object_and_a_head_are_listed_by_their_beginning(self, transport):
        await transport.write("packs/ab01", b"12345")
        await transport.write("packs/ac01", b"1")
        await put(transport, "heads/local/one", b"h")
        await put(transport, "heads/trusted/two", b"h")
        assert await names(transport, "packs/") == ["packs/ab01", "packs/ac01"]
        assert await names(transport, "packs/ab") == ["packs/ab01"]
        assert await names(transport, "heads/") == ["heads/local/one", "heads/trusted/two"]
        assert await names(transport, "nothing/") == []
        assert [i.size async for i in transport.list("packs/ab")] == [5]

    async def test_what_is_deleted_is_gone(self, transport):
        await transport.write("packs/ab01", b"12345")
        await put(transport, "heads/local/one", b"h")
        for name in ("packs/ab01", "heads/local/one", "packs/never"):
            await transport.delete(name)
        with pytest.raises(Missing):
            await transport.read("packs/ab01")
        assert not await transport.heads("heads/local/one")
        assert await names(transport, "") == []

    async def test_a_deleted_head_can_be_made_again(self, transport):
        await put(transport, "heads/local/one", b"first")
        await transport.delete("heads/local/one")
        await put(transport, "heads/local/one", b"second")
        assert [h.content for h in await transport.heads("heads/local/one")] == [b"second"]

    async def test_a_huge_head_is_not_read_whole(self, transport):
        await put(transport, "heads/local/key", b"x" * (4 * HEAD_LIMIT))
        (head,) = await transport.heads("heads/local/key")
        assert len(head.content) == HEAD_LIMIT + 1
        await transport.swap("heads/local/key", b"small", [head])
        assert [h.content for h in await transport.heads("heads/local/key")] == [b"small"]

    async def test_savers_at_once_lose_nothing(self, transport):
        """Each adds its number to what it read; whoever is late reads again."""

        async def add(number):
            while True:
                seen = await transport.heads("heads/local/sum")
                have = {n for head in seen for n in head.content.split()}
                with_ours = b" ".join(sorted(have | {b"%d" % number}))
                try:
                    await transport.swap("heads/local/sum", with_ours, seen)
                except Conflict:
                    continue
                return

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(add, number)
        heads = await transport.heads("heads/local/sum")
        union = {n for head in heads for n in head.content.split()}
        assert union == {b"%d" % n for n in range(8)}


class OneHead:
    """For the transports whose backends compare: a late writer is told."""

    async def test_who_saw_an_older_head_is_told(self, transport):
        await transport.swap("heads/local/key", b"one", [])
        seen = await transport.heads("heads/local/key")
        await transport.swap("heads/local/key", b"two", seen)
        with pytest.raises(Conflict):
            await transport.swap("heads/local/key", b"late", seen)
        with pytest.raises(Conflict):
            await transport.swap("heads/local/key", b"later", [])
        assert [h.content for h in await transport.heads("heads/local/key")] == [b"two"]
