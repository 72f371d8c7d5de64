r"""The hashes of go.sum, computed and looked up.

`h1:` is the base64 of the SHA-256 of a list of files: `<sha256 in hex>  <name>\n`, sorted by
name. Of a zip the names are its entries, of a go.mod it is `go.mod`. Source: golang.org/x/mod
`sumdb/dirhash`.
"""

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipelines.proxy.protocol import Wanted

__all__ = ["Refused", "Sums", "check", "mod_sum", "read_sums", "zip_sum"]

Sums = Mapping[tuple[str, str], frozenset[str]]
CHUNK = 1 << 20
LARGEST = 500 << 20  # of a module's contents, by Go's own rules


class Refused(Exception):
    """Bytes are not what they must be; the text says what was wanted and seen."""


def read_sums(paths: Iterable[Path]) -> Sums:
    """Gather what files such as go.sum say; lines that make no sense are go's to refuse."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for path in paths:
        for line in path.read_text(errors="replace").splitlines():
            match line.split():
                case [module, version, digest] if digest.startswith("h1:"):
                    key = (module, version)
                    found[key] = found.get(key, frozenset()) | {digest}
    return found


def check(wanted: Wanted, path: Path, sums: Sums) -> None:
    """Verify a module's zip or go.mod that came from upstream.

    Raises:
        Refused: it is broken, is of another module, or its hash is not that of go.sum.
    """
    if wanted.kind == "zip":
        digest = zip_sum(path, f"{wanted.module}@{wanted.version}/")
        known = sums.get((wanted.module, wanted.version))
    elif wanted.kind == "mod":
        digest = mod_sum(path.read_bytes())
        known = sums.get((wanted.module, f"{wanted.version}/go.mod"))
    else:
        return
    if known and digest not in known:
        raise Refused(
            f"{wanted.module}@{wanted.version}: upstream's {wanted.kind} has {digest}, go.sum has "
            f"{' or '.join(sorted(known))}"
        )


def mod_sum(content: bytes) -> str:
    """Compute the hash of a go.mod."""
    return _h1([("go.mod", hashlib.sha256(content).hexdigest())])


def zip_sum(path: Path, prefix: str) -> str:
    """Compute the hash of a module's zip, all of whose entries must be below `prefix`.

    Raises:
        Refused: it is no zip, an entry is damaged or elsewhere, or it is too large.
    """
    rows, total = [], 0
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.filename.startswith(prefix):
                    raise Refused(f"the zip of {prefix[:-1]} has an entry {info.filename!r}")
                total += info.file_size
                if total > LARGEST:
                    raise Refused(f"the zip of {prefix[:-1]} unpacks to more than {LARGEST} bytes")
                rows.append((info.filename, _entry(archive, info)))
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError) as exc:
        raise Refused(f"the zip of {prefix[:-1]} is damaged: {exc}") from exc
    return _h1(rows)


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    import zlib

    digest = hashlib.sha256()
    try:
        with archive.open(info) as file:
            while piece := file.read(CHUNK):
                digest.update(piece)
    except zlib.error as exc:
        raise zipfile.BadZipFile(f"{info.filename}: {exc}") from exc
    return digest.hexdigest()


def _h1(rows: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(rows))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()
