"""Build constraints: may a Go file belong to a target? Pure functions of names and lines.

Answers are True, False or None for "cannot be told from here". Whoever decides what a build reads
takes None for yes: a file too many costs a rebuild, a file too few a stale binary.

Source: `go help buildconstraint`; `go/build` (`goodOSArchFile`, `matchTag`) and
`internal/syslist` for the names.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from pipelines._platform import Platform

__all__ = ["Tags", "evaluate", "named_for", "well_formed"]

_SYSTEMS = frozenset(
    [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "nacl",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "wasip1",
        "windows",
        "zos",
    ]
)
_ARCHITECTURES = frozenset(
    [
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "armbe",
        "arm64",
        "arm64be",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "ppc",
        "ppc64",
        "ppc64le",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
    ]
)
_UNIX = frozenset(
    [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "linux",
        "netbsd",
        "openbsd",
        "solaris",
    ]
)
# A system that counts as another one, too.
_ALSO = {"android": "linux", "illumos": "solaris", "ios": "darwin"}
_RELEASE = re.compile(r"go1\.(\d+)")
_TOKEN = re.compile(r"\s*(&&|\|\||[!()]|[\w.]+)")
_NEARLY_RELEASE = re.compile(r"(go|g1)[.\d]")  # which `go vet` takes for a slip


@dataclass(frozen=True, slots=True)
class Tags:
    """What is known of a target; "" and None are not known.

    `release` is the N of Go 1.N.
    """

    os: str = "linux"
    arch: str = ""
    release: int | None = None
    cgo: bool = False
    race: bool = False
    chosen: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        platform: Platform | None,
        version: str = "",
        *,
        cgo: bool = False,
        race: bool = False,
        chosen: tuple[str, ...] = (),
    ) -> "Tags":
        """Give the tags of a build; without a platform only the system is known."""
        found = re.match(r"1\.(\d+)", version)
        release = int(found[1]) if found else None
        os, arch = (platform.os, platform.arch) if platform else ("linux", "")
        return cls(os, arch, release, cgo or race, race, frozenset(chosen))

    def holds(self, tag: str) -> bool | None:
        """Tell whether a tag is set."""
        if tag in self.chosen:
            return True
        if tag in _SYSTEMS:
            return tag in {self.os, _ALSO.get(self.os)}
        if tag in _ARCHITECTURES:
            return tag == self.arch if self.arch else None
        if release := _RELEASE.fullmatch(tag):
            return None if self.release is None else int(release[1]) <= self.release
        if "." in tag:  # a feature level or an experiment: amd64.v3, goexperiment.x
            return None
        known = {
            "unix": self.os in _UNIX,
            "cgo": self.cgo,
            "gc": True,
            "gccgo": False,
            "race": self.race,
        }
        # Whether other instrumentation is on, the toolchain knows; any other tag is not set.
        return known.get(tag, None if tag in {"msan", "asan", "boringcrypto"} else False)


def evaluate(expression: str, tags: Tags) -> bool | None:
    """Evaluate what stands after `//go:build`; None if that can not be told."""
    tokens = [*_tokens(expression), ""]
    try:
        value, rest = _either(tokens, tags)
    except (ValueError, RecursionError):
        return None  # Go will say what is wrong with it
    return value if rest == [""] else None


def well_formed(expression: str) -> bool:
    """Tell whether neither Go nor `go vet` can have anything against an expression."""
    tokens = [*_tokens(expression), ""]
    try:
        _, rest = _either(tokens, Tags())
    except (ValueError, RecursionError):
        return False
    twice = any(pair == ("!", "!") for pair in pairwise(tokens))
    slips = any(_NEARLY_RELEASE.match(t) and not _RELEASE.fullmatch(t) for t in tokens)
    return rest == [""] and "//" not in expression and not twice and not slips


def _tokens(expression: str) -> Iterator[str]:
    at, text = 0, expression.partition("//")[0].rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            yield "?"
            return
        yield found[1]
        at = found.end()


_Parsed = tuple[bool | None, list[str]]


def _either(tokens: list[str], tags: Tags) -> _Parsed:
    return _joined(tokens, tags, "||", _both, decisive=True)


def _both(tokens: list[str], tags: Tags) -> _Parsed:
    return _joined(tokens, tags, "&&", _one, decisive=False)


def _joined(
    tokens: list[str],
    tags: Tags,
    operator: str,
    operand: Callable[[list[str], Tags], _Parsed],
    *,
    decisive: bool,
) -> _Parsed:
    """Join operands: one that is `decisive` decides, else one that is not known does."""
    value, rest = operand(tokens, tags)
    while rest[0] == operator:
        other, rest = operand(rest[1:], tags)
        values = (value, other)
        value = decisive if decisive in values else None if None in values else not decisive
    return value, rest


def _one(tokens: list[str], tags: Tags) -> _Parsed:
    first, rest = tokens[0], tokens[1:]
    if first == "!":
        value, rest = _one(rest, tags)
        return (None if value is None else not value), rest
    if first == "(":
        value, rest = _either(rest, tags)
        if rest[0] != ")":
            raise ValueError("a parenthesis is not closed")
        return value, rest[1:]
    if first in {"", ")", "&&", "||", "?"}:
        raise ValueError(f"a tag is missing before {first!r}")
    return tags.holds(first), rest


def named_for(name: str, tags: Tags) -> bool | None:
    """Tell whether a file's name (`x_linux_arm64.go`) lets it belong to a target."""
    stem = name.partition(".")[0].removesuffix("_test")
    # What stands before the first underscore is never a constraint.
    _, underscore, rest = stem.partition("_")
    if not underscore:
        return True
    words = rest.split("_")
    if len(words) > 1 and words[-2] in _SYSTEMS and words[-1] in _ARCHITECTURES:
        system, arch = tags.holds(words[-2]), tags.holds(words[-1])
        return False if False in (system, arch) else arch
    if words[-1] in _SYSTEMS or words[-1] in _ARCHITECTURES:
        return tags.holds(words[-1])
    return True
