"""Hostile layers: what each does, and whether it is refused or what comes of it inside the root.

A case is a list of layers, lowest first, and its outcome: a pattern that the error matches, or
paths with what is there in the end: text, `-> target`, "dir", or None for nothing.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["CASES", "Case", "layer"]

FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
FIFO, CHAR, BLOCK = tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE
GNU = tarfile.GNU_FORMAT

Entry = tuple[tarfile.TarInfo, bytes]
Shape = dict[str, str | None]


@dataclass(frozen=True)
class Case:
    """A hostile (or odd and valid) image; `layers` is given the guarded directory."""

    name: str
    layers: Callable[[str], list[bytes]]
    refused: str = ""
    inside: Callable[[str], Shape] = field(default=lambda _: {})


def put(name: str, text: str = "new", kind: bytes = FILE, to: str = "", **fields: object) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    info.mode = 0o755 if kind == DIR else 0o644
    content = text.encode() if kind == FILE else b""
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def link(name: str, to: str) -> Entry:
    return put(name, kind=LINK, to=to)


def hard(name: str, to: str) -> Entry:
    return put(name, kind=HARD, to=to)


def layer(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def pax(name: str, text: str = "new", **told: str) -> Entry:
    """An entry whose extended header says something else than its plain one."""
    return put(name, text, pax_headers=told)


def patched(content: bytes, at: int, value: bytes) -> bytes:
    """Overwrite a part of the first header, and mend its checksum."""
    head = bytearray(content[:512])
    head[at : at + len(value)] = value
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head) + content[512:]


def one(*entries: Entry) -> Callable[[str], list[bytes]]:
    return lambda _: [layer(*entries)]


def _names() -> Iterator[Case]:
    yield Case("a name above the root", one(put("../x")), "leaves its root")
    yield Case("a name that climbs out later", one(put("a/../../x")), "leaves its root")
    yield Case("the name ..", one(put("..", kind=DIR)), "leaves its root")
    yield Case(
        "an absolute name of the host",
        lambda g: [layer(put(f"{g}/canary"))],
        inside=lambda g: {f"{g}/canary": "new"},
    )
    yield Case("the root as a link", lambda g: [layer(link("./", g))], "replaces the root")
    yield Case("the root as a file", one(put(".")), "replaces the root")
    yield Case(
        "names with new lines and bytes that are no text",
        one(put("a\nb"), put("\udcff\udcfe")),
        inside=lambda _: {"a\nb": "new", "\udcff\udcfe": "new"},
    )
    yield Case("a name with a zero byte", one(pax("ok", path="a\0b")), "zero byte|damaged pax")
    yield Case("a very deep name", one(put("d/" * 250 + "x")), "at most .* are unpacked")
    yield Case("a very long name", one(put("/".join(["n" * 200] * 19))), "at most 3500")
    yield Case("a name longer than a file may have", one(put("n" * 300)), "name too long")


def _links() -> Iterator[Case]:
    yield Case(
        "a link to the host and a file through it",
        lambda g: [layer(link("l", g), put("l/canary"))],
        inside=lambda g: {"l": f"-> {g}", f"{g}/canary": "new"},
    )
    yield Case(
        "a link with many .. and a file through it",
        lambda g: [layer(link("a/l", "../" * 30 + g), put("a/l/new"))],
        inside=lambda g: {f"{g}/new": "new"},
    )
    yield Case(
        "a file over a link to a file of the host",
        lambda g: [layer(link("canary", f"{g}/canary"), put("canary"))],
        inside=lambda _: {"canary": "new"},
    )
    yield Case(
        "links to links above what is made",
        lambda g: [layer(link("a", "b"), link("b", g), put("a/x", kind=DIR), put("a/x/y"))],
        inside=lambda g: {f"{g}/x/y": "new"},
    )
    yield Case(
        "a directory that becomes a link in between",
        lambda g: [layer(put("d", kind=DIR), put("d/f"), link("d", g), put("d/new"))],
        inside=lambda g: {"d": f"-> {g}", f"{g}/new": "new"},
    )
    yield Case(
        "a link through /proc/self/root",
        lambda g: [layer(link("l", f"/proc/self/root{g}"), put("l/new"))],
        inside=lambda g: {f"proc/self/root{g}/new": "new"},
    )
    yield Case(
        "a link through /proc/self/fd",
        one(link("l", "/proc/self/fd/3"), put("l/new")),
        inside=lambda _: {"proc/self/fd/3/new": "new"},
    )
    yield Case(
        "links that never end", one(link("a", "b"), link("b", "a"), put("a/x")), "many links"
    )
    yield Case("a link to nothing", one(put("l", kind=LINK)), "link to nowhere")
    yield Case(
        "the directory for run of every Debian",
        one(put("run", kind=DIR), link("var/run", "/run"), put("var/run/x")),
        inside=lambda _: {"var/run": "-> /run", "run/x": "new"},
    )


def _hard_links() -> Iterator[Case]:
    yield Case(
        "a hard link to a file of the host",
        lambda g: [layer(hard("h", f"{g}/canary"))],
        "not there",
    )
    yield Case(
        "a hard link to the host and a file over it",
        lambda g: [layer(hard("h", f"{g}/canary"), put("h"))],
        "not there",
    )
    yield Case(
        "a hard link that climbs out",
        lambda g: [layer(hard("h", f"../../../../../../../..{g}/canary"))],
        "leaves its root",
    )
    yield Case(
        "a hard link through a link to the host",
        lambda g: [layer(link("l", g), hard("h", "l/canary"))],
        "not there",
    )
    yield Case(
        "a hard link to a link to the host and a file over it",
        lambda g: [layer(link("l", f"{g}/canary"), hard("h", "l"), put("h"))],
        inside=lambda g: {"h": "new", "l": f"-> {g}/canary"},
    )
    yield Case("a hard link to a directory", one(put("d", kind=DIR), hard("h", "d")), "a directory")
    yield Case("a hard link to the root", one(hard("h", ".")), "not there|a directory")
    yield Case("a hard link to a device", one(put("d", kind=CHAR), hard("h", "d")), "not there")
    yield Case(
        "a file over one of two hard links",
        one(put("a", "old"), hard("b", "a"), put("b")),
        inside=lambda _: {"a": "old", "b": "new"},
    )


def _kinds() -> Iterator[Case]:
    yield Case(
        "devices",
        one(
            put("disk", kind=BLOCK, devmajor=8),
            put("mem", kind=CHAR, devmajor=1, devminor=1),
            put("whiteout", kind=CHAR),
            put("ok"),
        ),
        inside=lambda _: {"disk": None, "mem": None, "whiteout": None, "ok": "new"},
    )
    yield Case("a pipe", one(put("pipe", kind=FIFO), put("ok")), inside=lambda _: {"ok": "new"})
    yield Case("set-id bits", one(put("su", mode=0o6755)), inside=lambda _: {"su": "new"})
    yield Case(
        "every kind after every other",
        lambda g: [
            layer(
                put("x"),
                put("x", kind=DIR),
                put("x/y"),
                link("x", g),
                put("x", "file"),
                put("x", kind=FIFO),
                put("x", kind=DIR),
                put("x/z"),
            )
        ],
        inside=lambda _: {"x": "dir", "x/y": None, "x/z": "new"},
    )
    yield Case("an entry below a file", one(put("f"), put("f/x")), "is a file")
    yield Case(
        "marks of overlayfs as attributes",
        one(put("d", kind=DIR, pax_headers={"SCHILY.xattr.user.overlay.opaque": "y"}), put("d/x")),
        inside=lambda _: {"d/x": "new"},
    )


def _whiteouts() -> Iterator[Case]:
    for name in (".wh.", ".wh..", ".wh..."):
        yield Case(f"the whiteout {name}", one(put(name)), "whiteout of nothing")
    yield Case("an entry below a whiteout", one(put(".wh.a/b")), "below a whiteout")
    yield Case("a whiteout above the root", one(put("../.wh.x")), "leaves its root")
    for mark in (".wh.canary", ".wh..wh..opq", ".wh.dir"):
        yield Case(
            f"the mark {mark} through a link to the host",
            lambda g, mark=mark: [layer(link("l", g)), layer(put(f"l/{mark}"))],
            inside=lambda g: {"l": f"-> {g}"},
        )
    yield Case(
        "a whiteout of a link to the host",
        lambda g: [layer(link("l", g), put("ok")), layer(put(".wh.l"))],
        inside=lambda _: {"l": None, "ok": "new"},
    )
    yield Case(
        "a file through a link of the layer below",
        lambda g: [layer(link("l", g)), layer(put("l/canary"))],
        inside=lambda g: {f"{g}/canary": "new"},
    )
    yield Case(
        "a hard link through a link of the layer below",
        lambda g: [layer(link("l", g)), layer(hard("h", "l/canary"))],
        "not there",
    )
    yield Case(
        "a hard link to a link of the layer below",
        lambda g: [layer(link("l", f"{g}/canary")), layer(hard("h", "l"), put("h"))],
        inside=lambda _: {"h": "new"},
    )
    yield Case(
        "a directory over a link of the layer below",
        lambda g: [layer(link("l", g)), layer(put("l", kind=DIR), put("l/x"))],
        inside=lambda _: {"l": "dir", "l/x": "new", "l/canary": None},
    )


def _lies() -> Iterator[Case]:
    yield Case("a pax path above the root", one(pax("ok", path="../../x")), "leaves its root")
    yield Case(
        "a pax path of the host",
        lambda g: [layer(pax("ok", path=f"{g}/canary"))],
        inside=lambda g: {"ok": None, f"{g}/canary": "new"},
    )
    lied = put("h", kind=HARD, to="ok", pax_headers={"linkpath": "../../../etc/passwd"})
    yield Case("a pax link target above the root", one(put("ok"), lied), "leaves its root")
    for size in ("999999", "99999999999999999999", "-1", "x"):
        why = "in the middle of an entry|damaged size"
        yield Case(f"a pax size of {size}", one(pax("ok", size=size)), why)
    yield Case("a pax owner that is no number", one(pax("ok", uid="root")), "damaged uid")
    long = "../" * 40 + "x" * 60
    yield Case(
        "a long name of GNU above the root", lambda _: [layer(put(long), form=GNU)], "leaves"
    )
    yield Case(
        "a long link target of GNU",
        lambda g: [layer(link("l", "/" * 120 + g), put("l/new"), form=GNU)],
        inside=lambda g: {f"{g}/new": "new"},
    )
    sparse = pax("s", **{"GNU.sparse.major": "1", "GNU.sparse.name": "../../x"})
    yield Case("a sparse file", one(sparse), "sparse")
    yield Case("a sparse file of old GNU", one(put("s", kind=b"S")), "sparse")
    yield Case("a kind that nobody knows", one(put("s", kind=b"Z")), "type b'Z'")
    plain = layer(put("ok"))
    huge, minus = b"\x80" + b"\x7f" * 11, b"\xff" * 12
    yield Case(
        "a size of 2^94", lambda _: [patched(plain, 124, huge)], "middle of an entry|more than"
    )
    yield Case("a negative size", lambda _: [patched(plain, 124, minus)], "negative size")
    yield Case(
        "a size that is no number", lambda _: [patched(plain, 124, b"x" * 12)], "damaged num"
    )
    yield Case("a checksum that is wrong", lambda _: [b"x" + plain[1:]], "checksum")
    yield Case("an archive that ends early", lambda _: [plain[:514]], "middle of an entry")


CASES = (*_names(), *_links(), *_hard_links(), *_kinds(), *_whiteouts(), *_lies())
