"""What `pipelines doctor` asks of the sandbox: would a session start here, and how well."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox import binary
from pipelines.engine.sandbox.namespace import enter

__all__ = ["Finding", "probe", "program", "switches", "tried"]

_SWITCHES = {
    "kernel.unprivileged_userns_clone": "1",
    "kernel.apparmor_restrict_unprivileged_userns": "0",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, whether it is well, and what to do if it is not."""

    name: str
    ok: bool
    seen: str
    remedy: str = ""


def probe(
    start: Callable[[], str] = enter, find: Callable[[], str] = binary.find, proc: str = "/proc"
) -> list[Finding]:
    """Try what a session needs, in a child, so that this process stays as it is.

    Args:
        start: what enters the session's namespace.
        find: what finds bwrap.
        proc: where the kernel shows its settings.
    """
    return [_namespaces(start), *switches(proc), program(find)]


def _namespaces(start: Callable[[], str]) -> Finding:
    name = "session namespace"
    ok, said = tried(start)
    if not ok:
        return Finding(name, ok=False, seen=said)
    if said == "single":
        remedy = (
            "commands run as root only: install the package uidmap and give this user a range "
            "in /etc/subuid and /etc/subgid"
        )
        return Finding(name, ok=True, seen="a single user id", remedy=remedy)
    return Finding(name, ok=True, seen=said)


def tried(start: Callable[[], str]) -> tuple[bool, str]:
    """Call `start` in a child, and give what it returned or what its error says."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - runs in a forked child
        status = 1
        try:
            os.write(write, start().encode())
            status = 0
        except SandboxError as exc:
            os.write(write, str(exc).encode())
        finally:
            os._exit(status)
    os.close(write)
    with open(read, "rb") as file:
        said = file.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return status == 0, said


def switches(proc: str) -> list[Finding]:
    """Report the kernel's switches that exist; being root makes them irrelevant."""
    found = []
    for name, wanted in _SWITCHES.items():
        try:
            with open(f"{proc}/sys/{name.replace('.', '/')}", encoding="ascii") as file:
                value = file.read().strip()
        except OSError:
            continue
        ok = value == wanted or os.geteuid() == 0
        found.append(Finding(name, ok, value, "" if ok else f"sysctl -w {name}={wanted}"))
    return found


def program(find: Callable[[], str]) -> Finding:
    """Look for bwrap."""
    try:
        return Finding("bubblewrap", ok=True, seen=find())
    except SandboxError as exc:
        return Finding("bubblewrap", ok=False, seen=str(exc))
