"""Shards: how even a split of real test times is, and what moves when tests come and go.

The host's Go tests the packages of a project twice, nothing from its cache. A split is made by the
times of the first run. Then a package comes, one goes, and the second run takes other times: each
is judged against longest first, begun anew. How far the last is off depends on the machine too.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ci.bench.inputs import CRANE, Project, fetch
from ci.bench.measure import BenchError
from ci.bench.report import Report, Row
from pipelines._shard import longest, split

__all__ = ["measure"]

GROUP = "shards"
PARTS = (2, 4, 8)
EVEN, STAYS = "≤ 1.05 × longest first", "≤ 2 %"


def measure(report: Report, scratch: Path, *, quick: bool) -> None:
    """Split a project's packages.

    Raises:
        BenchError: its tests fail.
    """
    source = fetch(CRANE, scratch / GROUP / CRANE.name)
    first, second = (_seconds(CRANE, source) for _ in range(2))
    for parts in PARTS[:1] if quick else PARTS:
        _judge(report, parts, first, second)


def _judge(
    report: Report, parts: int, first: Mapping[str, float], second: Mapping[str, float]
) -> None:
    name = f"{len(first)} packages in {parts} shards"
    dealt = split(first, parts, first)
    best = longest(split(second, parts, second), second)
    _add(report, f"{name}: longest shard of the next run", longest(dealt, second), best, "")
    with_one = {**first, "one/more": sorted(first.values())[len(first) // 2]}
    gone = max(first, key=lambda name: first[name])
    without = {name: seconds for name, seconds in first.items() if name != gone}
    for what, now in (("one comes", with_one), ("the longest goes", without)):
        again = split(now, parts, now, dealt)
        best = longest(split(now, parts, now), now)
        _add(report, f"{name}: longest shard when {what}", longest(again, now), best)
        moved = sum(dealt[name] != part for name, part in again.items() if name in dealt)
        reach = STAYS if what == "one comes" else ""
        share = 100 * moved / len(again)
        report.add(Row(GROUP, f"{name}: moved when {what}", share, "%", 1, reach=reach))


def _add(report: Report, name: str, made: float, best: float, reach: str = EVEN) -> None:
    report.add(Row(GROUP, name, made, "s", 1, "longest first", best, reach))


def _seconds(project: Project, source: Path) -> dict[str, float]:
    """Test a project's packages; give how long each took."""
    asked = subprocess.run(
        ["go", "test", "-count=1", "-json", *project.tests],
        cwd=source,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise BenchError(f"go test of {project.name}: {(asked.stderr or asked.stdout)[-300:]}")
    events = [json.loads(line) for line in asked.stdout.splitlines() if line.startswith("{")]
    ended = [e for e in events if e.get("Action") == "pass" and "Test" not in e]
    return {e["Package"]: float(e["Elapsed"]) for e in ended if "Elapsed" in e}
