"""Host directories in, trees and files out."""

import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from ci.bench.engines import Engine
from ci.bench.measure import BenchError
from ci.bench.report import Report
from ci.bench.sdk import client, compare

__all__ = ["grow", "measure"]

FILE_BYTES = 4_200
BIG = 60_000_000
SETTLE_SECONDS = 3.0  # a file younger than the clock's grain can not be trusted by its times alone
REACH = {
    (2_000, "first"): "≤ 120 ms",
    (2_000, "unchanged"): "≤ 25 ms",
    (2_000, "one changed"): "≤ 30 ms",
    (10_000, "unchanged"): "≤ 150 ms",
    (10_000, "one changed"): "≤ 200 ms",
}


def grow(root: Path, count: int, seed: int) -> list[Path]:
    """Write a source-like tree, 40 files to a directory; another seed means other contents."""
    chance = random.Random(seed)
    files = []
    for number in range(count):
        path = root / f"pkg{number // 800}" / f"dir{number // 40}" / f"file{number}.go"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(FILE_BYTES // 2).hex().encode())
        files.append(path)
    return files


def measure(report: Report, engines: Sequence[Engine], scratch: Path, *, quick: bool) -> None:
    """Measure every engine in turns; the first is ours."""
    rounds = 2 if quick else 5
    for count in (2_000, 10_000):
        _host(report, engines, scratch, count, rounds)
    _export_tree(report, engines, scratch, rounds)
    _export_file(report, engines, scratch, rounds)


def _host(
    report: Report, engines: Sequence[Engine], scratch: Path, count: int, rounds: int
) -> None:
    values: dict[str, dict[str, list[float]]] = {
        name: {e.name: [] for e in engines}
        for name in ("first", "unchanged", "one changed", "mtimes touched")
    }
    for number in range(rounds):
        root = scratch / f"tree-{count}-{number}"
        files = grow(root, count, seed=number * 100_003 + count)
        time.sleep(SETTLE_SECONDS)
        changes: dict[str, Callable[[], None]] = {
            "first": lambda: None,
            "unchanged": lambda: None,
            "one changed": lambda file=files[number]: file.write_text(uuid.uuid4().hex),  # type: ignore[misc]
            "mtimes touched": lambda all_files=files: _touch(all_files),  # type: ignore[misc]
        }
        turn = number % len(engines)
        for name, change in changes.items():
            change()
            for engine in [*engines[turn:], *engines[:turn]]:
                values[name][engine.name] += client(engine, "host", str(root))
    for name, by_engine in values.items():
        what = f"{count:,} files, {name}"
        compare(report, what, "s", by_engine, REACH.get((count, name), ""), group="files")


def _touch(files: list[Path]) -> None:
    for file in files:
        os.utime(file)


def _export_tree(report: Report, engines: Sequence[Engine], scratch: Path, rounds: int) -> None:
    source = scratch / "export-source"
    files = grow(source, 2_000, seed=7)
    values: dict[str, list[float]] = {e.name: [] for e in engines}
    for engine in engines:
        target = scratch / f"export-{engine.name}"
        client(engine, "export-tree", str(source), str(target))
        if any((target / f.relative_to(source)).read_bytes() != f.read_bytes() for f in files):
            raise BenchError(f"{engine.name}: the exported tree is not the source")
    for _ in range(rounds):
        for engine in engines:
            target = scratch / f"export-{engine.name}"
            values[engine.name] += client(engine, "export-tree", str(source), str(target))
    compare(
        report, "export 2,000 files that are already there", "s", values, "≤ 50 ms", group="files"
    )


def _export_file(report: Report, engines: Sequence[Engine], scratch: Path, rounds: int) -> None:
    nonce = uuid.uuid4().hex
    values: dict[str, list[float]] = {e.name: [] for e in engines}
    for _ in range(rounds):
        for engine in engines:
            target = scratch / f"big-{engine.name}"
            target.unlink(missing_ok=True)
            values[engine.name] += client(engine, "export-file", nonce, str(BIG), str(target))
            if target.stat().st_size != BIG:
                raise BenchError(f"{engine.name}: exported {target.stat().st_size} bytes")
    compare(report, "export a 60 MB file", "s", values, "one copy", group="files")
