"""The filter, run by a small BPF interpreter over (architecture, number, argument)."""

import errno
import struct
from pathlib import Path

import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.seccomp import ALLOW, ownership, program
from pipelines.engine.sandbox.syscalls import AARCH64, ARM, I386, OWNERSHIP, REFUSED, X86_64

HEADERS = {
    "unistd_64.h": X86_64,
    "unistd_32.h": I386,
}
MACHINES = [("x86_64", X86_64), ("x86_64", I386), ("aarch64", AARCH64), ("aarch64", ARM)]


def interpret(code: bytes, arch: int, number: int, argument: int = 0) -> int:
    seen = struct.pack("=IIQ6Q", number, arch, 0, argument, 0, 0, 0, 0, 0)
    instructions = list(struct.iter_unpack("=HBBI", code))
    at, value = 0, 0
    while True:
        operation, true, false, constant = instructions[at]
        at += 1
        match operation:
            case 0x20:
                value = struct.unpack_from("=I", seen, constant)[0]
            case 0x05:
                at += constant
            case 0x15:
                at += true if value == constant else false
            case 0x25:
                at += true if value > constant else false
            case 0x45:
                at += true if value & constant else false
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


def answer(machine: str, abi, number: int, argument: int = 0, single: bool = False) -> int | None:
    """The errno that a call is answered with; None if it is allowed."""
    result = interpret(program(single=single, machine=machine), abi.audit, number, argument)
    if result == ALLOW:
        return None
    assert result >> 16 == 5
    return result & 0xFFFF


@pytest.mark.parametrize(("machine", "abi"), MACHINES)
def test_every_refused_call_is_eperm_and_its_neighbours_are_not(machine, abi):
    refused = {number for name, number in abi.numbers.items() if name in REFUSED}
    special = set(abi.numbers.values())
    for number in range(470):
        if number in refused:
            assert answer(machine, abi, number) == errno.EPERM
        elif number not in special:
            assert answer(machine, abi, number) is None


@pytest.mark.parametrize(("machine", "abi"), MACHINES)
def test_clone_makes_processes_and_threads_but_no_namespaces(machine, abi):
    clone = abi.numbers["clone"]
    assert answer(machine, abi, clone, 17) is None
    assert answer(machine, abi, clone, 0x3D0F00) is None
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer(machine, abi, clone, flag | 17) == errno.EPERM
    assert answer(machine, abi, abi.numbers["clone3"]) == errno.ENOSYS


@pytest.mark.parametrize(("machine", "abi"), MACHINES)
def test_personality_and_socket_depend_on_their_argument(machine, abi):
    personality, socket = abi.numbers["personality"], abi.numbers["socket"]
    allowed = [n for n in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF, 0x40000) if (
        answer(machine, abi, personality, n) is None)]  # fmt: skip
    assert allowed == [0, 8, 0x20000, 0x20008, 0xFFFFFFFF]
    assert answer(machine, abi, socket, 2) is None
    assert answer(machine, abi, socket, 40) == errno.EPERM


@pytest.mark.parametrize(("machine", "abi"), MACHINES)
def test_changing_owners_succeeds_without_doing_anything_only_with_a_single_id(machine, abi):
    numbers = [number for name, number in abi.numbers.items() if name in OWNERSHIP]
    assert len(numbers) >= 3
    assert {answer(machine, abi, n, single=True) for n in numbers} == {0}
    assert {answer(machine, abi, n) for n in numbers} == {None}


def test_x32_and_unknown_calls_do_not_exist():
    assert answer("x86_64", X86_64, 0x40000000 + 1) == errno.ENOSYS
    assert answer("x86_64", X86_64, 470) == errno.ENOSYS
    assert answer("aarch64", ARM, 0xF0002) is None  # cacheflush, private to ARM


def test_an_unknown_architecture_can_do_nothing():
    assert answer("x86_64", AARCH64, 0) == errno.ENOSYS


def test_an_unknown_machine_is_named():
    with pytest.raises(SandboxError, match="riscv64"):
        program(single=False, machine="riscv64")


@pytest.mark.parametrize("name", HEADERS)
def test_numbers_are_the_kernels(name):
    found = sorted(Path("/usr/include").glob(f"*/asm/{name}"))
    if not found:
        pytest.skip(f"no kernel headers here ({name})")
    lines = (line.split() for line in found[0].read_text().splitlines())
    kernel = {x[1][5:]: int(x[2]) for x in lines if len(x) == 3 and x[1].startswith("__NR_")}
    known = {n: v for n, v in HEADERS[name].numbers.items() if n in kernel}
    assert len(known) > 60
    assert known == {n: kernel[n] for n in known}


@pytest.mark.parametrize(("machine", "abi"), MACHINES)
def test_the_filter_of_installers_changes_only_ownership(machine, abi):
    code = ownership(machine)
    for name, number in abi.numbers.items():
        wanted = 5 << 16 if name in OWNERSHIP else ALLOW
        assert interpret(code, abi.audit, number) == wanted
