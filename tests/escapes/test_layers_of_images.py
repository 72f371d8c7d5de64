"""Hostile layers, unpacked one upon the other: nothing leaves the root, the error says why."""

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from pipelines.engine.errors import ImageError
from pipelines.engine.images.unpack import unpack
from pipelines.engine.snapshots.copy import Copy
from tests.escapes.corpus import CASES, layer, put
from tests.escapes.guard import SECRET


def look(root: Path, path: str) -> str | None:
    """What is at a path that has no links in it."""
    full = os.path.join(root, path.lstrip("/"))
    try:
        mode = os.lstat(full).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode):
        return f"-> {os.readlink(full)}"
    return "dir" if stat.S_ISDIR(mode) else Path(full).read_text()


class Stacked:
    """Unpacks layers as the engine does, on copies instead of mounts."""

    def __init__(self, top: Path) -> None:
        for name in ("layers", "active"):
            (top / name).mkdir()
        self.snapshots = Copy(top / "layers", top / "active")

    def add(self, contents: list[bytes]) -> tuple[str, ...]:
        done: tuple[str, ...] = ()
        for content in contents:
            with self.below(done) as lower:
                fill = partial(self._unpack, content, lower)
                done += (self.snapshots.add(fill),)
        return done

    @contextmanager
    def below(self, done: tuple[str, ...]) -> Iterator[Path]:
        """Show what is below; an ordinary user can not make the empty root, which is root's."""
        if done:
            with self.snapshots.view(done) as lower:
                yield lower
        else:
            with tempfile.TemporaryDirectory() as empty:
                yield Path(empty)

    def _unpack(self, content: bytes, lower: Path, into: Path) -> None:
        unpack(io.BytesIO(content).read, into, lower)


@pytest.fixture
def stacked(tmp_path):
    return Stacked(tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_leaves_the_root(case, guard, stacked, tmp_path):
    contents = case.layers(str(guard))
    if case.refused:
        with pytest.raises(ImageError, match=case.refused):
            stacked.add(contents)
        assert os.listdir(tmp_path / "active") == []
        return
    done = stacked.add(contents)
    with stacked.snapshots.view(done) as root:
        wanted = case.inside(str(guard))
        assert {path: look(root, path) for path in wanted} == wanted
        for above, _, names in os.walk(root):
            for name in names:
                path = Path(above, name)
                if path.is_file() and not path.is_symlink():
                    assert SECRET not in path.read_text(errors="replace")


def test_every_case_has_an_outcome_and_a_name_of_its_own():
    assert all(case.refused or case.inside("/g") for case in CASES)
    assert len({case.name for case in CASES}) == len(CASES) > 60


@pytest.fixture
def memory(tmp_path):
    """Give a directory in memory where there is one: ext4 takes its time for many small files."""
    above = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=above) as directory:
        yield Path(directory)


@pytest.mark.slow
def test_a_hundred_thousand_entries_are_unpacked(memory):
    content = layer(*(put(f"d{number % 100}/f{number}", "") for number in range(100_000)))
    for name in ("into", "below"):
        (memory / name).mkdir()
    unpack(io.BytesIO(content).read, memory / "into", memory / "below")
    assert sum(len(names) for _, _, names in os.walk(memory / "into")) == 100_000
