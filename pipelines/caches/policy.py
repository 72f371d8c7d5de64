"""Whether a cache is worth its time: pure functions of what was measured.

    restore   = latency x rounds of requests + bytes / bandwidth + unpacking
    worth     = what the work took with nothing cached - what it takes after a restore
    restore it if and only if restore < worth

Theory of operation
    Both sides are measured, never configured. What the work takes travels with the generation, as
    `cold` and `warm` in its meta (`learn`): a fresh runner knows them before it has run
    anything. The link is measured by the first requests of the run itself (head and manifest, see
    `metered`), and remembered by the ledger where a store lives longer than a run.

    Few bytes tell a bandwidth badly, so a restore is refused outright only if it would lose on a
    link `DOUBT` times as fast as measured. Otherwise it begins, which measures better than
    any probe, and is given up (`watch`) once what is left of it takes longer than the work.

Seconds, bytes, bytes a second.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipelines.caches.settings import Mode

__all__ = [
    "NEAR",
    "SMALL",
    "Decision",
    "Link",
    "Offer",
    "decide",
    "learn",
    "level",
    "seconds",
    "worth",
]

PARALLEL = 8  # requests at a time
NEAR = 120e6  # bytes a second, from which compressing more costs more than it saves
UNPACK_BYTES = 600e6  # of contents a second, decompressed, verified and written, on two cores
UNPACK_FILES = 8000.0  # created a second
DOUBT = 4.0
MEMORY = 0.3  # weight of the newest in a moving average
SMALL = 64 * 1024  # a request of fewer bytes tells of latency, one of more of bandwidth
SURE = 8 << 20  # bytes after which a bandwidth is not doubted any more


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of the way to a backend; `seen` bytes were measured for it."""

    latency: float = 0.02
    bandwidth: float = 100e6
    seen: int = 0

    @property
    def optimistic(self) -> "Link":
        """The fastest that it may be, in view of how little was measured."""
        doubt = 1.0 if self.seen >= SURE else DOUBT
        return replace(self, bandwidth=self.bandwidth * doubt, latency=self.latency / doubt)

    def after(self, newer: "Link") -> "Link":
        """Remember a newer measurement."""
        if not self.seen:
            return newer
        if not newer.seen:
            return self
        return Link(
            _moved(self.latency, newer.latency),
            _moved(self.bandwidth, newer.bandwidth),
            max(self.seen, newer.seen),
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What a restore would fetch and write, and what it is worth in seconds (None: not known)."""

    size: int
    content: int
    files: int
    requests: int
    worth: float | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to restore, how long that should take, and why."""

    restore: bool
    seconds: float
    why: str


def seconds(offer: Offer, link: Link) -> float:
    """Project how long a restore takes."""
    rounds = math.ceil(offer.requests / PARALLEL)
    unpacking = max(offer.content / UNPACK_BYTES, offer.files / UNPACK_FILES)
    return link.latency * rounds + offer.size / link.bandwidth + unpacking


def decide(mode: Mode, offer: Offer, link: Link, budget: float) -> Decision:
    """Decide on a restore; what is worth an unknown time is restored within the budget."""
    expected = seconds(offer, link)
    if mode == "never":
        return Decision(False, expected, "mode is never")
    if mode == "always":
        return Decision(True, expected, "mode is always")
    limit = budget if offer.worth is None else offer.worth
    against = f"{'a budget of' if offer.worth is None else 'the work takes'} {limit:.1f} s"
    if expected < limit:
        return Decision(True, expected, f"{expected:.1f} s, {against}")
    if seconds(offer, link.optimistic) < limit:
        return Decision(True, expected, f"perhaps {expected:.1f} s, {against}: trying")
    return Decision(False, expected, f"{expected:.1f} s would be lost: {against}")


def learn(meta: Mapping[str, str], took: float, *, restored: bool) -> dict[str, str]:
    """Add to a generation's meta what its work took, with or without a restore before it."""
    name = "warm" if restored else "cold"
    known = _number(meta.get(name))
    value = took if known is None else _moved(known, took)
    return {**meta, name: f"{value:.3f}"}


def level(link: Link) -> int:
    """Choose how hard to compress what is saved over a link.

    zstd 3 makes Go's build caches 3 to 6 % smaller than zstd 1 does, for twice the time. What is
    saved once is restored about ten times, so that pays on a link of less than `NEAR`.
    """
    return 1 if link.bandwidth >= NEAR else 3


def worth(meta: Mapping[str, str]) -> float | None:
    """Tell what a restore of a generation saves; None if nobody has measured it."""
    cold, warm = _number(meta.get("cold")), _number(meta.get("warm"))
    if cold is None:
        return None
    return max(0.0, cold - (warm or 0.0))


def _moved(old: float, new: float) -> float:
    return old + (new - old) * MEMORY


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
