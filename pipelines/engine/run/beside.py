"""Something that goes on beside a block and ends with it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio

__all__ = ["beside"]


@asynccontextmanager
async def beside(*functions: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run functions until the block ends; an error of the block comes out as it is, ungrouped."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        for function in functions:
            group.start_soon(function)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
