"""The paths of the module proxy protocol, and of the checksum databases behind it.

    <module>/@v/list  <module>/@latest            change
    <module>/@v/<version>.info|.mod|.zip          never change, if the version is one and no branch
    sumdb/<name>/supported|latest                 change
    sumdb/<name>/lookup/<module>@<version>        never changes; signed, the client checks
    sumdb/<name>/tile/…                           never change

Capital letters are spelled `!a` in modules and versions, which go writes `%21a`.
Source: "GOPROXY protocol" in the Go
Modules Reference; golang.org/x/mod `module.EscapePath`.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

__all__ = ["Kind", "Wanted", "parse", "unescape"]

Kind = Literal["info", "mod", "zip", "list", "latest", "sums"]

_SEGMENT = re.compile(r"[A-Za-z0-9!._~+@:-]{1,250}")
_VERSION = re.compile(r"v\d+\.\d+\.\d+(?:-[0-9A-Za-z.!-]+)?(?:\+incompatible)?")
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request is for; `module` and `version` as go.mod spells them."""

    path: str
    kind: Kind
    module: str = ""
    version: str = ""
    constant: bool = False


def parse(target: str) -> Wanted | None:
    """Read a request's path; None if it is none of the protocol."""
    path = unquote(target.partition("?")[0]).lstrip("/")
    segments = path.split("/")
    if len(path) > LONGEST or not all(_SEGMENT.fullmatch(each) for each in segments):
        return None
    if any(not each.strip(".") for each in segments):  # . and ..
        return None
    if segments[0] == "sumdb":
        return _sums(path, segments)
    if path.endswith("/@latest"):
        return Wanted(path, "latest", unescape(path.removesuffix("/@latest")))
    module, at, name = path.partition("/@v/")
    if not at or not module or "/" in name:
        return None
    if name == "list":
        return Wanted(path, "list", unescape(module))
    version, _, ending = name.rpartition(".")
    known = bool(_VERSION.fullmatch(version))
    for kind in ("info", "mod", "zip"):
        if ending == kind and version and (known or kind == "info"):
            return Wanted(path, kind, unescape(module), unescape(version), known)
    return None


def unescape(text: str) -> str:
    """Undo the spelling of capital letters."""
    return re.sub(r"!([a-z])", lambda found: found[1].upper(), text)


def _sums(path: str, segments: list[str]) -> Wanted | None:
    match segments[2:]:
        case ["supported" | "latest"]:
            return Wanted(path, "sums")
        case ["lookup" | "tile", _, *_]:
            return Wanted(path, "sums", constant=True)
    return None
