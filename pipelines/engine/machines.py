"""What containers call the machine that we are on. The kernel has other names for it."""

import os

__all__ = ["architecture", "platform"]

# `uname -m` -> architecture and variant, as images spell them; the others have one name only.
_PLATFORMS = {
    "aarch64": "arm64",
    "armv6l": "arm/v6",
    "armv7l": "arm/v7",
    "armv8l": "arm/v7",  # a 32-bit system on a 64-bit kernel
    "i686": "386",
    "loongarch64": "loong64",
    "mips64": "mips64le",
    "x86_64": "amd64",
}


def platform(machine: str = "") -> str:
    """Spell the platform of a machine, by default of this one: `linux/arm/v7`."""
    name = machine or os.uname().machine
    return f"linux/{_PLATFORMS.get(name, name)}"


def architecture(machine: str = "") -> str:
    """Spell its architecture alone: `arm`."""
    return platform(machine).split("/")[1]
