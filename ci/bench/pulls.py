"""An image from a registry on loopback to a root filesystem: pulled and unpacked.

The image is the host's Go, as three gzip layers of about 190 MB in all. The reference is what
people without a daemon do: `skopeo copy` to an OCI layout, then `umoci unpack`. Each round of
ours has a store of its own; a sample is the query alone, as the references' is the process.
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ci.bench.engines import Engine
from ci.bench.images import registry
from ci.bench.measure import BenchError, run
from ci.bench.report import Report, Row
from ci.bench.sdk import client

__all__ = ["layout", "measure"]

PARTS = ("bin", "pkg", "src")
MOST = 100_000_000  # bytes of one layer
_IMAGE = "application/vnd.oci.image"


def measure(report: Report, engines: Sequence[Engine], scratch: Path, *, quick: bool) -> None:
    """Pull into an empty store, in turns with the references."""
    needed = ("docker-registry", "skopeo", "umoci", "go")
    if missing := [name for name in needed if not shutil.which(name)]:
        report.skip("pulls", f"not installed: {', '.join(missing)}")
        return
    rounds = 2 if quick else 5
    ours: list[float] = []
    copies: list[float] = []
    unpacks: list[float] = []
    size = layout(scratch / "layout")
    with registry(scratch / "registry") as host:
        name = f"{host}/bench/go:1"
        _skopeo("--dest-tls-verify=false", f"oci:{scratch / 'layout'}:1", f"docker://{name}")
        for number in range(rounds):
            work = scratch / f"round{number}"
            ours += client(_fresh(engines[0], work / "store"), "pull", name)
            local = f"oci:{work / 'oci'}:1"
            copies.append(_skopeo("--src-tls-verify=false", f"docker://{name}", local))
            rootless = [] if os.geteuid() == 0 else ["--rootless"]
            unpack = ["umoci", "unpack", *rootless, "--image", local[4:], str(work / "bundle")]
            unpacks.append(run(unpack)[0].wall)
            _compare(name, work)
    _report(report, size, {"ours": ours, "copies": copies, "unpacks": unpacks})


def _report(report: Report, size: int, samples: dict[str, list[float]]) -> None:
    what = f"pull and unpack a {size // 1_000_000} MB image"
    value, copy, unpack = (statistics.median(samples[n]) for n in ("ours", "copies", "unpacks"))
    count = len(samples["ours"])
    both = copy + unpack
    better, name = min((copy, "skopeo copy"), (unpack, "umoci unpack"))
    report.add(Row("pulls", what, value, "s", count, "skopeo + umoci", both, "≤ 0.5"))
    report.add(Row("pulls", what, value, "s", count, name, better, "≤ 1.2"))


def _fresh(engine: Engine, store: Path) -> Engine:
    return replace(engine, env=engine.env | {"XDG_CACHE_HOME": str(store)})


def _skopeo(*words: str) -> float:
    return run(["skopeo", "--insecure-policy", "copy", "-q", *words])[0].wall


def _compare(name: str, work: Path) -> None:
    """Refuse to compare unless both made the same files of the last layer."""
    layers = list((work / "store" / "pipelines" / "snapshots").iterdir())
    ours = sum(1 for layer in layers for p in (layer / "fs").rglob("*") if p.is_file())
    theirs = sum(1 for p in (work / "bundle" / "rootfs").rglob("*") if p.is_file())
    if ours != theirs:
        msg = f"{name}: {ours} files here, {theirs} there"
        raise BenchError(msg)


def layout(into: Path) -> int:
    """Write the image as an OCI layout; give the bytes of its layers, unpacked."""
    (into / "blobs" / "sha256").mkdir(parents=True)
    told = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True)
    root = Path(os.path.realpath(told.stdout.strip()))
    tars = [_tar(root, part) for part in PARTS]
    layers = [
        {"mediaType": f"{_IMAGE}.layer.v1.tar+gzip", **_blob(into, gzip.compress(tar, 6, mtime=0))}
        for tar in tars
    ]
    digests = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    config: dict[str, Any] = {"os": "linux", "architecture": "amd64", "config": {}}
    config["rootfs"] = {"type": "layers", "diff_ids": digests}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_IMAGE}.manifest.v1+json",
        "config": {"mediaType": f"{_IMAGE}.config.v1+json", **_document(into, config)},
        "layers": layers,
    }
    names = {"org.opencontainers.image.ref.name": "1"}
    found = {"mediaType": manifest["mediaType"], **_document(into, manifest), "annotations": names}
    index = {"schemaVersion": 2, "manifests": [found]}
    (into / "index.json").write_text(json.dumps(index))
    (into / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return sum(map(len, tars))


def _tar(root: Path, part: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path in _files(root / part):
            name = f"usr/local/go/{path.relative_to(root)}"
            archive.add(path, arcname=name, recursive=False, filter=_plain)
            if out.tell() > MOST:
                break
    return out.getvalue()


def _files(top: Path) -> Iterator[Path]:
    for above, names, files in os.walk(top):
        names.sort()
        yield Path(above)
        yield from (Path(above, file) for file in sorted(files))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = int(entry.mtime)
    return entry


def _document(into: Path, document: dict[str, Any]) -> dict[str, Any]:
    return _blob(into, json.dumps(document).encode())


def _blob(into: Path, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (into / "blobs" / "sha256" / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}
