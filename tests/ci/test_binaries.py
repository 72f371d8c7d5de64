import struct

from ci.binaries import main, platform_of, scan


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(11) + struct.pack("<H", machine) + bytes(40)


def portable(machine: int) -> bytes:
    return (
        b"MZ"
        + bytes(58)
        + struct.pack("<I", 128)
        + bytes(64)
        + b"PE\0\0"
        + struct.pack("<H", machine)
    )


def test_the_header_says_the_platform():
    assert platform_of(elf(0xB7)) == "linux/arm64"
    assert platform_of(portable(0x8664)) == "windows/amd64"
    assert platform_of(b"\xcf\xfa\xed\xfe" + struct.pack("<I", 0x0100000C)) == "darwin/arm64"


def test_an_unknown_machine_is_shown_by_its_number():
    assert platform_of(elf(0x1234)) == "linux/0x1234"


def test_text_is_no_executable():
    assert platform_of(b"#!/bin/sh\n") is None
    assert platform_of(b"MZ but short") is None


def test_a_platform_that_lacks_fails_the_count(tmp_path, capsys):
    (tmp_path / "a").write_bytes(elf(0x3E))
    (tmp_path / "readme").write_text("text")
    assert [row[:2] for row in scan(tmp_path)] == [("a", "linux/amd64")]
    assert main([str(tmp_path), "1"]) == 0
    assert main([str(tmp_path), "2"]) == 1
    assert "want executables of 2 platforms" in capsys.readouterr().err
