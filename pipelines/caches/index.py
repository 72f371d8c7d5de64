"""The index of a generation: which chunk is where in which pack.

    pack     an object of the backend, named by the blake3 of its bytes: a magic, then frames
    frame    a zstd frame in a pack, of about a megabyte of chunks; it has a digest of its own,
             so that a range of a pack can be verified by itself
    chunk    a piece of a file (small files are one chunk), by its blake3

Columns again, as for trees: an index of 10⁶ chunks is a handful of arrays.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.caches.columns import ints, join, planes, split
from pipelines.caches.errors import Damaged
from pipelines.caches.limits import DEFAULT, Limits

__all__ = ["DIGEST", "MAGIC", "Index", "Pack"]

DIGEST = 32
MAGIC = b"PLPACK01"

_COLUMNS = 11


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack by its digest, and how long it is."""

    digest: bytes
    size: int

    @property
    def name(self) -> str:
        """Name the object."""
        return f"packs/{self.digest.hex()}"


@dataclass(slots=True)
class Index:
    """Packs, frames and chunks, each by its number."""

    packs: list[Pack] = field(default_factory=list)
    homes: "array[int]" = field(default_factory=lambda: array("I"))  # of a frame: its pack
    starts: "array[int]" = field(default_factory=lambda: array("Q"))  # … where in the pack
    sizes: "array[int]" = field(default_factory=lambda: array("I"))  # … compressed
    raws: "array[int]" = field(default_factory=lambda: array("I"))  # … decompressed
    seals: bytearray = field(default_factory=bytearray)  # … its digest, compressed
    frames: "array[int]" = field(default_factory=lambda: array("I"))  # of a chunk: its frame
    offsets: "array[int]" = field(default_factory=lambda: array("I"))  # … where in the frame
    lengths: "array[int]" = field(default_factory=lambda: array("I"))
    digests: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.lengths)

    def copy(self) -> "Index":
        """Copy the index, to be added to."""
        return Index(
            self.packs[:], self.homes[:], self.starts[:], self.sizes[:], self.raws[:],
            self.seals[:], self.frames[:], self.offsets[:], self.lengths[:], self.digests[:],
        )  # fmt: skip

    def digest(self, chunk: int) -> bytes:
        """Give a chunk's digest."""
        return bytes(self.digests[chunk * DIGEST : chunk * DIGEST + DIGEST])

    def seal(self, frame: int) -> bytes:
        """Give the digest of a frame as it is kept."""
        return bytes(self.seals[frame * DIGEST : frame * DIGEST + DIGEST])

    def known(self) -> dict[bytes, int]:
        """Map digests to chunks."""
        held = bytes(self.digests)
        return {held[i * DIGEST : i * DIGEST + DIGEST]: i for i in range(len(self))}

    def add_pack(self, pack: Pack) -> int:
        """Append a pack."""
        self.packs.append(pack)
        return len(self.packs) - 1

    def add_frame(self, pack: int, start: int, size: int, raw: int, seal: bytes) -> int:
        """Append a frame."""
        self.homes.append(pack)
        self.starts.append(start)
        self.sizes.append(size)
        self.raws.append(raw)
        self.seals += seal
        return len(self.homes) - 1

    def add_chunk(self, frame: int, offset: int, length: int, digest: bytes) -> int:
        """Append a chunk."""
        self.frames.append(frame)
        self.offsets.append(offset)
        self.lengths.append(length)
        self.digests += digest
        return len(self.lengths) - 1

    def narrowed(self, chunks: Iterable[int]) -> tuple["Index", Mapping[int, int]]:
        """Keep some chunks and what holds them; give the new index and the new numbers.

        Packs, frames and chunks are put in order of digest and place: the same holdings give
        the same bytes, in whatever order they came together.
        """
        live = set(chunks)
        frames = {self.frames[chunk] for chunk in live}
        packs = sorted({self.homes[f] for f in frames}, key=lambda p: self.packs[p].digest)
        places = {pack: place for place, pack in enumerate(packs)}
        made = Index([self.packs[pack] for pack in packs])
        moved: dict[int, int] = {}
        for frame in sorted(frames, key=lambda f: (places[self.homes[f]], self.starts[f])):
            moved[frame] = made.add_frame(
                places[self.homes[frame]],
                self.starts[frame],
                self.sizes[frame],
                self.raws[frame],
                self.seal(frame),
            )
        order = sorted(live, key=lambda c: (moved[self.frames[c]], self.offsets[c]))
        numbers: dict[int, int] = {}
        for chunk in order:
            numbers[chunk] = made.add_chunk(
                moved[self.frames[chunk]],
                self.offsets[chunk],
                self.lengths[chunk],
                self.digest(chunk),
            )
        return made, numbers

    def encode(self) -> bytes:
        """Make a manifest's section of it."""
        return join([
            b"".join(pack.digest for pack in self.packs),
            planes(array("Q", (pack.size for pack in self.packs))),
            planes(self.homes),
            planes(self.starts),
            planes(self.sizes),
            planes(self.raws),
            bytes(self.seals),
            planes(self.frames),
            planes(self.offsets),
            planes(self.lengths),
            bytes(self.digests),
        ])  # fmt: skip

    @classmethod
    def decode(cls, block: bytes, limits: Limits = DEFAULT) -> "Index":
        """Read a manifest's section.

        Raises:
            Damaged: it points beyond itself, or claims more than the limits.
        """
        columns = split(block, _COLUMNS)
        packs, frames, chunks = (len(columns[i]) // DIGEST for i in (0, 6, 10))
        sizes = ints(columns[1], "Q", packs)
        if any(len(columns[i]) % DIGEST for i in (0, 6, 10)):
            raise Damaged("a column of digests ends within one")
        index = cls(
            [Pack(columns[0][i * DIGEST : (i + 1) * DIGEST], sizes[i]) for i in range(packs)],
            ints(columns[2], "I", frames),
            ints(columns[3], "Q", frames),
            ints(columns[4], "I", frames),
            ints(columns[5], "I", frames),
            bytearray(columns[6]),
            ints(columns[7], "I", chunks),
            ints(columns[8], "I", chunks),
            ints(columns[9], "I", chunks),
            bytearray(columns[10]),
        )
        index.check(limits)
        return index

    def check(self, limits: Limits) -> None:
        """Hold that everything lies within what holds it."""
        packs, frames = len(self.packs), len(self.homes)
        for home, start, size, raw in zip(
            self.homes, self.starts, self.sizes, self.raws, strict=True
        ):
            if home >= packs or start + size > self.packs[home].size:
                raise Damaged(f"a frame at {start} of pack {home} is beyond it")
            if raw > limits.frame:
                raise Damaged(f"a frame of {raw} bytes; {limits.frame} are allowed")
        for frame, offset, length in zip(self.frames, self.offsets, self.lengths, strict=True):
            if frame >= frames or offset + length > self.raws[frame]:
                raise Damaged(f"a chunk at {offset} of frame {frame} is beyond it")
