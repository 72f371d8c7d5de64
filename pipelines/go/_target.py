"""From a platform to the variables that Go reads, and from options to flags. Pure functions.

Source: `go help environment`, `go help build`.
"""

from collections.abc import Mapping, Sequence

from pipelines._errors import UsageError
from pipelines._platform import Platform
from pipelines._targets import VARIANTS

__all__ = ["OUT", "environment", "go_build", "ldflags_with", "shared_flags", "tagged"]

OUT = "/out"


def environment(platform: Platform | None, *, cgo: bool = False) -> dict[str, str]:
    """Give the variables of a target; without a platform Go builds for where it runs.

    environment(Platform.parse("linux/arm/v6")) == {
        "CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "arm", "GOARM": "6"}
    """
    result = {"CGO_ENABLED": "1" if cgo else "0"}
    if platform is None:
        return result
    result |= {"GOOS": platform.os, "GOARCH": platform.arch}
    if platform.variant:
        variable, values = VARIANTS[platform.arch]
        result[variable] = values[platform.variant]
    return result


def ldflags_with(ldflags: str, stamp: Mapping[str, str]) -> str:
    """Add `-X name=value` for every stamp, quoted as Go's own splitting needs it.

    Raises:
        UsageError: a name has no package (`main.version`), or a value can not be quoted.
    """
    flags = [ldflags] if ldflags else []
    for name, value in stamp.items():
        if "." not in name or any(c in name for c in " '\"="):
            raise UsageError(
                f"a stamp is named package.variable, such as main.version; got {name!r}"
            )
        flags.append(f"-X {_quoted(f'{name}={value}')}")
    return " ".join(flags)


def _quoted(text: str) -> str:
    # Go splits -ldflags at spaces; quotes start a word, nothing escapes inside them
    # (`cmd/internal/quoted`).
    if not any(c in text for c in " \t\n'\""):
        return text
    for quote in "'\"":
        if quote not in text:
            return f"{quote}{text}{quote}"
    raise UsageError(f"a stamp can not hold both kinds of quotes: {text!r}")


def go_build(
    packages: Sequence[str],
    platform: Platform | None = None,
    *,
    ldflags: str = "",
    tags: Sequence[str] = (),
    trimpath: bool = True,
    race: bool = False,
    cover: bool = False,
    output: str = "",
) -> list[str]:
    """Spell `go build`. Outputs are named as Go names them, or `output` (`.exe` is added)."""
    if "/" in output or "\\" in output:
        raise UsageError(f"output is a file name, not a path; got {output!r}")
    windows = platform is not None and platform.os == "windows"
    exe = ".exe" if windows and output and not output.endswith(".exe") else ""
    return [
        "go",
        "build",
        *shared_flags(tags, trimpath=trimpath, race=race),
        *(["-cover"] if cover else []),
        *([f"-ldflags={ldflags}"] if ldflags else []),
        "-o",
        f"{OUT}/{output}{exe}",
        *packages,
    ]


def shared_flags(tags: Sequence[str], *, trimpath: bool, race: bool) -> list[str]:
    """Spell the flags that building and testing share."""
    # -buildvcs=false: a commit id in the binary would make every commit a different build.
    return [
        *(["-trimpath"] if trimpath else []),
        "-buildvcs=false",
        *(["-race"] if race else []),
        *tagged(tags),
    ]


def tagged(tags: Sequence[str]) -> list[str]:
    """Spell build tags."""
    return [f"-tags={','.join(tags)}"] if tags else []
