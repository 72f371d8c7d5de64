"""Stages: async functions that force work, with a name, a deadline and a retry."""

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

import anyio

from pipelines._dagger import dagger, knowing_its_id
from pipelines._errors import StageTimeout
from pipelines._given import number
from pipelines._memo import forced
from pipelines._spans import span
from pipelines._trust import DEMANDS, Trust, demand

__all__ = ["is_stage", "stage"]

P = ParamSpec("P")
R = TypeVar("R")

_MARK = "__pipelines_stage__"
_FIRST_PAUSE = 0.5


@overload
def stage(fn: Callable[P, Awaitable[R]], /) -> Callable[P, Coroutine[Any, Any, R]]: ...
@overload
def stage(
    *, timeout: float | None = None, retries: int = 0, cache: Trust = "use"
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Coroutine[Any, Any, R]]]: ...
def stage(
    fn: Any = None, /, *, timeout: float | None = None, retries: int = 0, cache: Trust = "use"
) -> Any:
    """Make a stage of an async function; it stays a plain function of the same signature.

        @stage
        @stage(timeout=600, retries=1)

    A Dagger object that the function returns is forced before the stage ends, so that the stage's
    name, deadline and failure are those of the work.

    Args:
        fn: The async function.
        timeout: Seconds for the whole stage, retries included; then `StageTimeout`.
        retries: How often to try again when the *engine connection* failed. A command that failed
            is never repeated: a red test is not flaky until somebody says so.
        cache: "verify" or "off" demands that the run makes everything anew, and with "verify"
            compares it with what is recorded. `pipelines run` sees to it; elsewhere
            `connect(cache=…)` must say so.

    Raises:
        UsageError: a number is none.
    """
    if timeout is not None:
        timeout = number("timeout", timeout, "seconds")
    number("retries", retries, "how often to try again")
    if fn is None:
        return functools.partial(_stage, timeout=timeout, retries=retries, cache=cache)
    return _stage(fn, timeout=timeout, retries=retries, cache=cache)


def is_stage(fn: Callable[..., Any]) -> bool:
    """Whether `fn` was made by `stage`."""
    return hasattr(fn, _MARK)


def _stage(
    fn: Callable[P, Awaitable[R]], *, timeout: float | None, retries: int, cache: Trust
) -> Callable[P, Coroutine[Any, Any, R]]:
    name = str(getattr(fn, "__name__", fn))

    @functools.wraps(fn)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        demand(name, cache)
        with span(name, _platform(*args, *kwargs.values())):
            with anyio.move_on_after(timeout) as deadline:
                return await _retried(lambda: _forced(fn(*args, **kwargs)), retries)
        assert deadline.cancelled_caught
        assert timeout is not None
        raise StageTimeout(name, timeout)

    setattr(run, _MARK, name)
    setattr(run, DEMANDS, cache)
    return run


async def _forced(result: Awaitable[R]) -> R:
    """Await `result`; if it is a lazy Dagger object, do its work too."""
    value = await result
    if isinstance(value, dagger.Container | dagger.Directory | dagger.File) and not forced(value):
        return knowing_its_id(await value.sync())  # type: ignore[return-value]
    return value


async def _retried(attempt: Callable[[], Awaitable[R]], retries: int) -> R:
    for turn in range(retries):
        try:
            return await attempt()
        except (dagger.TransportError, dagger.ClientConnectionError):
            await anyio.sleep(_FIRST_PAUSE * 2**turn)
    return await attempt()


def _platform(*values: object) -> str:
    """Find the platform among a stage's arguments: the cell's name where nobody gave one."""
    return next((str(v) for v in values if isinstance(v, dagger.Platform)), "")
