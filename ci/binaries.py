"""List the executables under a directory by what they are: `python -m ci.binaries DIR [COUNT]`.

The platform is read from the file's own header, never from its name, so the list shows a wrong
build as what it is. Sources: ELF gABI ch. 4, PE/COFF "COFF File Header", Apple `mach/machine.h`.
"""

import struct
import sys
from pathlib import Path

__all__ = ["main", "platform_of", "scan"]

ELF_MACHINES = {0x03: "386", 0x28: "arm", 0x3E: "amd64", 0xB7: "arm64", 0xF3: "riscv64"}
PE_MACHINES = {0x014C: "386", 0x8664: "amd64", 0xAA64: "arm64"}
MACHO_CPUS = {0x01000007: "amd64", 0x0100000C: "arm64"}
HEADER_BYTES = 4096


def platform_of(head: bytes) -> str | None:
    """Return os/arch of an executable's first bytes, or None for any other file."""
    if head[:4] == b"\x7fELF":
        (machine,) = struct.unpack_from("<H", head, 18)
        return f"linux/{ELF_MACHINES.get(machine, hex(machine))}"
    if head[:4] == b"\xcf\xfa\xed\xfe":
        (cpu,) = struct.unpack_from("<I", head, 4)
        return f"darwin/{MACHO_CPUS.get(cpu, hex(cpu))}"
    if head[:2] == b"MZ" and len(head) >= 64:
        (start,) = struct.unpack_from("<I", head, 60)
        if head[start : start + 4] == b"PE\0\0":
            (machine,) = struct.unpack_from("<H", head, start + 4)
            return f"windows/{PE_MACHINES.get(machine, hex(machine))}"
    return None


def scan(root: Path) -> list[tuple[str, str, int]]:
    """Return (path, platform, bytes) of every executable below root, by path."""
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            platform = platform_of(file.read(HEADER_BYTES))
        if platform is not None:
            found.append((path.relative_to(root).as_posix(), platform, path.stat().st_size))
    return found


def main(arguments: list[str]) -> int:
    """Print the list; exit 1 when it is not as long as asked."""
    if not arguments:
        print("usage: python -m ci.binaries DIR [COUNT]", file=sys.stderr)
        return 2
    found = scan(Path(arguments[0]))
    for name, platform, size in found:
        print(f"{platform:<15} {size / 1e6:6.1f} MB  {name}")
    wanted = int(arguments[1]) if arguments[1:] else None
    if wanted is not None and len({platform for _, platform, _ in found}) != wanted:
        print(f"want executables of {wanted} platforms, found the above", file=sys.stderr)
        return 1
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
