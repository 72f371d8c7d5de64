"""The seccomp filter: a BPF program written here, so that no libseccomp is needed.

A list of refusals, not of permissions: what Docker's default profile refuses is refused
(EPERM), what is newer than this table does not exist (ENOSYS, which programs take as an old
kernel), everything else runs. Four calls depend on an argument:

    clone         refused with a namespace flag
    clone3        ENOSYS: its flags are behind a pointer; C libraries fall back to clone
    personality   only the values that Docker allows (Linux, 32-bit, short inodes)
    socket        not AF_VSOCK, which reaches the hypervisor

The program is one block an ABI: tests of the number, each directly followed by its answer, so
that no jump is longer than a few instructions. The kernel runs it once for every number and
remembers what is allowed whatever the arguments (5.11), so its length costs nothing.

In a session with a single id no other owner exists: changing owners is answered with
success and does nothing there, which lets package installers and tar work.
"""

import errno
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.syscalls import LAST, NATIVE, OWNERSHIP, REFUSED, Abi

__all__ = ["ALLOW", "Instruction", "assemble", "ownership", "program"]

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant

ALLOW = 0x7FFF0000
_ERRNO = 0x00050000

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP = 0x05  # BPF_JMP | BPF_JA
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_NUMBER = 0  # offsets in struct seccomp_data
_ARCH = 4
_FIRST_ARGUMENT = 16  # low half, on little-endian machines

_NAMESPACES = 0x7E020000  # CLONE_NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
_AF_VSOCK = 40


def program(*, single: bool, machine: str | None = None) -> bytes:
    """Assemble the filter as the kernel reads it.

    Args:
        single: the session has a single id, so changing owners must seem to succeed.
        machine: `os.uname().machine`, this machine's by default.

    Raises:
        SandboxError: no table of system calls for the machine.
    """
    return _packed(assemble(_native(machine), single=single))


def ownership(machine: str | None = None) -> bytes:
    """Assemble a filter that refuses nothing, and only makes changing owners seem to succeed.

    Raises:
        SandboxError: no table of system calls for the machine.
    """
    abis = [
        replace(abi, numbers={n: abi.numbers[n] for n in OWNERSHIP & abi.numbers.keys()})
        for abi in _native(machine)
    ]
    return _packed(assemble(abis, single=True))


def _native(machine: str | None) -> Sequence[Abi]:
    name = os.uname().machine if machine is None else machine
    if name not in NATIVE:
        raise SandboxError(
            f"writing a seccomp filter for {name}: its system calls are not known here "
            f"(known: {', '.join(NATIVE)}); use the Dagger engine: --engine dagger"
        )
    return NATIVE[name]


def _packed(instructions: Iterable[Instruction]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def assemble(abis: Iterable[Abi], *, single: bool) -> list[Instruction]:
    """Write the program: one block an ABI, and a refusal of all others."""
    code: list[Instruction] = [(_LOAD, 0, 0, _ARCH)]
    for abi in abis:
        block = _block(abi, single=single)
        code += [(_EQUAL, 1, 0, abi.audit), (_JUMP, 0, 0, len(block)), *block]
    return [*code, _fail(errno.ENOSYS)]


def _block(abi: Abi, *, single: bool) -> list[Instruction]:
    code: list[Instruction] = [(_LOAD, 0, 0, _NUMBER)]
    if abi.bounded:  # also refuses x32, whose numbers have bit 30 set
        code += [(_GREATER, 0, 1, LAST), _fail(errno.ENOSYS)]
    for name, number in sorted(abi.numbers.items()):
        answer = _answer(name, single=single)
        if answer:
            code += [(_EQUAL, 0, len(answer), number), *answer]
    return [*code, _allow()]


def _answer(name: str, *, single: bool) -> Sequence[Instruction]:
    """Give what follows the test for a call's number; nothing if it is simply allowed."""
    argument = (_LOAD, 0, 0, _FIRST_ARGUMENT)
    if name in REFUSED:
        return [_fail(errno.EPERM)]
    if name in OWNERSHIP:
        return [_fail(0)] if single else []
    match name:
        case "clone":
            return [argument, (_ANY_BIT, 0, 1, _NAMESPACES), _fail(errno.EPERM), _allow()]
        case "clone3":
            return [_fail(errno.ENOSYS)]
        case "personality":
            return [argument, *_only(_PERSONALITIES), _fail(errno.EPERM)]
        case _:  # socket
            return [argument, (_EQUAL, 0, 1, _AF_VSOCK), _fail(errno.EPERM), _allow()]


def _only(values: Iterable[int]) -> list[Instruction]:
    tests: list[Instruction] = []
    for value in values:
        tests += [(_EQUAL, 0, 1, value), _allow()]
    return tests


def _allow() -> Instruction:
    return (_RETURN, 0, 0, ALLOW)


def _fail(code: int) -> Instruction:
    """Answer with an errno; 0 is success without doing anything."""
    return (_RETURN, 0, 0, _ERRNO | code)
