"""Matrices, and running their cells at once."""

import itertools
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from typing import Any, TypeVar

import anyio

from pipelines._errors import EmptyMatrix, UsageError
from pipelines._spans import in_cell

__all__ = ["gather", "matrix"]

C = TypeVar("C")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def matrix(cell: Callable[..., C], **axes: Iterable[Any]) -> tuple[C, ...]:
    """Build one cell for every combination of the axes, the last axis fastest.

        TARGETS = matrix(Platform, os=["linux", "darwin"], arch=["amd64", "arm64"])
        LESS = [p for p in TARGETS if p != Platform("darwin", "amd64")]

    Raises:
        EmptyMatrix: there is no axis, or one without values.
        UsageError: an axis is one value.
    """
    for name, axis in axes.items():
        if isinstance(axis, str) or not isinstance(axis, Iterable):
            raise UsageError(f"axis {name!r} is a list of values, such as [{axis!r}]; got {axis!r}")
    values = {name: tuple(axis) for name, axis in axes.items()}
    if not values:
        raise EmptyMatrix(f"a matrix of {_name(cell)} would have no cells: it has no axes")
    for name, axis in values.items():
        if not axis:
            raise EmptyMatrix(
                f"a matrix of {_name(cell)} would have no cells: axis {name!r} has no values"
            )
    return tuple(
        cell(**dict(zip(values, combination, strict=True)))
        for combination in itertools.product(*values.values())
    )


async def gather(work: Mapping[K, Coroutine[Any, Any, V]], *, fail_fast: bool = True) -> dict[K, V]:
    """Run coroutines at once; give their results by key, in the order of `work`.

    How much runs at a time is the engine's matter (`--jobs`). Keys name the cells in reports and
    errors. With `fail_fast` the first failure cancels the others; without, all of them end first.

    Raises:
        ExceptionGroup: one or more failed; a note on each member says in which cell.
        UsageError: `work` names no cells.
    """
    if not isinstance(work, Mapping):
        raise UsageError(f"gather takes {{cell: coroutine}}, which names the cells; got {work!r}")
    results: dict[K, V] = {}
    failures: list[Exception] = []

    async def run(key: K, coroutine: Coroutine[Any, Any, V]) -> None:
        try:
            with in_cell(str(key)):
                results[key] = await coroutine
        except Exception as exc:  # noqa: BLE001 - all of them leave together, in one group
            exc.add_note(f"in {key}")
            failures.append(exc)
            if fail_fast:
                tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            for key, coroutine in work.items():
                tasks.start_soon(run, key, coroutine)
    finally:
        for coroutine in work.values():
            coroutine.close()
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(work)} failed", failures)
    return {key: results[key] for key in work}


def _name(cell: Callable[..., Any]) -> str:
    return str(getattr(cell, "__name__", cell))
