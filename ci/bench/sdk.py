"""What an SDK client sees: execs, lookups, start-up, memory."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ci.bench.engines import Engine, command
from ci.bench.measure import Sample, Series, run
from ci.bench.report import Report, Row

__all__ = ["client", "compare", "measure"]

PYTHON = sys.executable


def client(engine: Engine, case: str, *arguments: str) -> list[float]:
    """Run one case in a process and a session of its own."""
    _, printed = run([PYTHON, "-m", "ci.bench.client", case, *arguments], env=engine.env)
    samples: list[float] = json.loads(printed.splitlines()[-1])
    return samples


def measure(report: Report, engines: Sequence[Engine], *, quick: bool) -> None:
    """Measure every engine in turns; the first is ours."""
    count, rounds = (10, 2) if quick else (50, 5)
    for engine in engines:
        client(engine, "execs", "1")  # the image and the SDK's byte code are there from now on
    _execs(report, engines, count)
    _parallel(report, engines, rounds)
    _lookups(report, engines, rounds)
    _start(report, engines, rounds)
    _session(report, engines[0], rounds)
    _network(report, engines[0], count)


def compare(
    report: Report,
    name: str,
    unit: str,
    values: dict[str, list[float]],
    reach: str = "",
    *,
    group: str = "sdk",
) -> None:
    """Add a row of medians for the first contestant against each of the others."""
    (_, ours), *others = values.items()
    for versus, theirs in others or [("", [])]:
        reference = statistics.median(theirs) if theirs else None
        value = statistics.median(ours)
        report.add(Row(group, name, value, unit, len(ours), versus, reference, reach))


def _execs(report: Report, engines: Sequence[Engine], count: int) -> None:
    values: dict[str, list[float]] = {e.name: [] for e in engines}
    for _ in range(2):
        for engine in engines:
            values[engine.name] += client(engine, "execs", str(count // 2))
    compare(report, "trivial uncached exec", "s", values, "≤ 15 ms")


def _parallel(report: Report, engines: Sequence[Engine], rounds: int) -> None:
    values: dict[str, list[float]] = {e.name: [] for e in engines}
    for _ in range(rounds):
        for engine in engines:
            (seconds,) = client(engine, "parallel", "50")
            values[engine.name].append(50 / seconds)
    compare(report, "50 execs at once", "/s", values, "≥ 120 /s")


def _lookups(report: Report, engines: Sequence[Engine], rounds: int) -> None:
    nonce = uuid.uuid4().hex
    fresh: dict[str, list[float]] = {e.name: [] for e in engines}
    again: dict[str, list[float]] = {e.name: [] for e in engines}
    for engine in engines:
        client(engine, "lookup", nonce, "1")
    for _ in range(rounds):
        for engine in engines:
            first, *rest = client(engine, "lookup", nonce, "11")
            fresh[engine.name].append(first)
            again[engine.name] += rest
    compare(report, "cached lookup, same session", "s", again, "≤ 3 ms")
    compare(report, "cached lookup, new session's first call", "s", fresh)


def _start(report: Report, engines: Sequence[Engine], rounds: int) -> None:
    values: dict[str, list[float]] = {e.name: [] for e in engines}
    for _ in range(rounds):
        for engine in engines:
            sample, _ = run([PYTHON, "-m", "ci.bench.client", "version"], env=engine.env)
            values[engine.name].append(sample.wall)
    compare(report, "process: import, session, first answer, close", "s", values)
    program = (
        "import anyio, pipelines\n"
        "async def main():\n"
        "    async with pipelines.connect():\n"
        "        from dagger import dag\n"
        "        await dag.version()\n"
        "anyio.run(main)\n"
    )
    bare, ours = Series(), Series()
    for _ in range(rounds):
        bare.samples.append(run([PYTHON, "-c", "pass"], env=engines[0].env)[0])
        ours.samples.append(run([PYTHON, "-c", program], env=engines[0].env)[0])
    seconds = [a.wall - bare.median for a in ours.samples]
    compare(report, "connect(): import + session + first answer", "s", {"": seconds}, "≤ 0.6 s")


def _session(report: Report, engine: Engine, rounds: int) -> None:
    ready: list[float] = []
    memory: list[float] = []
    for _ in range(rounds):
        seconds, rss = _one_session(engine)
        ready.append(seconds.wall)
        memory.append(rss)
    compare(report, "session ready", "s", {"": ready}, "≤ 200 ms")
    compare(report, "idle session, RSS of its process tree", "MiB", {"": memory}, "≤ 80 MiB")


def _network(report: Report, engine: Engine, count: int) -> None:
    """Measure what a private network costs an exec, and how soon a service is known to be ready."""
    private: list[float] = []
    host: list[float] = []
    outside = replace(engine, env={**engine.env, "PIPELINES_NETWORK": "host"})
    for _ in range(2):
        private += client(engine, "execs", str(count // 2))
        host += client(outside, "execs", str(count // 2))
    compare(
        report, "exec on a private network, not the machine's", "s", {"": private, "host": host}
    )
    ready = client(engine, "service", str(max(3, count // 10)))
    compare(report, "service ready after its port opens", "s", {"": ready}, "≤ 50 ms")


def _one_session(engine: Engine) -> tuple[Sample, float]:
    """Start a session, read its line, let it idle, weigh it, end it."""
    started = time.perf_counter()
    with subprocess.Popen(
        [command(), "session"],
        env=engine.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        json.loads(process.stdout.readline())
        seconds = time.perf_counter() - started
        time.sleep(0.5)
        rss = sum(_rss(pid) for pid in _tree(process.pid))
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
    return Sample(seconds), rss


def _tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    below: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))) is not None:
            below.setdefault(stat, []).append(int(entry))
    found = [pid]
    for one in found:
        found += below.get(one, [])
    return found


def _stat(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None  # it ended while we looked
    return int(text.rsplit(")", 1)[1].split()[1])


def _rss(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
