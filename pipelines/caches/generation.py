"""Generations and their manifests.

A generation is what a head names: trees, records, and the index of the packs that hold the
chunks of the trees. Its manifest is one immutable object, named by the blake3 of its bytes:

    magic        8 bytes, `PLCACHE` and the format's version
    header       u32 length, then JSON: number, parents, made, kind, meta, trees, sections
    sections     zstd frames, one after the other: `records`, `index`, then a tree each

Whoever changes the meaning of what is there raises the version, and readers refuse it
(`TooNew`); what is merely added (a column, a section, a key of the header) they pass over.
Sections are read when somebody asks: a lookup among records touches no tree.

`docs/reference/cache-format.md` says it byte by byte.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import anyio.to_thread
import zstandard
from blake3 import blake3

from pipelines.caches import records as recordtable
from pipelines.caches.errors import Damaged, TooNew
from pipelines.caches.faults import inflate
from pipelines.caches.index import Index, Pack
from pipelines.caches.limits import DEFAULT, Limits
from pipelines.caches.transport import Transport
from pipelines.caches.tree import Entry, Rows

__all__ = ["VERSION", "Generation", "GenerationKind", "TreeInfo", "load", "name_of", "put", "seal"]

GenerationKind = Literal["download", "build", "results"]

VERSION = 1
_MAGIC = b"PLCACHE"
_LENGTH = struct.Struct("<I")
_KINDS = ("download", "build", "results")


@dataclass(frozen=True, slots=True)
class TreeInfo:
    """A tree of a generation: its digest (equal contents, equal digest) and how large it is."""

    name: str
    digest: str
    entries: int
    size: int


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation as its manifest says; see the module."""

    number: int
    parents: tuple[str, ...]
    made: float
    kind: GenerationKind
    meta: Mapping[str, str]
    trees: Mapping[str, TreeInfo]
    digest: str
    content: bytes = field(repr=False)
    _sections: Mapping[str, tuple[int, int, int]] = field(repr=False)
    _limits: Limits = DEFAULT
    _read: dict[str, Index | Rows | Mapping[str, bytes]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def index(self) -> Index:
        """Read the index of chunks."""
        found = self._read.get("index")
        if not isinstance(found, Index):
            found = self._read["index"] = Index.decode(self._section("index"), self._limits)
        return found

    @property
    def packs(self) -> list[Pack]:
        """Name the packs that it needs."""
        return self.index.packs

    @property
    def records(self) -> Mapping[str, bytes]:
        """Read the records."""
        found = self._read.get("records")
        if found is None or isinstance(found, Index | Rows):
            found = self._read["records"] = recordtable.decode(self._section("records"))
        return found

    def rows(self, name: str = "") -> Rows:
        """Read a tree in columns.

        Raises:
            Damaged: there is no such tree, or it can not be understood.
        """
        key = f"tree/{name}"
        found = self._read.get(key)
        if not isinstance(found, Rows):
            if name not in self.trees:
                raise Damaged(f"generation {self.number} has no tree {name!r}")
            found = self._read[key] = Rows.decode(self._section(key), self.index)
            if len(found) > self._limits.entries:
                raise Damaged(f"{len(found)} entries; {self._limits.entries} are allowed")
        return found

    def entries(self, name: str = "") -> Iterator[Entry]:
        """Yield a tree's entries, in order of their paths."""
        rows, index = self.rows(name), self.index
        for row, start, stop in rows.spans():
            yield rows.entry(row, start, stop, index)

    def _section(self, name: str) -> bytes:
        start, size, raw = self._sections[name]
        what = f"section {name!r} of {name_of(self.digest)}"
        return inflate(self.content[start : start + size], raw, what)

    @classmethod
    def decode(cls, content: bytes, limits: Limits = DEFAULT) -> Self:
        """Read a manifest.

        Raises:
            TooNew: it is of a newer version.
            Damaged: it makes no sense, or claims more than the limits.
        """
        digest = blake3(content).hexdigest()
        header, at = _header(content)
        try:
            sections = _placed(header["sections"], at, len(content), limits)
            trees = {n: TreeInfo(str(n), str(d), int(e), int(s)) for n, d, e, s in header["trees"]}
            if {"index", "records", *(f"tree/{name}" for name in trees)} - set(sections):
                raise Damaged(f"manifest {digest} lacks a section that it needs")
            if header["kind"] not in _KINDS:
                raise Damaged(f"a generation of the unknown kind {header['kind']!r}")
            return cls(
                int(header["number"]),
                tuple(map(str, header["parents"])),
                float(header["made"]),
                header["kind"],
                {str(k): str(v) for k, v in header["meta"].items()},
                trees,
                digest,
                content,
                sections,
                limits,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise Damaged(f"the header of manifest {digest}: {exc!r}") from exc


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """Read the JSON in front; give where the sections begin."""
    if content[:7] != _MAGIC or len(content) < 8 + _LENGTH.size:
        raise Damaged(f"{content[:8]!r} begins no manifest")
    if content[7] > VERSION:
        raise TooNew(f"a manifest of version {content[7]}; this version reads {VERSION}")
    (length,) = _LENGTH.unpack_from(content, 8)
    start = 8 + _LENGTH.size
    try:
        header = json.loads(content[start : start + length])
    except (ValueError, RecursionError) as exc:
        raise Damaged(f"a manifest's header is no JSON: {exc}") from exc
    if content[7] != VERSION or not isinstance(header, dict):
        raise Damaged(f"a manifest of version {content[7]} with a {type(header).__name__}")
    return header, start + length


def _placed(
    table: Sequence[tuple[str, int, int]], at: int, end: int, limits: Limits
) -> dict[str, tuple[int, int, int]]:
    """Give where each section is, and how long when decompressed."""
    sections: dict[str, tuple[int, int, int]] = {}
    room = limits.manifest
    for name, size, raw in table:
        room -= raw
        if min(size, raw, room) < 0 or size > end - at:
            raise Damaged(f"section {name!r} of {size} bytes, {raw} decompressed")
        sections[str(name)] = (at, int(size), int(raw))
        at += size
    return sections


def seal(
    *,
    number: int,
    parents: Sequence[str],
    made: float,
    kind: GenerationKind,
    meta: Mapping[str, str],
    trees: Mapping[str, Rows],
    records: Mapping[str, bytes],
    index: Index,
) -> Generation:
    """Make a generation: only what its trees need of the index is kept, in one order."""
    live: set[int] = set()
    for rows in trees.values():
        live.update(rows.refs)
    narrow, numbers = index.narrowed(live)
    mapped = {name: trees[name].mapped(numbers) for name in sorted(trees)}
    raws = {"records": recordtable.encode(records), "index": narrow.encode()}
    raws |= {f"tree/{name}": rows.encode() for name, rows in mapped.items()}
    packed = {name: zstandard.ZstdCompressor(level=3).compress(raw) for name, raw in raws.items()}
    header = {
        "kind": kind,
        "made": made,
        "meta": dict(meta),
        "number": number,
        "parents": list(parents),
        "sections": [[name, len(packed[name]), len(raw)] for name, raw in raws.items()],
        "trees": [[n, r.named(narrow), len(r), r.size(narrow)] for n, r in mapped.items()],
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    front = _MAGIC + bytes([VERSION]) + _LENGTH.pack(len(text)) + text
    return Generation.decode(b"".join([front, *packed.values()]))


def name_of(digest: str) -> str:
    """Name the object of a manifest."""
    return f"manifests/{digest}"


async def load(transport: Transport, digest: str, limits: Limits = DEFAULT) -> Generation:
    """Read and verify a generation's manifest.

    Raises:
        Missing: it is gone.
        Damaged: its bytes are not those of its name, or make no sense.
        TooNew: it is of a newer version of the format.
    """
    content = await transport.read(name_of(digest), 0, limits.manifest + 1)
    return await anyio.to_thread.run_sync(_verified, content, digest, limits)


def _verified(content: bytes, digest: str, limits: Limits) -> Generation:
    if len(content) > limits.manifest:
        raise Damaged(f"{name_of(digest)} is larger than {limits.manifest} bytes")
    if (seen := blake3(content).hexdigest()) != digest:
        raise Damaged(f"{name_of(digest)}: its {len(content)} bytes have the digest {seen}")
    return Generation.decode(content, limits)


async def put(transport: Transport, generation: Generation) -> None:
    """Write a generation's manifest; its packs are there already."""
    await transport.write(name_of(generation.digest), generation.content)
