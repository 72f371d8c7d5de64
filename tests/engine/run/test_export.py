import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from pipelines.engine.errors import PathError
from pipelines.engine.run.export import export_file, export_tree
from pipelines.engine.sources.host import read
from pipelines.engine.tree import Entry, Tree


class Contents:
    """Files by content in a directory, counting what is opened."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened = 0
        root.mkdir()

    def keep(self, data: bytes, mode: int = 0o644) -> Entry:
        content = hashlib.sha256(data).hexdigest()
        (self.root / content).write_bytes(data)
        os.utime(self.root / content, (1_000_000_000, 1_000_000_000))
        return Entry("file", mode, len(data), content)

    def open(self, entry: Entry) -> BinaryIO:
        self.opened += 1
        return open(self.root / entry.content, "rb")


@pytest.fixture
def files(tmp_path: Path) -> Contents:
    return Contents(tmp_path / "files")


def sample(files: Contents) -> Tree:
    link = Entry("link", 0o777, target="a")
    run = files.keep(b"run", 0o755)
    return Tree.of(
        [("a", files.keep(b"one")), ("d/run", run), ("d/l", link), ("e", Entry("dir", 0o750))]
    )


def test_an_exported_tree_reads_back_as_it_was(tmp_path: Path, files: Contents) -> None:
    tree = sample(files)
    export_tree(tree, files, tmp_path / "new/out")
    assert read(str(tmp_path / "new/out")).tree.digest == tree.digest
    assert (tmp_path / "new/out/a").stat().st_mtime == 1_000_000_000


def test_what_is_there_is_not_written_again(tmp_path: Path, files: Contents) -> None:
    tree = sample(files)
    export_tree(tree, files, tmp_path / "out", cache_dir=tmp_path / "cache")
    before, files.opened = (tmp_path / "out/a").stat().st_ino, 0
    assert export_tree(tree, files, tmp_path / "out", cache_dir=tmp_path / "cache") == 0
    assert (files.opened, (tmp_path / "out/a").stat().st_ino) == (0, before)


def test_a_file_changed_right_after_export_is_written_again(
    tmp_path: Path, files: Contents
) -> None:
    tree = sample(files)
    for _ in range(20):
        export_tree(tree, files, tmp_path / "out", cache_dir=tmp_path / "cache")
        (tmp_path / "out/a").write_bytes(b"two")
        export_tree(tree, files, tmp_path / "out", cache_dir=tmp_path / "cache")
        assert (tmp_path / "out/a").read_bytes() == b"one"


def test_export_merges_and_wipe_replaces(tmp_path: Path, files: Contents) -> None:
    out = tmp_path / "out"
    (out / "d/old").mkdir(parents=True)
    (out / "mine").write_text("x")
    export_tree(sample(files), files, out)
    assert (out / "mine").exists() and (out / "d/old").exists()
    export_tree(sample(files), files, out, wipe=True)
    assert read(str(out)).tree.digest == sample(files).digest


@pytest.mark.parametrize("target", ["/", "home", "home/.."])
def test_wipe_refuses_root_and_home(
    tmp_path: Path, files: Contents, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(PathError, match="with wipe would empty"):
        export_tree(Tree(), files, tmp_path / target, wipe=True)
    assert (tmp_path / "home").exists()


def test_links_at_the_destination_are_not_followed(tmp_path: Path, files: Contents) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (elsewhere / "victim").write_text("safe")
    os.symlink(elsewhere / "victim", out / "a")
    os.symlink(elsewhere, out / "d")
    with pytest.raises(PathError, match="out/d: is a file or link, not a directory"):
        export_tree(sample(files), files, out)
    assert (elsewhere / "victim").read_text() == "safe"
    assert os.listdir(elsewhere) == ["victim"]
    assert not (out / "a").is_symlink()


def test_set_id_bits_do_not_leave(tmp_path: Path, files: Contents) -> None:
    tree = Tree({"x": files.keep(b"x", 0o6755)})
    export_tree(tree, files, tmp_path / "out")
    assert (tmp_path / "out/x").stat().st_mode & 0o7777 == 0o755
    assert export_tree(tree, files, tmp_path / "out") == 0


def test_a_directory_that_may_not_be_written_is_filled_before(
    tmp_path: Path, files: Contents
) -> None:
    tree = Tree({"d": Entry("dir", 0o555), "d/x": files.keep(b"x")})
    export_tree(tree, files, tmp_path / "out")
    assert (tmp_path / "out/d").stat().st_mode & 0o777 == 0o555
    (tmp_path / "out/d").chmod(0o755)


def test_a_failing_write_names_the_path_and_leaves_nothing(tmp_path: Path, files: Contents) -> None:
    entry = files.keep(b"short")
    broken = Entry("file", 0o644, 5, entry.content)

    class Broken(Contents):
        def open(self, entry: Entry) -> BinaryIO:
            return io.BytesIO(b"no descriptor")  # type: ignore[return-value]

    with pytest.raises(PathError, match=r"can not write .*/out/x"):
        export_tree(Tree({"x": broken}), Broken(tmp_path / "other"), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_a_file_does_not_replace_a_directory(tmp_path: Path, files: Contents) -> None:
    (tmp_path / "out/a").mkdir(parents=True)
    with pytest.raises(PathError, match="out/a: is a directory"):
        export_tree(sample(files), files, tmp_path / "out")


def test_a_file_goes_to_its_path_or_into_a_directory(tmp_path: Path, files: Contents) -> None:
    tree = Tree({"name": files.keep(b"bytes", 0o755)})
    assert export_file(tree, files, tmp_path / "x/y") == tmp_path / "x/y"
    assert (tmp_path / "x/y").read_bytes() == b"bytes"
    with pytest.raises(PathError, match="it is a directory"):
        export_file(tree, files, tmp_path / "x")
    export_file(tree, files, tmp_path / "x", allow_parent_dir_path=True)
    assert (tmp_path / "x/name").stat().st_mode & 0o777 == 0o755
