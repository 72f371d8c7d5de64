"""OCI and Docker image documents: descriptors, manifests, indexes and configs.

Reading is lenient: unknown fields are ignored, both families of media types are taken.
Writing is canonical: equal documents have equal bytes, so equal digests.

Source: OCI image-spec descriptor.md, manifest.md, image-index.md, config.md.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.engine.digest import Digest, canonical
from pipelines.engine.errors import ImageError
from pipelines.engine.images.compression import Compression

__all__ = [
    "DOCKER",
    "OCI",
    "Descriptor",
    "Index",
    "Manifest",
    "MediaTypes",
    "best_platform",
    "compression_of",
    "diff_ids",
    "load",
    "matches_platform",
    "media_types",
    "platform_of",
    "rfc3339",
    "source_date_epoch",
    "with_layers",
]

_LONGEST = 11  # digits of seconds: the year 5138, and what a tar header's field holds


@dataclass(frozen=True, slots=True)
class MediaTypes:
    """One family of media types."""

    manifest: str
    index: str
    config: str
    layers: Mapping[Compression, str]


OCI = MediaTypes(
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.config.v1+json",
    {
        "Gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
        "Zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
        "Uncompressed": "application/vnd.oci.image.layer.v1.tar",
    },
)
DOCKER = MediaTypes(
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.container.image.v1+json",
    {
        "Gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "Zstd": "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "Uncompressed": "application/vnd.docker.image.rootfs.diff.tar",
    },
)


def media_types(name: str) -> MediaTypes:
    """Choose a family by the API's name for it ("OCI…", "DOCKER…"; "" is OCI)."""
    return DOCKER if name.lower().startswith("docker") else OCI


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What one document says of another blob; `platform` is "os/arch[/variant]" or ""."""

    media_type: str
    digest: Digest
    size: int
    platform: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, row: Any) -> "Descriptor":
        """Read a descriptor."""
        try:
            digest, size = Digest.parse(row["digest"]), int(row["size"])
            platform = platform_of(row["platform"]) if row.get("platform") else ""
            notes = {str(k): str(v) for k, v in (row.get("annotations") or {}).items()}
            return cls(str(row.get("mediaType", "")), digest, size, platform, notes)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise ImageError(f"not an image descriptor: {str(row)[:200]} ({exc!r})") from exc

    def emit(self) -> dict[str, Any]:
        """Give the document's form."""
        row: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.annotations:
            row["annotations"] = dict(self.annotations)
        if self.platform:
            system, architecture, *variant = self.platform.split("/")
            row["platform"] = {"os": system, "architecture": architecture}
            if variant:
                row["platform"]["variant"] = variant[0]
        return row


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = OCI.manifest
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> "Manifest":
        """Read a manifest."""
        if row.get("schemaVersion") == 1 or "config" not in row:
            raise ImageError("not an image manifest of schema version 2: it has no config")
        layers = tuple(Descriptor.parse(layer) for layer in row.get("layers") or ())
        kind = str(row.get("mediaType") or OCI.manifest)
        return cls(Descriptor.parse(row["config"]), layers, kind, row.get("annotations") or {})

    def emit(self) -> bytes:
        """Give the document's bytes."""
        row: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.emit(),
            "layers": [layer.emit() for layer in self.layers],
        }
        return canonical(
            row | ({"annotations": dict(self.annotations)} if self.annotations else {})
        )


@dataclass(frozen=True, slots=True)
class Index:
    """Several images under one name."""

    manifests: tuple[Descriptor, ...]
    media_type: str = OCI.index

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> "Index":
        """Read an index."""
        manifests = tuple(Descriptor.parse(found) for found in row.get("manifests") or ())
        return cls(manifests, str(row.get("mediaType") or OCI.index))

    def emit(self) -> bytes:
        """Give the document's bytes."""
        return canonical(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "manifests": [found.emit() for found in self.manifests],
            }
        )


