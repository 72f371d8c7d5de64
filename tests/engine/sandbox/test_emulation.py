import os
import shutil
import struct

import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox import emulation
from pipelines.engine.sandbox.emulation import MACHINES, emulator, native, registered, rule
from tests.engine.sandbox.session import Session, session

ARM64 = MACHINES["arm64"]
TEXT = b"from arm64\n"
CODE = [
    0xD2800020,  # mov x0, 1
    0x10000001 | 7 << 5,  # adr x1, text
    0xD2800002 | len(TEXT) << 5,  # mov x2, its length
    0xD2800808,  # mov x8, write
    0xD4000001,  # svc
    0xD2800000 | 3 << 5,  # mov x0, 3
    0xD2800BA8,  # mov x8, exit
    0xD4000001,  # svc
]


def program():
    """A whole arm64 program: it writes a line and exits with 3."""
    code = struct.pack("<8I", *CODE) + TEXT
    base, start = 0x400000, 64 + 56
    head = ARM64.magic + struct.pack("<IQQQIHHHHHH", 1, base + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, *[start + len(code)] * 2, 0x1000)
    return head + segment + code


@pytest.fixture
def foreign_root(root):
    (root / "arm64").write_bytes(program())
    (root / "arm64").chmod(0o755)
    (root / "script").write_text("#!/arm64\n")
    (root / "script").chmod(0o755)
    return root


needs_qemu = pytest.mark.skipif(
    os.uname().machine != "aarch64" and not shutil.which("qemu-aarch64-static"),
    reason="needs an emulator (package qemu-user-static)",
)


@needs_qemu
@pytest.mark.sandbox
@pytest.mark.parametrize("args", [("/arm64",), ("/script",), ("/bin/sh", "-c", "/arm64")])
def test_a_foreign_program_runs_and_so_do_its_children(mode, foreign_root, args):
    async def body(s: Session):
        return await s.run(*args, platform="linux/arm64")

    assert session(mode, foreign_root, body) == (3, TEXT.decode(), "")


@needs_qemu
@pytest.mark.sandbox
def test_other_users_run_foreign_programs_too(foreign_root):
    async def body(s: Session):
        return await s.run("/arm64", platform="linux/arm64", uid=1234, gid=5)

    for mode in ("root", "ranges"):
        assert session(mode, foreign_root, body)[0] == 3


@needs_qemu
@pytest.mark.sandbox
def test_the_hosts_table_and_other_commands_stay_as_they_are(mode, foreign_root):
    async def body(s: Session):
        await s.run("/arm64", platform="linux/arm64")
        return registered(ARM64), await s.run("/arm64")

    before = registered(ARM64)
    after, (code, _, said) = session(mode, foreign_root, body)
    assert after is before
    if not before and not native("arm64"):
        assert code == 126
        assert "built for arm64" in said
        assert 'container(platform="linux/arm64")' in said


@needs_qemu
@pytest.mark.sandbox
def test_a_foreign_command_that_fails_is_not_taken_for_one_that_can_not_run(mode, foreign_root):
    failing = program().replace(struct.pack("<I", CODE[5]), struct.pack("<I", 0xD2800020))
    (foreign_root / "arm64").write_bytes(failing)

    async def body(s: Session):
        return await s.run("/arm64", platform="linux/arm64")

    assert session(mode, foreign_root, body) == (1, TEXT.decode(), "")


def test_what_the_kernel_runs_needs_nothing():
    assert emulator("") is None
    assert native("386", "x86_64")
    assert native("amd64", "x86_64")
    assert not native("arm64", "x86_64")
    assert not native("amd64", "aarch64")


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ("windows/amd64", "containers of Linux only"),
        ("linux/vax", "the architecture is not known"),
    ],
)
def test_what_can_not_be_run_is_named(platform, message):
    with pytest.raises(SandboxError, match=message):
        emulator(platform)


def test_without_an_emulator_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(emulation, "PLACES", str(tmp_path))
    monkeypatch.setattr(emulation, "registered", lambda _machine: False)
    name = "s390x" if os.uname().machine != "s390x" else "riscv64"
    with pytest.raises(SandboxError, match=f"linux/{name} .*qemu-user-static"):
        emulator(f"linux/{name}", str(tmp_path))


def test_an_emulator_that_needs_a_loader_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setattr(emulation, "PLACES", str(tmp_path))
    monkeypatch.setattr(emulation, "registered", lambda _machine: False)
    monkeypatch.setattr(emulation, "native", lambda _name: False)
    static = program()
    segment = static[64:120]
    dynamic = static[:56] + struct.pack("<H", 2) + static[58:64] + segment
    dynamic += struct.pack("<IIQQQQQQ", 3, 4, 176, 0, 0, 8, 8, 1) + b"/ld.so\0\0"
    for name, data in (("qemu-aarch64-static", dynamic), ("qemu-aarch64", static)):
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o755)
    found = emulator("linux/arm64", str(tmp_path))
    assert found is not None
    assert found.text.endswith(f":{tmp_path}/qemu-aarch64:OPF".encode())


REGISTERED = "enabled\ninterpreter /usr/bin/q\nflags: {}\noffset 0\nmagic {}\nmask {}\n"


@pytest.mark.parametrize(
    ("flags", "machine", "known"),
    [("OCF", "arm64", True), ("OC", "arm64", False), ("F", "riscv64", False)],
)
def test_the_hosts_registrations_count_if_they_need_no_file(tmp_path, flags, machine, known):
    of = MACHINES[machine]
    text = REGISTERED.format(flags, of.magic.hex(), of.mask.hex())
    (tmp_path / "qemu").write_text(text)
    (tmp_path / "status").write_text("enabled\n")
    assert registered(ARM64, str(tmp_path)) is known
    (tmp_path / "qemu").write_text(text.replace("enabled", "disabled"))
    assert not registered(ARM64, str(tmp_path))


@pytest.mark.parametrize("name", MACHINES)
def test_a_rule_fits_in_what_the_kernel_reads(name):
    text = rule(MACHINES[name], "/usr/bin/qemu-x-static")
    assert len(text) < 1920
    assert text.count(b":") == 7
    assert len(MACHINES[name].magic) == len(MACHINES[name].mask) == 20


@pytest.mark.skipif(not os.path.isdir("/usr/share/binfmts"), reason="no binfmt files here")
@pytest.mark.parametrize("name", ["arm", "arm64", "ppc64le", "riscv64", "s390x"])
def test_magics_are_those_that_qemu_ships(name):
    path = f"/usr/share/binfmts/qemu-{MACHINES[name].qemu}"
    if not os.path.exists(path):
        pytest.skip("qemu-user-static is not installed")
    with open(path, encoding="ascii") as file:
        fields = dict(line.strip().partition(" ")[::2] for line in file)
    magic = fields["magic"].encode().decode("unicode_escape").encode("latin-1")
    mask = fields["mask"].encode().decode("unicode_escape").encode("latin-1")
    ours = MACHINES[name]
    assert all(a & m == b & m for a, b, m in zip(magic, ours.magic, mask, strict=True))
    assert all(a & m == b & m for a, b, m in zip(magic, ours.magic, ours.mask, strict=True))
