"""Archives of ADD: a tar, plain or compressed, becomes the directory that it holds.

Docker takes gzip, bzip2 and xz; the content decides, not the name.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipelines.engine.errors import ImageError
from pipelines.engine.images.compression import decompressing
from pipelines.engine.images.tarread import TarReader
from pipelines.engine.images.unpack import unpack

__all__ = ["extract", "is_archive"]

_BZIP2, _XZ = b"BZh", b"\xfd7zXZ\0"


def is_archive(file: BinaryIO) -> bool:
    """Tell whether a file is an archive with something in it; it stands at its start then."""
    try:
        return next(iter(TarReader(_plain(file))), None) is not None
    except (ImageError, OSError, EOFError, ValueError):
        return False
    finally:
        file.seek(0)


def extract(file: BinaryIO, into: Path) -> None:
    """Unpack an archive into an empty directory.

    Raises:
        ImageError: it is damaged or hostile. StoreFull: no room.
    """
    unpack(_plain(file), into)


def _plain(file: BinaryIO) -> Callable[[int], bytes]:
    """Give a read function over the bytes without compression."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(_BZIP2):
        import bz2

        return bz2.BZ2File(file).read
    if head == _XZ:
        import lzma

        return lzma.LZMAFile(file).read
    return decompressing(file)
