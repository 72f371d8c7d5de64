"""`python:<version>`: Debian's own Python, of the suite that has the version.

A release of Debian has one Python for all of its life, so a version leads to a suite. Where
the official images have a Python built from source below /usr/local, these have Debian's
below /usr, under the same names in /usr/local/bin; pip installs for all, as it does there.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.additions import Additions, debian_of
from pipelines.engine.images.packages.base import DEFAULT_PATH, Pin
from pipelines.engine.images.packages.copying import write_file
from pipelines.engine.images.packages.debian import Debian
from pipelines.engine.images.packages.variants import read
from pipelines.engine.images.reference import Reference

__all__ = ["PYTHONS", "Python"]

_RECIPE = 1
PYTHONS = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}
_NEWEST = "3.13"  # of a Debian that is released
_SLIM = ("ca-certificates", "netbase", "python3", "python3-pip", "python3-venv", "tzdata")
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+)")
_LANG_UNTIL = (3, 13)
_ALIASES = {"python": "python3", "pip": "pip3", "pydoc": "pydoc3"}


class Python:
    """The images `python`, `python:3.11`, `python:3.11-slim-bookworm`."""

    names = ("python",)
    foreign = False
    kinds = ("python",)

    def __init__(self, debian: Debian, additions: Additions) -> None:
        self._debian = debian
        self._additions = additions

    def example(self) -> str:
        """Show what can be asked for."""
        return f"python:<{', '.join(PYTHONS)}>"

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Decide which Debian has the version, and which release of Python it has."""
        wanted = read(ref, PYTHONS.values(), f"python:{_NEWEST}-slim")
        line, suite = _line(ref, wanted.version, wanted.suite)
        base = self._additions.base(ref, suite, platform, slim=wanted.slim)
        found = self._additions.offered(base, ("python3", f"python{line}"))
        version = _upstream(found.get(f"python{line}", ""))
        if not _upstream(found.get("python3", "")).startswith(f"{line}."):
            raise ImageError(f"image {ref}: {suite} has another Python by now; {_offer()}")
        if wanted.version.count(".") == 2 and version != wanted.version:  # noqa: PLR2004
            raise ImageError(f"image {ref}: {suite} has Python {version}; use python:{line}")
        lang = ("LANG=C.UTF-8",) if _numbers(line) < _LANG_UNTIL else ()
        return Pin(
            package="python",
            recipe=_RECIPE,
            versions={"python": version},
            contents={},
            origins={"python": "apt"},
            env=(f"PATH=/usr/local/bin:{DEFAULT_PATH}", *lang, f"PYTHON_VERSION={version}"),
            command=("python3",),
            base=base,
        )

    def fill(self, recipe: Mapping[str, Any], into: Path) -> None:
        """Install Python, and make it behave like one that is nobody else's."""
        line = ".".join(recipe["versions"]["python"].split(".")[:2])
        below = debian_of(recipe)
        slim = below["versions"]["variant"] == "slim"
        packages = _SLIM if slim else (*_SLIM, "python3-dev")
        self._debian.add(below, packages, into, lambda root: _settle(root, line))


def _settle(root: Path, line: str) -> None:
    """Give the names of the official images, and let pip install for all."""
    names = {name: name for name in ("python3", f"python{line}", "pip3", "pydoc3")} | _ALIASES
    for name, target in names.items():
        link = root / "usr/local/bin" / name
        link.symlink_to(f"/usr/bin/{target}")
    (root / f"usr/lib/python{line}/EXTERNALLY-MANAGED").unlink(missing_ok=True)
    exclude = "path-exclude=/usr/lib/python3*/EXTERNALLY-MANAGED\n"
    write_file(root / "etc/dpkg/dpkg.cfg.d/90python", exclude)


def _line(ref: Reference, version: str, suite: str) -> tuple[str, str]:
    """Give the minor version and its suite.

    Raises:
        ImageError: no suite has it, or not the one that was asked for.
    """
    lines = {known: line for line, known in PYTHONS.items()}
    wanted = version or "3"
    if wanted == "3":
        line = lines[suite] if suite else _NEWEST
    else:
        line = ".".join(wanted.split(".")[:2])
    if line not in PYTHONS or not re.fullmatch(r"3(\.\d+){0,2}", wanted):
        raise ImageError(f"image {ref}: Python {wanted} can not be had here; {_offer()}")
    if suite and PYTHONS[line] != suite:
        raise ImageError(
            f"image {ref}: {suite} has Python {lines[suite]}; use python:{line}-{PYTHONS[line]} "
            f"or python:{lines[suite]}-{suite}"
        )
    return line, PYTHONS[line]


def _offer() -> str:
    known = ", ".join(f"{line} (of {suite})" for line, suite in PYTHONS.items())
    return f"Python comes from Debian, which has {known}"


def _upstream(version: str) -> str:
    found = _UPSTREAM.match(version)
    return found[1] if found else ""


def _numbers(line: str) -> tuple[int, ...]:
    return tuple(map(int, line.split(".")))
