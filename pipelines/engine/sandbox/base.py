"""The contract of a sandbox: a frozen `Spec` in, an `Exit` out, nothing left behind.

The caller has made the root filesystem and every mount point in it, resolved every path
inside that root (no symbolic link is left in `root`-relative targets), and looked up the
user. The sandbox adds: own pid, ipc, uts and mount namespaces, a minimal /dev, a masked
/proc and /sys, Docker's default capabilities for uid 0 and none for others, a seccomp filter.
The command sees `env` and nothing of the engine's own environment, arguments or descriptors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

__all__ = ["Bind", "Exit", "Inside", "Running", "Sandbox", "Spec", "Tmpfs"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bind:
    """A host path shown at `target`, an absolute path inside the root without links."""

    source: str
    target: str
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """An empty tmpfs at `target`; `size` in bytes or None for the kernel's default."""

    target: str
    size: int | None = None
    mode: int = 0o1777


class Inside(Protocol):
    """A thread in another network namespace, which lives longer than what it starts."""

    def do(self, function: Callable[[], T]) -> T:
        """Call a function on the thread."""
        ...


@dataclass(frozen=True, slots=True)
class Spec:
    """A command to run; it starts on the thread `inside`, in the network that this is in.

    `env` may hold secrets: it must reach the command's environment and no other place.
    `umask` and limits follow the engine's. `stdin` is the path of a file or None for empty.
    `insecure` takes away what guards the machine from root: it has all that the engine has.
    `platform` is that of the root, "" for this machine's: its programs may need an emulator.
    """

    root: str
    args: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    mounts: tuple[Bind | Tmpfs, ...] = ()
    hostname: str = "dagger"
    stdin: str | None = None
    network: Literal["host", "none"] = "host"
    platform: str = ""
    insecure: bool = False
    inside: Inside | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended: its exit code, 128 + n for signal n."""

    code: int


class Running(Protocol):
    """A command that was started."""

    def signal(self, number: int) -> bool:
        """Send a signal to the command itself; False if it does not run yet or any more."""
        ...


class Sandbox(Protocol):
    """Runs one command at a time per call; calls are independent."""

    async def run(
        self,
        spec: Spec,
        stdout: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
        started: Callable[[Running], None] | None = None,
    ) -> Exit:
        """Run to the end, handing over output as it comes; the callbacks are cheap.

        Cancelling the call kills the whole process tree and returns only when it is gone.

        Raises:
            SandboxError: the sandbox itself could not start; says what to enable.
        """
        ...
