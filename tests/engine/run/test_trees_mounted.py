"""What tree operations put in layers, seen through the kernel's overlay."""

import os
from pathlib import Path

import pytest

from pipelines.engine import op as ops
from pipelines.engine.result import Snapshot
from pipelines.engine.run.trees import Trees
from pipelines.engine.snapshots.overlay import Overlay
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.tree import Entry, Tree
from tests.ns import in_namespace, reason_not

pytestmark = pytest.mark.sandbox
EDGE = ops.Edge(ops.Empty())


@pytest.fixture(params=[None, True], ids=["root", "userns"])
def userns(request: pytest.FixtureRequest) -> bool | None:
    if why := reason_not(userns=request.param):
        pytest.skip(f"no mount namespace here: {why}")
    return request.param


def edited(place: Path) -> tuple[list[str], list[str], str, int]:
    """Edit a snapshot and list it: as the layers say, and as the kernel shows it."""
    layout = Layout.open(place / "store")
    (place / "active").mkdir()
    files = Files(layout)
    overlay = Overlay(layout.snapshots, place / "active")
    trees = Trees(files, overlay, layout.snapshots)
    link = Entry("link", 0o777, target="/d")
    base = Tree.of([("d/f", files.write(b"old")), ("d/g", files.write(b"g")), ("up", link)])
    base = Tree({**base, "d": Entry("dir", 0o1777)})
    value: object = Snapshot((trees.layer_of(base),))
    steps: list[ops.Op] = [
        ops.Remove(EDGE, ("/d/g", "d/nope*")),
        ops.Write(EDGE, "/up/f", b"new"),
        ops.MakeDir(EDGE, "/d/sub/deep"),
        ops.Link(EDGE, "/d/sub/l", "../f"),
        ops.Remove(EDGE, ("/d/sub/deep",)),
        ops.Copy(EDGE, EDGE, "/up/copied"),
    ]
    for step in steps:
        value = trees.run(step, [value, base][: len(step.inputs)])  # type: ignore[list-item]
    assert isinstance(value, Snapshot)
    with overlay.view(value.layers) as root:
        shown = sorted(
            str(Path(top, name).relative_to(root))
            for top, directories, names in os.walk(root)
            for name in [*directories, *names]
        )
        text = (root / "d/f").read_text()
        mode = (root / "d").stat().st_mode & 0o7777
    return sorted(trees.tree(value)), shown, text, mode


def test_the_kernel_shows_what_the_operations_made(userns: bool | None, tmp_path: Path) -> None:
    read, shown, text, mode = in_namespace(edited, tmp_path, userns=userns)
    copied = ["d/copied", "d/copied/d", "d/copied/d/f", "d/copied/d/g", "d/copied/up"]
    assert read == shown == sorted(["d", "d/f", "d/sub", "d/sub/l", "up", *copied])
    assert (text, mode) == ("new", 0o1777)
