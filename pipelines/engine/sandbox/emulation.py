"""Running programs of other architectures: which need an emulator, and which one it is.

In this order:

    native        the kernel runs them: the machine's own, 386 on amd64, arm on most arm64
    registered    the host has an emulator in its binfmt_misc that needs no file in the
                  container (flag F): nothing to do
    ours          a static qemu of the host, registered in a user namespace of ours alone
                  (Linux 6.7): the host's table stays as it is
    none          an error that says what to install

Source: Documentation/admin-guide/binfmt-misc.rst; the magics are ELF headers, with the bits
masked that differ between programs (OS ABI, executable or position-independent).
"""

import ctypes
import os
import re
import shutil
import struct
from dataclasses import dataclass
from functools import lru_cache

from pipelines.engine import machines
from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.executable import is_static

__all__ = ["MACHINES", "Machine", "Rule", "emulator", "machine_of", "native", "registered", "rule"]

TABLE = "/proc/sys/fs/binfmt_misc"
PLACES = "/usr/libexec/qemu-binfmt"
_PER_LINUX32 = 0x0008
_HEADER = 20


@dataclass(frozen=True, slots=True)
class Machine:
    """An architecture: its name in platforms, qemu's name of it, and its ELF header."""

    name: str
    qemu: str
    number: int
    bits: int = 64
    big: bool = False

    @property
    def magic(self) -> bytes:
        """How its programs begin."""
        order = ">" if self.big else "<"
        ident = bytes([0x7F, *b"ELF", self.bits // 32, 2 if self.big else 1, 1])
        return ident.ljust(16, b"\0") + struct.pack(f"{order}HH", 2, self.number)

    @property
    def mask(self) -> bytes:
        """Which bits of the magic count."""
        kind = b"\xff\xfe" if self.big else b"\xfe\xff"
        return b"\xff" * 7 + b"\0" + b"\xff" * 8 + kind + b"\xff\xff"


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("386", "i386", 3, bits=32),
        Machine("amd64", "x86_64", 62),
        Machine("arm", "arm", 40, bits=32),
        Machine("arm64", "aarch64", 183),
        Machine("loong64", "loongarch64", 258),
        Machine("mips64le", "mips64el", 8),
        Machine("ppc64le", "ppc64le", 21),
        Machine("riscv64", "riscv64", 243),
        Machine("s390x", "s390x", 22, big=True),
    )
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A line for binfmt_misc's `register`, for one emulator."""

    machine: str
    text: bytes


def emulator(platform: str, path: str | None = None) -> Rule | None:
    """Find what runs programs of a platform; None if nothing is needed.

    Raises:
        SandboxError: nothing here runs them; says what to install.
    """
    system, _, _ = platform.partition("/")
    if platform and system != "linux":
        raise SandboxError(f"running a command for {platform}: containers of Linux only are run")
    machine = machine_of(platform)
    if machine is None or native(machine.name) or registered(machine):
        return None
    found = _program(machine, os.environ.get("PATH") if path is None else path)
    if found is None:
        raise SandboxError(
            f"running a command for {platform} on {os.uname().machine}: there is no emulator; "
            f"install the package qemu-user-static (or put a static qemu-{machine.qemu} on PATH), "
            "have the host register one, or use a Dagger engine that does: --engine dagger"
        )
    return Rule(machine.name, rule(machine, found))


def machine_of(platform: str) -> Machine | None:
    """Give a platform's architecture; None for "", this machine's.

    Raises:
        SandboxError: it is not known.
    """
    if not platform:
        return None
    name = platform.split("/")[1]
    if name not in MACHINES:
        raise SandboxError(
            f"running a command for {platform}: the architecture is not known; "
            f"there are {', '.join(MACHINES)}"
        )
    return MACHINES[name]


def native(name: str, machine: str = "") -> bool:
    """Tell whether the kernel itself runs programs of an architecture."""
    host = machines.architecture(machine)
    return name == host or (host, name) == ("amd64", "386") or _runs_arm(host, name)


def _runs_arm(host: str, name: str) -> bool:
    return (host, name) == ("arm64", "arm") and _has_32_bits()


@lru_cache(1)
def _has_32_bits() -> bool:
    """Ask the kernel, in a child: it refuses the personality where the processor can not."""
    child = os.fork()
    if child == 0:
        os._exit(ctypes.CDLL(None).personality(_PER_LINUX32) == -1)
    return os.waitpid(child, 0)[1] == 0


def registered(machine: Machine, table: str = TABLE) -> bool:
    """Tell whether the host has an emulator that is open already (flag F) for a machine."""
    try:
        names = os.listdir(table)
    except OSError:
        return False
    for name in names:
        if name in {"register", "status"}:
            continue
        try:
            with open(f"{table}/{name}", encoding="ascii", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        if _fits(text, machine):
            return True
    return False


def _fits(text: str, machine: Machine) -> bool:
    fields = dict(line.partition(" ")[::2] for line in text.splitlines())
    flags = fields.get("flags:", "")
    if "enabled" not in fields or "F" not in flags or fields.get("offset") != "0":
        return False
    try:
        magic = bytes.fromhex(fields.get("magic", ""))
        mask = bytes.fromhex(fields["mask"]) if "mask" in fields else b"\xff" * len(magic)
    except ValueError:
        return False
    head = machine.magic[: len(magic)]
    same = all(a & m == b & m for a, b, m in zip(magic, head, mask, strict=False))
    return len(magic) >= _HEADER and same


def _program(machine: Machine, path: str | None) -> str | None:
    """Find a static emulator: Debian's for binfmt_misc, or one on PATH."""
    names = (f"qemu-{machine.qemu}-static", f"qemu-{machine.qemu}")
    found = [f"{PLACES}/{machine.qemu}-binfmt-P", *(shutil.which(n, path=path) for n in names)]
    return next((p for p in found if p and os.path.exists(p) and is_static(p)), None)


def rule(machine: Machine, interpreter: str) -> bytes:
    """Spell the rule: the emulator is opened now (F), gets argv[0] (P) and the file (O)."""
    if re.search(r"[:\s]", interpreter):
        raise SandboxError(f"the emulator's path {interpreter!r} has a blank or ':' in it; move it")
    magic, mask = (
        "".join(f"\\x{byte:02x}" for byte in text) for text in (machine.magic, machine.mask)
    )
    return f":pipelines-{machine.name}:M:0:{magic}:{mask}:{interpreter}:OPF".encode()
