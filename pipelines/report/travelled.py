"""What came of caches that travel, in one line at the end of a run."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.report.words import seconds

__all__ = ["travelled"]

_MEGABYTE = 1e6


def travelled(events: Sequence[dict[str, Any]]) -> str:
    """Sum up the `cache` events of a run; empty if there were none."""
    parts = [*_answered(events), *_moved(events, "restored"), *_moved(events, "saved")]
    return f"cache: {'; '.join(parts)}" if parts else ""


def _answered(events: Sequence[dict[str, Any]]) -> Iterator[str]:
    hits = sum(int(e.get("hits", 0)) for e in events if e.get("state") == "answered")
    spared = sum(float(e.get("spared", 0)) for e in events if e.get("state") == "answered")
    if hits:
        what = f"{hits} command{'s' if hits > 1 else ''} answered by other machines"
        yield f"{what}, which took them {seconds(spared)}" if spared else what


def _moved(events: Sequence[dict[str, Any]], state: str) -> Iterator[str]:
    found = [e for e in events if e.get("state") == state]
    if not found:
        return
    volumes = sum(str(e.get("cache", "")).startswith("volume ") for e in found)
    what = f"{volumes} volume{'s' if volumes > 1 else ''}" if volumes else ""
    if volumes < len(found):
        what = f"results and {what}" if what else "results"
    size = sum(int(e.get("bytes", 0)) for e in found) / _MEGABYTE
    took = sum(float(e.get("seconds", 0)) for e in found)
    yield f"{state} {what}, {size:.1f} MB in {seconds(took)}"
