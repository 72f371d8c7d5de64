"""`golang:<version>-<suite>`: Go over a Debian that has git and a C compiler, for cgo."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.engine import machines
from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.additions import Additions, debian_of
from pipelines.engine.images.packages.base import Pin
from pipelines.engine.images.packages.debian import epoch_of
from pipelines.engine.images.packages.golang import Golang, check_version, environment
from pipelines.engine.images.packages.tidying import clamp
from pipelines.engine.images.packages.variants import read
from pipelines.engine.images.reference import Reference

__all__ = ["GolangDebian"]

_RECIPE = 1
_SUITES = frozenset(("bookworm", "bullseye", "trixie"))


class GolangDebian:
    """All images `golang`; those that name no suite are `Golang`'s."""

    names = ("golang",)
    foreign = True
    kinds = ("golang-debian",)

    def __init__(self, golang: Golang, additions: Additions) -> None:
        self._golang = golang
        self._additions = additions

    def example(self) -> str:
        """Show what can be asked for."""
        return "golang:<version>[-bookworm]"

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Decide which release of Go a tag stands for, and upon which Debian."""
        if _SUITES.isdisjoint(ref.tag.split("-")):
            return self._golang.pin(ref, platform)
        wanted = read(ref, _SUITES, "golang:1.26-bookworm")
        check_version(ref, wanted.version)
        if platform != machines.platform():
            raise ImageError(
                f"image {ref} for {platform}: Debian is assembled for this machine only "
                f"({machines.platform()}); use golang:{wanted.version or 'latest'} without a suite"
            )
        found = self._golang.newest(ref, wanted.version, platform)
        base = self._additions.base(ref, wanted.suite, platform, slim=False)
        return Pin(
            package="golang-debian",
            recipe=_RECIPE,
            versions={"go": found.version},
            contents={"go": found.fingerprint} if found.fingerprint else {},
            origins={"go": found.origin},
            evidence=found.evidence,
            env=environment(found.version),
            workdir="/go",
            command=("bash",),
            base=base,
        )

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Add Go to the root filesystem below."""
        self._golang.lay(recipe, into)
        clamp(os.fspath(into), epoch_of(debian_of(recipe)["versions"]))
