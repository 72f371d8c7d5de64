"""One behaviour of the API as a value: what is asked, which fields it uses, what is answered.

A case runs on both engines. What it gives is compared with what it declares; if it declares a
difference, each engine is held to its own answer. `ci.compat` writes the documentation from the
same values, so that a difference can not be had without its reason being told.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagger

__all__ = ["Case", "Differs", "Fails", "Given", "case"]


@dataclass(frozen=True, slots=True)
class Given:
    """What a case starts from: a client, a container with busybox, and a directory of the host."""

    dag: dagger.Client
    box: dagger.Container
    path: Path

    def sh(self, script: str, **options: Any) -> dagger.Container:
        """Run a script in the container."""
        return self.box.with_exec(["sh", "-c", script], **options)


@dataclass(frozen=True, slots=True)
class Fails:
    """An answer that is an error; its text matches `text`."""

    text: str
    kind: str = "QueryError"

    def __eq__(self, other: object) -> bool:
        """Compare with an exception's class and words."""
        if not isinstance(other, dagger.DaggerError):
            return NotImplemented
        words = str(other) + getattr(other, "stderr", "")
        return type(other).__name__ == self.kind and re.search(self.text, words) is not None


@dataclass(frozen=True, slots=True)
class Differs:
    """What the Dagger engine answers instead, and why the embedded engine does not."""

    why: str
    dagger: object


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """A behaviour; `covers` names fields as `Type.field`, `gives` is a value or `Fails`."""

    name: str
    group: str
    covers: tuple[str, ...]
    gives: object
    ask: Callable[[Given], Awaitable[object]]
    differs: Differs | None = None
    needs: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say which: a failed assertion shows this."""
        return f"{self.group}: {self.name}"

    def expected(self, engine: str) -> object:
        """Give what an engine is to answer."""
        if self.differs is not None and engine == "dagger":
            return self.differs.dagger
        return self.gives

    async def answer(self, given: Given) -> object:
        """Ask; an error of the API is an answer, too."""
        try:
            return await self.ask(given)
        except dagger.DaggerError as error:
            return error


def case(
    *covers: str, gives: object, differs: Differs | None = None, needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Given], Awaitable[object]]], Case]:
    """Make a case of a function: its name says what is claimed, its module is the group.

    `needs` names programs without which the case can not run; "loopback" is the network that
    the engine shares with the servers of the tests.
    """

    def made(ask: Callable[[Given], Awaitable[object]]) -> Case:
        group = ask.__module__.rpartition(".")[2]
        return Case(ask.__name__.replace("_", " "), group, covers, gives, ask, differs, needs)

    return made
