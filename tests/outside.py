"""Programs from outside that judge what we write: umoci, skopeo, crane, Docker, a real registry.

Each is found or says why it is not; servers listen on loopback or a socket and end with the
test that started them.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["Dockerd", "RealRegistry", "crane", "dockerd", "real_registry", "require", "run"]

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"

# Of the machine, not of the test: it is kept.
KEPT = Path(tempfile.gettempdir(), f"pipelines-tests-{os.geteuid()}")

REGISTRY = """\
version: 0.1
log: {level: error, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: "127.0.0.1:%d"}
"""


def require(*programs: str) -> None:
    """Skip unless programs are installed."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(*command: object, **options: object) -> str:
    """Run a program that must succeed; give what it printed."""
    words = [os.fspath(word) if isinstance(word, Path) else str(word) for word in command]
    done = subprocess.run(
        words, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def crane() -> str:
    """Build crane from the Go module proxy, once a machine; skip where that can not be done."""
    if (found := shutil.which("crane")) is not None:
        return found
    require("go")
    place = KEPT / CRANE.rpartition("@")[2]
    if not (place / "crane").exists():
        environ = {**os.environ, "GOBIN": str(place), "GOFLAGS": "-buildvcs=false"}
        command = ["go", "install", CRANE]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=500)
        if done.returncode != 0:
            pytest.skip(f"crane can not be built here: {done.stderr.strip()[-200:]}")
    return str(place / "crane")


class RealRegistry:
    """Debian's docker-registry; `log` has a line a request."""

    def __init__(self, root: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.root = root
        self.log = root / "log"
        config = root / "config.yml"
        config.write_text(REGISTRY % (root / "data", self.port))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(self._listens, "docker-registry does not listen")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def requests(self) -> list[str]:
        """The methods and paths of all requests so far, from its access log."""
        lines = self.log.read_text().splitlines()
        quoted = [line.split('"')[1] for line in lines if '"' in line and " HTTP/1.1" in line]
        return [" ".join(line.split()[:2]) for line in quoted]


@contextmanager
def real_registry(root: Path) -> Iterator[RealRegistry]:
    """Run a registry."""
    require("docker-registry")
    root.mkdir(exist_ok=True)
    registry = RealRegistry(root)
    try:
        yield registry
    finally:
        registry.process.terminate()
        registry.process.wait(10)


class Dockerd:
    """Docker's daemon in namespaces of its own: no network, no processes that outlive it."""

    def __init__(self, root: Path) -> None:
        # The length of a socket's path is limited.
        self.home = Path(tempfile.mkdtemp(prefix="dd-"))
        self.socket = f"unix://{self.home}/sock"
        daemon = [
            *("dockerd", "--data-root", root / "data", "--exec-root", self.home / "run"),
            *("--pidfile", self.home / "pid", "--host", self.socket, "--bridge=none"),
            *("--iptables=false", "--ip6tables=false", "--storage-driver=vfs"),
        ]
        apart = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self.process = subprocess.Popen(
            [*apart, *daemon],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A slow containerd is asked for its stacks, which it writes there.
            env={**os.environ, "TMPDIR": str(self.home)},
        )

    def docker(self, *command: object) -> str:
        """Run a command of the client."""
        return run("docker", "--host", self.socket, *command)

    def answers(self) -> bool:
        """Whether the daemon is up."""
        command = ["docker", "--host", self.socket, "version"]
        return subprocess.run(command, capture_output=True).returncode == 0


@contextmanager
def dockerd(root: Path) -> Iterator[Dockerd]:
    """Run Docker's daemon; skip where it does not start."""
    require("dockerd", "docker", "unshare")
    if os.geteuid() != 0:
        pytest.skip("Docker's daemon needs root")
    root.mkdir(exist_ok=True)
    daemon = Dockerd(root)
    try:
        if not wait_for(daemon.answers, "", seconds=30):
            pytest.skip("Docker's daemon does not start here")
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.wait(10)
        shutil.rmtree(daemon.home, ignore_errors=True)


def wait_for(done, failure: str, seconds: float = 30) -> bool:
    """Wait until something is so; without a `failure` to raise, tell whether it is."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            assert not failure, failure
            return False
        time.sleep(0.02)
    return True
