import os
import time

import anyio
import pytest

from pipelines.engine.op import CacheVolume
from pipelines.engine.store.volumes import Volumes, identity

pytestmark = pytest.mark.anyio


async def test_a_volume_keeps_its_files(volumes):
    async with volumes.open(CacheVolume("go")) as path:
        (path / "f").write_text("x")
    async with volumes.open(CacheVolume("go", sharing="LOCKED")) as path:
        assert (path / "f").read_text() == "x"


@pytest.mark.parametrize("key", ["../../../etc", "a/b", "\0", "", "x" * 5000, "\udc80"])
async def test_no_key_leaves_the_volumes(volumes, layout, key):
    async with volumes.open(CacheVolume(key)) as path:
        assert path.parent.parent == layout.volumes


def test_key_and_namespace_are_not_joined():
    assert identity(CacheVolume("ab", "c")) != identity(CacheVolume("a", "bc"))
    assert identity(CacheVolume("a", sharing="LOCKED")) == identity(CacheVolume("a"))


async def test_shared_users_have_one_directory_at_once(volumes):
    async with volumes.open(CacheVolume("a")) as one, volumes.open(CacheVolume("a")) as two:
        assert one == two


async def test_private_users_have_directories_of_their_own(volumes):
    volume = CacheVolume("a", sharing="PRIVATE")
    async with volumes.open(volume) as one, volumes.open(volume) as two:
        assert (one.name, two.name) == ("data", "data.1")
    async with volumes.open(volume) as again:
        assert again == one


@pytest.mark.parametrize("second", ["SHARED", "LOCKED"])
async def test_a_locked_volume_makes_the_next_wait(volumes, second):
    async with volumes.open(CacheVolume("a", sharing="LOCKED")):
        with anyio.move_on_after(0.02) as scope:
            async with volumes.open(CacheVolume("a", sharing=second)):
                raise AssertionError
    assert scope.cancelled_caught
    async with volumes.open(CacheVolume("a", sharing=second)):
        pass


async def test_a_seed_fills_a_volume_once(volumes):
    def fill(into):
        fills.append(into)
        (into / "seed").write_text("s")

    fills = []
    for _ in range(2):
        async with volumes.open(CacheVolume("a"), fill) as path:
            assert (path / "seed").read_text() == "s"
    assert len(fills) == 1


async def test_a_seed_that_fails_leaves_no_volume(volumes):
    def fail(into):
        (into / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        async with volumes.open(CacheVolume("a"), fail):
            pass
    assert not volumes.has(CacheVolume("a"))
    async with volumes.open(CacheVolume("a")) as path:
        assert os.listdir(path) == []
    assert volumes.has(CacheVolume("a"))


@pytest.mark.root
async def test_an_owner_is_given_the_volume(volumes, owners):
    if not owners:
        pytest.skip("only root can give a directory away")
    async with volumes.open(CacheVolume("a", owner="12:34")) as path:
        assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)


async def test_a_volume_in_use_can_not_be_removed(volumes):
    async with volumes.open(CacheVolume("a")):
        assert not volumes.remove(identity(CacheVolume("a")))
    assert volumes.remove(identity(CacheVolume("a")))
    assert not volumes.remove(identity(CacheVolume("a")))
    assert list(volumes.list()) == []


async def test_a_volume_is_listed_with_its_size_and_last_use(volumes):
    async with volumes.open(CacheVolume("a", "n")) as path:
        (path / "f").write_bytes(bytes(100_000))
        os.link(path / "f", path / "g")
        os.utime(path.parent / "meta.json", (1, 1))
    (found,) = volumes.list(sizes=True)
    assert (found.key, found.namespace) == ("a", "n")
    assert 100_000 <= found.size < 200_000
    assert found.used > 1


