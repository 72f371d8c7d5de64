"""Random changes: overlay and copies against a plain directory, and against each other."""

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.snapshots.suite import KINDS, Bench, manifest
from tests.ns import in_namespace, reason_not

pytestmark = pytest.mark.sandbox

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CHANGES = st.one_of(
    st.tuples(st.just("write"), PATHS, st.sampled_from(["", "1", "2"])),
    st.tuples(st.just("remove"), PATHS),
    st.tuples(st.just("mkdir"), PATHS),
    st.tuples(st.just("link"), PATHS, PATHS),
    st.tuples(st.just("symlink"), PATHS, NAMES),
    st.tuples(st.just("move"), PATHS, PATHS),
    st.tuples(st.just("chmod"), PATHS, st.sampled_from([0o700, 0o755, 0o640])),
    st.tuples(st.just("fifo"), PATHS),
)
ROUNDS = st.lists(st.lists(CHANGES, max_size=8), min_size=1, max_size=5)


def apply(root: Path, change: tuple[Any, ...]) -> None:
    """One change; one that does not make sense there is skipped, the same everywhere."""
    kind, path, *rest = change
    target = root / path
    if any(parent.is_symlink() for parent in [*target.parents][: path.count("/")]):
        return
    try:
        if kind == "write" and not target.is_symlink() and not target.is_fifo():
            target.write_text(rest[0])
        elif kind == "remove":
            shutil.rmtree(
                target
            ) if target.is_dir() and not target.is_symlink() else target.unlink()
        elif kind == "mkdir":
            target.mkdir(parents=True)
        elif kind == "link":
            _link(root, rest[0], target)
        elif kind == "symlink":
            target.symlink_to(rest[0])
        elif kind == "move":
            _move(target, root / rest[0])
        elif kind == "chmod" and not target.is_symlink():
            target.chmod(rest[0])
        elif kind == "fifo":
            os.mkfifo(target)
    except OSError:
        pass


def _link(root: Path, source: str, target: Path) -> None:
    if stat.S_ISREG((root / source).lstat().st_mode):
        os.link(root / source, target, follow_symlinks=False)


def _move(source: Path, target: Path) -> None:
    """As `mv` does: overlayfs lets lower directories be copied only."""
    if source.is_dir() and not source.is_symlink():
        if not target.exists() and source not in target.parents:
            shutil.copytree(source, target, symlinks=True)
            shutil.rmtree(source)
    else:
        source.rename(target)


def _agree(place: Path, kinds: list[str], examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(ROUNDS)
    def check(rounds: list[list[tuple[Any, ...]]]) -> None:
        with tempfile.TemporaryDirectory(dir=place) as scratch:
            model = Path(scratch, "model")
            model.mkdir()
            benches = [Bench(kind, Path(scratch, kind)) for kind in kinds]
            stacks: list[tuple[str, ...]] = [()] * len(benches)
            try:
                for changes in rounds:
                    _round(model, benches, stacks, changes)
            finally:
                for bench in benches:
                    bench.it.close()

    check()


def _round(
    model: Path, benches: list[Bench], stacks: list[tuple[str, ...]], changes: list[Any]
) -> None:
    """The links of the model are parted first, as they are below a new layer."""
    for directory, _, files in os.walk(model):
        for path in (Path(directory, name) for name in files):
            if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1:
                shutil.copy2(path, f"{path}~")
                os.rename(f"{path}~", path)
    before = manifest(model)
    for change in changes:
        apply(model, change)
    for at, bench in enumerate(benches):
        old = stacks[at]
        stacks[at] = bench.run(lambda root: [apply(root, change) for change in changes], old)
        assert bench.show(stacks[at]) == manifest(model)
        assert (stacks[at] == old) == (manifest(model) == before)
        bench.it.close()
        assert bench.left() == set()
    assert len(set(stacks)) == 1


@pytest.mark.parametrize("userns", [None, True])
def test_overlay_copies_and_a_plain_directory_agree(userns: bool | None, tmp_path: Path) -> None:
    if why := reason_not(userns=userns):
        pytest.skip(f"no mount namespace here: {why}")
    in_namespace(_agree, tmp_path, list(KINDS), 60, userns=userns)
