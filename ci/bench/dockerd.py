"""A Docker daemon of our own: all that it keeps is in a temporary directory, and goes with it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Absent", "Docker", "daemon"]

_PATIENCE = 60.0  # seconds for the daemon to answer


class Absent(Exception):  # it says why, it is no failure
    """There is no daemon that could be started here."""


@dataclass(frozen=True, slots=True)
class Docker:
    """The client of a daemon of our own."""

    program: str
    env: Mapping[str, str]

    def __call__(self, *arguments: str) -> str:
        """Run a command of it.

        Raises:
            RuntimeError: it failed; with what it printed.
        """
        ran = subprocess.run(
            [self.program, *arguments],
            env=dict(self.env),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if ran.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)}: {ran.stderr}")
        return ran.stdout.strip()

    def load(self, archive: Path, name: str) -> str:
        """Load an image archive under a name, and give the name."""
        loaded = self("load", "-i", str(archive)).rpartition("ID: ")[2]
        self("tag", loaded, name)
        return name


@contextmanager
def daemon() -> Iterator[Docker]:
    """Start a daemon with BuildKit, without bridges or firewall rules; end it afterwards.

    Raises:
        Absent: there is none, it does not start, or we are not root.
    """
    server, client = _programs()
    home = Path(tempfile.mkdtemp(prefix="pd-", dir="/tmp"))  # a socket's path is short
    docker = Docker(
        client,
        {
            "DOCKER_HOST": f"unix://{home}/s",
            "DOCKER_BUILDKIT": "1",
            "PATH": os.environ["PATH"],
            "HOME": str(home),
        },
    )
    # Its mounts are seen by nobody else, and end with it.
    arguments = ["unshare", "--mount", "--propagation=private",
                 server, f"--data-root={home}/data", f"--exec-root={home}/exec",
                 f"--host=unix://{home}/s", f"--pidfile={home}/pid", "--iptables=false",
                 "--ip6tables=false", "--bridge=none"]  # fmt: skip
    with (home / "log").open("wb") as log:
        running = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait(docker, running, home / "log")
        yield docker
    finally:
        running.terminate()
        running.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def _programs() -> tuple[str, str]:
    """Find a daemon, and the client of its version."""
    places = ["/usr/sbin", "/usr/bin", *os.environ["PATH"].split(":")]
    server = shutil.which("dockerd", path=":".join(places))
    if server is None or os.geteuid() != 0:
        raise Absent("no `dockerd` (Debian: docker.io), or not root")
    version = _printed(server, "--version").split()[2]
    for place in places:
        client = shutil.which("docker", path=place)
        if client is not None and version in _printed(client, "--version"):
            return server, client
    raise Absent(f"no `docker` of the daemon's version, {version}")


def _printed(*line: str) -> str:
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout


def _wait(docker: Docker, running: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if running.poll() is not None:
            break
        try:
            docker("version")
        except RuntimeError:
            time.sleep(0.1)
        else:
            return
    raise Absent(f"dockerd does not start here: {log.read_text(errors='replace')[-300:]}")
