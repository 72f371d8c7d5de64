"""Image references: `name[:tag][@digest]` as a parsed value.

The first component of a name is a registry host when it holds a dot or a colon or is
`localhost`; otherwise the name is one of the default registry's, and the default registry's
other spellings (its host before the name, `library/x` for `x`) are one and the same name.

Source: distribution/reference grammar (names, tags, digests and their lengths).
"""

import re
from dataclasses import dataclass

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ImageError

__all__ = ["DEFAULT", "Reference", "pinned_name"]

_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
# The labels of the default registry's two host names.
_DEFAULT_HOSTS = (("docker", "io"), ("index", "docker", "io"))
_LONGEST_NAME = 255
_PLAIN = 80

DEFAULT = ".".join(_DEFAULT_HOSTS[0])  # the registry of names without a host


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference; `host` is "" for the default registry, `tag` "" beside a lone digest.

    >>> str(Reference.parse("library/golang"))
    'golang:latest'
    """

    host: str
    name: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Parse and normalise a reference.

        Raises:
            ImageError: the text is not a reference; says which part is wrong.
        """
        rest, at, digest = text.partition("@")
        name, tag = _split_tag(rest)
        host, path = _split_host(name)
        _check(text, host, path, tag)
        pinned = _digest(text, digest) if at else None
        return cls(host, path, tag or ("" if pinned else "latest"), pinned)

    @property
    def path(self) -> str:
        """The name as the registry knows it: the default one's short names have a prefix."""
        return f"library/{self.name}" if not self.host and "/" not in self.name else self.name

    @property
    def repository(self) -> str:
        """The name with its host, without tag and digest."""
        return f"{self.host}/{self.name}" if self.host else self.name

    @property
    def port(self) -> int:
        """The port that the host names; without one, that of plain HTTP."""
        _, colon, port = self.host.rpartition(":")
        return int(port) if colon and port.isdigit() else _PLAIN

    @property
    def full(self) -> str:
        """The reference with nothing left out, as container runtimes know it."""
        short = not self.host and "/" not in self.name
        host = self.host or ".".join(_DEFAULT_HOSTS[0])
        name = f"library/{self.name}" if short else self.name
        return str(Reference(host, name, self.tag, self.digest))

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{'@' + self.digest if self.digest else ''}"


def pinned_name(ref: Reference, digest: Digest) -> str:
    """Spell a reference in full, with its digest, as Dagger does."""
    tag = f":{ref.tag}" if ref.tag else ""
    return f"{ref.host or DEFAULT}/{ref.path}{tag}@{digest}"


def _split_tag(rest: str) -> tuple[str, str]:
    """Split at the colon after the last slash; one before it belongs to a port."""
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        return rest, ""
    if not tag:
        raise ImageError(f"image reference {rest!r}: nothing stands after the colon; give a tag")
    return head, tag


def _split_host(name: str) -> tuple[str, str]:
    first, slash, path = name.partition("/")
    if slash and (any(c in first for c in ".:") or first == "localhost"):
        if tuple(first.split(".")) not in _DEFAULT_HOSTS:
            return first, path
        name = path
    return "", name.removeprefix("library/") if name.count("/") == 1 else name


def _check(text: str, host: str, path: str, tag: str) -> None:
    if host and not _HOST.fullmatch(host):
        raise ImageError(f"image reference {text!r}: {host!r} is not a host name")
    if not path:
        raise ImageError(f"image reference {text!r} has no name; give one like golang:1.26")
    if len(path) > _LONGEST_NAME:
        raise ImageError(
            f"image reference {text[:40]!r}…: the name has {len(path)} characters, at most 255"
        )
    for component in path.split("/"):
        if not _COMPONENT.fullmatch(component):
            raise ImageError(
                f"image reference {text!r}: {component!r} is not a name component "
                "(lower-case letters and digits, separated by . _ or -)"
            )
    if tag and not _TAG.fullmatch(tag):
        raise ImageError(f"image reference {text!r}: {tag!r} is not a tag")


def _digest(text: str, digest: str) -> Digest:
    try:
        return Digest.parse(digest)
    except ValueError as exc:
        raise ImageError(f"image reference {text!r}: {digest!r} is not a sha256 digest") from exc
