"""How much of a run's wall time each command takes: what not running it saves.

Commands run side by side, so their durations add up to more than the run. At every moment the
wall time that passes is split evenly among the commands that run: the shares of all commands add
up to the time in which any of them ran, so shares may be summed for a cache, for a run, over runs.
"""

import time
from collections.abc import Callable, Hashable

__all__ = ["Shares"]


class Shares:
    """Splits time among what runs. Called from one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = 0.0
        self._split = 0.0  # what a command that ran from the beginning would have by now
        self._before: dict[Hashable, float] = {}

    def started(self, name: Hashable) -> None:
        """Note that something starts."""
        self._advance()
        self._before[name] = self._split

    def ended(self, name: Hashable) -> float:
        """Note that something has ended; give its share of the wall time, in seconds."""
        self._advance()
        return self._split - self._before.pop(name)

    def _advance(self) -> None:
        now = self._clock()
        if self._before:
            self._split += (now - self._at) / len(self._before)
        self._at = now
