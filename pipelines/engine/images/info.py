"""Resolved images: what is known of an image before any of its bytes are needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from pipelines.engine.digest import Digest
from pipelines.engine.images.reference import Reference

__all__ = ["Evidence", "ImageInfo", "Layer", "Origin", "Registry", "Source"]

Origin = Literal["store", "archive", "package", "registry"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as a blob: `diff_id` digests the tar, `blob` the bytes as they are kept."""

    diff_id: str
    blob: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """A host file that a pin rests on; the pin stands while the file is the same."""

    path: str
    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image pinned for one platform.

    `digest` is a manifest digest, or the digest of a package image's recipe. `config` is the
    OCI config document. `layers` are lowest first and empty for a package image, whose
    content `recipe` describes.
    """

    digest: Digest
    reference: str
    platform: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...] = ()
    source: Origin = "store"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()

    def named(self, reference: str) -> "ImageInfo":
        """Give the same image by another name."""
        return self if reference == self.reference else replace(self, reference=reference)

    def to_json(self) -> dict[str, Any]:
        """Give the image as the local index keeps it."""
        return {
            "digest": self.digest,
            "reference": self.reference,
            "platform": self.platform,
            "config": dict(self.config),
            "layers": [[x.diff_id, x.blob, x.media_type, x.size] for x in self.layers],
            "source": self.source,
            "recipe": dict(self.recipe),
            "evidence": [[x.path, x.mtime_ns, x.size] for x in self.evidence],
        }

    @classmethod
    def of_json(cls, row: Mapping[str, Any]) -> "ImageInfo":
        """Undo `to_json`.

        Raises:
            ValueError, KeyError, TypeError: the row is not one of ours.
        """
        return cls(
            digest=Digest.parse(row["digest"]),
            reference=row["reference"],
            platform=row["platform"],
            config=row["config"],
            layers=tuple(Layer(*x) for x in row["layers"]),
            source=row["source"],
            recipe=row["recipe"],
            evidence=tuple(Evidence(*x) for x in row["evidence"]),
        )


class Source(Protocol):
    """Somewhere that images come from without a registry: recipes over package registries."""

    def find(self, ref: Reference, platform: str) -> ImageInfo | None:
        """Pin a reference; None if this source does not have such a name.

        Raises:
            ImageError: the source has the name but can not give this tag or platform.
        """
        ...

    def names(self) -> tuple[str, ...]:
        """Say what can be asked for, for error messages; () if that is open-ended."""
        ...


class Registry(Protocol):
    """The registries of images."""

    def find(self, ref: Reference, platform: str, *, quick: bool = False) -> ImageInfo:
        """Pin a reference; `quick` does not wait for who is not there.

        Raises:
            RegistryUnreachable: nobody answers. RegistryError: anything else.
        """
        ...
