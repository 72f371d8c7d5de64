"""System calls by name and number, on the architectures that the filter knows.

Only calls that the filter treats specially stand here. Numbers are the kernel's tables
(arch/*/syscalls/*.tbl, include/uapi/asm-generic/unistd.h); from 424 on they are the same
everywhere. `REFUSED` names what Docker's default profile keeps from a container without
added capabilities (moby, profiles/seccomp/default.json).
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["AARCH64", "ARM", "I386", "LAST", "NATIVE", "OWNERSHIP", "REFUSED", "X86_64", "Abi"]

LAST = 469  # file_setattr; what later kernels add is answered "no such call"


@dataclass(frozen=True, slots=True)
class Abi:
    """One calling convention: the kernel's name for it (AUDIT_ARCH_*) and its numbers.

    `bounded` says that no number above `LAST` is in use; 32-bit ARM has private ones.
    """

    audit: int
    numbers: Mapping[str, int]
    bounded: bool = True


# fmt: off
REFUSED = frozenset({
    "_sysctl", "acct", "add_key", "bpf", "clock_adjtime", "clock_adjtime64", "clock_settime",
    "clock_settime64", "create_module", "delete_module", "fanotify_init", "finit_module",
    "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "get_mempolicy",
    "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
    "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind",
    "migrate_pages", "mount", "mount_setattr", "move_mount", "move_pages", "nfsservctl",
    "open_by_handle_at", "open_tree", "open_tree_attr", "perf_event_open", "pidfd_getfd",
    "pivot_root", "query_module", "quotactl", "quotactl_fd", "reboot", "request_key",
    "set_mempolicy", "set_mempolicy_home_node", "setdomainname", "sethostname", "setns",
    "settimeofday", "stime", "swapoff", "swapon", "sysfs", "syslog", "umount", "umount2",
    "unshare", "uselib", "userfaultfd", "ustat", "vhangup", "vm86", "vm86old",
})

OWNERSHIP = frozenset({
    "chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32", "setgroups",
    "setgroups32",
})

_COMMON: Mapping[str, int] = {
    "clone3": 435, "fsconfig": 431, "fsmount": 432, "fsopen": 430, "fspick": 433,
    "io_uring_enter": 426, "io_uring_register": 427, "io_uring_setup": 425,
    "mount_setattr": 442, "move_mount": 429, "open_tree": 428, "open_tree_attr": 467,
    "pidfd_getfd": 438, "quotactl_fd": 443, "set_mempolicy_home_node": 450,
}

_X86_64: Mapping[str, int] = {
    "_sysctl": 156, "acct": 163, "add_key": 248, "bpf": 321, "chown": 92, "clock_adjtime": 305,
    "clock_settime": 227, "clone": 56, "create_module": 174, "delete_module": 176,
    "fanotify_init": 300, "fchown": 93, "fchownat": 260, "finit_module": 313,
    "get_kernel_syms": 177, "get_mempolicy": 239, "init_module": 175, "ioperm": 173,
    "iopl": 172, "kcmp": 312, "kexec_file_load": 320, "kexec_load": 246, "keyctl": 250,
    "lchown": 94, "lookup_dcookie": 212, "mbind": 237, "migrate_pages": 256, "mount": 165,
    "move_pages": 279, "nfsservctl": 180, "open_by_handle_at": 304, "perf_event_open": 298,
    "personality": 135, "pivot_root": 155, "query_module": 178, "quotactl": 179, "reboot": 169,
    "request_key": 249, "set_mempolicy": 238, "setdomainname": 171, "setgroups": 116,
    "sethostname": 170, "setns": 308, "settimeofday": 164, "socket": 41, "swapoff": 168,
    "swapon": 167, "sysfs": 139, "syslog": 103, "umount2": 166, "unshare": 272, "uselib": 134,
    "userfaultfd": 323, "ustat": 136, "vhangup": 153,
}

_I386: Mapping[str, int] = {
    "_sysctl": 149, "acct": 51, "add_key": 286, "bpf": 357, "chown": 182, "chown32": 212,
    "clock_adjtime": 343, "clock_adjtime64": 405, "clock_settime": 264, "clock_settime64": 404,
    "clone": 120, "create_module": 127, "delete_module": 129, "fanotify_init": 338,
    "fchown": 95, "fchown32": 207, "fchownat": 298, "finit_module": 350, "get_kernel_syms": 130,
    "get_mempolicy": 275, "init_module": 128, "ioperm": 101, "iopl": 110, "kcmp": 349,
    "kexec_load": 283, "keyctl": 288, "lchown": 16, "lchown32": 198, "lookup_dcookie": 253,
    "mbind": 274, "migrate_pages": 294, "mount": 21, "move_pages": 317, "nfsservctl": 169,
    "open_by_handle_at": 342, "perf_event_open": 336, "personality": 136, "pivot_root": 217,
    "query_module": 167, "quotactl": 131, "reboot": 88, "request_key": 287,
    "set_mempolicy": 276, "setdomainname": 121, "setgroups": 81, "setgroups32": 206,
    "sethostname": 74, "setns": 346, "settimeofday": 79, "socket": 359, "stime": 25,
    "swapoff": 115, "swapon": 87, "sysfs": 135, "syslog": 103, "umount": 22, "umount2": 52,
    "unshare": 310, "uselib": 86, "userfaultfd": 374, "ustat": 62, "vhangup": 111, "vm86": 166,
    "vm86old": 113,
}

_AARCH64: Mapping[str, int] = {
    "acct": 89, "add_key": 217, "bpf": 280, "clock_adjtime": 266, "clock_adjtime64": 405,
    "clock_settime": 112, "clock_settime64": 404, "clone": 220, "delete_module": 106,
    "fanotify_init": 262, "fchown": 55, "fchownat": 54, "finit_module": 273,
    "get_mempolicy": 236, "init_module": 105, "kcmp": 272, "kexec_file_load": 294,
    "kexec_load": 104, "keyctl": 219, "lookup_dcookie": 18, "mbind": 235, "migrate_pages": 238,
    "mount": 40, "move_pages": 239, "nfsservctl": 42, "open_by_handle_at": 265,
    "perf_event_open": 241, "personality": 92, "pivot_root": 41, "quotactl": 60, "reboot": 142,
    "request_key": 218, "set_mempolicy": 237, "setdomainname": 162, "setgroups": 159,
    "sethostname": 161, "setns": 268, "settimeofday": 170, "socket": 198, "swapoff": 225,
    "swapon": 224, "syslog": 116, "umount2": 39, "unshare": 97, "userfaultfd": 282,
    "vhangup": 58,
}

_ARM: Mapping[str, int] = {
    "_sysctl": 149, "acct": 51, "add_key": 309, "bpf": 386, "chown": 182, "chown32": 212,
    "clock_adjtime": 372, "clock_adjtime64": 405, "clock_settime": 262, "clock_settime64": 404,
    "clone": 120, "delete_module": 129, "fanotify_init": 367, "fchown": 95, "fchown32": 207,
    "fchownat": 325, "finit_module": 379, "get_mempolicy": 320, "init_module": 128, "kcmp": 378,
    "kexec_file_load": 401, "kexec_load": 347, "keyctl": 311, "lchown": 16, "lchown32": 198,
    "lookup_dcookie": 249, "mbind": 319, "migrate_pages": 400, "mount": 21, "move_pages": 344,
    "nfsservctl": 169, "open_by_handle_at": 371, "perf_event_open": 364, "personality": 136,
    "pivot_root": 218, "quotactl": 131, "reboot": 88, "request_key": 310, "set_mempolicy": 321,
    "setdomainname": 121, "setgroups": 81, "setgroups32": 206, "sethostname": 74, "setns": 375,
    "settimeofday": 79, "socket": 281, "swapoff": 115, "swapon": 87, "sysfs": 135,
    "syslog": 103, "umount2": 52, "unshare": 337, "uselib": 86, "userfaultfd": 388, "ustat": 62,
    "vhangup": 111,
}

# fmt: on

X86_64 = Abi(0xC000003E, {**_COMMON, **_X86_64})
I386 = Abi(0x40000003, {**_COMMON, **_I386})
AARCH64 = Abi(0xC00000B7, {**_COMMON, **_AARCH64})
ARM = Abi(0x40000028, {**_COMMON, **_ARM}, bounded=False)

# What a machine's kernel may run, by `os.uname().machine`.
NATIVE: Mapping[str, tuple[Abi, ...]] = {
    "x86_64": (X86_64, I386),
    "aarch64": (AARCH64, ARM),
}
