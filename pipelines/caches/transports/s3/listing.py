"""Listings of a bucket, version 2: one page of XML becomes items. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from urllib.parse import unquote

from pipelines.caches.errors import Damaged
from pipelines.caches.transport import Item

__all__ = ["Page", "page"]

# No XML parser: entities that expand without end are not wanted of a backend that may lie.
_ENTRY = re.compile(r"<Contents>(.*?)</Contents>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """Items of a page, and what asks for the next one; "" if it is the last."""

    items: Sequence[Item]
    following: str


def page(content: bytes, prefix: str) -> Page:
    """Read a page; `prefix` is what stands before our names.

    Raises:
        Damaged: it is no listing.
    """
    text = content.decode("utf-8", "replace")
    if "<ListBucketResult" not in text:
        raise Damaged(f"{text[:80]!r} begins no listing of a bucket")
    items = []
    for entry in _ENTRY.findall(text):
        key = unquote(_field(entry, "Key"))
        try:
            modified = datetime.fromisoformat(_field(entry, "LastModified")).timestamp()
            size = int(_field(entry, "Size"))
        except ValueError as exc:
            raise Damaged(f"an entry of a listing: {exc}") from exc
        if key.startswith(prefix):
            items.append(Item(key.removeprefix(prefix), size, modified))
    more = _field(text, "IsTruncated") == "true"
    return Page(items, _field(text, "NextContinuationToken") if more else "")


def _field(text: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return unescape(found[1]) if found else ""
