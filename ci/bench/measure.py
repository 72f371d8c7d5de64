"""Take turns, take medians."""

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["BenchError", "Sample", "Series", "alternate", "run"]


class BenchError(Exception):
    """A contestant failed, or two contestants disagree: no number may come of that."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed run: seconds of wall clock and of CPU of all children."""

    wall: float
    cpu: float = 0.0


@dataclass(slots=True)
class Series:
    """The samples of one contestant in one scenario."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Give the median seconds of wall clock."""
        return statistics.median(s.wall for s in self.samples)

    @property
    def best(self) -> float:
        """Give the seconds of wall clock."""
        return min(s.wall for s in self.samples)

    @property
    def cpu(self) -> float:
        """Give the median seconds of CPU."""
        return statistics.median(s.cpu for s in self.samples)


def alternate(
    contestants: Mapping[str, Callable[[], Sample]],
    rounds: int,
    before: Callable[[int], None] = lambda _: None,
) -> dict[str, Series]:
    """Run every contestant once per round; who starts changes with the round.

    `before(round)` prepares what both see (an edit, a fresh checkout) and is not timed.
    """
    series = {name: Series() for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        before(number)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            series[name].samples.append(contestants[name]())
    return series


def run(
    command: list[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[Sample, str]:
    """Run a process and time it whole, interpreter included; its stdout is returned."""
    used, started = _cpu(), time.perf_counter()
    ended = subprocess.run(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
    )
    sample = Sample(time.perf_counter() - started, _cpu() - used)
    if ended.returncode != 0:
        msg = f"{' '.join(command)}: exit {ended.returncode}\n{ended.stdout}{ended.stderr}"
        raise BenchError(msg)
    return sample, ended.stdout


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
