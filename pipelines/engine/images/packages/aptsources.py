"""Where the host gets a Debian archive from: its own apt sources, read.

Both forms of sources.list(5) are read. What counts is a source of the component `main` whose
suite is one of Debian's own names; whether it really is Debian, its signed Release file says
later (`release`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Archive", "Mirrors", "Stanza", "mirrors", "stanzas"]

_LINE = re.compile(
    r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>.*)"
)
_SUITE = re.compile(r"[a-z]+")
_LISTED = "mirror+file:"
_FETCHED = ("http://", "https://", "file:")


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive: where it is, and the keyring of the host that its Release is signed by."""

    uri: str
    keyring: str = ""

    @property
    def public(self) -> str:
        """The address without a name and a password."""
        parts = urlsplit(self.uri)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The host's archives of Debian: releases with their updates, and security updates."""

    main: Archive
    security: Archive | None = None


@dataclass(frozen=True, slots=True)
class Stanza:
    """One source, as either form says it."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    keyring: str


def mirrors(sources: Iterable[Stanza]) -> Mirrors | None:
    """Choose the archives; those signed by a keyring of Debian come first. None without one."""
    ranked = sorted(sources, key=lambda one: "debian" not in one.keyring)
    found: dict[str, Archive] = {}
    for one in ranked:
        uris = [uri for uri in map(_resolved, one.uris) if uri.startswith(_FETCHED)]
        if "main" not in one.components or not uris:
            continue
        for suite in one.suites:
            name, _, pocket = suite.replace("/updates", "-security").partition("-")
            if _SUITE.fullmatch(name) and pocket in {"", "security"}:
                found.setdefault(pocket, Archive(uris[0].rstrip("/"), one.keyring))
    return Mirrors(found[""], found.get("security")) if "" in found else None


def stanzas(text: str, *, deb822: bool) -> Iterator[Stanza]:
    """Read the enabled binary sources of one file."""
    yield from _fields(text) if deb822 else _lines(text)


def _lines(text: str) -> Iterator[Stanza]:
    for line in text.splitlines():
        found = _LINE.match(line.strip().partition("#")[0])
        if found is not None:
            options = dict(o.partition("=")[::2] for o in (found["options"] or "").split())
            components = tuple(found["rest"].split())
            keyring = options.get("signed-by", "").strip('"')
            yield Stanza((found["uri"],), (found["suite"],), components, keyring)


def _fields(text: str) -> Iterator[Stanza]:
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for block in re.split(r"\n\s*\n", plain):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line[:1].isspace():
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            else:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
            yield Stanza(
                tuple(fields.get("uris", "").split()),
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                _keyring(fields.get("signed-by", "")),
            )


def _keyring(value: str) -> str:
    """Give the first file; a key that stands in the source itself is not taken."""
    word = value.split(maxsplit=1)[0] if value.split() else ""
    return word if word.startswith("/") else ""


def _resolved(uri: str) -> str:
    """Follow a list of mirrors on this machine to its first one."""
    if not uri.startswith(_LISTED):
        return uri
    try:
        lines = Path(urlsplit(uri.removeprefix("mirror+")).path).read_text("utf-8").splitlines()
    except OSError:
        return uri
    return next((line.split()[0] for line in lines if line.strip()[:1] not in {"", "#"}), uri)
