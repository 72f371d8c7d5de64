"""Ask an ELF file whether it needs a dynamic loader."""

import struct

__all__ = ["is_static"]

_PT_DYNAMIC_LOADER = 3  # PT_INTERP


def is_static(path: str) -> bool:
    """Tell whether a file is an ELF executable without a PT_INTERP segment."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if head[:4] != b"\x7fELF" or len(head) < 64:  # noqa: PLR2004
                return False
            order = "<" if head[5] == 1 else ">"
            if head[4] == 2:  # noqa: PLR2004 - ELFCLASS64
                (offset,) = struct.unpack_from(order + "Q", head, 32)
                size, count = struct.unpack_from(order + "HH", head, 54)
            else:
                (offset,) = struct.unpack_from(order + "I", head, 28)
                size, count = struct.unpack_from(order + "HH", head, 42)
            file.seek(offset)
            table = file.read(size * count)
    except OSError:
        return False
    if size * count == 0 or len(table) < size * count:
        return False
    kinds = [struct.unpack_from(order + "I", table, size * i)[0] for i in range(count)]
    return _PT_DYNAMIC_LOADER not in kinds
