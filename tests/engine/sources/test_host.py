import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.engine.errors import SourceError
from pipelines.engine.sources.host import read
from pipelines.engine.tree import Entry


def plant(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def test_a_tree_has_names_modes_targets_and_contents(tmp_path: Path) -> None:
    plant(tmp_path, "d/f")
    (tmp_path / "d/f").chmod(0o4751)
    (tmp_path / "d").chmod(0o1770)
    os.symlink("nowhere", tmp_path / "l")
    content = hashlib.sha256(b"d/f").hexdigest()
    assert dict(read(str(tmp_path)).tree) == {
        "d": Entry("dir", 0o1770),
        "d/f": Entry("file", 0o4751, 3, content),
        "l": Entry("link", 0o777, target="nowhere"),
    }


def test_times_and_places_do_not_enter_the_digest(tmp_path: Path) -> None:
    one, two = plant(tmp_path / "1", "a/b", "c"), plant(tmp_path / "2", "c", "a/b")
    os.utime(one / "c", (1, 1))
    assert read(str(one)).tree.digest == read(str(two)).tree.digest


def test_origins_say_where_content_lies(tmp_path: Path) -> None:
    plant(tmp_path, "a/b")
    reading = read(str(tmp_path))
    assert reading.origins == {reading.tree["a/b"].content: str(tmp_path / "a/b")}


def test_what_is_excluded_is_not_entered(tmp_path: Path) -> None:
    plant(tmp_path, "node_modules/x", "src/a.go", "src/b.txt")
    os.mkfifo(tmp_path / "node_modules/pipe")  # would be warned of
    reading = read(str(tmp_path), include=("**/*.go",), exclude=("node_modules",))
    assert set(reading.tree) == {"src", "src/a.go"}
    assert reading.warnings == ()


def test_sockets_and_pipes_are_left_out_with_a_warning(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        reading = read(str(tmp_path))
    assert not reading.tree
    assert sorted(w.split(" ")[0] for w in reading.warnings) == [
        str(tmp_path / "pipe"),
        str(tmp_path / "sock"),
    ]


def test_link_loops_and_escapes_are_only_links(tmp_path: Path) -> None:
    os.symlink(".", tmp_path / "loop")
    os.symlink("/etc", tmp_path / "out")
    assert set(read(str(tmp_path)).tree) == {"loop", "out"}


def test_a_root_that_is_a_link_is_followed(tmp_path: Path) -> None:
    plant(tmp_path / "real", "a")
    os.symlink("real", tmp_path / "link")
    assert set(read(str(tmp_path / "link")).tree) == {"a"}


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/\xff\xfe", "wb") as file:
        file.write(b"x")
    tree = read(str(tmp_path)).tree
    assert [os.fsencode(p) for p in tree] == [b"\xff\xfe"]
    assert type(tree).decode(tree.encode()).digest == tree.digest


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nope: No such file or directory"):
        read(str(tmp_path / "nope"))


def test_a_file_is_not_a_directory(tmp_path: Path) -> None:
    plant(tmp_path, "f")
    with pytest.raises(SourceError, match="f: Not a directory"):
        read(str(tmp_path / "f"))


@contextmanager
def unprivileged() -> Iterator[None]:
    """Lose the right to read everything, if we have it."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("path", ["d", "d/f"])
def test_what_can_not_be_read_is_named(path: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = plant(Path(name), "d/f")
        place.chmod(0o755)
        (place / path).chmod(0)
        with unprivileged(), pytest.raises(SourceError, match=f"{path}: Permission denied"):
            read(name)
        (place / path).chmod(0o700)


def test_one_file_is_a_tree_of_one_entry_links_followed(tmp_path: Path) -> None:
    plant(tmp_path, "f")
    os.symlink("f", tmp_path / "l")
    reading = read(str(tmp_path / "l"), kind="file", cache_dir=tmp_path / "cache")
    name, entry = reading.tree.file
    assert (name, entry.content) == ("l", hashlib.sha256(b"f").hexdigest())
    with pytest.raises(SourceError, match="is not a regular file"):
        read(str(tmp_path), kind="file")


def test_an_empty_and_a_large_file_are_read_whole(tmp_path: Path) -> None:
    blob = os.urandom(300_001)
    (tmp_path / "large").write_bytes(blob)
    (tmp_path / "empty").write_bytes(b"")
    tree = read(str(tmp_path)).tree
    assert tree["large"].content == hashlib.sha256(blob).hexdigest()
    assert (tree["large"].size, tree["empty"].size) == (300_001, 0)


def test_a_deep_directory_is_read(tmp_path: Path) -> None:
    depth = 300
    (tmp_path / "/".join("d" * depth)).mkdir(parents=True)
    tree = read(str(tmp_path)).tree
    assert len(tree) == depth
    assert all(stat.S_ISDIR(0o040000 | e.mode) for e in tree.values())
