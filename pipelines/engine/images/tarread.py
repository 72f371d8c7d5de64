"""Read tar archives as streams: ustar, GNU and pax headers become `Member`s.

The reader trusts nothing: checksums, number fields, lengths of extended headers and the total
size are checked, and it digests every byte that it reads, up to the last, so that the digest
is the layer's diff_id.

Source: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ImageError

__all__ = ["LIMITS", "Limits", "Member", "MemberKind", "TarReader", "limits"]

MemberKind = Literal["file", "dir", "symlink", "hardlink", "fifo", "device"]

_BLOCK = 512
_CHUNK = 1 << 20
_ZERO = bytes(_BLOCK)
_KINDS: dict[bytes, MemberKind] = {
    **dict.fromkeys((b"0", b"\0", b"7"), "file"),
    b"1": "hardlink",
    b"2": "symlink",
    **dict.fromkeys((b"3", b"4"), "device"),
    b"5": "dir",
    b"6": "fifo",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold before it counts as an attack; sizes in bytes."""

    members: int = 2_000_000
    size: int = 1 << 38
    path: int = 3500
    depth: int = 200
    extended: int = 1 << 20


LIMITS = Limits()
_BYTES, _ENTRIES = "PIPELINES_MAX_LAYER_BYTES", "PIPELINES_MAX_LAYER_ENTRIES"
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def limits(environ: Mapping[str, str]) -> Limits:
    """Read the limits that the environment sets: bytes like 50G, and a number of entries.

    Raises:
        ImageError: a value is no such number.
    """
    found = LIMITS
    if text := environ.get(_BYTES, ""):
        said = re.fullmatch(r"(\d{1,15})([KMGT]?)(?:i?B)?", text)
        if said is None or not int(said[1]):
            raise ImageError(f"{_BYTES} is {text!r}; it must be a size like 50G")
        found = replace(found, size=int(said[1]) << _UNITS[said[2]])
    if text := environ.get(_ENTRIES, ""):
        if not re.fullmatch(r"[1-9]\d{0,11}", text):
            raise ImageError(f"{_ENTRIES} is {text!r}; it must be a number of files")
        found = replace(found, members=int(text))
    return found


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive; names are bytes as they stand there, `mtime` in nanoseconds."""

    name: bytes
    kind: MemberKind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes = b""
    xattrs: dict[str, bytes] = field(default_factory=dict)


class TarReader:
    """Iterate over the members of a stream; `content` gives the current member's bytes.

    `read(n)` gives at most n bytes, and b"" at the end. Whoever digests them already says so
    with `digests=False`; then `digest` means nothing.
    """

    def __init__(
        self, read: Callable[[int], bytes], limits: Limits = LIMITS, *, digests: bool = True
    ) -> None:
        self._read = read
        self._limits = limits
        self._hash = hashlib.sha256() if digests else None
        self._buffer = b""
        self._at = 0
        self._left = 0  # of the current member's content
        self._padding = 0
        self._global: dict[bytes, bytes] = {}
        self.size = 0

    @property
    def digest(self) -> Digest:
        """The digest of all that was read: the diff_id, once the iteration has ended."""
        assert self._hash is not None
        return Digest.of_hex(self._hash.hexdigest())

    def __iter__(self) -> Iterator[Member]:
        """Yield every member.

        Raises:
            ImageError: damaged, truncated, too large, or of a kind that can not be unpacked.
        """
        records: dict[bytes, bytes] = {}
        count = 0
        while (block := self._header()) is not None:
            count += 1
            if count > self._limits.members:
                raise ImageError(
                    f"the archive has more than {self._limits.members} entries; "
                    f"{_ENTRIES} is the limit"
                )
            kind = block[156:157]
            if kind in b"xgLK":
                self._extend(kind, block, records)
                continue
            if kind == b"V":  # a volume's label
                self._open(_number(block[124:136]))
                continue
            known = self._global | records if self._global else records
            member = _member(block, known)
            records = {}
            self._open(member.size)
            yield member
        while self._fill():
            pass

    def content(self) -> Iterator[bytes]:
        """Yield what is left of the current member's content."""
        while self._left:
            piece = self._take(min(self._left, _CHUNK))
            self._left -= len(piece)
            yield piece

    def _open(self, size: int) -> None:
        self._left, self._padding = size, -size % _BLOCK

    def _header(self) -> bytes | None:
        """Read the next header block; None at the end of the archive."""
        if self._left:
            for _ in self.content():
                pass
        if self._padding:
            self._exactly(self._padding)
            self._padding = 0
        if self._at == len(self._buffer) and not self._fill():
            return None
        block = self._exactly(_BLOCK)
        return None if block == _ZERO else _checked(block)

    def _extend(self, kind: bytes, block: bytes, records: dict[bytes, bytes]) -> None:
        """Read a header that describes the next member, or (pax global) all that follow."""
        size = _number(block[124:136])
        if size > self._limits.extended:
            raise ImageError(f"the archive has an extended header of {size} bytes")
        body = self._exactly(size)
        self._exactly(-size % _BLOCK)
        if kind == b"L":
            records[b"path"] = body.rstrip(b"\0")
        elif kind == b"K":
            records[b"linkpath"] = body.rstrip(b"\0")
        else:
            (self._global if kind == b"g" else records).update(_records(body))

    def _exactly(self, count: int) -> bytes:
        at = self._at
        if at + count <= len(self._buffer):
            self._at = at + count
            return self._buffer[at : at + count]
        pieces = []
        while count:
            piece = self._take(count)
            count -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take(self, count: int) -> bytes:
        """Take at least one and at most `count` bytes."""
        if self._at == len(self._buffer) and not self._fill():
            raise ImageError(f"the archive ends in the middle of an entry, at byte {self.size}")
        piece = self._buffer[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def _fill(self) -> bool:
        self._buffer, self._at = self._read(_CHUNK), 0
        if self._hash is not None:
            self._hash.update(self._buffer)
        self.size += len(self._buffer)
        if self.size > self._limits.size:
            raise ImageError(
                f"the archive unpacks to more than {self._limits.size} bytes; {_BYTES} is the limit"
            )
        return bool(self._buffer)


def _checked(block: bytes) -> bytes:
    """Verify the checksum, which some writers compute over signed bytes."""
    text = block[148:156].strip(b" \0")
    told = int(text, 8) if text.isdigit() and b"8" not in text and b"9" not in text else -1
    plain = sum(block) - sum(block[148:156]) + 8 * 0x20
    if told != plain:
        high = sum(1 for byte in block[:148] + block[156:] if byte > 0x7F)  # noqa: PLR2004
        if told != plain - 256 * high:
            raise ImageError("not a tar archive, or a damaged one: a header's checksum is wrong")
    return block


def _member(block: bytes, records: dict[bytes, bytes]) -> Member:
    flag = block[156:157]
    kind = _KINDS.get(flag)
    if kind is None or (records and any(key.startswith(b"GNU.sparse.") for key in records)):
        what = "a sparse file" if kind is not None or flag == b"S" else f"type {flag!r}"
        raise ImageError(f"the archive has an entry that can not be unpacked: {what}")
    name = records.get(b"path") or _name(block)
    if kind == "file" and name.endswith(b"/"):
        kind = "dir"
    size = _decimal(records, b"size", block[124:136])
    return Member(
        name=name,
        kind=kind,
        mode=_number(block[100:108]) & 0o7777,
        uid=_decimal(records, b"uid", block[108:116]),
        gid=_decimal(records, b"gid", block[116:124]),
        size=size if kind == "file" else 0,
        mtime=_time(records.get(b"mtime"), block[136:148]),
        target=records.get(b"linkpath") or block[157:257].partition(b"\0")[0],
        xattrs=_xattrs(records) if records else {},
    )


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0":  # GNU's magic is b"ustar "; it has other fields there
        prefix = block[345:500].partition(b"\0")[0]
        return prefix + b"/" + name if prefix else name
    return name


def _number(text: bytes) -> int:
    """Read a number field: octal digits, or base 256 if the first bit is set."""
    if text[0] & 0x80:
        value = int.from_bytes(text, "big") - (0x80 << 8 * (len(text) - 1))
        if text[0] & 0x40:  # negative
            value -= 0x80 << 8 * (len(text) - 1)
        return value
    digits = text.partition(b"\0")[0].strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError as exc:
        raise ImageError(f"the archive has a damaged number in a header: {text!r}") from exc


def _decimal(records: dict[bytes, bytes], key: bytes, default: bytes) -> int:
    text = records.get(key)
    if text is not None and (not text.isdigit() or len(text) > 19):  # noqa: PLR2004
        raise ImageError(f"the archive has a damaged {key.decode()}: {text[:30]!r}")
    value = _number(default) if text is None else int(text)
    if value < 0:
        raise ImageError(f"the archive has a negative {key.decode()}: {value}")
    return value


def _time(record: bytes | None, default: bytes) -> int:
    """Give nanoseconds; a pax time is a decimal fraction, and may be negative."""
    if record is None:
        return _number(default) * 1_000_000_000
    whole, _, fraction = record.partition(b".")
    digits = (fraction + b"000000000")[:9]
    if not (whole.lstrip(b"-").isdigit() and digits.isdigit()) or len(whole) > 12:  # noqa: PLR2004
        raise ImageError(f"the archive has a damaged mtime: {record[:40]!r}")
    sign = -1 if whole.startswith(b"-") else 1
    return int(whole) * 1_000_000_000 + sign * int(digits)


def _records(body: bytes) -> dict[bytes, bytes]:
    """Parse pax records: `<length> <key>=<value>` and a newline, the length counting all."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(body) and body[at] != 0:
        space = body.find(b" ", at, at + 20)
        digits = body[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = body[space + 1 : end - 1].partition(b"=")
        if not at < end <= len(body) or not equals or body[end - 1] != 0x0A:  # noqa: PLR2004
            raise ImageError(f"the archive has a damaged pax record: {body[at : at + 40]!r}")
        found[key] = value
        at = end
    return found


def _xattrs(records: dict[bytes, bytes]) -> dict[str, bytes]:
    prefix = b"SCHILY.xattr."
    return {
        key[len(prefix) :].decode("utf-8", "surrogateescape"): value
        for key, value in records.items()
        if key.startswith(prefix)
    }
