"""What is asked once per connection, however many cells want to know.

This is no cache of results: a host directory is read once per session anyway, so what it says of
itself cannot change before the connection ends, and is forgotten with it.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import anyio

__all__ = ["forced", "mark_forced", "once", "remembering"]

V = TypeVar("V")


class _Answer:
    """An answer, or the place where it will stand. Holds `about`, so that its id stays its own."""

    __slots__ = ("about", "given", "lock", "value")

    def __init__(self, about: object) -> None:
        self.about = about
        self.lock = anyio.Lock()
        self.given = False
        self.value: Any = None


_answers: ContextVar[dict[tuple[int, str], _Answer] | None] = ContextVar("answers", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Remember answers inside of the block."""
    _answers.set({})
    try:
        yield
    finally:
        _answers.set(None)


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
