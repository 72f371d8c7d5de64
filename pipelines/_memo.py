"""What is asked once per connection, however many cells want to know.

This is no cache of results: a host directory is read once per session anyway, so what it says of
itself cannot change before the connection ends, and is forgotten with it.

What is worked out from contents alone may be noted beyond the connection (`noted`): its name has to
say everything that it follows from, the code that works it out included.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

import anyio

__all__ = ["Notes", "forced", "mark_forced", "noted", "noting", "once", "remembering"]

V = TypeVar("V")


class Notes(Protocol):
    """Where what was worked out is noted; what can not be kept or read is None the next time."""

    def get(self, name: str) -> Any:
        """Give a JSON document; None if there is none."""
        ...

    def put(self, name: str, document: Any) -> None:
        """Keep a JSON document."""
        ...


class _Answer:
    """An answer, or the place where it will stand. Holds `about`, so that its id stays its own."""

    __slots__ = ("about", "given", "lock", "value")

    def __init__(self, about: object) -> None:
        self.about = about
        self.lock = anyio.Lock()
        self.given = False
        self.value: Any = None


_answers: ContextVar[dict[tuple[int, str], _Answer] | None] = ContextVar("answers", default=None)
_notes: ContextVar[Notes | None] = ContextVar("notes", default=None)


@contextmanager
def remembering(notes: Notes | None = None) -> Iterator[None]:
    """Remember answers inside of the block; with `notes`, what is `noted` beyond it."""
    _answers.set({})
    _notes.set(notes)
    try:
        yield
    finally:
        _answers.set(None)
        _notes.set(None)


async def once(about: object, question: str, ask: Callable[[], Awaitable[V]]) -> V:
    """Give the answer to `question` about an object; ask if nobody has. Failures do not count."""
    answers = _answers.get()
    if answers is None:
        return await ask()
    answer = answers.setdefault((id(about), question), _Answer(about))
    async with answer.lock:
        if not answer.given:
            answer.value = await ask()
            answer.given = True
    value: V = answer.value
    return value


def noting() -> bool:
    """Tell whether anything is noted beyond this connection."""
    return _notes.get() is not None


async def noted(name: str, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Give the JSON document of this name; ask if none is noted, and note the answer."""
    notes = _notes.get()
    if notes is None:
        return await ask()
    document = notes.get(name)
    if document is None:
        document = await ask()
        notes.put(name, document)
    return document


def mark_forced(value: V) -> V:
    """Remember that the work behind a lazy object is done; give the object."""
    answers = _answers.get()
    if answers is not None:
        answers.setdefault((id(value), "forced"), _Answer(value))
    return value


def forced(value: object) -> bool:
    """Tell whether the work behind a lazy object is known to be done."""
    answers = _answers.get()
    return answers is not None and (id(value), "forced") in answers
