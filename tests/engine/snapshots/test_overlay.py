import ctypes
import os
from pathlib import Path

import pytest

from pipelines.engine.snapshots import probe
from pipelines.engine.snapshots.overlay import Overlay, escape, option_string
from tests.engine.snapshots.suite import Bench, manifest, write
from tests.ns import in_namespace


def test_options_name_lowers_topmost_first() -> None:
    assert option_string(("userxattr", "volatile"), ["/s/b/fs", "/s/a/fs"], "/a/fs", "/a/work") == (
        "userxattr,volatile,lowerdir=/s/b/fs:/s/a/fs,upperdir=/a/fs,workdir=/a/work"
    )


def test_a_view_has_no_upper() -> None:
    assert option_string(("userxattr",), ["/b", "/a"]) == "userxattr,lowerdir=/b:/a"


def test_separators_in_paths_are_escaped() -> None:
    assert escape("/a:b,c\\d") == "/a\\:b\\,c\\\\d"


def _roundtrip(place: Path) -> tuple[int, set[str]]:
    bench = Bench("overlay", place)
    stack = bench.base
    for number in range(24):
        stack = bench.run(lambda root, n=number: write(root, {f"n{n}": "x"}), stack)
    return len(stack), set(bench.show(stack))


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ["a:b", "a,b", "a\\b", "a b", "l" * 150])
def test_a_store_may_lie_anywhere(name: str, tmp_path: Path) -> None:
    depth, shown = in_namespace(_roundtrip, tmp_path / name)
    assert depth == 25
    assert {"n0", "n23", "etc/hosts"} <= shown


def _mounts_after(place: Path) -> tuple[int, str]:
    bench = Bench("overlay", place)
    active = bench.it.prepare(bench.base)
    held = os.open(active.path / "etc/hosts", os.O_RDONLY)
    write(active.path, {"a": "1"})
    stack = bench.it.commit(active)
    os.close(held)
    return len(stack), Path("/proc/self/mounts").read_text()


@pytest.mark.sandbox
def test_an_open_file_does_not_stop_a_commit(tmp_path: Path) -> None:
    depth, mounts = in_namespace(_mounts_after, tmp_path)
    assert depth == 2
    assert str(tmp_path) not in mounts


def _probe(place: Path) -> tuple[tuple[str, ...], str, list[str]]:
    flags, why = probe.overlay_flags(place)
    return flags, why, os.listdir(place)


@pytest.mark.sandbox
@pytest.mark.parametrize("userns", [None, True])
def test_the_probe_finds_options_and_leaves_nothing(userns: bool | None, tmp_path: Path) -> None:
    flags, why, left = in_namespace(_probe, tmp_path, userns=userns)
    assert "userxattr" in flags
    assert (why, left) == ("", [])


def _on_overlay(place: Path) -> tuple[str, str]:
    bench = Bench("overlay", place)
    active = bench.it.prepare(bench.base)
    inner = active.path / "store"
    write(inner, {"snapshots/": "", "active/": ""})
    chosen, why = probe.choose(inner / "snapshots", inner / "active")
    bench.it.discard(active)
    return type(chosen).__name__, why


@pytest.mark.sandbox
def test_a_store_on_overlayfs_gets_copies_and_the_reason(tmp_path: Path) -> None:
    name, why = in_namespace(_on_overlay, tmp_path)
    assert name == "Copy"
    assert "overlayfs is refused" in why


def _unprivileged(place: Path) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(0x10000000) == 0  # a user namespace that does not own these mounts
    Path("/proc/self/uid_map").write_text("0 0 1")
    return probe.overlay_flags(place)[1]


@pytest.mark.sandbox
def test_without_privilege_the_probe_says_so(tmp_path: Path) -> None:
    assert "Operation not permitted" in in_namespace(_unprivileged, tmp_path)


def _deep(place: Path) -> tuple[int, bool]:
    bench = Bench("overlay", place)
    stack = bench.base
    for number in range(40):
        stack = bench.run(lambda root, n=number: write(root, {f"n{n}": "x"}), stack)
    merged = [name for name in os.listdir(bench.active) if name.startswith("flat-")]
    active = bench.it.prepare(stack)
    same = manifest(active.path) == bench.show(stack)
    bench.it.discard(active)
    assert isinstance(bench.it, Overlay)
    return len(merged), same


@pytest.mark.sandbox
def test_deep_stacks_are_merged_once_a_group(tmp_path: Path) -> None:
    merged, same = in_namespace(_deep, tmp_path)
    assert merged == 2
    assert same
