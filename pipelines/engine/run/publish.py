"""Publish images: what was composed goes to a registry, under one reference.

Layers of a base that came from the same registry are mounted from its repository there; of
another registry they are fetched, if they are not here, and go up with the bytes they had.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pipelines.engine.digest import Digest
from pipelines.engine.errors import RegistryError
from pipelines.engine.images.info import ImageInfo
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.registry.client import Repository
from pipelines.engine.images.registry.push import Document, Outbound, Pusher
from pipelines.engine.run.compose import Composed, Composer

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.engine.images.registry.client import Client

__all__ = ["publish"]

_MISSING, _NOT_ALLOWED, _NOT_SUPPORTED = 404, 405, 415
_UNKNOWN_KIND = frozenset({"MANIFEST_INVALID", "UNSUPPORTED"})


def publish(
    composed: Composed,
    composer: Composer,
    ref: Reference,
    client: "Client",
    ended: threading.Event,
) -> str:
    """Push images, and give the reference with the digest; blocks.

    Raises:
        RegistryError: with the reference, and what to do. Cancelled: `ended` was set.
    """
    where = Repository(ref.host, ref.name)
    layers: dict[Digest, Outbound] = {}
    configs: dict[Digest, Outbound] = {}
    for image in composed.images:
        for number, blob in enumerate(image.blobs):
            place: Callable[[], Path] = partial(composer.place, image, number)
            origin = _origin(image.base, ref) if number < image.inherited else None
            kind = configs if blob is image.manifest.config else layers
            kind.setdefault(blob.digest, Outbound(blob.digest, blob.size, place, origin))
    try:
        Pusher(client, where, ended=ended).push(
            [*layers.values()], [*configs.values()], _documents(composed, ref)
        )
    except RegistryError as exc:
        exc.args = (f"publishing {ref}: {exc}{_advice(exc)}",)
        raise
    return f"{ref.full}@{composed.descriptor.digest}"


def _origin(base: ImageInfo | None, ref: Reference) -> Repository | None:
    """Name the repository on the same registry that a base came from."""
    if base is None or base.source != "registry":
        return None
    source = Reference.parse(base.reference)
    return Repository(source.host, source.name) if source.host == ref.host else None


def _documents(composed: Composed, ref: Reference) -> list[Document]:
    """Give the manifests, by digest where an index names them, and what the tag names."""
    return [
        Document(
            found.media_type,
            found.digest,
            content,
            (ref.tag,) if found.digest == composed.descriptor.digest else (str(found.digest),),
        )
        for found, content in composed.documents
    ]


def _advice(exc: RegistryError) -> str:
    if exc.status == _MISSING:
        return " Some registries want a repository to be created before anything is pushed to it."
    if exc.status == _NOT_ALLOWED:
        return " Mirrors and read-only registries take no pushes: name the registry behind it."
    if exc.status == _NOT_SUPPORTED or _UNKNOWN_KIND & {*exc.codes}:
        return " Some registries take Docker's media types only: say mediaTypes DockerMediaTypes."
    return ""
