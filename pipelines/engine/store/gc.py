"""Decide what the store no longer needs.

A *holding* is what a user of the store may want again: a record, a cache volume, a mirror of a
git repository, what is known of a download, a blob of an image. Content
(layers, blobs, files) is there for its holdings, often for several. Holdings go by least
recent use; content goes when its last holding has gone. All here is pure; `sweep.py` acts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.engine.store.policy import Disk, Policy

__all__ = ["Content", "Decision", "Holding", "decide"]


@dataclass(frozen=True, slots=True)
class Holding:
    """A holding; `refs` are the names of its content, `used` its last use."""

    kind: Literal["record", "volume", "mirror", "download", "image"]
    id: str
    used: float
    refs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a piece of content takes; `since` is when it came or last changed hands."""

    size: int
    inodes: int
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to delete: holdings, least recently used first, and names of content."""

    holdings: tuple[Holding, ...]
    content: tuple[str, ...]
    freed: int
    freed_inodes: int
    held: int


def decide(  # noqa: PLR0917
    holdings: Iterable[Holding],
    contents: Mapping[str, Content],
    policy: Policy,
    disk: Disk,
    now: float,
    keep: Iterable[str] = (),
) -> Decision:
    """Choose what to delete so that the policy holds; `keep` is content with other users."""
    ordered = sorted(holdings, key=lambda h: (h.used, h.kind, h.id))
    plan = _Plan(contents, policy, disk, ordered, keep)
    plan.drop_unreferenced(now - policy.grace_seconds)
    if plan.pressed:
        plan.drop_unreferenced(float("inf"))
    for holding in ordered:
        expired = now - holding.used > policy.keep_seconds
        if plan.held <= policy.reserved or not (plan.pressed or expired):
            break
        plan.drop(holding)
    return plan.decision()


class _Plan:
    """The state of one decision."""

    def __init__(
        self,
        contents: Mapping[str, Content],
        policy: Policy,
        disk: Disk,
        holdings: Sequence[Holding],
        keep: Iterable[str],
    ) -> None:
        self._contents = contents
        self._policy = policy
        self._disk = disk
        self._users = Counter(ref for h in holdings for ref in set(h.refs))
        self._users.update(set(keep))
        self._dropped: list[Holding] = []
        self._gone: dict[str, None] = {}
        self._freed = 0
        self._freed_inodes = 0
        self.held = sum(c.size for c in contents.values())

    @property
    def pressed(self) -> bool:
        """Whether more has to go: too much held, or too little free on the disk."""
        policy, disk = self._policy, self._disk
        return (
            self.held > policy.maximum
            or disk.free + self._freed < policy.min_free
            # Some file systems count no inodes: they say 0 of 0 are free.
            or (disk.inodes > 0 and disk.free_inodes + self._freed_inodes < policy.min_free_inodes)
        )

    def drop_unreferenced(self, before: float) -> None:
        """Drop content that no holding names and that has been there since before a time."""
        for name, content in self._contents.items():
            if not self._users[name] and content.since < before:
                self._drop_content(name)

    def drop(self, holding: Holding) -> None:
        """Drop a holding, and content of which it was the last."""
        self._dropped.append(holding)
        for ref in set(holding.refs):
            self._users[ref] -= 1
            if not self._users[ref]:
                self._drop_content(ref)

    def _drop_content(self, name: str) -> None:
        content = self._contents.get(name)
        if content is None or name in self._gone:
            return
        self._gone[name] = None
        self.held -= content.size
        self._freed += content.size
        self._freed_inodes += content.inodes

    def decision(self) -> Decision:
        """Sum up."""
        return Decision(
            tuple(self._dropped), tuple(self._gone), self._freed, self._freed_inodes, self.held
        )
