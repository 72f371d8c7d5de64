"""The operating systems, architectures and variants that Go can build for.

Source: `go tool dist list` of Go 1.26 and `go help environment`; a test compares the table with the
toolchain at hand. Pure data, no imports: the command validates a `--platform` without the SDK.
"""

__all__ = ["PAIRS", "VARIANTS", "pairs"]

_TABLE = {
    "aix": "ppc64",
    "android": "386 amd64 arm arm64",
    "darwin": "amd64 arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm arm64",
    "illumos": "amd64",
    "ios": "amd64 arm64",
    "js": "wasm",
    "linux": "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x",
    "netbsd": "386 amd64 arm arm64",
    "openbsd": "386 amd64 arm arm64 ppc64 riscv64",
    "plan9": "386 amd64 arm",
    "solaris": "amd64",
    "wasip1": "wasm",
    "windows": "386 amd64 arm64",
}

PAIRS = {os: tuple(archs.split()) for os, archs in _TABLE.items()}


def _mips(arch: str) -> tuple[str, dict[str, str]]:
    name = "GOMIPS64" if "64" in arch else "GOMIPS"
    return name, {value: value for value in ("hardfloat", "softfloat")}


def _ppc64() -> tuple[str, dict[str, str]]:
    return "GOPPC64", {value: value for value in ("power8", "power9", "power10")}


def pairs() -> tuple[str, ...]:
    """Every `os/arch`, sorted."""
    return tuple(f"{os}/{arch}" for os, archs in PAIRS.items() for arch in archs)


# architecture -> (the variable that Go reads, variant as images spell it -> value as Go spells it).
# Passing the variant as it is builds for the wrong machine in silence: `GOARM=v6` gives ARMv7 code.
VARIANTS: dict[str, tuple[str, dict[str, str]]] = {
    "386": ("GO386", {"sse2": "sse2", "softfloat": "softfloat"}),
    "amd64": ("GOAMD64", {v: v for v in ("v1", "v2", "v3", "v4")}),
    "arm": ("GOARM", {"v5": "5", "v6": "6", "v7": "7"}),
    "arm64": (
        "GOARM64",
        {"v8": "v8.0", "v9": "v9.0"}
        | {f"v8.{minor}": f"v8.{minor}" for minor in range(10)}
        | {f"v9.{minor}": f"v9.{minor}" for minor in range(6)},
    ),
    "mips": _mips("mips"),
    "mipsle": _mips("mipsle"),
    "mips64": _mips("mips64"),
    "mips64le": _mips("mips64le"),
    "ppc64": _ppc64(),
    "ppc64le": _ppc64(),
    "riscv64": ("GORISCV64", {v: v for v in ("rva20u64", "rva22u64", "rva23u64")}),
}
