"""cgo for other platforms: `zig cc`, a C and C++ compiler with the C libraries of every target.

    await go.build(source, Platform("linux", "arm64"), cgo="zig")                  # glibc 2.28
    await go.build(source, Platform("linux", "amd64"), cgo=go.Zig(libc="musl"))    # static

Zig is mounted beside Go, as a directory that every build of a version shares, so its content is in
the key of the build, and what C is compiled for is in the variables of the target. It compiles
libc's start files and what else a target needs once, into a cache volume of its own (one per
version: Zig keeps targets apart in it). What it makes of a project's C goes to a directory in
memory that is gone afterwards: Go's own cache has the results, and Zig's would only grow, since
Go compiles in a new directory each time.

Libc's files are compiled by the first program that is linked, where that is linked, and name that
directory in what they tell a debugger: a program had in it where another project lay. So programs
are linked in `/`, unless the command names a file from where it is.

Zig comes as the image `ziglang:<version>`, which the embedded engine makes of a wheel; where there
is no such image, the same wheel is installed by pip in a Python image.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines._cache import Cache, mount
from pipelines._dagger import dagger
from pipelines._errors import InfrastructureError, PlatformError, UsageError
from pipelines._memo import once
from pipelines._platform import Platform

__all__ = ["Zig", "chosen", "equipped", "triple", "variables"]

VERSION = "0.15.2"
PLACE = "/usr/local/zig"
AR = "/usr/local/lib/zig-ar"  # Go takes the name of one program here, not a command
LINKER = "/usr/local/lib/zig-at-root"
CACHE = "/go/zig-cache"
# Compiling needs the directory; linking does if an argument is, or makes, a file of it.
AT_ROOT = """\
#!/bin/sh
set -f
before=
for argument; do
  case $before,$argument in
    *,-c | *,-E | *,-S | -o,[!/]* | *,-o[!/]*) exec ZIG "$@" ;;
  esac
  before=$argument
  IFS=,=
  for path in $argument; do
    case $path in
      -[LIFBT]?*) path=${path#-?} ;;
      @*) path=${path#@} ;;
      -*) continue ;;
    esac
    case $path in
      /* | "") ;;
      *) if [ -e "$path" ]; then exec ZIG "$@"; fi ;;
    esac
  done
  unset IFS
done
cd / && exec ZIG "$@"
"""
LOCAL_CACHE = "/tmp/zig"  # noqa: S108 - in a container
PYTHON = "python:3.13-slim"

_GLIBC = re.compile(r"2\.\d{1,2}")
_ARCHITECTURES = {
    "386": "x86",
    "amd64": "x86_64",
    "arm": "arm",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "ppc64le": "powerpc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
# C is compiled for the processor that Go compiles for. For arm, GOARM=7 is Go's own default.
_PROCESSORS = {
    "amd64/v2": "x86_64_v2",
    "amd64/v3": "x86_64_v3",
    "amd64/v4": "x86_64_v4",
    "arm/v5": "arm926ej_s",
    "arm/v6": "arm1176jzf_s",
}


@dataclass(frozen=True, slots=True)
class Zig:
    """How C is compiled.

    Args:
        libc: Which C library programs for Linux have: `gnu` (dynamic) or `musl` (static).
        glibc: The oldest glibc that programs run with: 2.17 is of 2012, 2.28 of 2018 (Debian 10).
        version: Which Zig, a release of the `ziglang` wheel.
        toolchain: A directory with Zig for the machine that builds (`zig` and `lib`), where none
            can be had from a registry.
        sdk: An SDK of macOS, for programs for darwin; Apple's licence lets nobody pass one on.
    """

    libc: Literal["gnu", "musl"] = "gnu"
    glibc: str = "2.28"
    version: str = VERSION
    toolchain: dagger.Directory | None = None
    sdk: dagger.Directory | None = None

    def __post_init__(self) -> None:
        if self.libc not in {"gnu", "musl"}:
            raise UsageError(f"libc is gnu or musl; got {self.libc!r}")
        if not _GLIBC.fullmatch(self.glibc):
            raise UsageError(f"glibc is a version, such as 2.28; got {self.glibc!r}")


def chosen(cgo: bool | Literal["zig"] | Zig) -> Zig | None:
    """Give the Zig that `cgo=` names, None where C is compiled by the image or not at all."""
    if isinstance(cgo, Zig):
        return cgo
    if isinstance(cgo, bool):
        return None
    if cgo != "zig":
        raise UsageError(f'cgo is False, True, "zig" or a go.Zig; got {cgo!r}')
    return Zig()


def triple(zig: Zig, platform: Platform) -> str:
    """Spell a platform as Zig does, such as `arm-linux-gnueabihf.2.28`.

    Raises:
        PlatformError: C can not be compiled for it.
    """
    arch = _ARCHITECTURES.get(platform.arch)
    if platform.os == "darwin":
        if zig.sdk is None:
            raise PlatformError(
                f"cgo for {platform} needs headers and libraries of a macOS SDK, which nobody may "
                "pass on: give yours as cgo=go.Zig(sdk=<Directory>), or build without cgo"
            )
        return f"{arch}-macos"
    if platform.os not in {"linux", "windows"} or arch is None:
        known = ", ".join(_ARCHITECTURES)
        raise PlatformError(
            f"cgo by Zig is for linux ({known}), windows and darwin; got {platform}: build without "
            "cgo, or pass image= with a C compiler and cgo=True"
        )
    if platform.os == "windows":
        return f"{arch}-windows-gnu"
    soft = platform.variant == "v5"
    abi = ("eabi" if soft else "eabihf") if arch == "arm" else ""
    release = f".{zig.glibc}" if zig.libc == "gnu" else ""
    return f"{arch}-linux-{zig.libc}{abi}{release}"


def variables(zig: Zig, platform: Platform) -> Mapping[str, str]:
    """Give the variables that make Go compile C for a platform with Zig."""
    flags = ["-target", triple(zig, platform)]
    processor = _PROCESSORS.get(f"{platform.arch}/{platform.variant}")
    if processor:
        flags.append(f"-mcpu={processor}")
    if platform.os == "darwin":
        flags += ["-isysroot", SDK, f"-F{SDK}/System/Library/Frameworks", f"-L{SDK}/usr/lib"]
    return {
        "CC": " ".join([LINKER, "cc", *flags]),
        "CXX": " ".join([LINKER, "c++", *flags]),
        "AR": AR,
        "ZIG_GLOBAL_CACHE_DIR": _cache(zig.version).path,
        "ZIG_LOCAL_CACHE_DIR": LOCAL_CACHE,
    }


SDK = "/usr/local/macos-sdk"


async def equipped(
    container: dagger.Container, source: object, zig: Zig, platform: Platform
) -> dagger.Container:
    """Add Zig, its caches and a target's variables to a container with Go."""
    found = variables(zig, platform)
    tool = zig.toolchain
    if tool is None:
        tool = await once(source, f"zig {zig.version}", lambda: _had(zig.version))
    container = container.with_mounted_directory(PLACE, tool)
    container = container.with_new_file(
        AR, f'#!/bin/sh\nexec {PLACE}/zig ar "$@"\n', permissions=0o755
    )
    at_root = AT_ROOT.replace("ZIG", f"{PLACE}/zig")
    container = container.with_new_file(LINKER, at_root, permissions=0o755)
    if platform.os == "darwin" and zig.sdk is not None:
        container = container.with_mounted_directory(SDK, zig.sdk)
    for name, value in found.items():
        container = container.with_env_variable(name, value)
    return container.with_(mount(_cache(zig.version))).with_mounted_temp(LOCAL_CACHE)


def _cache(version: str) -> Cache:
    return Cache(f"zig-{version}-at-root", CACHE)


async def _had(version: str) -> dagger.Directory:
    """Get a release of Zig for the machine that builds."""
    try:
        image = dagger.dag.container().from_(f"ziglang:{version}")
        return await image.directory(PLACE).sync()
    except dagger.QueryError as first:
        if "Zig" in str(first):  # the engine makes such images, and says why not this one
            raise _not_had(version, str(first)) from first
    try:
        return await _installed(version).sync()
    except dagger.QueryError as second:
        more = second.stderr if isinstance(second, dagger.ExecError) else ""
        raise _not_had(version, f"{second}\n{more}".rstrip()) from second


def _installed(version: str) -> dagger.Directory:
    """Install the wheel in a Python image: what engines do that do not make images."""
    pip = ["pip", "install", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    container = dagger.dag.container().from_(PYTHON)
    container = container.with_exec([*pip, "--target", "/wheel", f"ziglang=={version}"])
    return container.directory("/wheel/ziglang")


def _not_had(version: str, said: str) -> UsageError | InfrastructureError:
    wrong = "No matching distribution" in said or "no version of Zig" in said
    kind = UsageError if wrong else InfrastructureError
    return kind(
        f"Zig {version} can not be had, and cgo needs it: {said}\n"
        "give a release of the ziglang wheel, or a directory with Zig: go.Zig(toolchain=…)"
    )