def load(document: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ImageError: it is none.
    """
    try:
        row = json.loads(document)
    except (ValueError, RecursionError) as exc:
        raise ImageError(f"{what} is not JSON: {exc}") from exc
    if not isinstance(row, dict):
        raise ImageError(f"{what} is not a JSON object")
    return row


def platform_of(row: Mapping[str, Any]) -> str:
    """Spell the platform that a config or a descriptor names."""
    parts = [row.get("os") or "linux", row.get("architecture") or "unknown", row.get("variant")]
    return "/".join(str(part) for part in parts if part)


def matches_platform(found: str, wanted: str) -> bool:
    """Tell whether an image runs where another is asked for; arm64's v8 goes without saying."""
    have, want = (_normal(platform).split("/") for platform in (found, wanted))
    return have[:2] == want[:2] and (len(want) == 2 or have == want)  # noqa: PLR2004


def best_platform(found: Sequence[Descriptor], wanted: str) -> Descriptor | None:
    """Choose the image that runs on a platform: the same variant, or the next older one.

    An arm/v7 runs what is made for v6 and v5, an amd64/v3 what is made for v2 and v1.
    """
    suited = [(_distance(each.platform, wanted), at) for at, each in enumerate(found)]
    nearest = min(((far, at) for far, at in suited if far is not None), default=None)
    return found[nearest[1]] if nearest is not None else None


def _distance(found: str, wanted: str) -> int | None:
    """Count the variants between; None if an image does not run there."""
    have, want = (platform.split("/") for platform in (found, wanted))
    if have[:2] != want[:2]:
        return None
    levels = [_level(each) for each in (have, want)]
    if levels[0] is None or levels[1] is None:
        return 0 if have == want else None
    return levels[1] - levels[0] if levels[0] <= levels[1] else None


def _level(parts: list[str]) -> int | None:
    """Give a variant's number; what goes without saying is said."""
    usual = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
    variant = parts[2] if len(parts) > 2 else usual.get(parts[1], "v0")  # noqa: PLR2004
    return int(variant[1:]) if re.fullmatch(r"v\d{1,3}", variant) else None


def _normal(platform: str) -> str:
    return platform.removesuffix("/v8") if platform.startswith("linux/arm64") else platform


def diff_ids(config: Mapping[str, Any]) -> tuple[Digest, ...]:
    """Give the digests of a config's layers as plain tars.

    Raises:
        ImageError: the config has none or damaged ones.
    """
    try:
        return tuple(Digest.parse(found) for found in config["rootfs"]["diff_ids"] or ())
    except (KeyError, TypeError, ValueError) as exc:
        raise ImageError(f"an image config has no usable rootfs.diff_ids: {exc!r}") from exc


def compression_of(media_type: str) -> Compression:
    """Tell from a layer's media type how it is compressed."""
    if media_type.endswith("zstd"):
        return "Zstd"
    return "Gzip" if media_type.endswith("gzip") else "Uncompressed"


def with_layers(
    config: Mapping[str, Any],
    layers: Sequence[str],
    base: tuple[Mapping[str, Any], int] | None = None,
    epoch: int | None = None,
    counts: Sequence[int] = (),
) -> dict[str, Any]:
    """Give a config with these diff_ids, and one history entry that is not empty for each.

    `base` is the config of the image that this one was made from, with the number of its
    layers, which are the lowest of these: what it tells of them stays as it is. The config's own
    history goes on from there: `counts` says how many layers there were before it, and after
    each of its entries that may have made one. A history that does not fit the layers is worth
    nothing and left out. `epoch` is the time of all the rest.
    """
    when = rfc3339(epoch or 0)
    plain = {"created": when, "created_by": "pipelines"}
    own = _own_history(config, counts, len(layers))
    document, count = base or ({}, 0)
    history = [dict(entry) for entry in document.get("history") or ()]
    told = sum(1 for entry in history if not entry.get("empty_layer"))
    if told > count:  # it tells of layers that are not in this image
        history, told = [], 0
    history += [plain] * ((counts[0] if own and counts else len(layers)) - told)
    history += [{"created": when, **entry} for entry in own]
    rootfs = {"type": "layers", "diff_ids": list(layers)}
    made = {"created": when, "architecture": "amd64", "os": "linux"}
    return made | dict(config) | {"rootfs": rootfs, "history": history}


def _own_history(
    config: Mapping[str, Any], counts: Sequence[int], layers: int
) -> list[dict[str, Any]]:
    """Give a config's history with what made no layer marked as empty; [] if it does not fit."""
    entries = [dict(entry) for entry in config.get("history") or ()]
    making = [entry for entry in entries if not entry.get("empty_layer")]
    if not making:
        return entries
    if len(counts) != len(making) + 1 or counts[-1] != layers:
        return []
    for entry, before, after in zip(making, counts, counts[1:], strict=False):
        if after not in {before, before + 1}:  # a stack was flattened meanwhile
            return []
        if after == before:
            entry["empty_layer"] = True
    return entries


def rfc3339(seconds: int) -> str:
    """Spell a time as image configs do."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def source_date_epoch(environ: Mapping[str, str]) -> int | None:
    """Read `SOURCE_DATE_EPOCH`, in seconds; None if it is not set.

    Source: reproducible-builds.org, "SOURCE_DATE_EPOCH specification".

    Raises:
        ImageError: it is set to something else.
    """
    text = environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST:
        raise ImageError(
            f"SOURCE_DATE_EPOCH is {text[:40]!r}; it must be seconds since 1970, as "
            "`git log -1 --format=%ct` prints them"
        )
    return int(text)
