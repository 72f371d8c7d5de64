"""Container fields that come from images and become images."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipelines.engine.api.config import Config
from pipelines.engine.api.container import Container
from pipelines.engine.api.engine import Image
from pipelines.engine.api.file import File
from pipelines.engine.api.secret import Secret
from pipelines.engine.api.service import Service
from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError
from pipelines.engine.op import Archive, Edge, Exec, Rootfs, Scratch, Variant

__all__ = ["FIELDS"]


async def from_(
    session: Session, it: Container, *, address: str, registry_service: Service | None
) -> Container:
    """Start from an image."""
    if registry_service is not None:
        pulled = session.engine.pull_image(address, it.platform, registry_service.service)
        return _loaded(it, await pulled)
    return _loaded(it, await session.engine.resolve_image(address, it.platform))


async def import_(session: Session, it: Container, *, source: File, tag: str) -> Container:
    """Start from the image in an archive."""
    return _loaded(it, await session.engine.import_image(source.edge, tag))


async def with_registry_auth(
    session: Session, it: Container, *, address: str, username: str, secret: Secret
) -> Container:
    """Use a credential for a registry, in the whole session; the container stays as it is."""
    await session.engine.log_in(address, username, secret.ref.value)
    return it


async def without_registry_auth(session: Session, it: Container, *, address: str) -> Container:
    """Forget the credential for a registry."""
    await session.engine.log_out(address)
    return it


def _loaded(it: Container, image: Image) -> Container:
    root = Edge(Rootfs(str(image.digest), it.platform, image.reference))
    config = Config.of_image(image.config).over(it.config)
    return replace(it, rootfs=root, config=config, image=image.reference)


def image_ref(_session: Session, it: Container) -> str:
    """Give the reference of the image that this still is.

    Raises:
        QueryError: it is not an image's root filesystem, or no longer.
    """
    if not it.image:
        raise QueryError(
            "Container.imageRef: the root filesystem is not that of an image; ask right after from"
        )
    return it.image


def as_tarball(
    session: Session,
    it: Container,
    *,
    platform_variants: tuple[Container, ...],
    forced_compression: str | None,
    media_types: str,
) -> File:
    """Write an image archive."""
    op = _archive(session, it, platform_variants, forced_compression, media_types)
    return File(Edge(op))


def _archive(
    session: Session,
    it: Container,
    others: tuple[Container, ...],
    compression: str | None,
    media_types: str,
) -> Archive:
    """Describe the images to write."""
    epoch = session.engine.epoch
    return Archive(_variants(it, others), compression or "", media_types, epoch)


def _variants(it: Container, others: tuple[Container, ...]) -> tuple[Variant, ...]:
    """Give the images to write; with others, an empty receiver is not one of them."""
    own = () if others and isinstance(it.rootfs.op, Scratch) else (it,)
    variants = tuple(_variant(one) for one in (*own, *others))
    platforms = [variant.platform for variant in variants]
    twice = sorted({name for name in platforms if platforms.count(name) > 1})
    if twice:
        raise QueryError(f"an image holds one variant a platform, got two for {', '.join(twice)}")
    return variants


def _variant(it: Container) -> Variant:
    annotations = tuple(sorted(it.config.annotations))
    document = it.config.document(it.platform)
    base = _base_of(it.rootfs)
    image, reference = (base.image, base.reference) if base is not None else ("", "")
    steps = tuple(step.root for step in it.config.history if step.root is not None)
    if len(steps) == 1:  # only settings were changed: nothing has to be counted
        steps = ()
    return Variant(it.rootfs, it.platform, document, annotations, image, reference, steps)


def _base_of(root: Edge) -> Rootfs | None:
    """Find the image that a root filesystem was made from, layer by layer."""
    edge: Edge | None = root
    while edge is not None and not edge.output:
        if isinstance(edge.op, Rootfs):
            return edge.op
        edge = getattr(edge.op, "root" if isinstance(edge.op, Exec) else "base", None)
    return None


async def export(
    session: Session,
    it: Container,
    *,
    path: str,
    platform_variants: tuple[Container, ...],
    forced_compression: str | None,
    media_types: str,
    expand: bool,
) -> str:
    """Write an image archive to the host."""
    archive = as_tarball(
        session,
        it,
        platform_variants=platform_variants,
        forced_compression=forced_compression,
        media_types=media_types,
    )
    tree = await session.engine.tree(archive.edge)
    return await session.engine.export_file(tree, it.text(path, expand), False)


async def publish(
    session: Session,
    it: Container,
    *,
    address: str,
    platform_variants: tuple[Container, ...],
    forced_compression: str | None,
    media_types: str,
    registry_service: Service | None,
) -> str:
    """Push an image to a registry; give its reference with the digest."""
    op = _archive(session, it, platform_variants, forced_compression, media_types)
    service = registry_service.service if registry_service is not None else None
    return await session.engine.publish(op, address, service)


async def export_image(
    session: Session,
    it: Container,
    *,
    name: str,
    platform_variants: tuple[Container, ...],
    forced_compression: str | None,
    media_types: str,
) -> None:
    """Write an image to an OCI layout (a path), or into the host's container runtime."""
    op = _archive(session, it, platform_variants, forced_compression, media_types)
    await session.engine.export_image(op, name)


FIELDS: dict[str, Callable[..., Any]] = {
    "asTarball": as_tarball,
    "export": export,
    "exportImage": export_image,
    "from": from_,
    "imageRef": image_ref,
    "import": import_,
    "withRegistryAuth": with_registry_auth,
    "withoutRegistryAuth": without_registry_auth,
    "publish": publish,
}