async def test_two_processes_lock_one_volume_in_turn(volumes, other):
    code = """
        async def main():
            volumes = Volumes(layout)
            for _ in range(20):
                async with volumes.open(CacheVolume("a", sharing="LOCKED")) as path:
                    count = path / "count"
                    count.write_text(str(int(count.read_text()) + 1 if count.exists() else 1))
        anyio.run(main)
    """
    both = [other(code), other(code)]
    assert [await anyio.to_thread.run_sync(p.wait) for p in both] == [0, 0]
    async with volumes.open(CacheVolume("a")) as path:
        assert (path / "count").read_text() == "40"


async def test_removing_and_opening_at_once_never_gives_a_removed_volume(volumes, other):
    process = other("""
        volumes = Volumes(layout)
        from pipelines.engine.store.volumes import identity
        print("go", flush=True)
        while True:
            volumes.remove(identity(CacheVolume("a")))
    """)
    process.stdout.readline()
    for sharing in ("SHARED", "LOCKED", "PRIVATE") * 50:
        async with volumes.open(CacheVolume("a", sharing=sharing)) as path:
            (path / "f").write_text("x")
            await anyio.sleep(0)
            assert (path / "f").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
async def test_an_owner_is_given_the_volume_and_its_seed_once(volumes):
    def fill(into):
        (into / "sub").mkdir()
        (into / "sub" / "f").write_text("s")
        (into / "link").symlink_to("/etc/passwd")

    for owner in ("7:8", "9"):
        async with volumes.open(CacheVolume("a", owner=owner), fill) as path:
            for at in (path, path / "sub", path / "sub" / "f", path / "link"):
                assert (at.lstat().st_uid, at.lstat().st_gid) == (7, 8)
    assert os.stat("/etc/passwd").st_uid == 0


async def test_with_a_single_id_owners_are_not_given(layout):
    async with Volumes(layout, owners=False).open(CacheVolume("a", owner="7:8")) as path:
        assert path.stat().st_uid == os.geteuid()


async def test_a_private_copy_is_seeded_like_the_first(volumes):
    def fill(into):
        (into / "seed").write_text("s")

    volume = CacheVolume("a", sharing="PRIVATE")
    async with volumes.open(volume, fill) as one, volumes.open(volume, fill) as two:
        (one / "seed").write_text("changed")
        assert (two / "seed").read_text() == "s"


async def used_by_go(volumes, often):
    """Use a volume often, with entries that are used and such as are not any more."""
    for turn in range(often):
        async with volumes.open(CacheVolume("go-build")) as path:
            for number in range(256):
                (path / f"{number:02x}").mkdir(exist_ok=True)
            (path / "00/live-d").write_bytes(b"x" * 300_000)
            (path / f"ff/edit{turn}-d").write_bytes(b"x" * 30_000)
    return path


async def test_a_build_cache_is_looked_at_after_a_few_uses(volumes, layout):
    await used_by_go(volumes, 5)
    volumes.tend()
    assert not list(layout.volumes.glob("*/looks.json"))
    path = await used_by_go(volumes, 1)
    volumes.tend()
    assert time.time() - (path / "00/live-d").stat().st_mtime > 3600
    [uses] = layout.volumes.glob("*/uses")
    assert uses.stat().st_size == 0


async def test_no_build_cache_is_trimmed_while_somebody_has_it(volumes, layout):
    await used_by_go(volumes, 6)
    async with volumes.open(CacheVolume("go-build")):
        assert volumes.tend() == 0
    assert not list(layout.volumes.glob("*/looks.json"))
    volumes.tend()
    assert list(layout.volumes.glob("*/looks.json"))


async def test_what_is_no_build_cache_is_left_alone(volumes, layout):
    for _ in range(9):
        async with volumes.open(CacheVolume("other")) as path:
            (path / "file").write_text("x")
    assert volumes.tend() == 0
    assert not list(layout.volumes.glob("*/looks.json"))


async def test_the_seed_of_a_build_cache_is_as_new_for_go(volumes):
    def fill(into):
        for number in range(256):
            (into / f"{number:02x}").mkdir()
        (into / "00/old-d").write_text("")
        os.utime(into / "00/old-d", (1, 1))

    async with volumes.open(CacheVolume("a"), fill) as path:
        assert time.time() - (path / "00/old-d").stat().st_mtime < 3 * 3600
