"""The names that images leave under: references, and places of OCI layouts.

app:1, host:5000/team/app       a reference
./images:1, /tmp/images         a path, with or without a tag
oci:images:1                    a path as skopeo spells it
"""

from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.errors import ImageError, QueryError
from pipelines.engine.images.reference import Reference

__all__ = ["Place", "destination", "place"]

_PATHS = ("/", "./", "../")


@dataclass(frozen=True, slots=True)
class Place:
    """An image of an OCI layout."""

    path: Path
    tag: str


def destination(what: str, text: str) -> Reference:
    """Read a reference to give to an image; `what` gives it.

    Raises:
        ImageError: not a reference. QueryError: it has a digest, which is not ours to choose.
    """
    ref = Reference.parse(text)
    if ref.digest is not None:
        raise QueryError(
            f"{what} {text}: the digest is what the image has, not what it is given; say "
            f"{ref.repository}:{ref.tag or 'latest'}"
        )
    return ref


def place(name: str, workdir: Path) -> Place | None:
    """Read a place of an OCI layout; None if the name is a reference.

    Raises:
        ImageError: what stands after the colon is not a tag.
    """
    path = name.removeprefix("oci:")
    if path == name and not path.startswith(_PATHS):
        return None
    above, colon, tag = path.rpartition(":")
    if not colon or "/" in tag:
        above, tag = path, "latest"
    if not above:
        raise ImageError(f"exportImage {name}: no path stands before the tag")
    Reference.parse(f"x:{tag}")
    return Place(workdir / above, tag)
