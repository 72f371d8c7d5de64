"""A restored tree as an image of one layer, for engines that take images and not directories.

An image's layer keeps owners, modes, times to the nanosecond (also those of directories and
links, which imports of directories lose) and hard links; so what comes out of it is exact. The
file is an OCI layout in a tar, written in one pass: the layer's name is its digest, which is known
at its end, so its header is written again then. Equal trees give equal bytes.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from pipelines.caches.generation import Generation
from pipelines.caches.tree import Entry

__all__ = ["write"]

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_BLOCK = 512
_MODES = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
_MODES["hard"] = tarfile.LNKTYPE


def write(generation: Generation, tree: Path, into: Path, platform: str) -> None:
    """Write the tree of a generation, restored at `tree`; `platform` is `linux/amd64`, say."""
    with into.open("wb+") as out:
        out.write(bytes(_BLOCK))
        layer = _Hashed(out)
        with tarfile.open(
            fileobj=cast("IO[bytes]", layer), mode="w|", format=tarfile.PAX_FORMAT,
            bufsize=1 << 20, encoding="utf-8", errors="surrogateescape",
        ) as packed:  # fmt: skip
            for entry in generation.entries():
                _member(packed, entry, tree)
        size, digest = layer.size, layer.digest.hexdigest()
        out.write(bytes(-size % _BLOCK))
        for name, content in _around(digest, size, platform):
            out.write(_header(name, len(content)) + content + bytes(-len(content) % _BLOCK))
        out.write(bytes(2 * _BLOCK))
        out.seek(0)
        out.write(_header(f"blobs/sha256/{digest}", size))


class _Hashed:
    """What is written to the layer: counted and digested."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write bytes."""
        self.size += len(content)
        self.digest.update(content)
        return self._out.write(content)


def _member(packed: tarfile.TarFile, entry: Entry, tree: Path) -> None:
    if entry.kind == "whiteout":
        return  # of the engine's layers; no volume has one
    seconds, rest = divmod(entry.mtime_ns, 10**9)
    info = tarfile.TarInfo(entry.path or ".")
    info.type, info.mode = _MODES[entry.kind], entry.mode
    info.uid, info.gid, info.mtime = entry.uid, entry.gid, seconds
    headers = {"mtime": f"{seconds}.{rest:09d}"} if rest else {}
    for name, value in entry.xattrs:
        headers[f"SCHILY.xattr.{os.fsdecode(name)}"] = value.decode("utf-8", "surrogateescape")
    info.pax_headers = headers
    if entry.kind in ("link", "hard"):
        info.linkname = entry.target
    if entry.kind != "file":
        packed.addfile(info)
        return
    with (tree / entry.path).open("rb") as content:
        info.size = entry.size
        packed.addfile(info, content)


def _around(layer: str, size: int, platform: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the layout besides the layer."""
    system, architecture, *variant = platform.split("/")
    config = {
        "architecture": architecture,
        "os": system,
        **({"variant": variant[0]} if variant else {}),
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
    }
    content, name = _blob(config)
    yield f"blobs/sha256/{name}", content
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, name, len(content)),
        "layers": [_descriptor(_LAYER, layer, size)],
    }
    content, name = _blob(manifest)
    yield f"blobs/sha256/{name}", content
    described = _descriptor(_MANIFEST, name, len(content))
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [described]}
    yield "index.json", _blob(index)[0]
    yield "oci-layout", b'{"imageLayoutVersion":"1.0.0"}'


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}


def _blob(value: object) -> tuple[bytes, str]:
    content = json.dumps(value, sort_keys=True).encode()
    return content, hashlib.sha256(content).hexdigest()


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.USTAR_FORMAT)
