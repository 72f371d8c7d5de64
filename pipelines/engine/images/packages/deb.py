"""Read one file out of a Debian package: an `ar` archive whose member `data.tar.*` has it.

Source: deb(5), ar(5).
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.engine.errors import ImageError

__all__ = ["debian_architecture", "extract_file"]

_ARCHITECTURES = {"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}


def debian_architecture(platform: str) -> str:
    """Give Debian's name of a platform's architecture."""
    name = platform.split("/")[1]
    return _ARCHITECTURES.get(name, name)


_MAGIC = b"!<arch>\n"
_HEADER = 60


def extract_file(package: Path, names: Sequence[str]) -> bytes:
    """Give the content of the first of `names` that the package has as a plain file.

    Raises:
        ImageError: the file is no package, or has none of them.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_payload(package)), mode="r:*") as archive:
            for member in archive:
                if member.isfile() and member.name.lstrip("./") in names:
                    content = archive.extractfile(member)
                    if content is not None:
                        return content.read()
    except (tarfile.TarError, OSError, EOFError) as exc:
        raise ImageError(f"reading the package {package.name}: {exc}") from exc
    raise ImageError(f"the package {package.name} has none of {', '.join(names)}")


def _payload(package: Path) -> bytes:
    for name, content in _members(package.read_bytes(), package.name):
        if name == "data.tar.zst":
            import zstandard

            return zstandard.ZstdDecompressor().decompressobj().decompress(content)
        if name.startswith("data.tar"):
            return content
    raise ImageError(f"the package {package.name} has no data.tar in it")


def _members(archive: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    if not archive.startswith(_MAGIC):
        raise ImageError(f"{name} is not a Debian package")
    at = len(_MAGIC)
    while at + _HEADER <= len(archive):
        header = archive[at : at + _HEADER]
        try:
            size = int(header[48:58])
        except ValueError as exc:
            raise ImageError(f"{name}: damaged at byte {at}") from exc
        start = at + _HEADER
        yield (
            header[:16].decode("ascii", "replace").strip().rstrip("/"),
            archive[start : start + size],
        )
        at = start + size + size % 2
