"""Bubblewrap's arguments: a pure function from a `Spec`.

What bwrap is told goes into a file (`--args FD`), so that neither environment values nor
paths stand in any `/proc/*/cmdline`; only the command itself, which bwrap wants on its own
command line, does. Order matters to bwrap: mounts are made in the order of the arguments, so
the root comes first, then the system's directories, then the caller's mounts (outer targets
before inner ones is the caller's business), and masks directly after what they cover.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.base import Bind, Spec, Tmpfs

__all__ = [
    "Descriptors",
    "Masks",
    "arguments",
    "encode",
    "masks",
]

_HIDDEN = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
)
_HIDDEN_SYS = (
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
# bwrap itself covers bus, irq and sysrq-trigger wherever they could be written to.
_READONLY = (
    "/proc/fs",
    "/proc/sys",
)


@dataclass(frozen=True, slots=True)
class Masks:
    """What of /proc and /sys this kernel has to hide or to protect, as absolute paths."""

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    readonly: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The descriptors that bwrap inherits, by what they are for; None is not passed.

    `binary` is the directory that bwrap was started from, if it was from a descriptor: naming
    it as `--block-fd` makes bwrap close it before the command starts.
    """

    seccomp: int | None = None
    status: int | None = None
    userns: int | None = None
    binary: int | None = None


def masks(kinds: Mapping[str, str]) -> Masks:
    """Choose the masks for the paths that exist; `kinds` maps path to "file" or "dir"."""
    hidden = (*_HIDDEN, *_HIDDEN_SYS)
    return Masks(
        files=tuple(path for path in hidden if kinds.get(path) == "file"),
        directories=tuple(path for path in hidden if kinds.get(path) == "dir"),
        readonly=tuple(path for path in _READONLY if path in kinds),
    )


def candidates() -> Iterable[str]:
    """Yield every path that `masks` wants to know the kind of."""
    yield from _HIDDEN
    yield from _HIDDEN_SYS
    yield from _READONLY


def arguments(
    spec: Spec, fds: Descriptors, hidden: Masks, capabilities: Iterable[str]
) -> list[str]:
    """Spell a spec as bwrap's options, the command excluded."""
    system = [*("--proc", "/proc"), *("--bind", "/sys", "/sys"), *("--dev-bind", "/dev", "/dev")]
    if not spec.insecure:
        system = [*_proc(hidden), *_sys(hidden), *("--dev", "/dev")]
    return [
        *_isolation(spec, fds),
        *("--bind", spec.root, "/"),
        *system,
        *("--perms", "1777", "--tmpfs", "/dev/shm"),  # noqa: S108
        *_mounts(spec.mounts),
        *_capabilities(spec, capabilities),
        *_environment(spec.env),
        *("--chdir", spec.cwd),
    ]


def encode(options: Sequence[str]) -> bytes:
    """Join options as `--args` reads them: separated by NUL.

    Raises:
        SandboxError: an option has a NUL byte in it, which no program could receive.
    """
    for option in options:
        if "\0" in option:
            raise SandboxError(
                "starting a command: an argument, path or environment value has a NUL byte, "
                "which Linux can not pass to a program; remove it"
            )
    return b"\0".join(map(os.fsencode, options))


def _isolation(spec: Spec, fds: Descriptors) -> list[str]:
    options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", spec.hostname]
    if spec.network == "none":
        options.append("--unshare-net")
    options += ["--die-with-parent", "--new-session"]
    named = {
        "--seccomp": fds.seccomp,
        "--json-status-fd": fds.status,
        "--block-fd": fds.binary,
        "--userns": fds.userns,
    }
    for option, fd in named.items():
        if fd is not None:
            options += [option, str(fd)]
    if fds.userns is not None:
        options += ["--uid", str(spec.uid), "--gid", str(spec.gid)]
    return options


def _proc(hidden: Masks) -> list[str]:
    options = ["--proc", "/proc"]
    for path in hidden.readonly:
        options += ["--ro-bind", path, path]
    return options + _hide(hidden, "/proc/")


def _sys(hidden: Masks) -> list[str]:
    return ["--ro-bind", "/sys", "/sys", *_hide(hidden, "/sys/")]


def _hide(hidden: Masks, below: str) -> list[str]:
    options: list[str] = []
    for path in hidden.files:
        if path.startswith(below):
            options += ["--dev-bind", "/dev/null", path]
    for path in hidden.directories:
        if path.startswith(below):
            options += ["--tmpfs", path, "--remount-ro", path]
    return options


def _mounts(mounts: Sequence[Bind | Tmpfs]) -> list[str]:
    options: list[str] = []
    for mount in mounts:
        match mount:
            case Bind(source, target, readonly):
                options += ["--ro-bind" if readonly else "--bind", source, target]
            case Tmpfs(target, size, mode):
                options += ["--perms", f"{mode:04o}"]
                options += ["--size", str(size)] if size is not None else []
                options += ["--tmpfs", target]
    return options


def _capabilities(spec: Spec, capabilities: Iterable[str]) -> list[str]:
    options = ["--cap-drop", "ALL"]
    if spec.uid == 0:
        for name in capabilities:
            options += ["--cap-add", name]
    return options


def _environment(env: Mapping[str, str]) -> list[str]:
    # bwrap's own environment is empty but for the place of its libraries.
    options = ["--unsetenv", "LD_LIBRARY_PATH"]
    for name in sorted(env):
        if not name or "=" in name:
            raise SandboxError(
                f"starting a command: {name!r} can not be the name of an environment variable; "
                "names are not empty and hold no '='"
            )
        options += ["--setenv", name, env[name]]
    return options
