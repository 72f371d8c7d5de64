"""Trimming Go's build cache: the plan, and the directory."""

import os

import pytest

from pipelines.engine.store.gocache import AGE, Entry, Look, plan, settle, trim

NOW = 1_700_000_000.0


class Cache:
    """A cache in memory: `use` does to times what Go does."""

    def __init__(self):
        self.entries, self.looks, self.now = {}, (), NOW

    def use(self, *names, size=1):
        for name in names:
            self.now += 0.01
            known = self.entries.get(name)
            if known is None or self.now - known.used >= 3600:
                self.entries[name] = Entry(name, known.size if known else size, self.now)

    def look(self):
        self.now += 60
        made = plan(list(self.entries.values()), self.looks, self.now)
        for entry in made.remove:
            del self.entries[entry.path]
        for entry in made.age:
            self.entries[entry.path] = Entry(entry.path, entry.size, self.now - AGE)
        self.looks = made.looks
        return {entry.path for entry in made.remove}


PACKAGES = [f"std{n}" for n in range(100)]


def test_a_hundred_commits_keep_to_the_room_and_lose_nothing_that_is_used():
    cache, lost = Cache(), 0
    for commit in range(100):
        live = [*PACKAGES, *(f"own{n}-{(commit + n) // 7}" for n in range(20)), f"main-{commit}"]
        lost += sum(name not in cache.entries for name in PACKAGES) if commit else 0
        cache.use(*live)
        if commit % 3 == 2:
            cache.look()
            assert len(cache.entries) <= 1.3 * len(live)
    assert lost == 0


def test_without_looks_it_would_have_grown():
    cache = Cache()
    for commit in range(100):
        cache.use(*PACKAGES, *(f"own{n}-{(commit + n) // 7}" for n in range(20)))
    assert len(cache.entries) > 2.5 * 120


def test_what_only_tests_use_outlives_many_builds():
    cache, tests = Cache(), [f"test{n}" for n in range(60)]
    cache.use(*PACKAGES, *tests)
    cache.look()
    for edit in range(25):
        cache.use(*PACKAGES, *(f"edit{edit}-{n}" for n in range(4)))
        cache.look()
    assert set(tests) <= set(cache.entries)
    assert len(cache.entries) <= 1.3 * 160


def test_what_was_used_longest_ago_goes_first():
    cache = Cache()
    for name in ("old", "new", "now", "now", "now"):
        cache.use("base", name, size=10)
        gone = cache.look()
    assert gone <= {"old", "new"}
    assert "old" not in cache.entries


def test_a_use_within_the_hour_is_seen():
    cache = Cache()
    cache.use("a")
    cache.look()
    cache.use("a")  # a minute later; Go would not touch it if it were not older
    assert cache.entries["a"].used > cache.looks[-1].at


@pytest.fixture
def directory(tmp_path):
    for number in range(256):
        (tmp_path / "data" / f"{number:02x}").mkdir(parents=True)
    return tmp_path / "data"


def put(directory, name, used, size=8192):
    path = directory / name[:2] / name
    path.write_bytes(b"x" * size)
    os.utime(path, (used, used))
    return path


def test_a_cache_is_trimmed_on_disk(directory, tmp_path):
    state = tmp_path / "looks.json"
    kept = put(directory, "00a-d", NOW, 100 << 10)
    for look in range(1, 6):
        os.utime(kept, (NOW + look, NOW + look))
        put(directory, f"ff{look}-d", NOW + look)
        trim(directory, state, NOW + look)
    assert kept.stat().st_mtime == NOW + 5 - AGE
    assert [p.name for p in (directory / "ff").iterdir()] != [f"ff{n}-d" for n in range(1, 6)]
    assert not (directory / "ff/ff1-d").exists()


def test_an_executable_that_go_run_keeps_is_a_directory_and_goes_whole(directory, tmp_path):
    kept = put(directory, "00a-d", NOW)
    program = directory / "ff" / "ffc-d"
    program.mkdir()
    (program / "x").write_bytes(b"x" * 8192)
    os.utime(program, (NOW - 9e5, NOW - 9e5))
    (tmp_path / "looks.json").write_text(f"[[{NOW - 1}, 9]]")
    assert trim(directory, tmp_path / "looks.json", NOW) > 0
    assert kept.exists()
    assert not program.exists()


def test_a_state_that_can_not_be_read_removes_nothing(directory, tmp_path):
    (tmp_path / "looks.json").write_text("no")
    path = put(directory, "00a-d", NOW - 9e5)
    assert trim(directory, tmp_path / "looks.json", NOW) == 0
    assert path.exists()


def test_what_comes_from_elsewhere_is_as_new(directory):
    path = put(directory, "00a-d", 0)
    settle(directory, NOW)
    assert path.stat().st_mtime == NOW - AGE


def test_the_first_look_counts_everything_as_used():
    made = plan([Entry("a", 5, 0.0)], (), NOW)
    assert made.looks == (Look(NOW, 5),)
    assert made.remove == ()
