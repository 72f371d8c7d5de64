"""Which error of several speaks, and how foreign data is decompressed."""

import zstandard

from pipelines.caches.errors import CacheError, Damaged

__all__ = ["first", "inflate"]


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the error that says most: what is wrong with the cache, if anything is."""
    leaves: list[BaseException] = []
    below: list[BaseException] = [group]
    while below:
        one = below.pop(0)
        if isinstance(one, BaseExceptionGroup):
            below += one.exceptions
        else:
            leaves.append(one)
    return next((leaf for leaf in leaves if isinstance(leaf, CacheError)), leaves[0])


def inflate(
    content: bytes | memoryview, raw: int, what: str, by: zstandard.ZstdDecompressor | None = None
) -> bytes:
    """Decompress one frame that must have exactly `raw` bytes, and never take more memory.

    Raises:
        Damaged: it is no such frame.
    """
    try:
        # The decompressor believes the frame's own header before any limit that it is given.
        if zstandard.frame_content_size(content) != raw:
            raise Damaged(f"{what} does not declare {raw} bytes")
        made = (by or zstandard.ZstdDecompressor()).decompress(content, max_output_size=raw)
    except zstandard.ZstdError as exc:
        raise Damaged(f"{what}: {exc}") from exc
    if len(made) != raw:
        raise Damaged(f"{what} has {len(made)} bytes where {raw} were declared")
    return made
