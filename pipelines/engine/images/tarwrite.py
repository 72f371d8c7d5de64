"""Write tar headers: ustar where an entry fits, a pax header before it where it does not.

No user or group names, no atime or ctime, pax keys sorted: equal entries have equal bytes.
"""

from collections.abc import Mapping
from zlib import adler32

from pipelines.engine.images.tarread import Member, MemberKind

__all__ = ["END", "header", "padding"]

END = bytes(1024)

_FLAGS: dict[MemberKind, bytes] = {
    "file": b"0",
    "hardlink": b"1",
    "symlink": b"2",
    "dir": b"5",
    "fifo": b"6",
}
_NAME, _PREFIX = 100, 155
_ID, _LARGE = 8**7 - 1, 8**11 - 1
_BLOCK, _HALF = 512, 256


def header(member: Member) -> bytes:
    """Encode a member's header; directories have a name that ends with a slash."""
    prefix, name, records = b"", member.name, {}
    if (split := _split(member.name)) is not None:
        prefix, name = split
    else:
        records[b"path"] = member.name
    if len(member.target) > _NAME or not member.target.isascii():
        records[b"linkpath"] = member.target
    for key, value, most in (
        (b"uid", member.uid, _ID),
        (b"gid", member.gid, _ID),
        (b"size", member.size, _LARGE),
    ):
        if value > most:
            records[key] = b"%d" % value
    seconds = member.mtime // 1_000_000_000
    if not 0 <= seconds <= _LARGE:
        records[b"mtime"] = b"%d" % seconds
    for attribute, content in member.xattrs.items():
        records[b"SCHILY.xattr." + attribute.encode("utf-8", "surrogateescape")] = content
    plain = Member(
        name=name[:_NAME],
        kind=member.kind,
        mode=member.mode,
        uid=_fit(member.uid, _ID),
        gid=_fit(member.gid, _ID),
        size=_fit(member.size, _LARGE),
        mtime=_fit(seconds, _LARGE),
        target=member.target[:_NAME],
    )
    block = _block(plain, _FLAGS[member.kind], prefix)
    return _extended(member.name, records) + block if records else block


def padding(size: int) -> bytes:
    """Fill the last block of a content of `size` bytes."""
    return bytes(-size % _BLOCK)


def _fit(value: int, most: int) -> int:
    return value if 0 <= value <= most else 0


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Divide a name into ustar's prefix and name, or None if it does not fit."""
    if not name.isascii():
        return None
    if len(name) <= _NAME:
        return b"", name
    slash = name.find(b"/", len(name) - _NAME - 1, len(name) - 1)
    if slash <= 0 or slash > _PREFIX:
        return None
    return name[:slash], name[slash + 1 :]


def _extended(name: bytes, records: Mapping[bytes, bytes]) -> bytes:
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    base = name.rstrip(b"/").rpartition(b"/")[2].decode("ascii", "replace")
    own = b"PaxHeaders/" + base.encode("ascii", "replace")[:80]
    block = _block(Member(own, "file", 0o644, 0, 0, len(body), 0), b"x", b"")
    return block + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """Encode one pax record; its length counts its own digits."""
    rest = len(key) + len(value) + 3
    size = rest + len(str(rest))
    if rest + len(str(size)) != size:
        size += 1
    return b"%d %s=%s\n" % (size, key, value)


def _block(member: Member, flag: bytes, prefix: bytes) -> bytes:
    """Encode one block; every field fits and `mtime` is in seconds."""
    numbers = (member.mode, member.uid, member.gid, member.size, member.mtime)
    head = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (member.name.ljust(_NAME, b"\0"), *numbers)
    # No user and group names, and device numbers zero: devices are never written.
    rest = b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0" + prefix.ljust(_PREFIX, b"\0")
    tail = flag + member.target.ljust(_NAME, b"\0") + rest
    checksum = _sum(head) + _sum(tail[:_HALF]) + _sum(tail[_HALF:]) + 8 * 0x20
    return (head + b"%06o\0 " % checksum + tail).ljust(_BLOCK, b"\0")


def _sum(part: bytes) -> int:
    """Add up at most 256 bytes: what adler-32 does on its way, twenty times as fast as `sum`."""
    return (adler32(part) & 0xFFFF) - 1
