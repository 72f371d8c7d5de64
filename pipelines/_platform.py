"""A platform: what a program runs on."""

import difflib
from typing import Self

from pipelines._dagger import dagger
from pipelines._errors import PlatformError
from pipelines._targets import PAIRS, VARIANTS, pairs

__all__ = ["Platform"]


class Platform(dagger.Platform):
    """A valid `os/arch[/variant]`: a `dagger.Platform`, and so a `str`, with its parts.

        Platform("linux", "arm", "v6") == Platform.parse("linux/arm/v6")

    Raises:
        PlatformError: Go can not build for it; the message says what comes close.
    """

    __slots__ = ()

    def __new__(cls, os: str, arch: str, variant: str = "") -> Self:
        _check(os, arch, variant)
        return super().__new__(cls, "/".join(part for part in (os, arch, variant) if part))

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Read `os/arch` or `os/arch/variant`."""
        if isinstance(text, cls):
            return text
        if not isinstance(text, str):
            raise PlatformError(f'a platform is a text, such as "linux/arm64"; got {text!r}')
        parts = text.strip().lower().split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise PlatformError(
                f"a platform is os/arch or os/arch/variant, such as linux/arm64; got {text!r}"
                + _suggest(text.replace("-", "/").replace("_", "/"), pairs())
            )
        return cls(*parts)

    @property
    def os(self) -> str:
        """The operating system, as `GOOS` spells it."""
        return self.split("/")[0]

    @property
    def arch(self) -> str:
        """The architecture, as `GOARCH` spells it."""
        return self.split("/")[1]

    @property
    def variant(self) -> str:
        """The variant of the architecture, or the empty string."""
        return self.split("/")[2] if self.count("/") > 1 else ""

    def __getnewargs__(self) -> tuple[str, ...]:  # type: ignore[override]
        return (self.os, self.arch, self.variant)

    def __repr__(self) -> str:
        return f"Platform({str(self)!r})"

    def __str__(self) -> str:
        return str.__str__(self)


def _check(os: str, arch: str, variant: str) -> None:
    if os not in PAIRS:
        raise PlatformError(
            f"unknown operating system {os!r}{_suggest(os, tuple(PAIRS))}; "
            f"known: {', '.join(PAIRS)}"
        )
    if arch not in PAIRS[os]:
        elsewhere = [name for name, archs in PAIRS.items() if arch in archs]
        what = (
            f"{os}/{arch} is not a platform that Go builds for"
            if elsewhere
            else (f"unknown architecture {arch!r}{_suggest(_alias(arch), PAIRS[os])}")
        )
        raise PlatformError(f"{what}; {os} has: {', '.join(PAIRS[os])}")
    if variant:
        _check_variant(arch, variant)


def _check_variant(arch: str, variant: str) -> None:
    if arch not in VARIANTS:
        raise PlatformError(f"{arch} has no variants; got {variant!r}")
    known = tuple(VARIANTS[arch][1])
    if variant not in known:
        raise PlatformError(
            f"unknown variant {variant!r} of {arch}{_suggest(variant, known)}; "
            f"known: {', '.join(known)}"
        )


def _alias(arch: str) -> str:
    """Give Go's name of an architecture that others call `arch`."""
    return {"x86_64": "amd64", "x64": "amd64", "aarch64": "arm64", "i386": "386", "x86": "386"}.get(
        arch, arch
    )


def _suggest(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {close[0]}?" if close else ""
