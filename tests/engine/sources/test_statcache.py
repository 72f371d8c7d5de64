import hashlib
import os
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.sources.host import read
from pipelines.engine.sources.statcache import StatCache, racy, stamp

SECOND = 1_000_000_000


def status(ctime: int, mtime: int) -> os.stat_result:
    times = {"st_ctime_ns": ctime, "st_mtime_ns": mtime}
    return os.stat_result((0o100644, 1, 1, 1, 0, 0, 5, 0, 0, 0), times)


def test_a_change_in_the_tick_of_the_read_is_racy() -> None:
    now = 1_700_000_000 * SECOND + 123
    assert racy(status(now - 10, now - 10), now, local=True)
    assert racy(status(now + 10, 0), now, local=True)
    assert not racy(status(now - SECOND, now - SECOND), now, local=True)


def test_stamps_of_others_and_of_whole_seconds_need_two_seconds() -> None:
    now = 1_700_000_000 * SECOND
    recent = status(now - SECOND, now - SECOND)
    assert racy(recent, now, local=True)  # whole seconds
    assert racy(status(now - SECOND + 7, 0), now, local=False)
    assert racy(status(0, now - SECOND), now, local=False)
    assert not racy(status(now - 3 * SECOND, now - 3 * SECOND), now, local=False)


def test_a_cache_gives_back_what_was_saved(tmp_path: Path) -> None:
    first = StatCache(tmp_path / "cache", "/src")
    first.new[b"k" * 48] = b"v" * 32
    first.save()
    assert StatCache(tmp_path / "cache", "/src").known == {b"k" * 48: b"v" * 32}
    assert StatCache(tmp_path / "cache", "/other").known == {}
    assert len(os.listdir(tmp_path / "cache")) == 1


def test_a_damaged_cache_is_an_empty_one(tmp_path: Path) -> None:
    cache = StatCache(tmp_path, "/src")
    cache.new[b"k" * 48] = b"v" * 32
    cache.save()
    file = next(tmp_path.iterdir())
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1], whole[:-1] + b"x", b"x" + whole, os.urandom(200)):
        file.write_bytes(damaged)
        assert StatCache(tmp_path, "/src").known == {}


def test_a_cache_that_can_not_be_kept_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = StatCache(tmp_path / "file" / "below", "/src")
    cache.new[b"k" * 48] = b"v" * 32
    cache.save()
    assert StatCache(tmp_path / "file" / "below", "/src").known == {}


def test_rows_of_other_patterns_stay_until_they_are_many(tmp_path: Path) -> None:
    rows = {i.to_bytes(48, "big"): b"v" * 32 for i in range(11_000)}
    cache = StatCache(tmp_path, "/src")
    cache.new = rows
    cache.save()
    again = StatCache(tmp_path, "/src")
    again.met, again.new = 1_000, {b"n" * 48: b"w" * 32}
    again.save()
    assert len(StatCache(tmp_path, "/src").known) == 11_001
    last = StatCache(tmp_path, "/src")
    last.new = {b"m" * 48: b"w" * 32}
    last.save()
    assert len(StatCache(tmp_path, "/src").known) == 1


def test_a_known_stamp_saves_the_read(tmp_path: Path) -> None:
    root, cache = tmp_path / "src", tmp_path / "cache"
    root.mkdir()
    (root / "a").write_bytes(b"hello")
    planted = StatCache(cache, str(root))
    planted.new[stamp((root / "a").stat())] = b"\1" * 32
    planted.save()
    assert read(str(root), cache_dir=cache).tree["a"].content == "01" * 32


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "append", "back", "swap", "rename", "replace", "read", "old"]),
        st.sampled_from("abc"),
        st.sampled_from("abc"),
        st.integers(0, 255),
    ),
    max_size=25,
)


def mutate(root: Path, step: str, one: str, two: str, byte: int) -> None:
    """Change a file in a way that tries to hide the change."""
    a, b = root / one, root / two
    before = a.stat().st_mtime_ns if a.exists() else 0
    if step == "write":
        a.write_bytes(bytes([byte]) * 8)
    elif step == "append":
        with a.open("ab") as file:
            file.write(bytes([byte]))
    elif step == "back":
        a.write_bytes(bytes([byte]) * 8)
        os.utime(a, ns=(before, before))
    elif step == "old":
        a.write_bytes(bytes([byte]) * 8)
        os.utime(a, ns=(SECOND, SECOND))
    elif step == "swap" and one != two and a.exists() and b.exists():
        os.rename(a, root.parent / "spare")
        os.rename(b, a)
        os.rename(root.parent / "spare", b)
    elif step == "rename" and a.exists():
        os.rename(a, b)
    elif step == "replace":
        fresh = root.parent / "fresh"
        fresh.write_bytes(bytes([byte]) * 8)
        os.utime(fresh, ns=(before, before))
        os.rename(fresh, a)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, waits=st.booleans())
def test_no_mutation_gives_a_stale_digest(tmp_path: Path, steps: list, waits: bool) -> None:
    home = tmp_path / os.urandom(8).hex()
    root, cache = home / "src", home / "cache"
    root.mkdir(parents=True)
    for step in [*steps, ("read", "a", "a", 0)]:
        mutate(root, *step)
        if waits and step[3] % 32 == 0:
            time.sleep(0.11)  # long enough for entries to count as settled
        if step[0] == "read" or step[3] % 3 == 0:
            seen = {p: e.content for p, e in read(str(root), cache_dir=cache).tree.items()}
            assert seen == {
                f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in root.iterdir()
            }
