"""The measured program: `python -m ci.bench.client CASE …`. Speaks only the public dagger SDK.

It runs unchanged against any engine. It prints one JSON list of seconds: connecting is not part of
a sample, except in `version`, which its parent times as a whole process.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable

import anyio
import dagger
from dagger import dag

__all__ = ["CASES", "main"]

IMAGE = os.environ.get("BENCH_IMAGE", "busybox")


def _probe(nonce: str) -> dagger.Container:
    """Return a trivial exec that no cache knows, unless the nonce was used before."""
    return dag.container().from_(IMAGE).with_env_variable("N", nonce).with_exec(["true"])


async def _timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def version() -> list[float]:
    """Ask the cheapest question."""
    return [await _timed(dag.version())]


async def execs(count: str) -> list[float]:
    """Run uncached trivial execs one after another."""
    await _probe(uuid.uuid4().hex).sync()
    return [await _timed(_probe(uuid.uuid4().hex).sync()) for _ in range(int(count))]


async def parallel(count: str) -> list[float]:
    """Run uncached trivial execs all at once; one sample, the whole."""
    await _probe(uuid.uuid4().hex).sync()
    nonce = uuid.uuid4().hex
    started = time.perf_counter()
    async with anyio.create_task_group() as group:
        for number in range(int(count)):
            group.start_soon(_probe(f"{nonce}-{number}").sync)
    return [time.perf_counter() - started]


async def lookup(nonce: str, count: str) -> list[float]:
    """Ask for one exec again and again; the first sample is the session's first call."""
    return [await _timed(_probe(nonce).stdout()) for _ in range(int(count))]


async def pull(name: str) -> list[float]:
    """Get an image's root filesystem, from nothing."""
    return [await _timed(dag.container().from_(name).sync())]


async def host(path: str) -> list[float]:
    """Force a host directory once."""
    return [await _timed(dag.host().directory(path).sync())]


async def export_tree(source: str, target: str) -> list[float]:
    """Export a tree once."""
    tree = dag.directory().with_directory("/", dag.host().directory(source))
    await tree.sync()
    return [await _timed(tree.export(target))]


async def export_file(nonce: str, size: str, target: str) -> list[float]:
    """Export a file that an exec made."""
    made = _probe(nonce).with_exec(["sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x > /big"])
    file = made.file("/big")
    await file.size()
    return [await _timed(file.export(target))]


async def publish(nonce: str, size: str, archive: str, *addresses: str) -> list[float]:
    """Push an image to every address, one after another; it is written to an archive before."""
    script = f"head -c {size} /dev/urandom >/random; mkdir /d; seq 500 | xargs -I x touch /d/x"
    made = _probe(nonce).with_exec(["sh", "-c", script])
    await made.export(archive)
    return [await _timed(made.publish(address)) for address in addresses]


async def service(count: str) -> list[float]:
    """Start services that open their port after a while; a sample begins when the port opens.

    The kernel's uptime is the clock of both sides; it is cut to 10 ms, so samples are too long
    by 5 ms in the mean.
    """
    samples = []
    for _ in range(int(count)):
        volume = dag.cache_volume(uuid.uuid4().hex)
        box = dag.container().from_(IMAGE).with_mounted_cache("/at", volume)
        script = "sleep 0.4; cat /proc/uptime >/at/opened; exec httpd -f -p 8080"
        made = box.with_exposed_port(8080).as_service(args=["sh", "-c", script])
        await made.start()
        ready = time.clock_gettime(time.CLOCK_BOOTTIME)
        samples.append(
            ready - float((await box.with_exec(["cat", "/at/opened"]).stdout()).split()[0])
        )
        await made.stop()
    return samples


CASES: dict[str, Callable[..., Awaitable[list[float]]]] = {
    "version": version,
    "execs": execs,
    "parallel": parallel,
    "lookup": lookup,
    "service": service,
    "host": host,
    "export-tree": export_tree,
    "export-file": export_file,
    "publish": publish,
    "pull": pull,
}


async def main(*words: str) -> None:
    """Connect, run one case, print its samples."""
    case, *arguments = words
    async with dagger.connection():
        samples = await CASES[case](*arguments)
    sys.stdout.write(json.dumps(samples) + "\n")


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
