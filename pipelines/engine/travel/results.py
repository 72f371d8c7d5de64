"""Records of other machines: what was recorded there, and where its content is.

A record travels under the key that it has in the store, as JSON:

    {"result": …,        as the store's own record has it (`result.to_json`)
     "note", "seconds",  what made it, and how long that took
     "share",            what it took of its run's wall time
     "used": n,          the generation in which a run last asked for it
     "images": [layer],  layers that come from an image: whoever needs them takes the image
     "inline": {hex: base64}}   blobs so small that asking for them costs more than having them

What it names and is not inline is in trees of the same generation:

    layer/<id>          the directory of a snapshot's layer, rows and all
    files/<hex>         the files of the tree with that digest, named as in `store.files`
    blob/<hex>          one file, `blob`
    times               when files came in first (`times`)

A record counts only if all that it names is here or can be had. That it really comes is found out
when somebody needs it; who then is disappointed raises `ContentMissing`, which is a miss.
"""

import base64
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.engine.digest import Digest
from pipelines.engine.result import references

__all__ = ["INLINE", "Found", "Record", "blob_name", "files_name", "layer_name"]

INLINE = 16 * 1024


def layer_name(layer: str) -> str:
    """Name the tree that a layer travels as."""
    return f"layer/{layer}"


def files_name(tree: str) -> str:
    """Name the tree that has the files of a tree of the engine's, by the hex of its digest."""
    return f"files/{tree}"


def blob_name(blob: str) -> str:
    """Name the tree that has a blob, by its hex."""
    return f"blob/{blob}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it travels; `inline` has blobs by their hex."""

    result: Mapping[str, Any]
    note: str = ""
    seconds: float = 0.0
    share: float = 0.0
    used: int = 0
    images: tuple[str, ...] = ()
    inline: Mapping[str, bytes] | None = None

    def encode(self) -> bytes:
        """Write it."""
        inline = {name: base64.b64encode(b).decode() for name, b in (self.inline or {}).items()}
        fields = {
            "result": self.result,
            "note": self.note,
            "seconds": round(self.seconds, 3),
            "share": round(self.share, 3),
            "used": self.used,
            "images": list(self.images),
            "inline": inline,
        }
        return json.dumps({k: v for k, v in fields.items() if v}, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, content: bytes) -> "Record":
        """Read it.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it makes no sense.
        """
        fields = json.loads(content)
        inline = {
            str(name): base64.b64decode(text, validate=True)
            for name, text in fields.get("inline", {}).items()
        }
        _check(fields["result"])
        return cls(
            fields["result"],
            str(fields.get("note", "")),
            float(fields.get("seconds", 0.0)),
            float(fields.get("share", 0.0)),
            int(fields.get("used", 0)),
            tuple(map(str, fields.get("images", ()))),
            inline,
        )

    def after(self, number: int) -> "Record":
        """Give the record as it is once a run of a later generation has asked for it."""
        return replace(self, used=max(self.used, number))

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that it names, those of images left out."""
        return tuple(x for x in references(self.result)[0] if x not in self.images)

    @property
    def blobs(self) -> tuple[Digest, ...]:
        """The blobs that it names: streams, a tree's."""
        _, blobs, tree = references(self.result)
        return (*blobs, *([tree] if tree else []))

    @property
    def trees(self) -> Iterator[str]:
        """The trees of the generation that it needs."""
        yield from map(layer_name, self.layers)
        yield from (blob_name(b.hex) for b in self.blobs if b.hex not in (self.inline or {}))
        if (tree := references(self.result)[2]) is not None:
            yield files_name(tree.hex)


def _check(result: Mapping[str, Any]) -> None:
    """Refuse what is no result, or names something that is no digest: names become paths.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is none.
    """
    layers, blobs, tree = references(result)
    for name in (*blobs, *([tree] if tree is not None else [])):
        Digest.parse(name)
    for layer in layers:
        Digest.parse(f"sha256:{layer}")


@dataclass(frozen=True, slots=True)
class Found:
    """The records of a generation; `trees` are the names of what can be fetched."""

    records: Mapping[str, bytes]
    trees: Collection[str]

    def find(self, key: str, here: Callable[[str], bool]) -> Record | None:
        """Give a record if all of it can be had; `here` tells of a tree's name what is in place."""
        content = self.records.get(key)
        if content is None:
            return None
        try:
            record = Record.decode(content)
            complete = all(name in self.trees or here(name) for name in record.trees)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return record if complete else None

    def share(self, key: str) -> float:
        """Give what the command of a record took; nothing if there is none."""
        try:
            return Record.decode(self.records[key]).share
        except (ValueError, KeyError, TypeError, AttributeError):
            return 0.0
