"""stub"""
def program(*, single: bool) -> bytes:
    import struct
    return struct.pack("=HBBI", 6, 0, 0, 0x7fff0000)
