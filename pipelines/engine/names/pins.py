"""`pipelines.lock`: what moving names stood for, so that the next run resolves the same.

A pin is a row of three texts: what kind of name it is, the name, and what it was pinned to.

    [
    ["version", "pipelines.lock", "1"],
    ["image", "golang:1.26", "sha256:…"],
    ["package-image", "busybox:latest linux/amd64", "sha256:…"]
    ]

Sorted, one row a line, so that equal pins are equal bytes and a merge conflict is a row. Kinds
belong to whoever pins: this module knows none.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from pipelines.engine.errors import LockError

__all__ = ["NAME", "Mode", "Pins", "Row", "emit", "parse"]

NAME = "pipelines.lock"
_VERSION = ("version", NAME, "1")

Row = tuple[str, str, str]
Mode = Literal["use", "locked", "update"]


class Pins:
    """The pins of one session. The file is read when the first name is pinned.

    Mode "use" takes what the file has, "locked" demands that it has it, "update" ignores it.
    `tell` hears every pin that counted, each once.
    """

    def __init__(self, path: Path | None, mode: Mode, tell: Callable[[Row], None]) -> None:
        self._path = path
        self._mode = mode
        self._tell = tell
        self._rows: Mapping[tuple[str, str], str] | None = None
        self._told: set[Row] = set()

    def find(self, kind: str, name: str) -> str | None:
        """Give what a name is locked to, or None if that is to be found out.

        Raises:
            LockError: the file can not be read.
        """
        return None if self._mode == "update" else self._all().get((kind, name))

    def made(self, kind: str, name: str, value: str) -> None:
        """Hear what a name was pinned to."""
        row = (kind, name, value)
        if row not in self._told:
            self._told.add(row)
            self._tell(row)

    def demand(self, kind: str, name: str) -> None:
        """Refuse to find out what a name stands for, if the file must say it.

        Raises:
            LockError: it must, and does not.
        """
        if self._mode == "locked":
            raise LockError(
                f"{kind} {name} is not in {self._path or NAME}, and this run is --locked; add it "
                "with `pipelines lock STAGE…`, and commit the file"
            )

    def _all(self) -> Mapping[tuple[str, str], str]:
        if self._rows is None:
            try:
                text = self._path.read_text() if self._path is not None else ""
            except FileNotFoundError:
                text = ""
            except (OSError, ValueError) as exc:
                raise LockError(f"reading {self._path}: {exc}") from exc
            rows = parse(text, str(self._path)) if text else ()
            self._rows = {(kind, name): value for kind, name, value in rows}
        return self._rows


def parse(text: str, where: str) -> tuple[Row, ...]:
    """Read a lock file's rows; the one with the version is left out.

    Raises:
        LockError: damaged, or of a newer version.
    """
    try:
        found = json.loads(text)
        rows = [(kind, name, value) for kind, name, value in found]
    except (ValueError, TypeError) as exc:
        raise LockError(
            f"reading {where}: {exc}; after a merge, keep the rows of both sides, each one once"
        ) from exc
    if not all(isinstance(part, str) for row in rows for part in row):
        raise LockError(f"reading {where}: a row must be three texts")
    versions = [row for row in rows if row[0] == "version"]
    if versions != [_VERSION]:
        seen = repr(versions[0][2]) if versions else "no version"
        raise LockError(
            f"reading {where}: it is of {seen}, and this version of pipelines reads "
            f"{_VERSION[2]!r}; upgrade pipelines"
        )
    named: dict[tuple[str, str], str] = {}
    for kind, name, value in rows:
        if named.setdefault((kind, name), value) != value:
            raise LockError(f"reading {where}: {kind} {name} has two rows; keep one")
    return tuple(row for row in rows if row[0] != "version")


def emit(rows: Iterable[Row]) -> str:
    """Write a lock file's text."""
    lines = [json.dumps(list(row), ensure_ascii=False) for row in (_VERSION, *sorted(set(rows)))]
    return "[\n" + ",\n".join(lines) + "\n]\n"
