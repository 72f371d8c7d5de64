"""Images as archives, with hostile layers or hostile documents."""

import gzip
import hashlib
import json
import platform
from collections.abc import Sequence

from tests.escapes.corpus import layer, put

__all__ = ["MACHINES", "oci", "packed", "saved"]

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"


def packed(files: dict[str, bytes], *more: tuple) -> bytes:
    """Pack files, and entries of other kinds, into a tar."""
    entries = [put(name, size=len(content)) for name, content in files.items()]
    named = zip(entries, files.values(), strict=True)
    return layer(*((info, content) for (info, _), content in named), *more)


def saved(layers: Sequence[bytes], config: dict | None = None) -> bytes:
    """What `docker save` writes."""
    files = {f"{n}/layer.tar": content for n, content in enumerate(layers)}
    rows = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": list(files)}]
    files["c.json"] = _config(layers, config)
    files["manifest.json"] = json.dumps(rows).encode()
    return packed(files)


def oci(layers: Sequence[bytes], config: dict | None = None) -> bytes:
    """An OCI layout in a tar, with gzipped layers."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "config": blob(_config(layers, config), f"{_OCI}.config.v1+json"),
        "layers": [
            blob(gzip.compress(each, mtime=0), f"{_OCI}.layer.v1.tar+gzip") for each in layers
        ],
    }
    row = blob(json.dumps(manifest).encode(), f"{_OCI}.manifest.v1+json")
    return packed({"index.json": json.dumps({"manifests": [row]}).encode()} | blobs)


def _config(layers: Sequence[bytes], config: dict | None) -> bytes:
    ids = ["sha256:" + hashlib.sha256(each).hexdigest() for each in layers]
    machine = platform.machine()
    document = {"os": "linux", "architecture": MACHINES.get(machine, machine)}
    rootfs = {"type": "layers", "diff_ids": ids}
    return json.dumps(document | {"rootfs": rootfs, "config": config or {}}).encode()
