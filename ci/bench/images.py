"""Images to a registry on loopback: Debian's `docker-registry`; the reference is `skopeo copy`."""

import shutil
import socket
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ci.bench.engines import Engine
from ci.bench.measure import BenchError, run
from ci.bench.report import Report, Row
from ci.bench.sdk import client

__all__ = ["measure", "registry"]

BYTES = 60_000_000
CONFIG = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "127.0.0.1:%d"}
"""


def measure(report: Report, engines: Sequence[Engine], scratch: Path, *, quick: bool) -> None:
    """Push an image that is packed already: to a new repository, and again."""
    if missing := [name for name in ("docker-registry", "skopeo") if not shutil.which(name)]:
        report.skip("images", f"not installed: {', '.join(missing)}")
        return
    rounds = 2 if quick else 5
    with registry(scratch / "registry") as host:
        archive = scratch / "image.tar"
        nonce = uuid.uuid4().hex
        ours: list[list[float]] = []
        theirs: list[list[float]] = []
        for number in range(rounds):
            names = [f"{host}/ours/image{number}:1"] * 2
            ours.append(client(engines[0], "publish", nonce, str(BYTES), str(archive), *names))
            theirs.append([_skopeo(archive, f"{host}/theirs/image{number}:1") for _ in range(2)])
    for at, what in enumerate(("push of a 60 MB image", "push of an unchanged image")):
        one, other = ([samples[at] for samples in every] for every in (ours, theirs))
        reach = "HEAD requests only" if at else ""
        value, reference = statistics.median(one), statistics.median(other)
        report.add(Row("images", what, value, "s", rounds, "skopeo", reference, reach))


def _skopeo(archive: Path, name: str) -> float:
    command = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false"]
    return run([*command, f"oci-archive:{archive}", f"docker://{name}"])[0].wall


@contextmanager
def registry(root: Path) -> Iterator[str]:
    """Run a registry; give its host."""
    root.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (root / "config.yml").write_text(CONFIG % (root / "data", port))
    with subprocess.Popen(
        ["docker-registry", "serve", root / "config.yml"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _listening(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _listening(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            msg = "docker-registry does not listen"
            raise BenchError(msg)
        time.sleep(0.02)
