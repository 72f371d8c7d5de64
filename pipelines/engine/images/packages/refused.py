"""Names that people ask for and that no package client of this host can give, with the reason."""

from collections.abc import Mapping

from pipelines.engine.errors import ImageError
from pipelines.engine.images.packages.base import Pin
from pipelines.engine.images.reference import Reference

__all__ = ["Refused"]

_REASONS: Mapping[str, str] = {
    "alpine": (
        "Alpine's packages come from registries that no package client of this host speaks to; "
        "busybox has the same shell and applets (without apk and musl), debian:bookworm-slim a "
        "package manager"
    ),
    "ubuntu": (
        "this version assembles Debian only; debian:bookworm-slim has the same package manager"
    ),
}


class Refused:
    """Answers for names that can not be had, so that the answer is a reason."""

    names = tuple(_REASONS)
    foreign = True

    def example(self) -> str:
        """There is nothing to ask for."""
        return ""

    def pin(self, ref: Reference, platform: str) -> Pin:
        """Say why not.

        Raises:
            ImageError: always.
        """
        del platform
        raise ImageError(
            f"image {ref} is not in the local store, and can not be made from packages: "
            f"{_REASONS[ref.name]}. Import the image from an archive, or use --engine dagger"
        )
