"""Tags for names, and which heads of several writers stand. Pure.

A tag has at most 128 of few characters, so an object is `packs.<digest>`, and a head
`h.<digest of its name>.<number>.<writer>`: a registry can not compare before it replaces, so no
tag of a head is ever replaced; each writer makes one of its own.

Theory of operation
    A writer lists, merges what it saw, and writes the number after the highest that it saw,
    with the list of what it has merged. Then it lists again: if a higher number than its own is
    there, it was late, and begins again. Two writers with one number stand side by side.

    So what stands is: every head with the highest number, and those one below that none of them
    has merged. Nothing else can hold work that is not merged: a writer whose head is two below
    would have seen, when it listed again, one that is higher than its own; or whoever wrote the
    highest one saw that head when it listed, for it was there before the one between them.

    A registry lists while others write, so a list may have a tag and lack one that was there
    before it. Whoever reads therefore lists twice and leaves out numbers that only the second list
    has: what was there before any tag of the first list is in the second.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "LAST",
    "HeadTag",
    "beside",
    "name_of_tag",
    "newest",
    "object_tag",
    "prefix_of_head",
    "settled",
]

LAST = 10**12 - 1
MOST = 32  # heads that are read at once: more is no matrix, but somebody's flood
_HEAD = re.compile(r"(h\.[0-9a-f]{32}\.)(\d{12})\.[0-9a-f]{8}")
_OBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_LONGEST = 128


@dataclass(frozen=True, slots=True, order=True)
class HeadTag:
    """A tag of one writer's head."""

    number: int
    tag: str

    @classmethod
    def parse(cls, tag: str) -> "HeadTag | None":
        """Read a tag; None if it is no head's."""
        found = _HEAD.fullmatch(tag)
        return cls(int(found[2]), tag) if found else None

    @classmethod
    def make(cls, name: str, number: int, writer: str) -> "HeadTag":
        """Make the tag of a writer."""
        return cls(number, f"{prefix_of_head(name)}{number:012}.{writer}")


def object_tag(name: str) -> str:
    """Give the tag of an immutable object.

    Raises:
        ValueError: the name does not fit.
    """
    tag = name.replace("/", ".")
    if "." in name or "/" not in name or tag[0] == "-" or len(tag) > _LONGEST:
        raise ValueError(f"{name!r} can not be a tag")
    return tag


def name_of_tag(tag: str) -> str:
    """Give the name of an object's tag; "" if it is none."""
    is_object = _OBJECT.fullmatch(tag) and HeadTag.parse(tag) is None
    return tag.replace(".", "/") if is_object else ""


def prefix_of_head(name: str) -> str:
    """Give what the tags of a head begin with."""
    return f"h.{hashlib.sha256(name.encode()).hexdigest()[:32]}."


def newest(tags: Sequence[str], name: str) -> Sequence[HeadTag]:
    """Give a head's tags with the highest number and the one below, highest first."""
    prefix = prefix_of_head(name)
    heads = [head for tag in tags if tag.startswith(prefix) and (head := HeadTag.parse(tag))]
    highest = max((head.number for head in heads), default=0)
    return sorted((h for h in heads if h.number >= highest - 1), reverse=True)[:MOST]


def settled(first: Sequence[str], second: Sequence[str], name: str) -> Sequence[HeadTag]:
    """Give the newest heads of two listings, one after the other; see above."""
    highest = newest(first, name)[0].number
    tags = dict.fromkeys((*first, *second))
    return newest([t for t in tags if _number(t) <= highest], name)


def _number(tag: str) -> int:
    head = HeadTag.parse(tag)
    return head.number if head else 0


def beside(heads: Sequence[HeadTag], merged: Mapping[str, Sequence[str]]) -> Sequence[HeadTag]:
    """Give those of the newest heads that stand; `merged` has what each one has merged."""
    highest = heads[0].number if heads else 0
    covered = {tag for h in heads if h.number == highest for tag in merged.get(h.tag, ())}
    return [h for h in heads if h.number == highest or h.tag not in covered]
