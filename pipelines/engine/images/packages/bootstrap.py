"""The programs that make a Debian root filesystem: mmdebstrap, or else debootstrap.

Both run as root of the session's namespace, apart (the words before the command see to that).
With a single id no terminal devices can be mounted (they want another group) and no device
nodes made, so the ones that maintainer scripts use are bound from the host.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.programs import Programs

__all__ = ["TOOLS", "Bootstrap", "Plan"]

TOOLS = ("mmdebstrap", "debootstrap")
_PATIENCE = 1800.0
_SKIPPED = ("check/empty", "cleanup/apt/lists", "output/dev", "output/mknod")
_DEVICES = (
    "for name in null zero full random urandom tty; do "
    ': > "$1/dev/$name"; mount --bind "/dev/$name" "$1/dev/$name"; done'
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make.

    `sources` is a file in apt's form, `uri` and `keyring` are the main archive's for a program
    that takes one only, `acquire` are the host's own settings of how apt fetches.
    """

    suite: str
    sources: Path
    uri: str
    keyring: str
    epoch: int
    acquire: Mapping[str, str]


class Bootstrap:
    """Runs one of the two; `apart` are words to put before a command."""

    def __init__(self, programs: Programs, apart: Sequence[str], *, single: bool) -> None:
        self._programs = programs
        self._apart = tuple(apart)
        self._single = single

    def choose(self, scratch: Path) -> str:
        """Name the program to use; `scratch` is where the root filesystems will be made.

        Raises:
            ImageError: neither is installed, or only debootstrap where it can not work.
        """
        found = next((name for name in TOOLS if self._programs.find(name) is not None), None)
        if found is None:
            raise ImageError(_missing(*TOOLS))
        if found == "debootstrap" and not _makes_devices(scratch):
            raise ImageError(
                "debootstrap makes device nodes, which only root can (outside of a container, "
                "and in a directory that is not mounted nodev); install mmdebstrap, which this "
                "machine does not have and which does without"
            )
        return found

    def make(self, tool: str, plan: Plan, into: Path) -> None:
        """Make the root filesystem in an empty directory.

        Raises:
            ImageError: the program is missing or fails; with its last lines.
        """
        spell = self._mmdebstrap if tool == "mmdebstrap" else self._debootstrap
        self._run(tool, plan, spell(plan, into), f"making Debian {plan.suite} with {tool}")

    def add(self, plan: Plan, packages: Sequence[str], root: Path) -> None:
        """Install packages in a root filesystem that was made before: mmdebstrap can do that too.

        Raises:
            ImageError: mmdebstrap is missing or fails; with its last lines.
        """
        words = self._mmdebstrap(plan, root, "custom", [f"--include={','.join(packages)}"])
        self._run(TOOLS[0], plan, words, f"installing {', '.join(packages)} of {plan.suite}")

    def _run(self, tool: str, plan: Plan, words: Sequence[str], purpose: str) -> None:
        path = self._programs.find(tool)
        if path is None:
            raise ImageError(_missing(tool))
        # Whatever this process's directory for temporary files is, the chroot has only this one.
        env = {"SOURCE_DATE_EPOCH": str(plan.epoch), "LC_ALL": "C.UTF-8"}
        env["TMPDIR"] = "/tmp"  # noqa: S108
        self._programs.run([*self._apart, path, *words], purpose, env, timeout=_PATIENCE)

    def _mmdebstrap(
        self, plan: Plan, into: Path, variant: str = "minbase", more: Sequence[str] = ()
    ) -> list[str]:
        skipped = (*_SKIPPED, "chroot/mount/dev") if self._single else _SKIPPED
        options = [f'--aptopt={name} "{value}"' for name, value in plan.acquire.items()]
        if self._single:
            options.append(f"--extract-hook={_DEVICES}")
        return [
            *("--quiet", "--mode=root", f"--variant={variant}", "--format=directory", *more),
            "--dpkgopt=force-unsafe-io",  # a third of the time was waiting for the disk
            *(f"--skip={','.join(skipped)}", '--aptopt=APT::Sandbox::User "root"'),
            *(*options, plan.suite, os.fspath(into), os.fspath(plan.sources)),
        ]

    def _debootstrap(self, plan: Plan, into: Path) -> list[str]:
        keyring = [f"--keyring={plan.keyring}"] if plan.keyring else []
        return ["--variant=minbase", *keyring, plan.suite, os.fspath(into), plan.uri]


def _makes_devices(scratch: Path) -> bool:
    """Try it, the way debootstrap does."""
    node = scratch / "null"
    try:
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        with node.open("wb") as file:
            file.write(b"\n")
    except OSError:
        return False
    finally:
        node.unlink(missing_ok=True)
    return True


def _missing(*names: str) -> str:
    return (
        f"a Debian image is made by {' or '.join(names)}, which this machine does not have; "
        f"install {names[0]} (Debian, Ubuntu: `apt-get install {names[0]}`), import the image "
        "from an archive, or use the Dagger engine: --engine dagger"
    )
