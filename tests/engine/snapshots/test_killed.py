"""SIGKILL between any two system calls that change the store: nothing half is ever seen."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.engine.snapshots.suite import KINDS, Bench, write
from tests.ns import in_namespace

pytestmark = pytest.mark.sandbox

EVENTS = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "open", "os.link", "os.chmod"}


def _killed_at(kind: str, place: Path, number: int) -> bool:
    """Die at the n-th audited call that touches the store; tell whether there was one."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    it = KINDS[kind](place / "snapshots", place / f"active/{number}")
    left = [number]

    def die(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and str(place) in str(arguments):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    base = tuple(layer for layer, *_ in it.layers())[:1]
    sys.addaudithook(die)
    active = it.prepare(base)
    write(active.path, {"etc/hosts": "new", "a/b": "1"})
    (active.path / "etc/passwd").unlink()
    it.commit(active)
    os._exit(0)


def _everywhere(kind: str, place: Path) -> tuple[int, set[int]]:
    bench = Bench(kind, place)
    number, depths = 0, set()
    wanted = {"etc", "etc/hosts", "usr", "usr/bin", "usr/bin/tool", "usr/lib", "usr/lib/x"}
    wanted |= {"usr/lib/x/y", "tmp", "a", "a/b"}
    while True:
        (place / f"active/{number}").mkdir()
        killed = _killed_at(kind, place, number)
        for layer, _, _ in bench.it.layers():
            home = bench.root / layer
            assert {"fs", "rows", "layer.json"} <= set(os.listdir(home))
            if layer != bench.base[0]:
                assert set(bench.show((*bench.base, layer))) == wanted
                bench.it.remove(layer)
        depths.add(len(list(bench.it.layers())))
        if not killed:
            return number, depths
        number += 1


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_kill_at_any_call_leaves_no_half_layer(kind: str, tmp_path: Path) -> None:
    calls, depths = in_namespace(_everywhere, kind, tmp_path)
    assert calls > 8
    assert depths == {1}
