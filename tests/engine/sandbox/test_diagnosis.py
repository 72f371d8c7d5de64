import struct
from pathlib import Path

import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.base import Exit, Spec
from pipelines.engine.sandbox.diagnosis import Preamble, explain
from pipelines.engine.sandbox.executable import foreign, missing_interpreter
from tests.engine.sandbox.session import Session, session


def end(spec: Spec, executed: int | None, returned: int, said: bytes) -> tuple[Exit, str]:
    heard: list[bytes] = []
    preamble = Preamble(heard.append)
    preamble.write(said)
    return explain(spec, executed, returned, preamble), b"".join(heard).decode()


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine) + bytes(44)


def spec(root: Path, name: str = "/x") -> Spec:
    return Spec(str(root), (name,), {"PATH": "/bin:/opt"})


def test_output_that_can_not_be_bwraps_is_handed_on_at_once():
    heard: list[bytes] = []
    preamble = Preamble(heard.append)
    preamble.write(b"bwr")
    assert heard == []
    preamble.write(b"ong")
    preamble.write(b"more")
    assert heard == [b"bwrong", b"more"]


def test_bwraps_own_failure_is_an_error_with_its_words(tmp_path):
    with pytest.raises(SandboxError, match=r"Can't mount proc .*systempaths=unconfined"):
        end(spec(tmp_path), None, 1, b"bwrap: Can't mount proc on /newroot/proc\n")


def test_a_killed_sandbox_is_a_signals_exit_code(tmp_path):
    assert end(spec(tmp_path), None, -9, b"")[0] == Exit(137)


def test_a_missing_interpreter_is_named(tmp_path):
    (tmp_path / "x").write_text("#!/bin/nosuch -e\n")
    said = b"bwrap: execvp /x: No such file or directory\n"
    assert end(spec(tmp_path), None, 1, said) == (
        Exit(127),
        'exec: "/x": it needs /bin/nosuch, which is not in the container\n',
    )


def test_a_loader_is_read_from_the_program_headers(tmp_path):
    loader = b"/lib/ld.so\0"
    header = bytearray(elf(62)[:32] + struct.pack("<Q", 64) + bytes(24))
    struct.pack_into("<HH", header, 54, 56, 1)
    table = struct.pack("<IIQQQQQQ", 3, 0, 120, 0, 0, len(loader), 0, 0)
    (tmp_path / "x").write_bytes(bytes(header) + table + loader)
    assert missing_interpreter(spec(tmp_path)) == "/lib/ld.so"
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/ld.so").write_text("")
    assert missing_interpreter(spec(tmp_path)) == ""


def test_links_are_followed_inside_the_root_only(tmp_path):
    root = tmp_path / "root"
    (root / "opt").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(elf(183))
    (root / "opt/x").symlink_to(tmp_path / "outside")
    assert foreign(spec(root, "x"), "x86_64") == ""
    (root / "opt/y").symlink_to("/z")
    (root / "z").write_bytes(elf(183))
    assert foreign(spec(root, "y"), "x86_64") == "arm64"
    assert foreign(spec(root, "y"), "aarch64") == ""


@pytest.mark.sandbox
def test_a_program_for_another_platform_is_said_to_be(mode, root):
    (root / "bin/other").write_bytes(elf(22))
    (root / "bin/other").chmod(0o755)

    async def body(s: Session):
        return await s.run("other")

    code, _, err = session(mode, root, body)
    assert code == 126
    assert "built for s390x" in err


@pytest.mark.sandbox
def test_a_script_without_its_interpreter_is_explained(mode, root):
    (root / "bin/script").write_text("#!/bin/bash\n")
    (root / "bin/script").chmod(0o755)

    async def body(s: Session):
        return await s.run("script")

    assert session(mode, root, body)[::2] == (
        127,
        'exec: "script": it needs /bin/bash, which is not in the container\n',
    )
