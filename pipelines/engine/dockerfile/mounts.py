"""What `RUN --mount=…` says.

Source: BuildKit `instructions/commands_runmount.go`: names, what goes with which type, defaults.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.engine.dockerfile.arguments import did_you_mean
from pipelines.engine.dockerfile.source import Where

__all__ = ["RunMount", "mount_sources", "run_mount"]

_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_NAMES = {
    "src": "source", "dst": "target", "destination": "target", "ro": "readonly",
    "rw": "readwrite",
}  # fmt: skip
_FLAGS = ("readonly", "readwrite", "required")
_EVERY = ("type", "target")
_ALLOWED = {
    "bind": ("from", "source", "readonly", "readwrite"),
    "cache": ("from", "source", "readonly", "readwrite", "id", "sharing", "mode", "uid", "gid"),
    "tmpfs": ("size",),
    "secret": ("source", "id", "required", "env", "mode", "uid", "gid", "readonly"),
    "ssh": ("id", "required", "mode", "uid", "gid"),
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RunMount:
    """A mount of one RUN; `size` in bytes, `env` None for a secret that is a file only."""

    kind: str
    target: str = ""
    source: str = ""
    from_: str = ""
    id: str = ""
    sharing: str = "shared"
    readonly: bool = False
    required: bool = False
    size: int | None = None
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


def mount_sources(texts: tuple[str, ...], where: Where) -> list[str]:
    """Name the stages and images that mounts are from, before anything is expanded."""
    found = []
    for text in texts:
        name = _fields(text, where).get("from", "")
        if "$" in name:
            raise where.error(f"RUN --mount=from={name}: variables are not expanded in from; "
                              "name a stage, and say FROM … AS that name above")  # fmt: skip
        if name:
            found.append(name)
    return found


def run_mount(text: str, expand: Callable[[str], str], where: Where) -> RunMount:
    """Read one mount.

    Raises:
        DockerfileError: a name that is not known or not allowed, or a value that is none.
    """
    fields = {name: expand(value) for name, value in _fields(text, where).items()}
    kind = fields.get("type", "bind").lower()
    if kind not in _KINDS:
        close = did_you_mean(kind, _KINDS) or f"; there are {', '.join(_KINDS)}"
        raise where.error(f"RUN --mount=type={kind}: there is no such type{close}")
    for name in fields:
        if name not in _EVERY and name not in _ALLOWED[kind]:
            close = did_you_mean(name, (*_EVERY, *_ALLOWED[kind]))
            raise where.error(f"RUN --mount=type={kind} has no {name}{close}")
    return _Reading(fields, kind, where).mount()


def _fields(text: str, where: Where) -> dict[str, str]:
    row = next(csv.reader([text], skipinitialspace=False), [])
    fields: dict[str, str] = {}
    for field in row:
        name, equals, value = field.partition("=")
        name = _NAMES.get(name.lower(), name.lower())
        if not equals and name not in _FLAGS:
            raise where.error(f"RUN --mount={text}: {field!r} is not name=value")
        fields[name] = value if equals else "true"
    return fields


@dataclass(frozen=True, slots=True)
class _Reading:
    """The fields of one mount, on the way to values."""

    fields: dict[str, str]
    kind: str
    where: Where

    def mount(self) -> RunMount:
        get = self.fields.get
        made = RunMount(
            self.kind,
            get("target", ""),
            get("source", ""),
            get("from", ""),
            get("id", ""),
            get("sharing", "shared").lower(),
            self._readonly(),
            self._flag("required", default=False),
            self._size(),
            self.fields.get("env"),
            self._number("mode", 8),
            self._number("uid", 10),
            self._number("gid", 10),
        )
        self._check(made)
        return made

    def _check(self, made: RunMount) -> None:
        if made.sharing not in {"shared", "private", "locked"}:
            raise self._bad("sharing", "it is shared, private or locked")
        if made.kind == "secret":
            if made.source and made.id:
                raise self.where.error("RUN --mount=type=secret: give id or source, not both")
            if not (made.source or made.id or made.target):
                raise self.where.error("RUN --mount=type=secret: which one? give id=NAME")
        elif made.kind != "ssh" and not made.target:
            raise self.where.error(f"RUN --mount=type={made.kind}: where to? give target=PATH")

    def _readonly(self) -> bool:
        if "readwrite" in self.fields:
            return not self._flag("readwrite", default=True)
        return self._flag("readonly", default=self.kind not in {"cache", "tmpfs"})

    def _flag(self, name: str, *, default: bool) -> bool:
        value = self.fields.get(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false", "1", "0", "t", "f"}:
            raise self._bad(name, "it is true or false")
        return value.lower() in {"true", "1", "t"}

    def _number(self, name: str, base: int) -> int | None:
        value = self.fields.get(name)
        if value is None:
            return None
        try:
            return int(value, base)
        except ValueError:
            kind = "an octal number" if base == 8 else "a number"  # noqa: PLR2004
            raise self._bad(name, f"it is {kind}") from None

    def _size(self) -> int | None:
        value = self.fields.get("size")
        if value is None:
            return None
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            raise self._bad("size", "it is bytes, or a number with k, m or g")
        return int(float(match[1]) * 1024 ** "_kmgt".index(match[2].lower() or "_"))

    def _bad(self, name: str, what: str) -> Exception:
        return self.where.error(f"RUN --mount={name}={self.fields[name]}: {what}")
