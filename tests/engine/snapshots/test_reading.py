import hashlib
import os
from pathlib import Path

import pytest

from pipelines.engine.errors import ContentMissing, PathError
from pipelines.engine.snapshots.copy import Copy
from pipelines.engine.snapshots.layer import hash_file
from pipelines.engine.snapshots.reading import Hashes, scan_stack, scan_tree, stack_file
from pipelines.engine.tree import Entry, Tree
from tests.engine.snapshots.suite import Bench, write


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench("copy", tmp_path)


def _changed(bench: Bench) -> tuple[str, ...]:
    def change(root: Path) -> None:
        write(root, {"out/bin/app": "app", "out/empty/": "", "usr/bin/tool": "t2"})
        (root / "out/latest").symlink_to("bin/app")
        (root / "shown").symlink_to("/out")
        (root / "usr/lib/x/y").unlink()
        os.mkfifo(root / "out/fifo")

    return bench.run(change)


def test_a_stack_reads_as_its_view_does(bench: Bench) -> None:
    stack = _changed(bench)
    with bench.it.view(stack) as root:
        for path in ("/", "usr", "/shown/", "out/bin/app", "etc/.."):
            assert scan_stack(bench.root, stack, path).digest == scan_tree(root, path).digest


def test_a_directory_gives_relative_paths_without_special_files(bench: Bench) -> None:
    tree = scan_stack(bench.root, _changed(bench), "/shown")
    assert sorted(tree) == ["bin", "bin/app", "empty", "latest"]
    assert tree["latest"].target == "bin/app"


def test_a_file_gives_one_entry_under_its_own_name(bench: Bench) -> None:
    tree = scan_stack(bench.root, _changed(bench), "/out/latest")
    assert tree.file[0] == "app"
    assert tree.file[1].size == 3


def test_files_are_offered_where_they_lie(bench: Bench) -> None:
    offered: dict[Path, Entry] = {}
    stack = _changed(bench)
    scan_stack(bench.root, stack, "usr", offered.__setitem__)
    assert list(offered) == [bench.root / stack[1] / "fs/usr/bin/tool"]
    assert all(hash_file(str(path)) == entry.content for path, entry in offered.items())


def test_a_known_layer_s_bytes_are_not_read_again(bench: Bench) -> None:
    stack = _changed(bench)
    path = stack_file(bench.root, stack, "out/bin/app")
    path.write_text("xyz")  # nobody may; it shows that the rows were asked
    known = Hashes(bench.root)
    app = scan_stack(bench.root, stack, "out/bin/app", hashes=known)["app"]
    assert app.content != hash_file(str(path))
    (bench.root / stack[1] / "rows").unlink()
    again = scan_stack(bench.root, stack, "out/bin/app", hashes=Hashes(bench.root))["app"]
    assert again.content == hash_file(str(path))


def test_what_is_not_there_is_an_error(bench: Bench) -> None:
    stack = _changed(bench)
    for path in ("usr/lib/x/y", "nothing", "out/fifo", "n" * 300):
        with pytest.raises(PathError, match=path):
            scan_stack(bench.root, stack, path)
    with pytest.raises(PathError, match="is not a regular file"):
        stack_file(bench.root, stack, "out")
    with pytest.raises(ContentMissing):
        scan_stack(bench.root, ["0" * 64], "out")


def test_a_null_in_a_path_is_a_path_error(bench: Bench) -> None:
    with pytest.raises(PathError):
        scan_stack(bench.root, bench.base, "etc\0")


def test_links_that_do_not_end_are_an_error(bench: Bench) -> None:
    stack = bench.run(lambda root: (root / "loop").symlink_to("loop"))
    with pytest.raises(PathError, match="too many levels"):
        scan_stack(bench.root, stack, "loop/x")


def test_whiteouts_that_the_kernel_refuses_still_hide(bench: Bench) -> None:
    stack = bench.run(lambda root: (root / "etc/hosts").unlink())
    home = bench.root / stack[1]
    (home / "fs/etc/hosts").unlink()
    (home / "unmade").write_text("etc/hosts")
    assert "hosts" not in scan_stack(bench.root, stack, "etc")
    assert "etc/hosts" not in bench.show(stack)
    assert bench.run(lambda root: None, stack) == stack
    assert isinstance(bench.it, Copy)


def test_times_that_a_tree_pinned_are_read_back_and_others_are_not(bench: Bench) -> None:
    content = hashlib.sha256(b"x").hexdigest()
    pinned = {"d": Entry("dir", 0o755, mtime=5), "d/f": Entry("file", 0o644, 1, content, mtime=7)}
    tree = Tree({**pinned, "free": Entry("file", 0o644, 1, content)})
    layer = bench.it.add(lambda root: write(root, {"d/f": "x", "free": "x"}), tree)
    assert dict(scan_stack(bench.root, (layer,), "/")) == dict(tree)
    above = bench.run(lambda root: write(root, {"d/f": "y"}), (layer,))
    assert scan_stack(bench.root, above, "/")["d/f"].mtime is None
    other = bench.it.add(lambda root: write(root, {"d/f": "x", "free": "x"}))
    assert other != layer
