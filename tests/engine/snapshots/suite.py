"""What every snapshotter must do: claims, each run in a namespace of its own.

A claim takes a `Bench`. `test_conformance.py` runs all of them over all implementations.
Source: the ideas of containerd's snapshots/testsuite.
"""

import os
import shutil
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.engine.errors import ContentMissing
from pipelines.engine.snapshots.copy import Copy
from pipelines.engine.snapshots.overlay import Overlay

KINDS = {"overlay": Overlay, "copy": Copy}
BASE = {"etc/hosts": "h", "etc/passwd": "p", "usr/bin/tool": "t", "usr/lib/x/y": "y", "tmp/": ""}


def write(root: Path, files: dict[str, str]) -> None:
    """Write files; a name that ends with a slash is a directory."""
    for name, text in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def manifest(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything in a directory that is content: kind, mode, owner, and what it holds."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = Path(directory, name)
            status = path.lstat()
            owner = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
            if path.is_symlink():
                what: tuple[Any, ...] = ("link", os.readlink(path))
            elif path.is_file():
                what = ("file", path.read_bytes())
            else:
                what = (stat.S_IFMT(status.st_mode),)
            found[str(path.relative_to(root))] = (*owner, *what)
    return found


@dataclass
class Bench:
    """A snapshotter with a base layer on its shelf."""

    kind: str
    place: Path

    def __post_init__(self) -> None:
        self.root, self.active = self.place / "snapshots", self.place / "active" / "lease"
        self.root.mkdir(parents=True)
        self.active.mkdir(parents=True)
        self.it = self.fresh()
        self.base = (self.it.add(lambda root: write(root, BASE)),)

    def fresh(self) -> Any:
        """One more snapshotter on the same store, as another process has it."""
        return KINDS[self.kind](self.root, self.active)

    def run(
        self,
        change: Callable[[Path], object],
        layers: tuple[str, ...] | None = None,
        ground: Path | None = None,
    ) -> tuple[str, ...]:
        """Prepare, change, commit."""
        active = self.it.prepare(self.base if layers is None else layers, ground)
        change(active.path)
        return self.it.commit(active)

    def show(self, layers: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        with self.it.view(layers) as root:
            return manifest(root)

    def rows(self, layer: str) -> list[str]:
        return (self.root / layer / "rows").read_text().splitlines()

    def left(self) -> set[str]:
        """What is left of active snapshots; the kernel may keep a whiteout to link (`#`)."""
        return {
            str(Path(directory, name).relative_to(self.active))
            for directory, _, names in os.walk(self.active)
            for name in names
            if not (directory.endswith("/work/work") and name.startswith("#"))
        }


def same_tree(bench: Bench, change: Callable[[Path], object]) -> tuple[str, ...]:
    """Commit a change; what is shown then is what stood there before the commit."""
    active = bench.it.prepare(bench.base)
    change(active.path)
    wanted = manifest(active.path)
    stack = bench.it.commit(active)
    assert bench.show(stack) == wanted
    return stack


def new_files_are_a_layer(bench: Bench) -> None:
    stack = same_tree(bench, lambda root: write(root, {"opt/a/b": "new"}))
    assert len(stack) == 2
    assert len(bench.rows(stack[1])) == 3  # opt, opt/a, opt/a/b


def overwriting_shows_the_new_content(bench: Bench) -> None:
    stack = same_tree(bench, lambda root: write(root, {"etc/hosts": "other"}))
    assert bench.show(stack)["etc/hosts"][-1] == b"other"
    assert bench.show(bench.base)["etc/hosts"][-1] == b"h"


def a_change_of_equal_size_at_once_is_seen(bench: Bench) -> None:
    stack = bench.run(lambda root: write(root, {"etc/hosts": "x"}))
    assert bench.show(stack)["etc/hosts"][-1] == b"x"


def a_view_has_the_times_that_the_layer_has(bench: Bench) -> None:
    stack = (bench.it.add(lambda root: [write(root, {"d/f": "1"}), os.utime(root, (7, 7))]),)
    active = bench.it.prepare(stack)
    assert active.path.stat().st_mtime == 7
    bench.it.discard(active)


def what_is_opaque_deep_down_hides_the_ground(bench: Bench) -> None:
    def fill(root: Path) -> None:
        write(root, {"srv/own": "o"})
        os.setxattr(root / "srv", "user.overlay.opaque", b"y")

    ground = bench.place / "ground"
    write(ground, {"srv/ground": "g"})
    stack = (*bench.base, bench.it.add(fill))
    for number in range(26):
        stack = (*stack, bench.it.add(lambda root, n=number: write(root, {f"n{n}": ""})))
    active = bench.it.prepare(stack, ground)
    assert os.listdir(active.path / "srv") == ["own"]
    bench.it.discard(active)


def deleting_hides_a_lower_file(bench: Bench) -> None:
    stack = same_tree(bench, lambda root: (root / "etc/hosts").unlink())
    assert "etc/hosts" not in bench.show(stack)
    assert len(stack) == 2


def deleting_a_directory_is_one_row(bench: Bench) -> None:
    stack = same_tree(bench, lambda root: shutil.rmtree(root / "usr"))
    assert len(bench.rows(stack[1])) == 1


def a_file_replaces_a_directory_and_back(bench: Bench) -> None:
    def replace(root: Path) -> None:
        shutil.rmtree(root / "usr")
        write(root, {"usr": "file"})

    def back(root: Path) -> None:
        (root / "usr").unlink()
        write(root, {"usr/new": "n"})

    stack = same_tree(bench, replace)
    again = bench.run(back, stack)
    assert [name for name in bench.show(again) if name.startswith("usr")] == ["usr", "usr/new"]


def a_new_directory_over_a_deleted_one_is_empty(bench: Bench) -> None:
    def remake(root: Path) -> None:
        shutil.rmtree(root / "usr")
        (root / "usr").mkdir()

    stack = same_tree(bench, remake)
    by_hand = bench.run(
        lambda root: [shutil.rmtree(root / "usr/bin"), shutil.rmtree(root / "usr/lib")]
    )
    assert stack == by_hand


def remaking_a_directory_with_equal_content_is_no_change(bench: Bench) -> None:
    def remake(root: Path) -> None:
        shutil.rmtree(root / "usr")
        write(root, {name: text for name, text in BASE.items() if name.startswith("usr")})

    assert bench.run(remake) == bench.base


def a_renamed_directory_takes_its_content_along(bench: Bench) -> None:
    def rename(root: Path) -> None:
        write(root, {"a/b/c": "1"})
        (root / "a").rename(root / "z")
        shutil.move(root / "usr/lib", root / "z/lib")

    stack = same_tree(bench, rename)
    assert bench.show(stack)["z/lib/x/y"][-1] == b"y"


def touch_and_chmod_to_the_same_are_no_change(bench: Bench) -> None:
    def touch(root: Path) -> None:
        os.utime(root / "etc/hosts", (1, 1))
        os.chmod(root / "etc/passwd", stat.S_IMODE((root / "etc/passwd").stat().st_mode))
        os.utime(root / "usr", (1, 1))
        write(root, {"usr/bin/tool": "t", "etc/gone": ""})
        (root / "etc/gone").unlink()

    assert bench.run(touch) == bench.base
    assert bench.left() == set()


def chmod_is_a_change_of_one_path(bench: Bench) -> None:
    stack = same_tree(bench, lambda root: (root / "usr/bin/tool").chmod(0o700))
    assert len(bench.rows(stack[1])) == 3  # usr, usr/bin, usr/bin/tool
    assert bench.run(lambda root: (root / "usr/bin/tool").chmod(0o700)) == stack


def chmod_of_a_directory_and_of_the_root_stay(bench: Bench) -> None:
    stack = same_tree(bench, lambda root: [(root / "etc").chmod(0o711), root.chmod(0o750)])
    with bench.it.view(stack) as root:
        assert stat.S_IMODE(root.stat().st_mode) == 0o750
    assert bench.run(lambda root: None, stack) == stack


def chown_is_a_change_where_ids_are_mapped(bench: Bench) -> None:
    def chown(root: Path) -> None:
        try:
            os.chown(root / "etc/hosts", 7, 8)
        except OSError:
            write(root, {"etc/hosts": "not mapped"})

    assert len(same_tree(bench, chown)) == 2


def symbolic_links_are_content(bench: Bench) -> None:
    stack = same_tree(bench, lambda root: (root / "usr/link").symlink_to("/etc/hosts"))
    assert bench.show(stack)["usr/link"][-1] == "/etc/hosts"
    assert bench.run(lambda root: (root / "usr/link").symlink_to("/etc/hosts")) == stack


def hard_links_hold_one_content(bench: Bench) -> None:
    def link(root: Path) -> None:
        write(root, {"a": "linked"})
        os.link(root / "a", root / "b")
        os.link(root / "etc/hosts", root / "c")

    stack = same_tree(bench, link)
    assert bench.show(stack)["c"][-1] == b"h"
    fs = bench.root / stack[1] / "fs"
    assert (fs / "a").stat().st_ino == (fs / "b").stat().st_ino


def sockets_are_dropped_and_fifos_stay(bench: Bench) -> None:
    def special(root: Path) -> None:
        os.mkfifo(root / "fifo")
        (root / "etc/hosts").unlink()
        os.chdir(root / "etc")
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("hosts")
        os.chdir("/")

    stack = bench.run(special)
    shown = bench.show(stack)
    assert shown["fifo"][-1] == stat.S_IFIFO
    assert "etc/hosts" not in shown


def user_attributes_are_content_and_overlay_s_are_not(bench: Bench) -> None:
    def mark(root: Path) -> None:
        write(root, {"a": "1", "b": "2"})
        os.setxattr(root / "a", "user.note", b"x")
        os.setxattr(root / "b", "user.overlay.note", b"x")

    stack = bench.run(mark)
    assert [len(eval(row.replace("null", "None"))) for row in bench.rows(stack[1])] == [8, 7]
    assert stack != bench.run(lambda root: write(root, {"a": "1", "b": "2"}))


def the_same_change_has_the_same_id_in_any_order(bench: Bench) -> None:
    one = bench.run(lambda root: write(root, {"a/1": "1", "a/2": "2", "b": "3"}))
    two = bench.run(lambda root: write(root, {"b": "3", "a/2": "2", "a/1": "1"}))
    assert one == two
    assert len(list(bench.root.iterdir())) == 2


def what_lies_above_a_change_is_part_of_its_id(bench: Bench) -> None:
    strict = bench.run(lambda root: (root / "etc").chmod(0o700))
    here = bench.run(lambda root: write(root, {"etc/new": "n"}))
    there = bench.run(lambda root: write(root, {"etc/new": "n"}), strict)
    assert here[-1] != there[-1]
    assert bench.show(there)["etc"][0] == 0o700


def deep_stacks_show_every_layer(bench: Bench) -> None:
    stack = bench.base
    for number in range(60):
        stack = bench.run(
            lambda root, n=number: [
                write(root, {f"d/{n}": str(n), "last": str(n)}),
                n % 7 == 3 and (root / f"d/{n - 1}").unlink(),
            ],
            stack,
        )
    assert len(stack) == 61
    shown = bench.show(stack)
    gone = {n - 1 for n in range(60) if n % 7 == 3}
    assert {int(name[2:]) for name in shown if name.startswith("d/")} == set(range(60)) - gone
    assert shown["last"][-1] == b"59"
    assert bench.run(lambda root: write(root, {"last": "59"}), stack) == stack


def discard_leaves_nothing(bench: Bench) -> None:
    active = bench.it.prepare(bench.base)
    write(active.path, {"a": "1"})
    bench.it.discard(active)
    bench.it.discard(active)
    assert bench.left() == set()
    assert len(list(bench.root.iterdir())) == 1


def an_empty_stack_is_an_empty_root(bench: Bench) -> None:
    assert bench.run(lambda root: None, ()) == ()
    stack = bench.run(lambda root: write(root, {"a": "1"}), ())
    assert set(bench.show(stack)) == {"a"}
    assert bench.show(()) == {}


def the_ground_shows_and_is_never_committed(bench: Bench) -> None:
    ground = bench.place / "ground"
    write(ground, {"proc/": "", "etc/ca.pem": "ca", "srv/deep/x": "g"})
    seen: dict[str, Any] = {}

    def change(root: Path) -> None:
        seen.update(manifest(root))
        os.utime(root / "etc/ca.pem")
        shutil.rmtree(root / "srv")
        write(root, {"etc/new": "n"})

    stack = bench.run(change, ground=ground)
    assert {"proc", "etc/ca.pem", "srv/deep/x", "etc/hosts"} <= set(seen)
    assert set(bench.show(stack)) - set(bench.show(bench.base)) == {"etc/new"}
    assert len(bench.rows(stack[1])) == 2
    assert manifest(ground)["etc/ca.pem"][-1] == b"ca"


def a_missing_layer_is_missing_content(bench: Bench) -> None:
    bench.it.remove(bench.base[0])
    assert not bench.it.exists(bench.base[0])
    for act in (
        lambda: bench.it.prepare(bench.base),
        lambda: bench.it.view(bench.base).__enter__(),
    ):
        try:
            act()
        except ContentMissing:
            continue
        raise AssertionError("a stack without its layer was shown")
    bench.it.remove(bench.base[0])
    assert bench.left() == set()


def layers_are_counted(bench: Bench) -> None:
    stack = bench.run(lambda root: write(root, {"big": "x" * 100_000}))
    counted = {layer: (size, inodes) for layer, size, inodes in bench.it.layers()}
    assert set(counted) == set(stack)
    assert counted[stack[1]][0] >= 100_000
    assert counted[stack[1]][1] == 2


def names_may_be_anything(bench: Bench) -> None:
    names = ["a:b", "c,d", "e\\f", "new\nline", " ", "'\"", "\udcff"]
    stack = same_tree(bench, lambda root: write(root, dict.fromkeys(names, "x")))
    assert set(names) <= set(bench.show(stack))


def an_added_layer_is_kept_as_it_is(bench: Bench) -> None:
    def fill(root: Path) -> None:
        write(root, {"usr/only": "o"})
        os.setxattr(root / "usr", "user.overlay.opaque", b"y")
        os.mknod(root / "tmp", stat.S_IFCHR, 0)

    layer = bench.it.add(fill)
    shown = bench.show((*bench.base, layer))
    assert {name for name in shown if name.startswith(("usr", "tmp"))} == {"usr", "usr/only"}


def two_processes_that_commit_one_change_share_it(bench: Bench) -> None:
    other = bench.fresh()
    one, two = bench.it.prepare(bench.base), other.prepare(bench.base)
    write(one.path, {"a": "1"})
    write(two.path, {"a": "1"})
    assert bench.it.commit(one) == other.commit(two)


def losing_the_race_to_commit_is_no_error(bench: Bench) -> None:
    class Blind(KINDS[bench.kind]):  # type: ignore[misc]
        """Looks before the other process has put its layer there."""

        def exists(self, layer: str) -> bool:
            return False

    stack = bench.run(lambda root: write(root, {"a": "1"}))
    bench.it = Blind(bench.root, bench.active)
    assert bench.run(lambda root: write(root, {"a": "1"})) == stack
    assert bench.left() == set()


CLAIMS = [
    value
    for value in list(globals().values())
    if callable(value)
    and getattr(value, "__module__", "") == __name__
    and getattr(value, "__annotations__", {}) == {"bench": Bench, "return": None}
]
