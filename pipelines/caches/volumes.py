"""What a cache volume is called where caches are kept: the same on every engine.

    volume/<identity>/<class>

The identity is that of the embedded engine's store: the digest of key and namespace. Two classes
never mix. *Downloads* are verified by lock files and the same everywhere; *builds* are of the
architecture of the machine that builds, besides all that their key says.
"""

import hashlib
import json
from fnmatch import fnmatchcase
from typing import Literal

__all__ = ["VolumeKind", "head_of", "identity", "kind_of"]

VolumeKind = Literal["download", "build"]

_DOWNLOADS = (
    "go-mod*", "*-downloads", "pip*", "uv*", "npm*", "pnpm*", "yarn*", "cargo-registry*",
    "maven*", "apt-*",
)  # fmt: skip


def identity(key: str, namespace: str = "") -> str:
    """Name a volume by 64 hex digits, whatever its key is."""
    text = json.dumps([key, namespace], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def kind_of(key: str) -> VolumeKind:
    """Tell the class of a volume by its key; what is not known is what a build has made."""
    found = any(fnmatchcase(key, pattern) for pattern in _DOWNLOADS)
    return "download" if found else "build"


def head_of(key: str, machine: str, namespace: str = "") -> str:
    """Name the head of a volume; `machine` is the architecture that builds, as `uname -m` says."""
    kind = kind_of(key)
    owner = kind if kind == "download" else f"{kind}-{machine}"
    return f"volume/{identity(key, namespace)}/{owner}"
